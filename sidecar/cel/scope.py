"""What is known at one place of an expression: the locals, the members proved to be there, the problems so far."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sidecar.cel import tree
from sidecar.cel.environment import Budget, Environment
from sidecar.cel.presence import Path, added, proved
from sidecar.cel.problems import Problem, nearest
from sidecar.cel.typed import (
    Broken,
    Node,
)
from sidecar.cel.types import (
    DYN,
    UNKNOWN,
    Type,
)


class Scope:
    """One expression under examination.

    Args:
        source: the text, for the repairs that quote it.
        environment: what is declared.
        problems: receives what is wrong.
        strict: False leaves every type to run time, and every fault with it (the conformance cases need that).
    """

    def __init__(
        self, source: str, environment: Environment, problems: list[Problem], *, strict: bool = True
    ) -> None:
        self.source, self.environment, self.problems, self.strict = (
            source,
            environment,
            problems,
            strict,
        )
        self.present: frozenset[Path] = environment.present
        self.locals: Mapping[str, tuple[str, Type]] = {}
        self.count = 0

    @property
    def budget(self) -> Budget:
        """The limits."""
        return self.environment.budget

    def report(self, code: str, message: str, start: int, end: int, hint: str = "") -> None:
        """Notes a problem; in the unchecked mode it is left to run time."""
        if self.strict:
            self.problems.append(Problem(code, message, start, end, hint))

    def unknown(self, at: tree.Syntax, message: str = "") -> Node:
        """The form of a part that was refused: of no known type, failing if it is ever run."""
        return Broken(
            DYN if not self.strict else UNKNOWN, at.start, at.end, message or "it was refused"
        )

    def text(self, node: tree.Syntax | Node) -> str:
        """The source text of a part."""
        return self.source[node.start : node.end]

    def nearest(self, name: str, names: Iterable[str]) -> str:
        """The hint of `problems.nearest`, as long as there is still a problem to report it with."""
        return nearest(name, names) if len(self.problems) < self.budget.problems else ""

    def is_local(self, name: str) -> bool:
        """Whether a macro around this place declares the name."""
        return name in self.locals

    @contextmanager
    def scope(self, names: Sequence[str], types: Sequence[Type]) -> Iterator[tuple[str, ...]]:
        """Names that are seen inside only, each under a name that no other one has."""
        before, present = self.locals, self.present
        unique: list[str] = []
        for name in names:
            self.count += 1
            # two underscores: no name that the code generator makes up has them
            unique.append(f"{name}__{self.count}")
        opened = {name: (own, of) for name, own, of in zip(names, unique, types, strict=True)}
        self.locals = {**before, **opened}
        yield tuple(unique)
        self.locals, self.present = before, present

    @contextmanager
    def assuming(self, node: Node | None, outcome: bool = True) -> Iterator[None]:
        """The members that the node's outcome proves to be there, inside only."""
        before = self.present
        if node is not None:
            self.present = added(before, proved(node, outcome))
        yield
        self.present = before

    def check(self, node: tree.Syntax) -> Node:
        """The typed form of a part; the rooms built upon this one give it."""
        raise NotImplementedError
