"""Which expressions does a decision evaluate, and what do they and their parts come to?"""

from collections.abc import Iterator, Mapping

from sidecar.cel import CelError, Program
from sidecar.cel.shown import shown
from sidecar.domain.explanation import Evaluated, Place, Step
from sidecar.policy.compiled import Origin
from sidecar.policy.conditions import Condition, Context

MOST_STEPS = 200
"""Parts of an expression that a trace shows; a loop has new ones in every round."""
_WHOLE_FACTS = frozenset({"request", "subscription", "plan", "limits", "constants", "vars"})


def place_of(origin: Origin) -> Place:
    """The place of a part of a policy."""
    return Place(origin.file, origin.line)


class Watched(Context):
    """The facts of a decision, as expressions see them, with a note of what was asked of them."""

    def __init__(self, base: Mapping[str, object]) -> None:
        super().__init__(base)
        self._evaluated: dict[int, Condition] = {}

    def evaluate(self, condition: Condition) -> object:
        """The value of a condition; that it was asked for is noted."""
        self._evaluated[id(condition)] = condition
        return super().evaluate(condition)

    def programs(self) -> Iterator[Program]:
        """All that was evaluated; a variable once, however many expressions read it."""
        variables: dict[int, Program] = {}
        for condition in self._evaluated.values():
            yield condition.program
            for variable in self._had(condition):
                variables[id(variable)] = variable.program
        yield from variables.values()

    def expressions(
        self, name: str, condition: Condition | None, *, trace: bool
    ) -> tuple[Evaluated, ...]:
        """A condition behind the variables that it needs; nothing where it was not evaluated."""
        if condition is None or id(condition) not in self._evaluated:
            return ()
        named = zip(condition.variables, self._had(condition), strict=False)
        parts = [(f"vars.{variable}", each) for variable, each in named]
        return tuple(
            self._told(name, each, trace=trace) for name, each in (*parts, (name, condition))
        )

    def _told(self, name: str, condition: Condition, *, trace: bool) -> Evaluated:
        value = super().evaluate(condition)
        text = condition.program.source
        return Evaluated(
            name=name,
            text=text.strip(),
            value=shown(value),
            failed=isinstance(value, CelError),
            cost=condition.program.cost,
            place=_place(condition, 0, len(text)),
            steps=tuple(self._steps(condition)) if trace else (),
        )

    def _steps(self, condition: Condition) -> Iterator[Step]:
        for step in self.trace(condition)[:MOST_STEPS]:
            value = shown(step.value)
            # A literal is its own value, and of a whole fact its members are told.
            if value != step.text and step.text not in _WHOLE_FACTS:
                failed = isinstance(step.value, CelError)
                yield Step(step.text, value, failed, _place(condition, step.start, step.end))

    def _had(self, condition: Condition) -> Iterator[Condition]:
        """The variables that were evaluated for a condition: the first that errs is the last."""
        for name in condition.variables:
            variable = condition.scope.variables[name]
            yield variable
            if isinstance(super().evaluate(variable), CelError):
                return


def _place(condition: Condition, start: int, end: int) -> Place:
    place = condition.place(start, end)
    return Place(condition.source.name, place.line, place.column)
