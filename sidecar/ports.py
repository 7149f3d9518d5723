"""What the decision point needs of the world, each need under the name of its role.

`since` is a monotonic instant in seconds: when the request that waits began. An adapter gives
up, with `Unavailable`, when its own time-out has passed since then, so that all the waits of
one request together are bounded.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sidecar.domain.checkout import Checkout, OnBehalf
from sidecar.domain.decision import Decision, Effect, Reason, Remedy, RuleError
from sidecar.domain.entitlement import Entitlement, PlanSummary
from sidecar.domain.explanation import Explanation
from sidecar.domain.grants import Grant, GrantBalance, GrantOutcome
from sidecar.domain.limits import Charge, Reading
from sidecar.domain.manifest import Manifest
from sidecar.domain.notices import Message
from sidecar.domain.policies import Comparison, PolicyReport, Reloaded
from sidecar.domain.prices import Rates
from sidecar.domain.request import Amounts, CheckRequest, Subject
from sidecar.domain.subscription import Subscription, SyncOutcome
from sidecar.domain.usage import (
    ChargedEvent,
    Hold,
    Metering,
    Settlement,
    Tally,
    UsageRow,
)


class Clock(Protocol):
    """The time, for people and for time-outs."""

    def now(self) -> datetime:
        """The aware UTC time."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        ...


class Subscriptions(Protocol):
    """What the billing side said of each user."""

    async def find(self, subject: Subject, *, since: float) -> Subscription:
        """The state for the subject's app, else for all its apps, else one that says `none`.

        Raises:
            SubscriptionsUnavailable: it could not be had in time.
        """
        ...

    async def sync(self, pushed: Subscription, *, since: float) -> tuple[SyncOutcome, Subscription]:
        """Merge a pushed state with what is stored, and say what that did.

        Raises:
            SubscriptionsUnavailable: nothing is known to be stored.
        """
        ...


@dataclass(frozen=True, slots=True)
class ManifestSync:
    """What a push of a manifest did.

    Attributes:
        previous: what held before it, None where nothing did.
        state: what holds now.
    """

    outcome: SyncOutcome
    previous: Manifest | None
    state: Manifest


class Manifests(Protocol):
    """What the platform said of each app."""

    def find(self, app_id: str, *, since: float) -> Awaitable[Manifest | None]:
        """What holds for an app beside its users' plans, None where nothing was ever said.

        Raises:
            Unavailable: it could not be had in time.
        """
        ...

    async def any(self, *, since: float) -> bool:
        """Whether one was ever pushed, for whatever app; once it was, it stays so.

        Raises:
            Unavailable: it could not be had in time.
        """
        ...

    async def sync(self, pushed: Manifest, *, since: float) -> ManifestSync:
        """Put a pushed manifest in the place of what is stored, unless that is newer.

        Raises:
            Unavailable: nothing is known to be stored; the same push again is harmless.
        """
        ...


class Verdict(Protocol):
    """What the policies conclude from the facts."""

    @property
    def effect(self) -> Effect: ...
    @property
    def reasons(self) -> tuple[Reason, ...]: ...
    @property
    def remedies(self) -> tuple[Remedy, ...]: ...
    @property
    def errors(self) -> tuple[RuleError, ...]: ...
    @property
    def degraded(self) -> bool: ...


class Prices(Protocol):
    """What the tokens of each model cost."""

    @property
    def currency(self) -> str:
        """Three capital letters."""
        ...

    @property
    def default(self) -> Rates:
        """The rates of a model that is not known."""
        ...

    def of(self, model: str) -> Rates | None:
        """The rates of a model, None for one that is not known."""
        ...


