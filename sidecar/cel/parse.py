"""From words to a syntax tree, by recursive descent, going on after a fault so that all faults are seen at once."""

from __future__ import annotations

import re

from sidecar.cel.environment import Budget
from sidecar.cel.habits import BINARY_HABITS, METHOD_HABITS, RESERVED, TRAILING, binary_habit
from sidecar.cel.problems import Problem
from sidecar.cel.tokens import Token, tokens_of
from sidecar.cel.tree import (
    Call,
    Chain,
    Conditional,
    ListLiteral,
    Literal,
    MapLiteral,
    Message,
    Name,
    Operation,
    Select,
    Subscript,
    Syntax,
    Unreadable,
)
from sidecar.cel.values import Uint

_LEVELS = (
    frozenset({"==", "!=", "<", "<=", ">", ">=", "in"}),
    frozenset({"+", "-"}),
    frozenset({"*", "/", "%"}),
)
_CLOSERS = frozenset({")", "]", "}", ",", ":", "?", "&&", "||"})
_GROUPED = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+\b")
_CONSTANTS: dict[str, object] = {"true": True, "false": False, "null": None}


class _TooDeep(Exception):
    """Unwinds the descent; the only way out that gives no tree."""


def parse(source: str, budget: Budget, problems: list[Problem]) -> tuple[Syntax, ...]:
    """The trees of the source text: one, or more where text after a fault could be read again.

    Args:
        source: any text at all.
        budget: the limits on length and depth.
        problems: receives what is wrong, in the order found.
    """
    if len(source) > budget.source:
        message = (
            f"the expression has {len(source)} characters; at most {budget.source} are allowed"
        )
        problems.append(
            Problem("too-long", message, 0, min(len(source), 40), "split it into variables")
        )
        return ()
    parser = _Parser(source, tokens_of(source, problems), budget, problems)
    try:
        return parser.everything()
    except _TooDeep:
        token = parser.token
        message = f"nested more than {budget.depth} deep"
        problems.append(
            Problem("too-deep", message, token.start, token.end, "split it into variables")
        )
        return ()


