"""The answer: allow, warn or deny, with every reason and what would help."""

from collections.abc import Collection
from datetime import datetime
from enum import StrEnum

from sidecar.domain.limits import Reading
from sidecar.domain.modes import Mode, Refusal
from sidecar.domain.value import value


class Effect(StrEnum):
    """deny outweighs warn, warn outweighs allow; warn is permission with advice."""

    ALLOW = "allow"
    WARN = "warn"
    DENY = "deny"


class ReasonCode(StrEnum):
    """Why; the set is closed."""

    QUOTA_EXCEEDED = "quota_exceeded"
    QUOTA_WARNING = "quota_warning"
    PLUGIN_NOT_IN_PLAN = "plugin_not_in_plan"
    FEATURE_NOT_IN_PLAN = "feature_not_in_plan"
    SUBSCRIPTION_INACTIVE = "subscription_inactive"
    SUBSCRIPTION_EXPIRED = "subscription_expired"
    RULE_DENIED = "rule_denied"
    RULE_WARNED = "rule_warned"
    RULE_ERROR = "rule_error"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    CONCURRENCY_EXCEEDED = "concurrency_exceeded"
    STORE_UNAVAILABLE = "store_unavailable"
    SUBSCRIPTION_UNAVAILABLE = "subscription_unavailable"
    UNKNOWN_PLAN = "unknown_plan"


@value
class Reason:
    """One thing that speaks against the request, or for care.

    Attributes:
        id: the limit's or rule's id, else `<plan>.plugins`, `<plan>.features`, `subscription`
            or `store`.
        effect: what the policy says.
        mode: how strictly it is taken; what it says is only done under `enforce`.
        refusal: the HTTP status if it refuses.
    """

    code: ReasonCode
    id: str
    effect: Effect
    mode: Mode
    message: str
    refusal: Refusal = Refusal.PAYMENT_REQUIRED

    @property
    def refuses(self) -> bool:
        """Whether this reason alone makes the answer a deny."""
        return self.effect is Effect.DENY and self.mode is Mode.ENFORCE


class RemedyKind(StrEnum):
    """What would help."""

    UPGRADE = "upgrade"
    TOP_UP = "top_up"
    WAIT = "wait"


@value
class Remedy:
    """One thing that the user or the caller can do about a refusal."""

    kind: RemedyKind
    plan: str | None = None
    limit: str | None = None
    url: str | None = None
    until: datetime | None = None


@value
class RuleError:
    """A condition that could not be evaluated: neither true nor false."""

    id: str
    message: str


@value
class Reservation:
    """Units held until they are committed or released, or until they expire."""

    id: str
    expires_at: datetime
    tokens: int


@value
class Decision:
    """The whole answer to one check.

    Attributes:
        mode: the mode in force for the plan's file.
        reasons: refusals first, the first of them gives the status.
        revision: of the policies that decided, `sha256:` and 64 hexadecimal digits.
        degraded: whether a fact was missing and a failure mode spoke in its place.
        data_age_s: how old the readings are that were remembered instead, None for none.
    """

    id: str
    at: datetime
    effect: Effect
    mode: Mode
    plan: str | None
    subscription_status: str
    reasons: tuple[Reason, ...]
    readings: tuple[Reading, ...]
    revision: str
    reservation: Reservation | None = None
    remedies: tuple[Remedy, ...] = ()
    errors: tuple[RuleError, ...] = ()
    degraded: bool = False
    data_age_s: float | None = None

    @property
    def is_denied(self) -> bool:
        """Whether the request must not run."""
        return self.effect is Effect.DENY

    @property
    def status(self) -> int:
        """The HTTP status that says it."""
        return self.reasons[0].refusal.value if self.is_denied else 200

    @property
    def would_deny(self) -> tuple[str, ...]:
        """Ids of what would have refused, had it been enforced."""
        return tuple(
            reason.id
            for reason in self.reasons
            if reason.effect is Effect.DENY and not reason.refuses
        )


def combine(reasons: Collection[Reason]) -> tuple[Effect, tuple[Reason, ...]]:
    """The most severe effect in force, and the reasons with the refusals in front.

    What is `off` gives no reason at all; under `advisory` a deny becomes a warning.
    """
    if not reasons:
        return Effect.ALLOW, ()
    spoken = [reason for reason in reasons if reason.mode is not Mode.OFF]
    refusals = [reason for reason in spoken if reason.refuses]
    if refusals:
        others = [reason for reason in spoken if not reason.refuses]
        return Effect.DENY, (*refusals, *others)
    return (Effect.WARN if spoken else Effect.ALLOW), tuple(spoken)
