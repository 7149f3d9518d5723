"""Where Python's own operators say what CEL's do, so that they can stand in their place."""

from __future__ import annotations

import ast
from typing import Any

from sidecar.cel.exact import Exact
from sidecar.cel.patterns import Finder, finder
from sidecar.cel.typed import (
    Apply,
    Const,
    Elements,
    Node,
)
from sidecar.cel.types import List, key_kind
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


class Native(Exact):
    """Generates operators and functions over known types as Python's own; the others are left to the exact form."""

    def condition(self, node: Node) -> ast.expr:
        """A part as a Python truth, its type looked at where it is not known."""
        value = self.expression(node)
        return value if node.type.kind == "bool" else self.helper("truth", value)

    def apply(self, node: Apply) -> ast.expr:
        """A function or operator, by the kinds of its arguments."""
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
        """``matches`` by the quickest test of its literal pattern."""
        found = self.call(self.known(pattern.find, "find"), self.expression(text))
        return (
            self.compare(found, ast.IsNot(), self.constant(None)) if pattern.gives_match else found
        )

    def comparison(
        self, function: str, given: tuple[Node, ...], kinds: tuple[str, ...]
    ) -> ast.expr | None:
        """``== != < <= > >=`` where Python compares these types as CEL does."""
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
        """``+ - *`` where Python computes these types as CEL does."""
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
        """``in`` where Python looks these types up as CEL does."""
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
            case "map" if kinds[0] == key_kind(container.type) and kinds[0] in _KEYS:
                return self.compare(self.expression(element), ast.In(), self.expression(container))
            case "map" if kinds[0] == "string":
                return self.compare(self.expression(element), ast.In(), self.expression(container))
        return None


def _is_distinct(value: object) -> bool:
    """A number that no bool equals, and small enough that Python's exact comparison is CEL's."""
    return type(value) in {int, float} and value not in (0, 1) and abs(value) < 2**53  # type: ignore[arg-type] # a number by now


def _constants(node: Elements) -> list[Any] | None:
    found = [
        each.value for each, optional in node.elements if isinstance(each, Const) and not optional
    ]
    return found if len(found) == len(node.elements) and found else None
