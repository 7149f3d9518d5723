"""When do two parts of expressions surely have the same value, and what is known of that value?

Parts that are written alike give the same under the same bindings, because nothing in CEL has a
state; so a part is known by how it is built, wherever it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.cel.presence import Path, path_of
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
)
from sidecar.cel.types import Map, String

Key = tuple[object, ...]
_SYMMETRIC = frozenset({"_==_", "_!=_"})
_MIRRORED = {"_>_": "_<_", "_>=_": "_<=_"}


@dataclass(frozen=True, slots=True)
class Term:
    """Something that has one value, though nobody knows which.

    Attributes:
        key: how it is built; terms with the same key have the same value.
        kind: of its static type.
        values: all that it can be, where these are few and known.
        path: where it is read from, where it is read from a fixed place.
        function: what computes it, where something does.
    """

    key: Key
    kind: str = field(compare=False)
    values: tuple[object, ...] | None = field(default=None, compare=False)
    path: Path | None = field(default=None, compare=False)
    function: str = field(default="", compare=False)


def term_of(node: Node) -> Term:
    """The term that a part of an expression is."""
    kind, of = node.type.kind, node.type
    values: tuple[object, ...] | None = None
    if kind == "bool":
        values = (True, False)
    elif isinstance(of, String) and of.known:
        values = tuple(sorted(of.known))
    function = node.function if isinstance(node, Apply) else ""
    if function and node_arguments(node)[0].type.kind == "duration":
        function = ""  # of a span, getHours() has no bounds
    return Term(key_of(node), kind, values, path_of(node), function)


def node_arguments(node: Node) -> tuple[Node, ...]:
    """The arguments of a call; at least the node itself."""
    return node.arguments if isinstance(node, Apply) and node.arguments else (node,)


def key_of(node: Node, names: Mapping[str, int] | None = None) -> Key:
    """How a part is built, its place left out; locals are counted, since their names are chosen."""
    names = names or {}

    def key(part: Node | None) -> Key | None:
        return None if part is None else key_of(part, names)

    match node:
        case Const():
            return ("const", type(node.value).__name__, repr(node.value))
        case Variable():
            return ("at", node.name)
        case Local():
            return ("local", names.get(node.name, node.name))
        case Field(test=True):
            return ("has", key(node.operand), node.name)
        case Field():
            return ("at", key(node.operand), node.name, node.optional)
        case Item(index=Const(value=str(name))):
            return ("at", key(node.operand), name, node.optional)
        case Item():
            return ("item", key(node.operand), key(node.index), node.optional)
        case Apply(function="_in_", arguments=(Const(value=str(name)), container)) if isinstance(
            container.type, Map
        ):
            return ("has", key(container), name)
        case Apply(function=function, arguments=(left, right)) if function in _MIRRORED:
            return ("call", _MIRRORED[function], key(right), key(left))
        case Apply():
            arguments = [key_of(each, names) for each in node.arguments]
            if node.function in _SYMMETRIC:
                arguments.sort(key=repr)
            return ("call", node.function, *arguments)
        case Logic():
            # In any order they absorb errors alike.
            return ("logic", node.operator, frozenset(map(key, node.operands)))
        case Choice():
            return ("choice", key(node.condition), key(node.then), key(node.otherwise))
        case Elements():
            return ("list", *((key(each), optional) for each, optional in node.elements))
        case Entries():
            entries = ((key(one), key(other), optional) for one, other, optional in node.entries)
            return ("map", *entries)
        case Loop():
            inside = _with(names, *node.names)
            parts = (
                None if it is None else key_of(it, inside) for it in (node.condition, node.step)
            )
            return ("loop", node.kind, key(node.range), len(node.names), *parts)
        case Bind() | OptionalMap():
            kind = "bind" if isinstance(node, Bind) else f"optional map {node.flat}"
            return (kind, key(node.value), key_of(node.body, _with(names, node.name)))
    return ("other", repr(node))


def _with(names: Mapping[str, int], *added: str) -> Mapping[str, int]:
    depth = max(names.values(), default=-1) + 1
    return {**names, **{name: depth + number for number, name in enumerate(added)}}