class Rules(Protocol):
    """One immutable set of compiled policies."""

    @property
    def revision(self) -> str:
        """`sha256:` and 64 hexadecimal digits, of the names and contents of its files."""
        ...

    @property
    def plan_ids(self) -> Collection[str]:
        """The plans that it knows."""
        ...

    @property
    def limit_ids(self) -> Collection[str]:
        """The limits that a grant can be for."""
        ...

    @property
    def prices(self) -> Prices | None:
        """What models cost, None where nothing has a price."""
        ...

    def resolve(
        self,
        subscription: Subscription | None,
        request: CheckRequest,
        now: datetime,
        manifest: Manifest | None = None,
    ) -> Entitlement:
        """The plan and all that it says of the request.

        Args:
            subscription: None for one that could not be had.
            manifest: what holds for the app beside the plan, None for nothing.
        """
        ...

    def overview(
        self,
        subscription: Subscription,
        subject: Subject,
        now: datetime,
        manifest: Manifest | None = None,
    ) -> tuple[Entitlement, PlanSummary | None]:
        """The plan with every limit that is kept for the user, whatever is asked."""
        ...

    def charges(
        self,
        subscription: Subscription,
        request: CheckRequest,
        now: datetime,
        manifest: Manifest | None = None,
    ) -> tuple[Charge, ...]:
        """The limits that a report of use counts in."""
        ...

    def decide(
        self,
        request: CheckRequest,
        entitlement: Entitlement,
        readings: Sequence[Reading] | None,
        now: datetime,
    ) -> Verdict:
        """The conclusion; readings None means that the counters could not be had."""
        ...

    def explain(
        self,
        request: CheckRequest,
        subscription: Subscription | None,
        readings: Sequence[Reading] | None,
        now: datetime,
        *,
        manifest: Manifest | None = None,
        trace: bool = False,
        every_rule: bool = True,
    ) -> Explanation:
        """The same taken apart; with a trace, down to each part of an expression.

        Args:
            every_rule: whether rules are told that the decision did not look at.
        """
        ...


class Policies(Protocol):
    """Where the policies in force are had from."""

    @property
    def snapshot(self) -> Rules:
        """The set in force at this instant."""
        ...


class Directory(Protocol):
    """A directory of policies, for whoever looks after it."""

    @property
    def report(self) -> PolicyReport:
        """What of it is in force, and what was refused."""
        ...

    async def reload(self) -> Reloaded:
        """Read it again, and put all of it in force if it may be.

        Raises:
            Unavailable: what became of it is not known in time.
        """
        ...


@dataclass(frozen=True, slots=True)
class Directories:
    """The directories that an installation names.

    Attributes:
        shadow: of a candidate, None where none is named.
        comparison: what the candidate would have changed so far.
    """

    live: Directory
    shadow: Directory | None
    comparison: Callable[[], Comparison | None]


