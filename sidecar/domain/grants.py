"""Which units has a subject beside its plan's allowance, and what is left of them?"""

from datetime import datetime
from enum import StrEnum

from sidecar.domain.request import MeterKind
from sidecar.domain.value import value

MOST_GRANTS = 64
"""Of one user of an app that are not over."""


@value
class Grant:
    """Units that somebody sold or gave to a user of an app: a top-up, a promotion, a rollover.

    Attributes:
        limit: the id of the only limit that draws them, empty where every billing and lifetime
            limit of the `meter` does.
        meter: what they are units of, None where a limit is named.
        amount: units in all; 0 revokes what is left of an earlier push of the same id.
        effective_at, expires_at: they can be drawn from the one and before the other; None
            never expires.
    """

    id: str
    app_id: str
    user_id: str
    limit: str
    meter: MeterKind | None
    amount: int
    effective_at: datetime
    expires_at: datetime | None = None
    reason: str = ""

    @property
    def scope(self) -> str:
        """Who draws it, as `Limit.scopes` names it."""
        return f"={self.limit}" if self.meter is None else self.meter.value


@value
class GrantBalance:
    """A grant and what became of its units.

    Attributes:
        used: units that paid for use.
        held: units that reservations hold.
        revoked: whether what was left was taken back.
    """

    grant: Grant
    used: int = 0
    held: int = 0
    revoked: bool = False

    @property
    def left(self) -> int:
        """Units that can still be drawn, none after a revocation."""
        return 0 if self.revoked else max(0, self.grant.amount - self.used - self.held)

    def pays(self, now: datetime) -> bool:
        """Whether it can be drawn at an instant."""
        expires_at = self.grant.expires_at
        return self.grant.effective_at <= now and (expires_at is None or now < expires_at)


class GrantOutcome(StrEnum):
    """What a push of a grant did."""

    SYNCED = "synced"
    DUPLICATE = "duplicate"
    REVOKED = "revoked"
