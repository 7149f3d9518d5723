"""What do expressions come to over a sample? For a person who tries them one after the other."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sidecar.cel import DYN
from sidecar.domain.explanation import Evaluated, ExplainedRule, Explanation
from sidecar.domain.request import CheckRequest
from sidecar.domain.subscription import Subscription
from sidecar.domain.told import Told
from sidecar.policy.conditions import Condition, Scope
from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.explaining.rules import touched_rule, untouched_rule
from sidecar.policy.explaining.watching import Watched
from sidecar.policy.snapshot import PolicySet
from sidecar.policy.source import SourceFile
from sidecar.policy.trial import Trial, decide, priced
from sidecar.policy.unit import Unit
from sidecar.policy.values import NAME_PATTERN

_TYPED = "(typed)"
_INDENT = 2
NO_PLAN: dict[str, object] = {"id": "", "name": "", "features": {}}


@dataclass(frozen=True, slots=True)
class Sample:
    """A request with all that is known beside it."""

    request: CheckRequest
    subscription: Subscription
    told: Told
    now: datetime


@dataclass(frozen=True, slots=True)
class Wrong:
    """Why what was typed is no expression; `start` and `end` are characters of it."""

    message: str
    hint: str
    start: int
    end: int


class Session:
    """Policies, a sample, and what was declared since.

    Args:
        units: the files of the policies; expressions see the constants and variables of one.
    """

    def __init__(self, policies: PolicySet, units: Sequence[Unit], sample: Sample) -> None:
        self.policies = policies
        self.sample = sample
        self._units = units
        self._scope = _copy_of(units[0].scope)
        self.file = units[0].source.name

    @property
    def files(self) -> Sequence[str]:
        """Whose constants and variables can be seen."""
        return [unit.source.name for unit in self._units]

    @property
    def variables(self) -> Sequence[str]:
        """Names that can be read as `vars.name`."""
        return list(self._scope.variables)

    def enter(self, file: str) -> None:
        """See the constants and variables of another file; what was declared is forgotten.

        Raises:
            KeyError: there is no such file.
        """
        found = {unit.source.name: unit for unit in self._units}[file]
        self._scope, self.file = _copy_of(found.scope), file

    def compile(self, text: str) -> Condition | Sequence[Wrong]:
        """An expression, or everything that is wrong with it."""
        source = SourceFile(_TYPED, f"typed: |-\n{' ' * _INDENT}{text}")
        if source.diagnostics:
            return [_wrong(found) for found in source.diagnostics]
        present = {("limits", reading.limit.id) for reading in self._trial().decision.readings}
        compiled = self._scope.compile(
            source, ("typed",), text, DYN, present=present, before_counting=False
        )
        if isinstance(compiled, Condition):
            return compiled
        return [_wrong(found) for found in compiled]

    def declare(self, name: str, condition: Condition) -> None:
        """Let what follows read an expression as `vars.name`, as a file's own variables.

        Raises:
            ValueError: it is no name.
        """
        if not re.fullmatch(NAME_PATTERN.strip("^$"), name):
            raise ValueError(f"{name!r} is no name: letters, digits and _, no digit in front")
        self._scope.declare(name, condition)

    def evaluate(self, condition: Condition) -> Sequence[Evaluated]:
        """What an expression comes to, its parts with it, behind the variables that it needs."""
        context = self._context()
        context.evaluate(condition)
        return context.expressions("", condition, trace=True)

    def value(self, condition: Condition) -> object:
        """The value of an expression, or the `CelError` of it."""
        return self._context().evaluate(condition)

    def rule(self, name: str) -> ExplainedRule | None:
        """What a rule says of the sample, even if its `match` names something else."""
        plans = {plan.id: plan for plan in self.policies.plans}
        plan = plans.get(self._trial().entitlement.plan or "")
        for planned in self.policies.rules:
            if planned.rule.id != name:
                continue
            told = touched_rule(planned.rule, self._context(), trace=True)
            concerned = plan.concerns.find(self.sample.request.plugin).rules if plan else ()
            if any(rule.id == name for rule in concerned):
                return told
            other = untouched_rule(planned, plan, self.sample.request)
            return replace(other, expressions=told.expressions)
        return None

    def explain(self) -> Explanation:
        """The decision on the sample, taken apart."""
        sample, trial = self.sample, self._trial()
        request = priced(self.policies, sample.request)
        return self.policies.explain(
            request,
            sample.subscription,
            trial.decision.readings,
            sample.now,
            wallet=trial.entitlement.wallet,
            trace=True,
        )

    def _trial(self) -> Trial:
        it = self.sample
        return decide(self.policies, it.request, it.subscription, it.told, it.now)

    def _context(self) -> Watched:
        sample, trial = self.sample, self._trial()
        plans = {plan.id: plan.facts for plan in self.policies.plans}
        return Watched.of(
            priced(self.policies, sample.request),
            sample.subscription,
            plans.get(trial.entitlement.plan or "", NO_PLAN),
            sample.now,
            trial.decision.readings,
            trial.entitlement.wallet,
        )


def _copy_of(scope: Scope) -> Scope:
    """A scope in which one can declare without the file's noticing."""
    return replace(
        scope,
        variables=dict(scope.variables),
        reads_limits=set(scope.reads_limits),
    )


def _wrong(found: Diagnostic) -> Wrong:
    start = max(0, found.column - 1 - _INDENT)
    return Wrong(found.message, found.hint, start, start + found.length)
