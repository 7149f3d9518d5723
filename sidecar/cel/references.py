"""Which inputs an expression reads: the longest static path of each."""

from __future__ import annotations

from sidecar.cel.presence import Path, path_of
from sidecar.cel.typed import Apply, Const, Field, Item, Local, Node, Variable, parts


def references_of(node: Node) -> frozenset[Path]:
    """The paths that an expression reads or asks the presence of.

    ``limits["a"].ratio`` gives ``("limits", "a", "ratio")``, ``"a" in limits`` gives ``("limits", "a")``.
    """
    found: set[Path] = set()
    _collect(node, found)
    return frozenset(found)


def _collect(node: Node, found: set[Path]) -> None:
    match node:
        case Variable() | Field() | Item():
            path, at = _longest(node)
            if path is not None:
                found.add(path)
                for each in at:
                    _collect(each, found)
                return
        case Apply(function="_in_", arguments=(Const(value=str(key)), container)):
            above = path_of(container)
            if above is not None and not above[0].startswith("#"):
                found.add((*above, key))
                return
    for each in parts(node):
        _collect(each, found)


def _longest(node: Node) -> tuple[Path | None, list[Node]]:
    """The path from a variable down to where it stops being static, and the dynamic parts on the way."""
    chain: list[Node] = []
    at = node
    while isinstance(at, Field | Item):
        chain.append(at)
        at = at.operand
    if isinstance(at, Local) or not isinstance(at, Variable):
        return None, []
    path: Path = (at.name,)
    dynamic: list[Node] = []
    static = True
    for link in reversed(chain):
        key: str | None = None
        if isinstance(link, Field):
            key = link.name
        elif isinstance(link, Item):
            if isinstance(link.index, Const) and isinstance(link.index.value, str):
                key = link.index.value
            else:
                dynamic.append(link.index)
        static = static and key is not None
        if static and key is not None:
            path = (*path, key)
    return path, dynamic
