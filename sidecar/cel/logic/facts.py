"""What does a comparison that came out so or so say of the term in it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.cel import compare, text
from sidecar.cel.logic.terms import Term, key_of, term_of
from sidecar.cel.typed import Apply, Const, Elements, Field, Node

TESTS: Mapping[str, Callable[[Any, Any], object]] = {
    "==": compare.equal,
    "<": compare.less,
    "<=": compare.less_equal,
    ">": compare.greater,
    ">=": compare.greater_equal,
    "in": lambda value, among: any(compare.equal(value, each) for each in among),
    "startsWith": text.starts_with,
    "endsWith": text.ends_with,
    "contains": text.contains,
}
ORDERS = frozenset({"<", "<=", ">", ">="})
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ORDERED = frozenset({"int", "uint", "string", "bytes", "timestamp", "duration"})
_OUTCOMES = {"==": (0,), "<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (0, 1)}
_TEXTUAL = frozenset({"startsWith", "endsWith", "contains"})


@dataclass(frozen=True, slots=True)
class Fact:
    """`term test value` came out as true, or as false; never as an error.

    Attributes:
        shown: the value as it is written, by which facts are told apart: 1 is not true.
        node: the part of the expression that says it.
    """

    term: Term
    test: str
    value: object = field(compare=False)
    holds: bool
    shown: str = ""
    node: Node | None = field(default=None, compare=False)

    @classmethod
    def of(cls, term: Term, test: str, value: object, holds: bool, node: Node | None) -> Fact:
        """A fact about one value, or about a tuple of them."""
        return cls(term, test, value, holds, repr(value), node)


def fact_of(node: Node, outcome: bool) -> Fact | bool:
    """What an outcome of a part without logic says; whether it can be at all, where that is known.

    Everything that is bool says at least that it came out so.
    """
    match node:
        case Const(value=bool(value)):
            return value is outcome
        case Apply(function=function, arguments=(left, right)):
            test = function.strip("_")
            if test in {"==", *ORDERS}:
                return _comparison(node, test, left, right, outcome)
            among = _constants(right) if test == "in" else None
            if among is not None and isinstance(left, Const):
                return TESTS["in"](left.value, among) is outcome
            if among is not None:
                return Fact.of(term_of(left), "in", among, outcome, node)
            if function in _TEXTUAL and isinstance(right, Const):
                return Fact.of(term_of(left), function, right.value, outcome, node)
    return Fact.of(_bool(node), "==", True, outcome, node)


def _bool(node: Node) -> Term:
    term = term_of(node)
    # What comes out as true or false is one of them, though its type may not say so.
    return Term(term.key, "bool", (True, False), term.path, term.function)


def _comparison(node: Node, test: str, left: Node, right: Node, outcome: bool) -> Fact | bool:
    if isinstance(right, Const):
        return Fact.of(term_of(left), test, right.value, outcome, node)
    if isinstance(left, Const):
        return Fact.of(term_of(right), _MIRRORED.get(test, test), left.value, outcome, node)
    kinds = {left.type.kind, right.type.kind}
    if len(kinds) != 1 or not kinds <= _ORDERED:
        return Fact.of(_bool(node), "==", True, outcome, node)
    one, other = key_of(left), key_of(right)
    if one == other:
        return (0 in _OUTCOMES[test]) is outcome
    if repr(other) < repr(one):
        one, other, test = other, one, _MIRRORED.get(test, test)
    # Two values that nobody knows are one thing that is known to be less, equal or greater.
    order = Term(("order", one, other), "int", (-1, 0, 1))
    return Fact.of(order, "in", _OUTCOMES[test], outcome, node)


def _constants(node: Node) -> tuple[object, ...] | None:
    """The values of a list literal, None if it holds more than constants."""
    if not isinstance(node, Elements):
        return None
    values = [each.value for each, optional in node.elements if isinstance(each, Const)]
    is_whole = len(values) == len(node.elements) and not any(flag for _, flag in node.elements)
    return tuple(values) if is_whole else None


def is_presence(node: Node) -> bool:
    """Whether a part asks if something is there."""
    return isinstance(node, Field) and node.test
