"""Which parts have the same value whatever the bindings are: they are computed once, at load."""

from __future__ import annotations

from dataclasses import replace

from sidecar.cel.runtime import CHECKED
from sidecar.cel.times import Duration, Timestamp
from sidecar.cel.typed import Apply, Choice, Const, Logic, Node, changed
from sidecar.cel.values import CelType, Uint

_SCALARS = (type(None), bool, int, Uint, float, str, bytes, Timestamp, Duration, CelType)
_LONGEST = 1_000


def folded(node: Node) -> Node:
    """The tree with its constant parts replaced by their values; a part that fails is left to fail at run time."""
    smaller = changed(node, folded)
    match smaller:
        case Apply():
            return _applied(smaller)
        case Logic():
            return _logic(smaller)
        case Choice(condition=Const(value=bool(value)), then=then, otherwise=otherwise):
            # the type of the whole stays: it was joined from both branches
            chosen = then if value else otherwise
            return replace(chosen, type=node.type) if isinstance(chosen, Const) else chosen
    return smaller


def _applied(node: Apply) -> Node:
    values = [each.value for each in node.arguments if isinstance(each, Const)]
    if len(values) != len(node.arguments) or not values:
        return node
    try:
        value = CHECKED[node.function](*values)
    except Exception:  # noqa: BLE001  whatever it is, it is an error of the expression and no reason not to load it
        return node
    if type(value) not in _SCALARS or (isinstance(value, str | bytes) and len(value) > _LONGEST):
        return node
    return Const(node.type, node.start, node.end, value)


def _logic(node: Logic) -> Node:
    """Decided by one operand whatever the others are, errors included; else without those that decide nothing."""
    decisive = node.operator == "||"
    for each in node.operands:
        if isinstance(each, Const) and each.value is decisive:
            return Const(node.type, node.start, node.end, decisive)
    rest = tuple(
        each
        for each in node.operands
        if not (isinstance(each, Const) and each.value is (not decisive))
    )
    if not rest:
        return Const(node.type, node.start, node.end, not decisive)
    if len(rest) == 1 and rest[0].type.kind == "bool":
        return rest[0]
    return replace(node, operands=rest)
