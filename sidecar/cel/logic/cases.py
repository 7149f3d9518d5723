"""In which cases can an expression come out as true, and in which as false?

A case is a set of facts that are then true at once. The cases are at least all that there are: what
cannot be told says nothing, and what would become too much is left out of the facts. So nothing is
called impossible that is not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.cel.logic.facts import Fact, fact_of
from sidecar.cel.logic.terms import Term
from sidecar.cel.logic.values import Range, possible
from sidecar.cel.typed import Apply, Choice, Const, Logic, Node

Case = tuple[Fact, ...]
Cases = Sequence[Case]
ANY: Cases = ((),)
MOST_CASES = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which values the numbers lie that an expression reads or computes.

    Attributes:
        paths: by the place they are read from; `*` stands for any one name.
        functions: by the function that computes them.
    """

    paths: Mapping[tuple[str, ...], Range] = field(default_factory=dict)
    functions: Mapping[str, Range] = field(default_factory=dict)

    def of(self, term: Term) -> Range | None:
        """The bounds of a term, None where there are none."""
        if term.path is None:
            return self.functions.get(term.function)
        for pattern, bounds in self.paths.items():
            if len(pattern) == len(term.path) and all(
                step in ("*", name) for step, name in zip(pattern, term.path, strict=True)
            ):
                return bounds
        return None


def cases(node: Node, outcome: bool, can: Callable[[Case], bool]) -> Cases:
    """The cases in which an expression comes out as `outcome`, impossible ones left out.

    Args:
        can: whether a case is possible.
    """
    match node:
        case Logic():
            found = [cases(each, outcome, can) for each in node.operands]
            return joined(found, can) if (node.operator == "&&") is outcome else _one_of(found)
        case Apply(function="!_", arguments=(operand,)):
            return cases(operand, not outcome, can)
        case Apply(function="_!=_"):
            equality = Apply(node.type, node.start, node.end, "_==_", node.arguments)
            return cases(equality, not outcome, can)
        case (
            Apply(function="_==_", arguments=(Const(value=bool(value)), other))
            | Apply(function="_==_", arguments=(other, Const(value=bool(value))))
        ) if other.type.kind == "bool":
            return cases(other, value is outcome, can)
        case Choice():
            then = [cases(node.condition, True, can), cases(node.then, outcome, can)]
            otherwise = [cases(node.condition, False, can), cases(node.otherwise, outcome, can)]
            return _one_of([joined(then, can), joined(otherwise, can)])
    fact = fact_of(node, outcome)
    if isinstance(fact, bool):
        return ANY if fact else ()
    return ((fact,),) if can((fact,)) else ()


def joined(found: Iterable[Cases], can: Callable[[Case], bool]) -> Cases:
    """What is possible where each of several expressions is in one of its cases."""
    together: Cases = ANY
    for each in found:
        if len(together) * len(each) > MOST_CASES:
            together = min(together, each, key=len)
            continue
        pairs = [_united(one, other) for one in together for other in each]
        together = [case for case in pairs if can(case)] if together != ANY else pairs
    return together


def _united(one: Case, other: Case) -> Case:
    return tuple(dict.fromkeys((*one, *other)))


def _one_of(found: Iterable[Cases]) -> Cases:
    together = [case for each in found for case in each]
    return together if len(together) <= MOST_CASES else ANY


class Possibilities:
    """Whether cases are possible, under bounds; every question is answered once."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._known: dict[frozenset[Fact], bool] = {}

    def __call__(self, case: Case) -> bool:
        """Whether all facts of a case can be true at once."""
        by_term: dict[Term, list[Fact]] = {}
        for fact in case:
            by_term.setdefault(fact.term, []).append(fact)
        return all(self._possible(term, facts) for term, facts in by_term.items())

    def _possible(self, term: Term, facts: Sequence[Fact]) -> bool:
        key = frozenset(facts)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = possible(term, facts, self._bounds.of(term))
        return known
