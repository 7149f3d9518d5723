"""What was used of a limit within one billing period, as an invoice is made from it?"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote

from sidecar.domain.value import value
from sidecar.domain.windows import from_ms, to_ms

_HOUR_MS = 3_600_000


class PeriodState(StrEnum):
    """open runs; settling has ended, and late reports still count in it; closed never changes."""

    OPEN = "open"
    SETTLING = "settling"
    CLOSED = "closed"


class StatementKey(NamedTuple):
    """Which period of which counter; what a list of statements is ordered by.

    Attributes:
        owner: the user as the counter's name has it, empty where users share the counter.
    """

    owner: str
    counter: str
    start_ms: int


@value
class Amended:
    """What came within one hour after the end of a period; it may be less than nothing.

    Attributes:
        hour: hours since 1970.
        used, granted: as in a statement.
    """

    hour: int
    used: int
    granted: int


@value
class Statement:
    """What one counter came to within one billing period.

    Attributes:
        end_ms: of the period, as it was last known while it ran.
        limit: the id of the limit that reads the counter; the strictest, if several do.
        included: the limit's allowance, None without a bound; both as last seen in the period.
        used: units in all, without those that grants paid for.
        granted: units that grants paid for.
        late: what of both came after the end, by the hour.
        is_cut: whether another period of the counter began before this one was to end.
        overlaps: whether it lies across others: a late report came after a new billing day.
        is_lost: whether the counter vanished from the store while the period ran.
    """

    key: StatementKey
    end_ms: int
    limit: str
    included: int | None
    used: int
    granted: int
    late: tuple[Amended, ...] = ()
    is_cut: bool = False
    overlaps: bool = False
    is_lost: bool = False

    def closes_at(self, settle: timedelta) -> datetime:
        """From when on it never changes: so long after its end, on the full hour."""
        ends_ms = self.end_ms + settle // timedelta(milliseconds=1)
        return from_ms(-(-ends_ms // _HOUR_MS) * _HOUR_MS)

    def state(self, settle: timedelta, now: datetime) -> PeriodState:
        """What can still become of it."""
        if now < from_ms(self.end_ms):
            return PeriodState.OPEN
        return PeriodState.SETTLING if now < self.closes_at(settle) else PeriodState.CLOSED

    def adjustments(self, settle: timedelta) -> tuple[Amended, ...]:
        """What came when it was closed."""
        closes = to_ms(self.closes_at(settle)) // _HOUR_MS
        return tuple(sorted((it for it in self.late if it.hour >= closes), key=_hour))

    def overage(self, used: int) -> int:
        """How much of what was used lies above the allowance."""
        return 0 if self.included is None else max(0, used - self.included)

    @property
    def meter(self) -> str:
        """What is counted."""
        return self.key.counter.split(":", 1)[0]

    @property
    def window(self) -> str:
        """Which periods it has."""
        return self.key.counter.split(":", 2)[1]

    @property
    def dimensions(self) -> Mapping[str, str]:
        """The values that the counter is kept for, beside the app."""
        parts = (part.partition("=") for part in self.key.counter.split(":")[2:])
        return {name: unquote(value) for name, mark, value in parts if mark and name[0] != "#"}


@value
class StatementPage:
    """Some statements in their order.

    Attributes:
        last: the last one looked at, None if there are no more.
        counted_from_ms: since when the store has counted anything for the app, None for never.
    """

    statements: tuple[Statement, ...]
    last: StatementKey | None
    counted_from_ms: int | None


def _hour(amended: Amended) -> int:
    return amended.hour
