"""The checked tree as the Python one would write by hand, where the types are known.

Python's own ``and``, ``or``, comparison and arithmetic stand for CEL's wherever they agree; whatever may differ
raises, and the exact form is run instead.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from sidecar.cel.exact import BINDINGS, Exact
from sidecar.cel.patterns import Finder, finder
from sidecar.cel.typed import (
    Apply,
    Bind,
    Choice,
    Const,
    Elements,
    Entries,
    Field,
    Item,
    Local,
    Logic,
    Loop,
    Node,
    OptionalMap,
    Variable,
    parts,
)
from sidecar.cel.types import List
from sidecar.cel.values import INT_MAX, INT_MIN

_SCALAR = frozenset({"bool", "int", "uint", "double", "string", "bytes"})
_KEYS = frozenset({"bool", "int", "uint", "string"})
_TIMES = frozenset({"timestamp", "duration"})
_COMPARE: dict[str, type[ast.cmpop]] = {
    "_==_": ast.Eq,
    "_!=_": ast.NotEq,
    "_<_": ast.Lt,
    "_<=_": ast.LtE,
    "_>_": ast.Gt,
    "_>=_": ast.GtE,
}
_ARITHMETIC: dict[str, type[ast.operator]] = {"_+_": ast.Add, "_-_": ast.Sub, "_*_": ast.Mult}


class Plain(Exact):
    """Generates the plain form; what it has no short way for, it leaves to the exact one."""

    def __init__(self) -> None:
        super().__init__(traced=False)

    def part(self, node: Node) -> ast.expr:
        match node:
            case Variable():
                return self.subscript(self.load(BINDINGS), self.constant(node.name))
            case Field(optional=False):
                return self.field(node)
            case Item(optional=False):
                return self.item(node)
            case Logic():
                return self.junction(
                    node.operator, [self.condition(each) for each in node.operands]
                )
            case Choice():
                condition = self.condition(node.condition)
                return self.either(
                    condition, self.expression(node.then), self.expression(node.otherwise)
                )
            case Entries() if _has_plain_keys(node):
                keys = [self.expression(key) for key, _, _ in node.entries]
                return self.dict_of(keys, [self.expression(value) for _, value, _ in node.entries])
            case Loop():
                return self.loop(node)
        return super().part(node)

    def condition(self, node: Node) -> ast.expr:
        value = self.expression(node)
        return value if node.type.kind == "bool" else self.helper("truth", value)

    def field(self, node: Field) -> ast.expr:
        declared = node.operand.type.kind in {"object", "map"}
        if node.test:
            operand = self.expression(node.operand)
            if declared:
                return self.compare(self.constant(node.name), ast.In(), operand)
            return self.helper("has_member", operand, self.constant(node.name))
        # of a dyn too: whatever is no dictionary raises, since nothing else takes a string in brackets
        return self.subscript(self.expression(node.operand), self.constant(node.name))

    def item(self, node: Item) -> ast.expr:
        operand, index = self.expression(node.operand), self.expression(node.index)
        match node.operand.type.kind, node.index.type.kind:
            case "list", "int":
                if (
                    isinstance(node.index, Const)
                    and isinstance(node.index.value, int)
                    and node.index.value >= 0
                ):
                    return self.subscript(operand, index)
                return self.helper("element_at", operand, index)
            case "map", kind if kind in _KEYS and getattr(node.operand.type, "key").kind == kind:  # noqa: B009
                return self.subscript(operand, index)
        return self.helper("item", operand, index)

    def apply(self, node: Apply) -> ast.expr:
        function, given = node.function, node.arguments
        kinds = tuple(each.type.kind for each in given)
        if (
            function in _COMPARE
            and (compared := self.comparison(function, given, kinds)) is not None
        ):
            return compared
        if (
            function in _ARITHMETIC
            and (result := self.arithmetic(function, given, kinds)) is not None
        ):
            return result
        match function, kinds:
            case (("_/_" | "_%_"), ("int", "int")):
                return self.division(node)
            case "_/_", ("double", "double"):
                return self.binary(self.expression(given[0]), ast.Div(), self.expression(given[1]))
            case "-_", ("int",):
                return self.in_range(self.negative(self.expression(given[0])))
            case "-_", ("double",):
                return self.negative(self.expression(given[0]))
            case "!_", ("bool",):
                return self.inverse(self.expression(given[0]))
            case "_in_", _ if (found := self.membership(given, kinds)) is not None:
                return found
            case "size", (("string" | "bytes" | "list" | "map"),):
                return self.builtin("len", self.expression(given[0]))
            case (("startsWith" | "endsWith"), (_, "string")):
                # of a dyn too: only strings take a string here, bytes raise
                name = "startswith" if function == "startsWith" else "endswith"
                return self.method(self.expression(given[0]), name, self.expression(given[1]))
            case "contains", ("string", "string"):
                return self.compare(self.expression(given[1]), ast.In(), self.expression(given[0]))
            case "matches", ("string", _) if isinstance(given[1], Const) and isinstance(
                given[1].value, str
            ):
                return self.search(finder(given[1].value), given[0])
            case (
                ("int", ("int",))
                | ("double", ("double",))
                | ("string", ("string",))
                | ("bool", ("bool",))
            ):
                return self.expression(given[0])
            case "double", ("int",):
                return self.builtin("float", self.expression(given[0]))
            case "dyn", (kind,) if kind in _SCALAR:
                return self.expression(given[0])
        return super().apply(node)

    def search(self, pattern: Finder, text: Node) -> ast.expr:
        found = self.call(self.known(pattern.find, "find"), self.expression(text))
        return (
            self.compare(found, ast.IsNot(), self.constant(None)) if pattern.gives_match else found
        )

    def comparison(
        self, function: str, given: tuple[Node, ...], kinds: tuple[str, ...]
    ) -> ast.expr | None:
        left, right = given
        operator = _COMPARE[function]()
        equality = function in {"_==_", "_!=_"}
        if kinds[0] == kinds[1] and kinds[0] in _SCALAR:
            return self.compare(self.expression(left), operator, self.expression(right))
        if kinds[0] == kinds[1] and kinds[0] in _TIMES:
            moments = [self.helper("nanoseconds", self.expression(each)) for each in given]
            return self.compare(moments[0], operator, moments[1])
        if not equality:
            return None
        for one, other in ((left, right), (right, left)):
            if isinstance(one, Const) and (one.value is None or isinstance(one.value, bool)):
                # identity tells true from 1, which Python takes for equal
                same: ast.cmpop = ast.Is() if function == "_==_" else ast.IsNot()
                return self.compare(self.expression(other), same, self.expression(one))
            if one.type.kind in {"string", "bytes"} and other.type.kind == "dyn":
                return self.compare(self.expression(left), operator, self.expression(right))
            if isinstance(one, Const) and _is_distinct(one.value):
                return self.compare(self.expression(left), operator, self.expression(right))
        return None

    def arithmetic(
        self, function: str, given: tuple[Node, ...], kinds: tuple[str, ...]
    ) -> ast.expr | None:
        match function, kinds:
            case _, ("int", "int"):
                operands = [self.expression(each) for each in given]
                return self.in_range(self.binary(operands[0], _ARITHMETIC[function](), operands[1]))
            case (
                (_, ("double", "double"))
                | ("_+_", ("string", "string"))
                | ("_+_", ("bytes", "bytes"))
            ):
                operands = [self.expression(each) for each in given]
                return self.binary(operands[0], _ARITHMETIC[function](), operands[1])
            case "_+_", ("list", "list"):
                return self.spread(*(self.expression(each) for each in given))
        return None

    def in_range(self, value: ast.expr) -> ast.expr:
        """``t if MIN <= (t := value) <= MAX else overflow()``: the check without a call."""
        name = self.fresh("t")
        check = ast.Compare(
            self.constant(INT_MIN),
            [ast.LtE(), ast.LtE()],
            [self.named(name, value), self.constant(INT_MAX)],
            **self.at,
        )
        return self.either(check, self.load(name), self.helper("overflow"))

    def division(self, node: Apply) -> ast.expr:
        """By a positive literal: Python's own, turned where the dividend is negative, since it rounds down."""
        dividend, divisor = node.arguments
        if not (
            isinstance(divisor, Const) and isinstance(divisor.value, int) and divisor.value > 0
        ):
            return self.checked(node.function, self.expression(dividend), self.expression(divisor))
        operator: ast.operator = ast.FloorDiv() if node.function == "_/_" else ast.Mod()
        name = self.fresh("t")
        zero = self.constant(0)
        check = self.compare(self.named(name, self.expression(dividend)), ast.GtE(), zero)
        straight = self.binary(self.load(name), operator, self.constant(divisor.value))
        turned = self.binary(self.negative(self.load(name)), operator, self.constant(divisor.value))
        return self.either(check, straight, self.negative(turned))

    def membership(self, given: tuple[Node, ...], kinds: tuple[str, ...]) -> ast.expr | None:
        element, container = given
        if isinstance(container, Elements) and (words := _constants(container)) is not None:
            texts = all(type(word) is str for word in words)
            whole = all(type(word) is int for word in words)
            # a dyn equals a string only if it is one; with numbers that does not hold (1 == True)
            if (texts and kinds[0] in {"string", "dyn"}) or (whole and kinds[0] == "int"):
                values = self.tuple_of(*(self.constant(word) for word in words))
                if len(words) > 8 and kinds[0] != "dyn":
                    values = self.known(frozenset(words), "set")
                return self.compare(self.expression(element), ast.In(), values)
        match container.type.kind:
            case "list" if isinstance(container.type, List):
                inner = container.type.element.kind
                if (kinds[0] == inner and inner in {"string", "int", "bytes"}) or kinds[0] in {
                    "string",
                    "bytes",
                }:
                    return self.compare(
                        self.expression(element), ast.In(), self.expression(container)
                    )
            case "map" if kinds[0] == getattr(container.type, "key").kind and kinds[0] in _KEYS:  # noqa: B009
                return self.compare(self.expression(element), ast.In(), self.expression(container))
            case "map" if kinds[0] == "string":
                return self.compare(self.expression(element), ast.In(), self.expression(container))
        return None

    def loop(self, node: Loop) -> ast.expr:
        """A function of its own at the top of the module: a loop over locals, left as soon as it is decided."""
        over = self.expression(node.range)
        free = sorted(_free(node.condition, set(node.names)) | _free(node.step, set(node.names)))
        name, of = self.fresh("loop"), self.fresh("of")
        declared = node.range.type.kind
        body: list[ast.stmt] = []
        rounds: ast.expr = self.load(of)
        target: ast.expr = self.store(node.names[0])
        if len(node.names) == 2:
            target = ast.Tuple([self.store(each) for each in node.names], ast.Store(), **self.at)
            if declared == "list":
                rounds = self.builtin(
                    "enumerate", self.helper("check_size", rounds, self.constant(node.limit))
                )
            elif declared == "map":
                rounds = self.method(
                    self.helper("check_size", rounds, self.constant(node.limit)), "items"
                )
            else:
                rounds = self.helper("pairs", rounds, self.constant(node.limit))
        elif declared in {"list", "map"}:
            too_many = self.compare(
                self.builtin("len", self.load(of)), ast.Gt(), self.constant(node.limit)
            )
            body.append(
                self.when(
                    too_many, self.do(self.helper("check_size", rounds, self.constant(node.limit)))
                )
            )
        else:
            rounds = self.helper("elements", rounds, self.constant(node.limit))
        body += self.rounds(node, target, rounds)
        self.functions.append(self.define(name, (of, BINDINGS, *free), body))
        return self.call(
            self.load(name), over, self.load(BINDINGS), *(self.load(each) for each in free)
        )

    def rounds(self, node: Loop, target: ast.expr, over: ast.expr) -> list[ast.stmt]:
        condition = None if node.condition is None else self.condition(node.condition)
        yes, no = self.result(self.constant(True)), self.result(self.constant(False))
        match node.kind:
            case "all" if condition is not None:
                return [self.each(target, over, self.when(self.inverse(condition), no)), yes]
            case "exists" if condition is not None:
                return [self.each(target, over, self.when(condition, yes)), no]
            case "exists_one" if condition is not None:
                count = self.fresh("n")
                more = self.assign(
                    count, self.binary(self.load(count), ast.Add(), self.constant(1))
                )
                one = self.compare(self.load(count), ast.Eq(), self.constant(1))
                start = self.assign(count, self.constant(0))
                return [
                    start,
                    self.each(target, over, self.when(condition, more)),
                    self.result(one),
                ]
        out = self.fresh("out")
        if node.kind == "map_of":
            place = ast.Subscript(self.load(out), self.load(node.names[0]), ast.Store(), **self.at)
            assert node.step is not None
            keep: ast.stmt = ast.Assign([place], self.expression(node.step), **self.at)
            start = self.assign(out, self.dict_of((), ()))
        else:
            value = self.load(node.names[-1]) if node.step is None else self.expression(node.step)
            keep = self.do(self.method(self.load(out), "append", value))
            start = self.assign(out, self.list_of())
        inner = keep if condition is None else self.when(condition, keep)
        return [start, self.each(target, over, inner), self.result(self.load(out))]


