"""What has the billing side said of this user, and does it still hold at this instant?"""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from sidecar.domain.request import Subject
from sidecar.domain.value import value
from sidecar.domain.windows import BillingCycle

HISTORY_LENGTH = 128
"""Changes remembered with a subscription: for duplicates, late arrivals and the start of grace.

An `event_id` is known again until 127 later changes have come. When the present status began is
remembered for as long as it lasts.
"""


class Status(StrEnum):
    """The status of a subscription, as payment providers spell it; `none` was never synced."""

    ACTIVE = "active"
    TRIALING = "trialing"
    PAST_DUE = "past_due"
    PAUSED = "paused"
    UNPAID = "unpaid"
    CANCELED = "canceled"
    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    INACTIVE = "inactive"
    NONE = "none"


@value
class Change:
    """One state that the billing side reported, as the history keeps it."""

    updated_at: datetime
    status: Status
    plan: str
    event_id: str = ""


_UNTOLD = BillingCycle()
_CYCLE_MONTHS = {
    "": 1,
    "monthly": 1,
    "month": 1,
    "quarterly": 3,
    "quarter": 3,
    "annual": 12,
    "annually": 12,
    "yearly": 12,
    "year": 12,
}


_HELD = frozenset({Status.ACTIVE, Status.TRIALING, Status.PAST_DUE})
"""Under which a plan may be used, however the policies see it."""
KNOWN_CYCLES = tuple(filter(None, _CYCLE_MONTHS))
"""Words for a billing cycle, in any case; none is a month too."""


@value
class Subscription:
    """The state of one user's subscription, for one app or, with an empty `app_id`, for all.

    Attributes:
        plan: the plan's id, empty only for a trial that leaves it to the policy.
        updated_at: when the billing side says that this state began to hold.
        is_dated: whether it does say so; else it began when it came, by the clock of whoever
            took it. What is stored is dated.
        history: changes by their `updated_at`, the newest last.
        cycle: how its billing periods lie in time.
    """

    user_id: str
    app_id: str = ""
    plan: str = ""
    status: Status = Status.NONE
    billing_cycle: str = ""
    next_billing_date: datetime | None = None
    trial_end: datetime | None = None
    period_start: datetime | None = None
    period_end: datetime | None = None
    cancel_at_period_end: bool = False
    external_id: str = ""
    metadata: Mapping[str, object] = field(default_factory=dict, repr=False)
    event_id: str = ""
    updated_at: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    is_dated: bool = True
    history: tuple[Change, ...] = ()
    cycle: BillingCycle = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        months = _CYCLE_MONTHS.get(self.billing_cycle.lower(), 1)
        cycle = BillingCycle(self.period_start, self.period_end, self.next_billing_date, months)
        # Asked for by each limit of each check. That of most says nothing.
        object.__setattr__(self, "cycle", _UNTOLD if cycle == _UNTOLD else cycle)

    @property
    def has_known_cycle(self) -> bool:
        """Whether the word for its billing cycle is known; any other is taken for a month."""
        return self.billing_cycle.lower() in _CYCLE_MONTHS

    @property
    def status_since(self) -> datetime:
        """When the present status began: repeating it does not begin it anew."""
        since = self.updated_at
        for change in reversed(self.history):
            if change.status is not self.status:
                break
            since = change.updated_at
        return since

    @property
    def held_since(self) -> datetime | None:
        """Since when it has been for this plan without a break, as far as is remembered."""
        since = None
        for change in reversed(self.history):
            if change.plan != self.plan or change.status not in _HELD:
                break
            since = change.updated_at
        return since


def never_synced(subject: Subject) -> Subscription:
    """The state of a user of whom nothing was ever said, neither for the app nor for all."""
    return Subscription(user_id=subject.user_id, app_id=subject.app_id)


class SyncOutcome(StrEnum):
    """What a pushed state did."""

    SYNCED = "synced"
    DUPLICATE = "duplicate"
    STALE = "stale"


def merge(stored: Subscription | None, pushed: Subscription) -> tuple[SyncOutcome, Subscription]:
    """The state after a push, whatever the order in which pushes arrive.

    The whole state is replaced, unless the event was seen before or what is stored is newer.
    A stale push still enters the history, so that the history does not depend on the order.
    """
    if stored is None:
        return SyncOutcome.SYNCED, replace(pushed, is_dated=True, history=(_change(pushed),))
    if pushed.event_id and any(change.event_id == pushed.event_id for change in stored.history):
        return SyncOutcome.DUPLICATE, stored
    if not pushed.is_dated:
        # It came after all others, even where the clock of whoever took those is ahead.
        began = max(pushed.updated_at, stored.updated_at)
        pushed = replace(pushed, is_dated=True, updated_at=began)
    history = _with(stored.history, _change(pushed))
    if pushed.updated_at < stored.updated_at:
        return SyncOutcome.STALE, replace(stored, history=history)
    return SyncOutcome.SYNCED, replace(pushed, history=history)


def _with(history: tuple[Change, ...], change: Change) -> tuple[Change, ...]:
    """A history with one change more, unless it is there: a push may come again without an id."""
    if change in history:
        return history
    return _bounded(sorted((*history, change), key=lambda each: each.updated_at))


def _bounded(history: list[Change]) -> tuple[Change, ...]:
    """A history without its excess: the oldest goes, unless the present status began with it."""
    while len(history) > HISTORY_LENGTH:
        is_beginning = all(change.status is history[0].status for change in history)
        del history[1 if is_beginning else 0]
    return tuple(history)


def _change(state: Subscription) -> Change:
    return Change(state.updated_at, state.status, state.plan, state.event_id)


@value
class Terms:
    """What the policy makes of a status.

    Attributes:
        active: statuses under which the plan holds.
        grace: statuses under which it still holds for a while, counted from their beginning.
        trial_plan, trial_length: for a trial that names no plan, or no end.
    """

    active: frozenset[Status] = frozenset({Status.ACTIVE, Status.TRIALING})
    grace: Mapping[Status, timedelta] = field(default_factory=dict)
    trial_plan: str = ""
    trial_length: timedelta | None = None


class Standing(StrEnum):
    """Whether the plan of a subscription holds at an instant."""

    HOLDS = "holds"
    GRACE = "grace"
    EXPIRED = "expired"
    INACTIVE = "inactive"


def standing(subscription: Subscription, terms: Terms, now: datetime) -> Standing:
    """Whether the subscription's plan holds now.

    Only the end of a trial and a cancellation at the period's end take effect by the clock;
    any other past date is the billing side's to act on.
    """
    in_grace = False
    if subscription.status not in terms.active:
        grace = terms.grace.get(subscription.status)
        if grace is None:
            return Standing.INACTIVE
        if now - subscription.status_since >= grace:
            return Standing.EXPIRED
        in_grace = True
    if _has_ended(subscription, terms, now):
        return Standing.EXPIRED
    return Standing.GRACE if in_grace else Standing.HOLDS


def _has_ended(subscription: Subscription, terms: Terms, now: datetime) -> bool:
    ended = []
    if subscription.status is Status.TRIALING:
        if subscription.trial_end is not None:
            ended.append(now >= subscription.trial_end)
        elif terms.trial_length is not None:
            # A difference, because a sum could lie beyond the last year that there is.
            ended.append(now - subscription.status_since >= terms.trial_length)
    if subscription.cancel_at_period_end:
        period_end = subscription.period_end or subscription.next_billing_date
        ended.append(period_end is not None and now >= period_end)
    return any(ended)
