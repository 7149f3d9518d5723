"""What does the platform say of a whole app, and what becomes of it when it says it anew?"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction

from sidecar.domain.limits import Charge, Dimension, Limit
from sidecar.domain.modes import Ceiling, FailureMode, Mode, Refusal
from sidecar.domain.request import MAX_INTEGER, CheckRequest, MeterKind, Subject
from sidecar.domain.rollover import note, noting, of_past
from sidecar.domain.subscription import SyncOutcome
from sidecar.domain.usage import ChargedEvent
from sidecar.domain.value import value
from sidecar.domain.windows import BillingCycle, Fixed, Period, Window, from_ms, to_ms

_NO_CYCLE = BillingCycle()
_INSTANT = timedelta(milliseconds=1)


class Enforcement(StrEnum):
    """none counts, warn warns from the limit on, soft warns where hard refuses."""

    NONE = "none"
    WARN = "warn"
    SOFT = "soft"
    HARD = "hard"


_MODES = {
    Enforcement.NONE: Mode.OFF,
    Enforcement.WARN: Mode.ADVISORY,
    Enforcement.SOFT: Mode.ADVISORY,
    Enforcement.HARD: Mode.ENFORCE,
}


@value
class Budget:
    """How much all users of an app may use together.

    Attributes:
        maximum: units, None where there is no bound and the counter only reports.
        burst: what may be used above the maximum, as a part of it; from the maximum on there
            is a warning.
        used: units that were used in the present period before this was told.
        rollover: whether what is left of a period may be used in the next one.
        carried: units that were left of the last period.
        model, plugin: whose requests alone it is for, empty for all.
    """

    id: str
    meter: MeterKind
    maximum: int | None
    window: Window
    enforcement: Enforcement = Enforcement.HARD
    burst: Fraction = Fraction(0)
    used: int = 0
    rollover: bool = False
    carried: int = 0
    model: str = ""
    plugin: str = ""
    refusal: Refusal = Refusal.PAYMENT_REQUIRED

    def limit(
        self,
        ceiling: Ceiling = Ceiling.AS_WRITTEN,
        failure_mode: FailureMode = FailureMode.OPEN,
    ) -> Limit:
        """The limit that it is, no stricter than the operator's settings let it be."""
        only_warns = self.enforcement is Enforcement.WARN
        allowed = bound = None
        if self.maximum is not None:
            allowed = min(self.maximum + self.carried, MAX_INTEGER)
            bound = min(allowed + int(self.maximum * self.burst), MAX_INTEGER)
        return Limit(
            id=self.id,
            meter=self.meter,
            maximum=None if only_warns else bound,
            window=self.window,
            per=(Dimension.APP,),
            mode=_MODES[self.enforcement].narrowed(ceiling.over(Mode.ENFORCE)),
            failure_mode=failure_mode,
            warn_from=allowed if only_warns or self.burst else None,
            refusal=self.refusal,
            conditional=bool(self.model or self.plugin),
            allowance=allowed,
        )


@value
class Override:
    """Another maximum of one budget for a time, None for no bound and no end."""

    maximum: int | None
    until: datetime | None = None

    def holds(self, now: datetime) -> bool:
        """Whether it has not ended."""
        return self.until is None or now < self.until


