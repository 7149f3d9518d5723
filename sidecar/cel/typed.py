"""The checked tree: every part with its type, every name resolved, every macro a loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sidecar.cel.types import Type


@dataclass(frozen=True, slots=True)
class Node:
    """A part of the expression with its type and its place in the source."""

    type: Type
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Const(Node):
    """A constant; also the name of a type."""

    value: object


@dataclass(frozen=True, slots=True)
class Variable(Node):
    """A declared variable, read from the bindings by its full name."""

    name: str


@dataclass(frozen=True, slots=True)
class Local(Node):
    """The variable of a macro; the name is unique in the expression."""

    name: str


@dataclass(frozen=True, slots=True)
class Field(Node):
    """A member by name: of an object, a map or a dyn; ``test`` for has(), ``optional`` for ``.?``."""

    operand: Node
    name: str
    test: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Item(Node):
    """An element by index or key; ``optional`` for ``[?]``."""

    operand: Node
    index: Node
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Apply(Node):
    """A function or an operator, its arguments in order, a receiver first."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Logic(Node):
    """``&&`` or ``||`` over any number of operands."""

    operator: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Choice(Node):
    """``condition ? then : otherwise``"""

    condition: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Elements(Node):
    """A list literal; the flag marks an optional element."""

    elements: tuple[tuple[Node, bool], ...]


@dataclass(frozen=True, slots=True)
class Entries(Node):
    """A map literal; the flag marks an optional entry."""

    entries: tuple[tuple[Node, Node, bool], ...]


@dataclass(frozen=True, slots=True)
class Loop(Node):
    """A macro over a list or the keys of a map.

    ``kind`` is all, exists, exists_one, map (with ``condition`` a filter), map_of (transformMap).
    ``names`` holds one local, or two: index and element, or key and value.
    """

    kind: str
    range: Node
    names: tuple[str, ...]
    condition: Node | None
    step: Node | None
    limit: int


@dataclass(frozen=True, slots=True)
class Bind(Node):
    """``cel.bind``: a local with a value."""

    name: str
    value: Node
    body: Node


@dataclass(frozen=True, slots=True)
class OptionalMap(Node):
    """``optMap`` and ``optFlatMap``: the body over the held value, if there is one."""

    name: str
    value: Node
    body: Node
    flat: bool


@dataclass(frozen=True, slots=True)
class Broken(Node):
    """A part that always fails, in the unchecked mode only."""

    message: str


def parts(node: Node) -> tuple[Node, ...]:
    """The direct parts of a node, in the order of evaluation."""
    match node:
        case Field():
            return (node.operand,)
        case Item():
            return (node.operand, node.index)
        case Apply():
            return node.arguments
        case Logic():
            return node.operands
        case Choice():
            return (node.condition, node.then, node.otherwise)
        case Elements():
            return tuple(each for each, _ in node.elements)
        case Entries():
            return tuple(part for key, value, _ in node.entries for part in (key, value))
        case Loop():
            return tuple(
                part for part in (node.range, node.condition, node.step) if part is not None
            )
        case Bind() | OptionalMap():
            return (node.value, node.body)
        case _:
            return ()


def within(node: Node) -> Iterator[Node]:
    """A node and all that is part of it."""
    yield node
    for part in parts(node):
        yield from within(part)


def changed(node: Node, change: Callable[[Node], Node]) -> Node:
    """The node with every direct part replaced by what becomes of it."""
    match node:
        case Field():
            return replace(node, operand=change(node.operand))
        case Item():
            return replace(node, operand=change(node.operand), index=change(node.index))
        case Apply():
            return replace(node, arguments=tuple(change(each) for each in node.arguments))
        case Logic():
            return replace(node, operands=tuple(change(each) for each in node.operands))
        case Choice():
            condition, then = change(node.condition), change(node.then)
            return replace(node, condition=condition, then=then, otherwise=change(node.otherwise))
        case Elements():
            return replace(
                node, elements=tuple((change(each), optional) for each, optional in node.elements)
            )
        case Entries():
            entries = tuple(
                (change(key), change(value), optional) for key, value, optional in node.entries
            )
            return replace(node, entries=entries)
        case Loop():
            chosen = None if node.condition is None else change(node.condition)
            step = None if node.step is None else change(node.step)
            return replace(node, range=change(node.range), condition=chosen, step=step)
        case Bind() | OptionalMap():
            return replace(node, value=change(node.value), body=change(node.body))
    return node
