"""What is counted of a decision? Its effect and reasons, and of an allow nothing else."""

from typing import Final

from sidecar.adapters.metrics import catalogue
from sidecar.adapters.metrics.described import Metric
from sidecar.adapters.metrics.instruments import ByName, Counter, Instruments
from sidecar.domain.decision import Decision, Effect, Reason, ReasonCode
from sidecar.domain.modes import Mode

_MOST_PLANS: Final = 200
_MOST_POLICIES: Final = 500
_NO_PLAN: Final = "_none"
_OVER: Final = (ReasonCode.QUOTA_EXCEEDED, ReasonCode.CONCURRENCY_EXCEEDED)

_Modes = tuple[Counter, Counter, Counter]


class _Plan:
    """The decisions of one plan, by effect and then by mode: nothing is looked up by a tuple."""

    __slots__ = ("allow", "deny", "warn")

    def __init__(self, instruments: Instruments, plan: str) -> None:
        def modes(effect: Effect) -> _Modes:
            enforce, advisory, off = (
                instruments.counter(catalogue.DECISIONS, effect.value, mode.value, plan)
                for mode in (Mode.ENFORCE, Mode.ADVISORY, Mode.OFF)
            )
            return enforce, advisory, off

        self.allow = modes(Effect.ALLOW)
        self.warn = modes(Effect.WARN)
        self.deny = modes(Effect.DENY)


class _Policy:
    """The reasons that one limit or rule has given."""

    def __init__(self, instruments: Instruments, name: str) -> None:
        self._instruments = instruments
        self._name = name
        self._reasons: dict[tuple[str, str, str], Counter] = {}

    def reason(self, reason: Reason) -> Counter:
        """The counter of such a reason; of these there is a fixed number."""
        key = (reason.code.value, reason.effect.value, reason.mode.value)
        known = self._reasons.get(key)
        if known is None:
            code, effect, mode = key
            known = self._reasons[key] = self._instruments.counter(
                catalogue.REASONS, code, self._name, effect, mode
            )
        return known


class CountedDecisions:
    """Counts decisions, and how long they took.

    Args:
        plans: those that the policies know; any other is `_other`.
    """

    def __init__(self, instruments: Instruments, plans: frozenset[str] = frozenset()) -> None:
        self._seconds = instruments.histogram(catalogue.DECISION_SECONDS)
        self._degraded = instruments.counter(catalogue.DEGRADED)
        self._indeterminate = instruments.counter(catalogue.INDETERMINATE)
        self._plans = instruments.by_name(
            "plan", lambda name: _Plan(instruments, name), most=_MOST_PLANS
        )
        self._policies = instruments.by_name(
            "policy", lambda name: _Policy(instruments, name), most=_MOST_POLICIES
        )

        def limits(metric: Metric, label: str) -> ByName[Counter]:
            return instruments.by_name(
                label, lambda name: instruments.counter(metric, name), most=_MOST_POLICIES
            )

        self._near = limits(catalogue.NEAR, "limit")
        self._over = limits(catalogue.OVER, "limit")
        self._would_deny = limits(catalogue.WOULD_DENY, "policy")
        self._errors = limits(catalogue.RULE_ERRORS, "policy")
        self.know(plans)

    def know(self, plans: frozenset[str]) -> None:
        """Tell decisions of these plans apart from now on, beside those that were known."""
        for plan in sorted({_NO_PLAN, *plans}):
            self._plans.of(plan)

    def decided(self, decision: Decision, seconds: float) -> None:
        """Count one."""
        self._seconds.observe(seconds)
        # Whoever pushes subscriptions may name any plan.
        plan = self._plans.known(decision.plan or _NO_PLAN) or self._plans.other()
        effect, mode = decision.effect, decision.mode
        counters = (
            plan.allow
            if effect is Effect.ALLOW
            else plan.warn
            if effect is Effect.WARN
            else plan.deny
        )
        counters[0 if mode is Mode.ENFORCE else 1 if mode is Mode.ADVISORY else 2].add()
        if decision.degraded:
            self._degraded.add()
        if decision.reasons:
            for reason in decision.reasons:
                self._note_reason(reason)
        if decision.errors:
            self._indeterminate.add()
            for error in decision.errors:
                self._errors.of(error.id).add()

    def _note_reason(self, reason: Reason) -> None:
        self._policies.of(reason.id).reason(reason).add()
        if reason.effect is Effect.DENY and not reason.refuses:
            self._would_deny.of(reason.id).add()
        if reason.code is ReasonCode.QUOTA_WARNING:
            self._near.of(reason.id).add()
        elif reason.code in _OVER:
            self._over.of(reason.id).add()
