"""What does an expression say when its constants, its variables and its locals are written out?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from sidecar.cel.fold import folded
from sidecar.cel.typed import Bind, Const, Elements, Field, Local, Node, Variable, changed, parts
from sidecar.cel.types import DYN, List, Type

MOST_PARTS = 2_000
"""Parts of an expression that is written out; of a larger one the variables stay names."""
_OWNED = frozenset({"constants", "vars"})
MOST_LEVELS = 40
"""Levels of what is put in the place of a name; what is deeper stays one."""


def resolved(
    node: Node,
    constants: Mapping[str, object],
    variables: Callable[[str], Node | None],
    owner: str = "",
) -> Node:
    """The expression with what it refers to in its place, and its constant parts computed.

    What is written out stands where the reference stood. Constants that are true or false are
    left as they are, and so are empty lists: they are switches, and somebody will turn them.

    Args:
        constants: what `constants.x` means.
        variables: the expression behind `vars.x`, written out, None where it has to stay a name.
        owner: whose constants and variables they are; what stays a name is kept apart by it.
    """
    writer = _Writer(constants, variables, owner)
    written = writer.write(node, {})
    return folded(_named(node, owner) if writer.is_full else written)


def _named(node: Node, owner: str) -> Node:
    """The expression with no more done to it than to say whose its names are."""
    if isinstance(node, Variable) and node.name in _OWNED:
        return replace(node, name=f"{node.name} of {owner}")
    return changed(node, lambda part: _named(part, owner))


def _measured(node: Node) -> tuple[int, int]:
    """How many parts and levels there are, counted as far as it matters."""
    count, deepest = 0, 0
    pending = [(node, 1)]
    while pending and count <= MOST_PARTS:
        part, depth = pending.pop()
        count, deepest = count + 1, max(deepest, depth)
        pending.extend((each, depth + 1) for each in parts(part))
    return count, deepest


class _Writer:
    def __init__(
        self,
        constants: Mapping[str, object],
        variables: Callable[[str], Node | None],
        owner: str,
    ) -> None:
        self._constants = constants
        self._variables = variables
        self._owner = owner
        self._written = 0

    @property
    def is_full(self) -> bool:
        """Whether it would have become too much."""
        return self._written > MOST_PARTS

    def write(self, node: Node, values: Mapping[str, Node]) -> Node:
        """The node with its references written out; `values` are those of locals."""
        match node:
            case Local() if node.name in values:
                moved = self._moved(values[node.name], node)
                # A local without its value is nothing.
                self._written += MOST_PARTS + 1 if moved is None else 0
                return moved or node
            case Bind():
                bound = self.write(node.value, values)
                return self.write(node.body, {**values, node.name: bound})
            case Variable():
                return _named(node, self._owner)
            case Field(operand=Variable(name="constants")) if node.name in self._constants:
                literal = _constant(node, self._constants[node.name])
                if literal is not None:
                    return literal
            case Field(operand=Variable(name="vars"), test=False, optional=False):
                found = self._variables(node.name)
                moved = None if found is None else self._moved(found, node)
                if moved is not None:
                    return moved
        return changed(node, lambda part: self.write(part, values))

    def _moved(self, node: Node, place: Node) -> Node | None:
        """A whole expression as if it were written at one place, None if it is too much."""
        count, depth = _measured(node)
        if depth > MOST_LEVELS:
            return None
        self._written += count
        return None if self.is_full else _at(node, place.start, place.end)


def _at(node: Node, start: int, end: int) -> Node:
    return replace(changed(node, lambda part: _at(part, start, end)), start=start, end=end)


def _constant(node: Field, value: object) -> Node | None:
    """A constant as a literal, None for a switch."""
    match value:
        case _ if node.test or node.optional:
            return None
        case bool() | []:
            return None
        case str() | int() | float():
            return Const(node.type, node.start, node.end, value)
        case list():
            of: Type = node.type.element if isinstance(node.type, List) else DYN
            elements = tuple((Const(of, node.start, node.end, each), False) for each in value)
            return Elements(node.type, node.start, node.end, elements)
    return None
