"""Where an expression turns one way or the other: the parts that a thorough test has seen both true and false."""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.cel.typed import Apply, Choice, Const, Logic, Node, parts


def branches_of(node: Node) -> Iterator[tuple[int, int]]:
    """The places of the operands of ``&&``, ``||``, ``!`` and ``?:`` that are boolean and no constants."""
    for operand in _operands(node):
        if not isinstance(operand, Const):
            yield operand.start, operand.end
    for each in parts(node):
        yield from branches_of(each)


def _operands(node: Node) -> tuple[Node, ...]:
    match node:
        case Logic():
            return node.operands
        case Apply(function="!_"):
            return node.arguments
        case Choice(condition=condition, then=then, otherwise=otherwise):
            return condition, *(each for each in (then, otherwise) if each.type.kind == "bool")
    return ()