class Meter(Protocol):
    """Counts what is used and holds what is reserved, each change exactly once.

    Raises, every method:
        MeterUnavailable: the store did not answer in time; whether it applied is unknown,
            and the same call again is harmless.
    """

    async def read(self, subject: Subject, charges: Sequence[Charge], *, since: float) -> Metering:
        """What the counters of these charges hold, and what grants add for the subject."""
        ...

    async def reserve(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        """Hold every charge, or none if an enforced limit has no room.

        Raises:
            RequestIdReused: the request's id came before with another body.
        """
        ...

    async def recall(
        self, hold: Hold, charges: Sequence[Charge], *, since: float
    ) -> Metering | None:
        """The first answer to a request whose id came before, None if none is remembered.

        Raises:
            RequestIdReused: the request's id came before with another body.
        """
        ...

    async def extend(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        """Hold further units, or none, and let the reservation live its `ttl_s` from now.

        Raises:
            UnknownReservation, ReservationEnded: there is nothing live to extend.
        """
        ...

    async def held_request(self, reservation_id: str, *, since: float) -> CheckRequest:
        """The request that a live reservation was made for.

        Raises:
            UnknownReservation, ReservationEnded: there is no live one.
        """
        ...

    async def commit(
        self,
        reservation_id: str,
        used: Amounts,
        *,
        final: bool,
        since: float,
        model: str = "",
    ) -> Settlement:
        """Charge what the run has used so far, in the windows in which it was held.

        `used` is the total of the hold, not a difference: repeating a commit is harmless.
        A final one gives the rest back. After expiry it still charges. Where grants pay for
        what is held, the allowance's part is used up first.

        Args:
            used: a cost that is UNTOLD follows from the hold's rates.
            model: reported instead of the one that the check named.

        Raises:
            UnknownReservation, ReservationEnded: no such one, or it was released.
        """
        ...

    async def release(self, reservation_id: str, *, since: float) -> Settlement:
        """Give back all that is held.

        Raises:
            UnknownReservation, ReservationEnded: no such one, or it was committed.
        """
        ...

    async def withdraw(self, reservation_id: str, *, since: float) -> None:
        """Undo a reservation whose request was refused after all, and forget it.

        One that is not known is undone already.

        Raises:
            ReservationEnded: it was committed.
        """
        ...

    async def record(self, app_id: str, events: Sequence[ChargedEvent], *, since: float) -> Tally:
        """Count events that were not counted before, each in the window of its own time."""
        ...

    async def grant(self, grant: Grant, *, since: float) -> tuple[GrantOutcome, GrantBalance]:
        """Add units to what a user may use, or revoke what is left of them.

        Whatever came first under an id stays: the same again does nothing, and what is revoked
        stays revoked.

        Raises:
            GrantConflict: the id came before with other content, or the user has too many.
        """
        ...

    async def grants(self, subject: Subject, *, since: float) -> tuple[GrantBalance, ...]:
        """The grants that a user has in an app, in the order in which they are drawn."""
        ...

    async def usage(
        self, app_id: str, user_id: str | None, first_hour: int, last_hour: int, *, since: float
    ) -> tuple[UsageRow, ...]:
        """What was used hour by hour, of one user or, with None, of all together.

        Args:
            first_hour, last_hour: hours since 1970, both included.
        """
        ...

    async def ping(self, *, since: float) -> None:
        """Return if the store answers."""
        ...


class Payments(Protocol):
    """Whoever takes the money; what it leads to comes back as a subscription."""

    async def checkout(self, plan: str, who: OnBehalf) -> Checkout:
        """The page on which a user buys a plan.

        Raises:
            PaymentsRefused, PaymentsUnavailable: there is none to be had.
        """
        ...

    async def cancel(self, who: OnBehalf) -> None:
        """Ask for the end of a user's subscription.

        Raises:
            PaymentsRefused, PaymentsUnavailable: it was not taken.
        """
        ...


class Notices(Protocol):
    """What waits to be told to the outside; the same occasion is told once.

    Raises, every method:
        Unavailable: the store did not answer in time; the same call again is harmless.
    """

    async def add(
        self, message: Message, occasion: str, at: datetime, until: datetime, *, since: float
    ) -> bool:
        """Let a message wait, unless its occasion was told before; whether it waits now.

        Args:
            at, until: from when it is due, and from when on the occasion is another one.
        """
        ...

    async def take(
        self, now: datetime, until: datetime, most: int, *, since: float
    ) -> Sequence[Message]:
        """Messages that are due; nobody else gets them before `until`."""
        ...

    async def settle(self, message_id: str, again_at: datetime | None, *, since: float) -> None:
        """Forget a message that was taken or given up, or try it again later."""
        ...


@dataclass(frozen=True, slots=True)
class Checked:
    """A decision beside the facts that it was made from; all of it stays as it was.

    Attributes:
        subscription: None where it could not be had.
        rules: the set that decided, which can say more of it later.
        manifest: of the app, None where it has none.
    """

    request: CheckRequest
    subscription: Subscription | None
    decision: Decision
    rules: Rules
    manifest: Manifest | None = None


class DecisionLog(Protocol):
    """Where decisions are told; it never waits and never fails a decision."""

    def record(self, checked: Checked) -> None:
        """Note one decision."""
        ...

    def unknown_model(self, model: str) -> None:
        """Note that something was asked of, or used with, a model that has no price."""
        ...


class Decisions(Protocol):
    """What was decided before, as it was recorded."""

    @property
    def lost(self) -> int:
        """How many could not be recorded."""
        ...

    async def find(self, decision_id: str) -> Mapping[str, object] | None:
        """A decision by its id, None where it is not known, or not any more."""
        ...

    async def latest(
        self, app_id: str, user_id: str, effect: str, limit: int
    ) -> Sequence[Mapping[str, object]]:
        """The latest decisions of an app, a user, an effect; empty text is any."""
        ...
