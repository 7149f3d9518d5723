"""Which inputs an expression reads: the longest static path of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.cel.presence import Path, path_of
from sidecar.cel.typed import Apply, Const, Field, Item, Local, Node, Variable, parts


@dataclass(frozen=True, slots=True)
class Read:
    """One place of an expression that looks at an input.

    Args:
        path: as far as it is static: ``limits["a"].ratio`` is ``("limits", "a", "ratio")``.
        start, end: the part of the source that has the value; a trace has a step for it if it was evaluated.
        asks: whether an absent value is no fault here: the place asks whether it is there.
    """

    path: Path
    start: int
    end: int
    asks: bool


def references_of(node: Node) -> frozenset[Path]:
    """The paths that an expression reads or asks the presence of.

    ``limits["a"].ratio`` gives ``("limits", "a", "ratio")``, ``"a" in limits`` gives ``("limits", "a")``.
    """
    return frozenset(read.path for read in reads_of(node))


def reads_of(node: Node) -> Iterator[Read]:
    """Every place that looks at an input, from left to right."""
    match node:
        case Variable() | Field() | Item():
            path, dynamic, asks = _longest(node)
            if path is not None:
                yield Read(path, node.start, node.end, asks)
                for each in dynamic:
                    yield from reads_of(each)
                return
        case Apply(function="_in_", arguments=(Const(value=str(key)), container)):
            above = path_of(container)
            if above is not None and not above[0].startswith("#"):
                yield Read((*above, key), node.start, node.end, asks=True)
                return
    for each in parts(node):
        yield from reads_of(each)


def _longest(node: Node) -> tuple[Path | None, list[Node], bool]:
    """The path from a variable down to where it stops being static, the dynamic parts on the way, and `Read.asks`."""
    chain: list[Field | Item] = []
    at = node
    while isinstance(at, Field | Item):
        chain.append(at)
        at = at.operand
    if isinstance(at, Local) or not isinstance(at, Variable):
        return None, [], False
    path: Path = (at.name,)
    dynamic: list[Node] = []
    static, asks = True, False
    for link in reversed(chain):
        key: str | None = None
        if isinstance(link, Field):
            key = link.name
        elif isinstance(link.index, Const) and isinstance(link.index.value, str):
            key = link.index.value
        else:
            dynamic.append(link.index)
        static = static and key is not None
        if static and key is not None:
            path = (*path, key)
            asks = asks or link.optional or (isinstance(link, Field) and link.test)
    return path, dynamic, asks
