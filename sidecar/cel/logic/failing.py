"""Can an expression end in an error, or must it?"""

from __future__ import annotations

from sidecar.cel.runtime import CHECKED
from sidecar.cel.typed import (
    Apply,
    Bind,
    Choice,
    Const,
    Elements,
    Field,
    Item,
    Local,
    Logic,
    Node,
    Variable,
    parts,
)
from sidecar.cel.types import List, Map, Object, is_open
from sidecar.cel.values import Failure

_NEVER_FAIL = frozenset({
    "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_in_", "!_", "size", "contains", "startsWith",
    "endsWith", "matches", "lowerAscii", "upperAscii", "trim", "type", "dyn", "getFullYear",
    "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getHours",
    "getMinutes", "getSeconds", "getMilliseconds",
})  # fmt: skip
_ANY_TYPE = frozenset({"_==_", "_!=_", "type", "dyn"})


def may_fail(node: Node) -> bool:
    """Whether it may; false only where it certainly gives a value.

    Members that may be absent are no cause: the compiler demands that they are asked for first.
    """
    return not _is_safe(node) or any(may_fail(each) for each in parts(node))


def _is_safe(node: Node) -> bool:
    match node:
        case Const() | Variable() | Local() | Elements() | Bind():
            return True
        case Field(test=False) | Item(index=Const(value=str())):
            return _is_there(node.operand)
        case Field():
            return not is_open(node.operand.type)
        case Apply():
            return node.function in _NEVER_FAIL and (
                node.function in _ANY_TYPE or not any(is_open(each.type) for each in _needed(node))
            )
        case Logic():
            return not any(is_open(each.type) for each in node.operands)
        case Choice():
            return not is_open(node.condition.type)
    return False


def _needed(node: Apply) -> tuple[Node, ...]:
    """The arguments whose type must be right."""
    if node.function != "_in_":
        return node.arguments
    return node.arguments[1:] if isinstance(node.arguments[1].type, List) else node.arguments


def _is_there(operand: Node) -> bool:
    """Whether what is read from it was proved to be there, or is there always."""
    of = operand.type
    return isinstance(of, Object) or (isinstance(of, Map) and of.guarded)


def certain_error(node: Node) -> str | None:
    """Why a part with its constant parts computed has no value, whatever is bound; None if it may."""
    match node:
        case Apply(function="_/_" | "_%_", arguments=(left, Const(value=0))) if left.type.kind in {
            "int",
            "uint",
        }:
            return "the divisor is 0"
        case Apply(function=function, arguments=arguments) if function in CHECKED and arguments:
            values = [each.value for each in arguments if isinstance(each, Const)]
            if len(values) != len(arguments):
                return None
            try:
                CHECKED[function](*values)
            except Failure as error:
                return str(error)
    return None