def _is_distinct(value: object) -> bool:
    """A number that no bool equals, and small enough that Python's exact comparison is CEL's."""
    return type(value) in {int, float} and value not in (0, 1) and abs(value) < 2**53  # type: ignore[arg-type]


def _has_plain_keys(node: Entries) -> bool:
    keys = [
        key.value
        for key, _, _ in node.entries
        if isinstance(key, Const) and isinstance(key.value, str)
    ]
    return len(set(keys)) == len(node.entries) and not any(
        optional for _, _, optional in node.entries
    )


def _constants(node: Elements) -> list[Any] | None:
    found = [
        each.value for each, optional in node.elements if isinstance(each, Const) and not optional
    ]
    return found if len(found) == len(node.elements) and found else None


def _free(node: Node | None, bound: set[str]) -> set[str]:
    """The locals that a part reads and does not itself introduce."""
    if node is None:
        return set()
    match node:
        case Local():
            return {node.name} - bound
        case Loop():
            bound = bound | set(node.names)
        case Bind() | OptionalMap():
            bound = bound | {node.name}
    return {name for each in parts(node) for name in _free(each, bound)}


def plain_form(node: Node, wanted: str, again: Callable[[Any], object]) -> Callable[[Any], object]:
    """A function of the bindings: the plain value, or what ``again`` makes of the bindings if anything raises."""
    code = Plain()
    code.names["again"] = again
    value = code.result(code.finished(node, wanted))
    rescue = code.result(code.call(code.load("again"), code.load(BINDINGS)))
    code.functions.append(code.define("evaluate", (BINDINGS,), [code.guarded(value, rescue)]))
    return code.built("evaluate")