@value
class Manifest:
    """What holds for every user of an app, beside each user's own plan.

    Attributes:
        version: numbers with dots between them; an older one does not replace a newer one.
        plan: of users who have none, as long as it has not ended; empty for none.
        budgets: each with an id of its own.
        overrides: by the id of the budget.
        features: those that are False nobody has, whatever the plan says.
        allowed: ids of the only plugins that anybody has; empty for no bound.
        blocked: globs of plugins that nobody has.
        since: when the first manifest of the app came.
        seeded: the start of the period, in milliseconds, for which what was used elsewhere is
            counted, by counter.
    """

    app_id: str
    version: str
    plan: str = ""
    plan_name: str = ""
    tier: str = ""
    billing_period: str = ""
    expires_at: datetime | None = None
    tenant_id: str = ""
    budgets: tuple[Budget, ...] = ()
    overrides: Mapping[str, Override] = field(default_factory=dict)
    features: Mapping[str, bool] = field(default_factory=dict)
    allowed: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    synced_at: datetime | None = None
    since: datetime | None = None
    seeded: Mapping[str, int] = field(default_factory=dict)

    def default_plan(self, now: datetime) -> str:
        """The plan of users who have none, empty where it does not say one, or not any more."""
        has_ended = self.expires_at is not None and self.expires_at <= now
        return "" if has_ended else self.plan

    def overridden(self, now: datetime) -> tuple[str, ...]:
        """The budgets of which another maximum holds now."""
        if not self.overrides:
            return ()
        return tuple(name for name, override in self.overrides.items() if override.holds(now))

    def budgets_under(self, overridden: Sequence[str]) -> tuple[Budget, ...]:
        """Every budget, those that are overridden with their other maximum."""
        return tuple(
            replace(budget, maximum=self.overrides[budget.id].maximum)
            if budget.id in overridden
            else budget
            for budget in self.budgets
        )

    def seeds(self, now: datetime) -> tuple[Charge, ...]:
        """What the platform says was used in the present periods, of each budget."""
        return tuple(
            Charge(limit, limit.counter(_request(self.app_id, budget)), budget.used, _NO_CYCLE)
            for budget in self.budgets
            if budget.used
            for limit in [budget.limit()]
        )


@value
class Carry:
    """Where it stands what a budget has left of the last period.

    Attributes:
        budget: its id.
        start: of the present period, in milliseconds.
        noted: the counter that says it: one more than the units, 0 where nobody noted them yet.
        last: the budget's counter in the last period.
    """

    budget: str
    start: int
    noted: Charge
    last: Charge


def carries(manifest: Manifest, now: datetime) -> tuple[Carry, ...]:
    """Of each budget that has a last period, in which the app had a manifest already."""
    found = []
    for budget in manifest.budgets:
        if not budget.rollover or budget.maximum is None or manifest.since is None:
            continue
        whole = budget.limit()
        counter = whole.counter(_request(manifest.app_id, budget))
        present = _period(whole, now)
        if present.end_ms is None or to_ms(manifest.since) >= present.start_ms:
            continue
        start, end = from_ms(present.start_ms), from_ms(present.end_ms)
        before = from_ms(_period(whole, start - _INSTANT).start_ms)
        noted, last = noting(whole, counter, _NO_CYCLE), of_past(whole, counter, before, end)
        found.append(Carry(budget.id, present.start_ms, noted, last))
    return tuple(found)


def carrying(manifest: Manifest, units: Mapping[str, int]) -> Manifest:
    """A manifest whose budgets have what was left of the last period.

    Args:
        units: by the id of the budget.
    """
    budgets = (replace(it, carried=units.get(it.id, 0)) for it in manifest.budgets)
    return replace(manifest, budgets=tuple(budgets))


def period_start(charge: Charge, now: datetime) -> int:
    """When the period of a seed began, in milliseconds."""
    return _period(charge.limit, now).start_ms


def counted(app_id: str, charge: Charge, now: datetime) -> ChargedEvent:
    """A report that counts in one counter alone; the same one for the whole period."""
    name = f"manifest:{charge.counter}:{period_start(charge, now)}"
    return note(Subject(app_id, ""), charge, name, now)


def merge(stored: Manifest | None, pushed: Manifest) -> tuple[SyncOutcome, Manifest]:
    """The state after a push; what is stored stays if its version is newer."""
    if stored is None:
        return SyncOutcome.SYNCED, pushed
    if is_stale(stored, pushed):
        return SyncOutcome.STALE, stored
    seeded = {**stored.seeded, **pushed.seeded}
    return SyncOutcome.SYNCED, replace(pushed, since=stored.since, seeded=seeded)


def is_stale(stored: Manifest | None, pushed: Manifest) -> bool:
    """Whether what is stored has a newer version."""
    return stored is not None and _release(pushed) < _release(stored)


def _period(limit: Limit, at: datetime) -> Period:
    assert isinstance(limit.window, Fixed)  # a budget of tokens has one
    return limit.window.period(to_ms(at), _NO_CYCLE)


def _release(manifest: Manifest) -> tuple[int, ...]:
    numbers = [int(part) for part in manifest.version.split(".")]
    while numbers and not numbers[-1]:
        # 1.0 is 1.
        numbers.pop()
    return tuple(numbers)


def _request(app_id: str, budget: Budget) -> CheckRequest:
    return CheckRequest(Subject(app_id, ""), model=budget.model, plugin=budget.plugin)