class _Parser:
    def __init__(
        self, source: str, tokens: list[Token], budget: Budget, problems: list[Problem]
    ) -> None:
        self.source = source
        self.tokens, self.budget, self.problems = tokens, budget, problems
        self.at = self.depth = 0
        self.faulty_at = -1

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    def is_mark(self, text: str) -> bool:
        token = self.token
        return token.kind == "mark" and token.text == text

    def take(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.at += 1
        return token

    def accept(self, text: str) -> bool:
        if self.is_mark(text):
            self.at += 1
            return True
        return False

    def fault(self, message: str, hint: str = "", token: Token | None = None) -> None:
        """Reports once per word: what follows a fault is mostly its echo."""
        token = token or self.token
        if self.faulty_at != self.at:
            self.faulty_at = self.at
            self.problems.append(Problem("syntax", message, token.start, token.end, hint))

    def expect(self, text: str, after: str) -> int:
        token = self.token
        if self.accept(text):
            return token.end
        self.fault(f"expected '{text}' {after}, found {_named(token)}")
        return token.start

    def behind(self) -> int:
        """The offset behind the last word taken: brackets around a part belong to what the part is used in."""
        return self.tokens[self.at - 1].end if self.at else 0

    def everything(self) -> tuple[Syntax, ...]:
        if self.token.kind == "end":
            if not self.problems:
                self.fault("the expression is empty")
            return ()
        trees = [self.expression()]
        while self.token.kind != "end":
            token = self.token
            self.fault(f"unexpected {_named(token)} after the expression", self.trailing())
            self.take()
            while self.token.kind != "end" and not (
                self.token.kind == "mark" and self.token.text in {"&&", "||"}
            ):
                self.take()
            self.take()
            if self.token.kind != "end":
                trees.append(self.expression())
        return tuple(trees)

    def trailing(self) -> str:
        """The repair for what follows an expression."""
        before, token = self.tokens[self.at - 1], self.token
        if grouped := _GROUPED.match(self.source, before.start):
            return f"write {grouped[0].replace(',', '')}"
        if token.kind != "mark" and "\n" in self.source[before.end : token.start]:
            return "write && or || between the two lines"
        return TRAILING.get(token.text, "")

    def expression(self) -> Syntax:
        self.depth += 1
        if self.depth > self.budget.depth:
            raise _TooDeep
        start = self.token.start
        condition = self.chain("||")
        result = condition
        if self.accept("?"):
            then = self.chain("||")
            self.expect(":", "between the two results of '?'")
            otherwise = self.expression()
            result = Conditional(start, self.behind(), condition, then, otherwise)
        self.depth -= 1
        return result

    def chain(self, operator: str) -> Syntax:
        start = self.token.start
        operands = [self.chain("&&") if operator == "||" else self.binary(0)]
        while self.accept(operator) or self.habit(operator):
            operands.append(self.chain("&&") if operator == "||" else self.binary(0))
        if len(operands) == 1:
            return operands[0]
        return Chain(start, self.behind(), operator, tuple(operands))

    def habit(self, *operators: str) -> str:
        """Reads an operator of another language as the one that was meant, and says so."""
        token = self.token
        meant = BINARY_HABITS.get(token.text, "") if token.kind in {"mark", "name"} else ""
        if meant not in operators:
            return ""
        self.fault(*binary_habit(token.text), token)
        self.take()
        return meant

    def binary(self, level: int) -> Syntax:
        if level == len(_LEVELS):
            return self.unary()
        start = self.token.start
        if level == 0 and self.is_word_not():
            return self.denied()
        left = self.binary(level + 1)
        while True:
            token = self.token
            if level == 0 and token.text in METHOD_HABITS and token.kind in {"mark", "name"}:
                left = self.method(start, left)
                continue
            if token.kind in {"mark", "name"} and token.text in _LEVELS[level]:
                self.take()
                operator = token.text
            elif level == 0 and self.is_not_in():
                self.fault("'not in' is not an operator", "write !(a in b)")
                self.at += 2
                operator = "in"
            elif not (operator := self.habit(*_LEVELS[level])):
                return left
            right = self.binary(level + 1)
            left = Operation(start, self.behind(), operator, (left, right))

    def denied(self) -> Syntax:
        """``not a > b``, as which other languages deny the whole comparison."""
        sign, known = self.take(), len(self.problems)
        self.depth += 1
        if self.depth > self.budget.depth:
            raise _TooDeep
        operand = self.binary(0)
        self.depth -= 1
        hint, end = "write !", sign.end
        if isinstance(operand, Operation) and len(operand.operands) == 2:
            hint, end = f"write !({self.source[operand.start : operand.end]})", operand.end
        problem = Problem("syntax", "'not' is not an operator", sign.start, end, hint)
        self.problems.insert(known, problem)
        return Operation(sign.start, self.behind(), "!", (operand,))

    def method(self, start: int, left: Syntax) -> Syntax:
        """``a =~ b`` and ``a contains b``, of which each is the call of a function here."""
        sign, known = self.take(), len(self.problems)
        right = self.binary(1)
        deny, function = METHOD_HABITS[sign.text]
        given, argument = (
            self.source[start : sign.start].rstrip(),
            self.source[right.start : self.behind()],
        )
        given = given if isinstance(left, Name | Select | Call | Subscript) else f"({given})"
        hint = f"write {deny}{given}.{function}({argument or '...'})"
        message = f"'{sign.text}' is not an operator"
        self.problems.insert(known, Problem("syntax", message, sign.start, sign.end, hint))
        call = Call(start, self.behind(), function, left, (right,), sign.start, sign.end, False)
        return Operation(start, self.behind(), "!", (call,)) if deny else call

    def is_not_in(self) -> bool:
        return (
            self.token.text == "not"
            and self.tokens[min(self.at + 1, len(self.tokens) - 1)].text == "in"
        )

    def unary(self) -> Syntax:
        signs: list[Token] = []
        if self.is_mark("+"):
            self.fault("'+' is not a sign", "leave it out")
            self.take()
        while (self.token.kind == "mark" and self.token.text in "!-") or self.is_word_not():
            if self.token.text == "not":
                self.fault("'not' is not an operator", "write !")
            signs.append(self.take())
            if len(signs) > self.budget.depth:
                raise _TooDeep
        if signs and signs[-1].text == "-" and self.token.kind in {"int", "double"}:
            sign = signs.pop()
            operand = self.postfix(self.number(sign), sign.start)
        else:
            start = self.token.start
            operand = self.postfix(self.primary(), start)
        for sign in reversed(signs):
            operator = "neg" if sign.text == "-" else "!"
            operand = Operation(sign.start, self.behind(), operator, (operand,))
        return operand

    def is_word_not(self) -> bool:
        if self.token.kind != "name" or self.token.text != "not":
            return False
        follower = self.tokens[self.at + 1]
        if follower.kind in {"end"} or (follower.kind == "mark" and follower.text not in "!-([{."):
            return False
        return True

    def number(self, sign: Token | None) -> Literal:
        token = self.take()
        start = sign.start if sign else token.start
        value = token.value
        if isinstance(value, float):
            return Literal(start, token.end, -value if sign else value)
        if isinstance(value, int) and not isinstance(value, Uint):
            if sign:
                return Literal(start, token.end, -value)
            if value == 2**63:
                self.problems.append(
                    Problem("literal", "integer too large for 64-bit", token.start, token.end)
                )
                value = 0
        return Literal(start, token.end, value)

    def primary(self) -> Syntax:
        token = self.token
        if token.kind in {"int", "uint", "double"}:
            return self.number(None)
        if token.kind in {"string", "bytes"}:
            self.take()
            return Literal(token.start, token.end, token.value)
        if token.kind == "name" and token.text != "in":
            return self.named()
        if self.accept("("):
            inner = self.expression()
            self.expect(")", "to close '('")
            return inner
        if self.accept("["):
            return self.list_literal(token)
        if self.accept("{"):
            return self.map_literal(token)
        if self.is_mark(".") and self.tokens[self.at + 1].kind == "name":
            self.take()
            return self.named(absolute=True, start=token.start)
        self.fault(f"expected a value, found {_named(token)}")
        if not (token.kind == "mark" and token.text in _CLOSERS):
            self.take()
        return Unreadable(token.start, token.end)

    def named(self, *, absolute: bool = False, start: int | None = None) -> Syntax:
        token = self.take()
        start = token.start if start is None else start
        if token.text in _CONSTANTS and not absolute:
            return Literal(token.start, token.end, _CONSTANTS[token.text])
        if token.text in RESERVED:
            self.problems.append(
                Problem(
                    "syntax",
                    f"'{token.text}' is a reserved word",
                    token.start,
                    token.end,
                    RESERVED[token.text],
                )
            )
            return Unreadable(token.start, token.end)
        if self.is_mark("("):
            return self.call(token, None, start, absolute=absolute)
        return Name(start, token.end, token.text, absolute)

    def postfix(self, node: Syntax, start: int) -> Syntax:
        while True:
            if self.accept("."):
                node = self.selection(node, start)
            elif self.is_mark("["):
                self.take()
                optional = self.accept("?")
                index = self.expression()
                node = Subscript(start, self.expect("]", "to close '['"), node, index, optional)
            elif self.is_mark("{") and (name := _dotted(node)):
                opening = self.take()
                self.map_literal(opening, fields=True)
                node = Message(start, self.tokens[self.at - 1].end, name)
            else:
                return node

    def selection(self, operand: Syntax, start: int) -> Syntax:
        optional = self.accept("?")
        token = self.token
        if token.kind not in {"name", "quoted"}:
            self.fault(f"expected a member name after '.', found {_named(token)}")
            return operand
        self.take()
        if token.kind == "name" and self.is_mark("(") and not optional:
            return self.call(token, operand, start)
        return Select(start, token.end, operand, token.text, optional, token.kind == "quoted")

    def call(
        self, name: Token, target: Syntax | None, start: int, *, absolute: bool = False
    ) -> Syntax:
        self.take()
        arguments: list[Syntax] = []
        while not self.is_mark(")") and self.token.kind != "end":
            arguments.append(self.expression())
            if not self.accept(","):
                break
        end = self.expect(")", f"to close the arguments of {name.text}()")
        return Call(start, end, name.text, target, tuple(arguments), name.start, name.end, absolute)

    def list_literal(self, opening: Token) -> Syntax:
        elements: list[tuple[Syntax, bool]] = []
        while not self.is_mark("]") and self.token.kind != "end":
            optional = self.accept("?")
            elements.append((self.expression(), optional))
            if not self.accept(","):
                break
        return ListLiteral(opening.start, self.expect("]", "to close '['"), tuple(elements))

    def map_literal(self, opening: Token, *, fields: bool = False) -> Syntax:
        entries: list[tuple[Syntax, Syntax, bool]] = []
        while not self.is_mark("}") and self.token.kind != "end":
            optional = self.accept("?")
            key = Name(self.token.start, self.take().end, "") if fields else self.expression()
            self.expect(":", "between a key and its value")
            entries.append((key, self.expression(), optional))
            if not self.accept(","):
                break
        return MapLiteral(opening.start, self.expect("}", "to close '{'"), tuple(entries))


def _named(token: Token) -> str:
    return (
        "the end"
        if token.kind == "end"
        else f"'{token.text if len(token.text) <= 20 else token.text[:17] + '...'}'"
    )


def _dotted(node: Syntax) -> str:
    if isinstance(node, Name):
        return node.name
    if isinstance(node, Select) and not node.optional and (prefix := _dotted(node.operand)):
        return f"{prefix}.{node.field}"
    return ""
