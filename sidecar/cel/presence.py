"""Which optional members an expression has proved to be there, by what it is true or false of."""

from __future__ import annotations

from typing import Final

from sidecar.cel.typed import Apply, Bind, Choice, Const, Field, Item, Local, Logic, Node, Variable

Path = tuple[str, ...]


class _Everything:
    """What holds where the outcome cannot occur: of a literal false being true."""


EVERYTHING: Final = _Everything()
Facts = frozenset[Path] | _Everything
NOTHING: Final[frozenset[Path]] = frozenset()


def path_of(node: Node) -> Path | None:
    """The static path that a node reads: names and literal keys from a variable down."""
    match node:
        case Variable():
            return (node.name,)
        case Local():
            return ("#" + node.name,)
        case Field(optional=False):
            above = path_of(node.operand)
            return None if above is None else (*above, node.name)
        case Item(index=Const(value=str(key)), optional=False):
            above = path_of(node.operand)
            return None if above is None else (*above, key)
    return None


def both(a: Facts, b: Facts) -> Facts:
    """The facts where both sides hold."""
    if isinstance(a, _Everything) or isinstance(b, _Everything):
        return EVERYTHING
    return a | b


def either(a: Facts, b: Facts) -> Facts:
    """The facts where at least one side holds, and it is not known which."""
    if isinstance(a, _Everything):
        return b
    return a if isinstance(b, _Everything) else a & b


def added(known: frozenset[Path], facts: Facts) -> frozenset[Path]:
    """Known facts with more; code that cannot be reached is not held to anything new."""
    return known if isinstance(facts, _Everything) else known | facts


def proved(node: Node, outcome: bool) -> Facts:
    """The members that are there whenever the node comes out as ``outcome``."""
    match node:
        case Const(value=bool(value)):
            return NOTHING if value is outcome else EVERYTHING
        case Field(test=True) if outcome:
            path = path_of(node)
            return NOTHING if path is None else frozenset({path})
        case Apply(function="_in_", arguments=(Const(value=str(key)), container)) if outcome:
            above = path_of(container)
            return NOTHING if above is None else frozenset({(*above, key)})
        case Apply(function="!_"):
            return proved(node.arguments[0], not outcome)
        case Logic():
            merge = both if (node.operator == "&&") is outcome else either
            facts = proved(node.operands[0], outcome)
            for operand in node.operands[1:]:
                facts = merge(facts, proved(operand, outcome))
            return facts
        case Choice():
            then = both(proved(node.condition, True), proved(node.then, outcome))
            otherwise = both(proved(node.condition, False), proved(node.otherwise, outcome))
            return either(then, otherwise)
        case Bind():
            return proved(node.body, outcome)
    return NOTHING


def proved_paths(node: Node) -> frozenset[Path]:
    """The paths from variables down that are there whenever the node comes out as true."""
    facts = proved(node, True)
    if isinstance(facts, _Everything):
        return NOTHING
    return frozenset(path for path in facts if not path[0].startswith("#"))
