"""What does an expression say when its constants, its variables and its locals are written out?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from sidecar.cel.fold import folded
from sidecar.cel.typed import Bind, Const, Elements, Field, Local, Node, Variable, changed, parts
from sidecar.cel.types import DYN, List, Type

MOST_PARTS = 2_000
"""Parts of an expression that is written out; of a larger one the variables stay names."""


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
    if writer.is_full:
        written = _Writer({}, lambda _: None, owner).write(node, {})
    return folded(written)


def size(node: Node) -> int:
    """How many parts there are, counted as far as it matters."""
    count, pending = 0, [node]
    while pending and count <= MOST_PARTS:
        count += 1
        pending.extend(parts(pending.pop()))
    return count


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
                return self._moved(values[node.name], node)
            case Bind():
                value = self.write(node.value, values)
                return self.write(node.body, {**values, node.name: value})
            case Variable(name="constants" | "vars"):
                return replace(node, name=f"{node.name} of {self._owner}")
            case Field(operand=Variable(name="constants")) if node.name in self._constants:
                found = _constant(node, self._constants[node.name])
                if found is not None:
                    return found
            case Field(operand=Variable(name="vars"), test=False, optional=False):
                found = self._variables(node.name)
                if found is not None:
                    return self._moved(found, node)
        return changed(node, lambda part: self.write(part, values))

    def _moved(self, node: Node, place: Node) -> Node:
        """A whole expression as if it were written at one place."""
        self._written += size(node)
        if self.is_full:
            return place
        return _at(node, place.start, place.end)


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
