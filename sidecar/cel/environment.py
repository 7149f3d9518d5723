"""What an expression may speak of: the declared names, and how large it may be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sidecar.cel.types import Type


@dataclass(frozen=True, slots=True)
class Budget:
    """The limits of one expression.

    Args:
        source: code points of source text.
        nodes: nodes of the syntax tree.
        depth: levels of nesting.
        cost: worst-case cost of one expression, in cel-go's units.
        size: characters, bytes and elements of one value that an expression builds, all that it holds counted.
        decision: worst-case cost of all expressions evaluated for one decision.
        pattern: code points of a ``matches`` pattern.
        unknown_size: elements assumed of, and enforced on, a container of unknown type.
        unknown_length: code points assumed of a string of unknown type.
        problems: how many problems are reported at most.
    """

    source: int = 4_000
    nodes: int = 800
    depth: int = 48
    cost: int = 10_000
    size: int = 4 << 20
    decision: int = 100_000
    pattern: int = 200
    unknown_size: int = 64
    unknown_length: int = 256
    problems: int = 20


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables that exist, by (possibly dotted) name, and the container that shortens names.

    Args:
        variables: every name that an expression may use, with its type.
        container: the namespace tried first, innermost outwards, as in ``com.example``.
        budget: the limits that every expression is held to.
        present: paths that are known to be there, as ``("limits", "daily")``, and are read without a proof.
    """

    variables: Mapping[str, Type]
    container: str = ""
    budget: Budget = Budget()
    present: frozenset[tuple[str, ...]] = frozenset()

    def candidates(self, name: str, *, absolute: bool) -> Iterator[str]:
        """The full names that a written name may stand for, in the order of the language definition."""
        if not absolute:
            container = self.container
            while container:
                yield f"{container}.{name}"
                container = container.rpartition(".")[0]
        yield name

    def resolve(self, name: str, *, absolute: bool = False) -> str | None:
        """The declared variable that a written name stands for."""
        return next(
            (each for each in self.candidates(name, absolute=absolute) if each in self.variables),
            None,
        )
