"""What was looked at while a case was decided, and what came of it?

The conditions are evaluated once more, in the order and with the facts of the decision, so that
what really was evaluated is known, part by part.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sidecar.cel import Read
from sidecar.policy.compiled import CompiledPlan, CompiledRule
from sidecar.policy.conditions import Condition, Context
from sidecar.policy.testing.cases import TIMELESS, Case
from sidecar.policy.testing.spots import (
    Key,
    condition_key,
    limit_key,
    override_key,
    plugins_key,
    rule_key,
)
from sidecar.policy.testing.suites import Suite
from sidecar.policy.trial import Trial, priced


@dataclass(frozen=True, slots=True)
class Looked:
    """One input that a condition read.

    Attributes:
        owner: the limit, rule or variable whose condition it is.
        chooses: whether it chooses the requests of a limit, itself or through a variable.
    """

    read: Read
    condition: Condition
    owner: str
    chooses: bool


@dataclass(slots=True)
class Observed:
    """What was seen in one case."""

    seen: list[tuple[Key, str]] = field(default_factory=list)
    looked: list[Looked] = field(default_factory=list)


def observe(suite: Suite, case: Case, trial: Trial) -> Observed:
    """What was evaluated for a case, and how it came out."""
    observed = Observed()
    plans = suite.policies.plans
    plan = next((plan for plan in plans if plan.id == trial.entitlement.plan), None)
    if plan is not None:
        _Watch(suite, plan, case, trial, observed).all()
    return observed


class _Watch:
    """One case under its plan."""

    def __init__(
        self, suite: Suite, plan: CompiledPlan, case: Case, trial: Trial, observed: Observed
    ) -> None:
        self._suite, self._plan, self._case, self._trial = suite, plan, case, trial
        self._observed = observed
        request = priced(suite.policies, case.request)
        facts = (request, case.subscription, plan.facts, case.now or TIMELESS)
        readings = () if case.told is None else trial.decision.readings
        self._before = Context.of(*facts)
        self._after = Context.of(*facts, readings, trial.entitlement.wallet)
        self._consulted: set[tuple[int, int, bool]] = set()

    def all(self) -> None:
        """See everything."""
        self._see_plugins()
        self._see_limits()
        concerned = self._plan.concerns.find(self._case.request.plugin).rules
        for rule in concerned:
            self._see_rule(rule)
        matched = {rule.id for rule in concerned}
        for name in self._suite.unconditional:
            self._see(rule_key(name), "matched" if name in matched else "not matched")

    def _see(self, key: Key, way: str) -> None:
        self._observed.seen.append((key, way))

    def _see_plugins(self) -> None:
        plugin = self._case.request.plugin
        if plugin:
            way = "allowed" if self._plan.allows_plugin(plugin) else "refused"
            self._see(plugins_key(self._suite.plugins_of[self._plan.id]), way)

    def _see_limits(self) -> None:
        charged = {charge.limit.id for charge in self._trial.entitlement.charges}
        readings = {reading.limit.id: reading for reading in self._trial.decision.readings}
        for compiled in self._plan.limits:
            name = compiled.limit.id
            if compiled.when is not None:
                self._consult(compiled.when, self._before, f"limit {name!r}", chooses=True)
            if name in readings:
                way = "exceeded" if readings[name].is_exceeded else "kept"
                self._see(limit_key(compiled), way)
            if name in charged:
                subject, now = self._case.request.subject, self._case.now or TIMELESS
                override = compiled.overrides.find(subject, now)
                if override is not None:
                    self._see(override_key(override.id), "applied")

    def _see_rule(self, rule: CompiledRule) -> None:
        context = self._after if rule.reads_limits else self._before
        owner = f"rule {rule.id!r}"
        holds: object = True
        if rule.when is not None:
            self._consult(rule.when, context, owner)
            holds = context.evaluate(rule.when)
        if holds is True and rule.message_expr is not None:
            self._consult(rule.message_expr, context, owner)

    def _consult(
        self, condition: Condition, context: Context, owner: str, *, chooses: bool = False
    ) -> None:
        """See a condition and the variables that its evaluated parts read, each once."""
        once = (id(condition), id(context), chooses)
        if once in self._consulted:
            return
        self._consulted.add(once)
        steps = context.trace(condition)
        if not steps:
            # A variable that it needs errs: that one is to be looked at.
            self._consult_variables(condition.variables, condition, context, chooses)
            return
        parts = set(condition.program.branches)
        for step in steps:
            if (step.start, step.end) in parts and isinstance(step.value, bool):
                key = condition_key(condition, step.start, step.end)
                self._see(key, "true" if step.value else "false")
        if isinstance(steps[-1].value, bool):
            key = condition_key(condition, 0, len(condition.program.source))
            self._see(key, "true" if steps[-1].value else "false")
        evaluated = {(step.start, step.end) for step in steps}
        reads = [it for it in condition.program.reads if (it.start, it.end) in evaluated]
        self._observed.looked.extend(Looked(read, condition, owner, chooses) for read in reads)
        self._consult_variables(_variables(reads), condition, context, chooses)

    def _consult_variables(
        self, names: Iterable[str], condition: Condition, context: Context, chooses: bool
    ) -> None:
        for name in names:
            variable = condition.scope.variables[name]
            self._consult(variable, context, f"variable {name!r}", chooses=chooses)


def _variables(reads: list[Read]) -> Iterator[str]:
    return (read.path[1] for read in reads if read.path[0] == "vars" and len(read.path) > 1)
