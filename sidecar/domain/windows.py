"""Over which time does a limit count, and when does that time begin and end?"""

import calendar
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal

from sidecar.domain.value import value

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BUCKETS = 60
"""Buckets of a sliding window; the oldest counts in full, so no true window holds too much."""

_MILLISECOND = timedelta(milliseconds=1)
_UNITS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"([1-9][0-9]{0,8})([smhd])")
_LONGEST_SLIDING_MS = 366 * _UNITS_MS["d"]
_LATE = timedelta(days=8)
_LONG_FROM_NOW_MS = 4_000_000_000_000


def to_ms(at: datetime) -> int:
    """Milliseconds since 1970-01-01T00:00:00Z, floored."""
    return (at - EPOCH) // _MILLISECOND


def from_ms(at_ms: int) -> datetime:
    """The aware UTC instant of `to_ms`."""
    if 0 <= at_ms < _LONG_FROM_NOW_MS:
        # Twice as fast, and a double holds the microseconds of so many seconds.
        return datetime.fromtimestamp(at_ms / 1_000, UTC)
    return EPOCH + timedelta(milliseconds=at_ms)


def parse_duration(text: str) -> timedelta | None:
    """`30s`, `5m`, `1h`, `3d` as a duration, None for any other text."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    length_ms = int(match[1]) * _UNITS_MS[match[2]]
    return timedelta(milliseconds=length_ms) if length_ms <= _LONGEST_SLIDING_MS else None


@value
class Period:
    """A half-open span [start, end) in milliseconds since the epoch; `end_ms` None never ends."""

    start_ms: int
    end_ms: int | None

    def contains(self, at_ms: int) -> bool:
        """Whether an instant lies inside."""
        return self.start_ms <= at_ms and (self.end_ms is None or at_ms < self.end_ms)


@value
class BillingCycle:
    """How the subscription's own periods lie in time.

    Attributes:
        start, end: the period that the billing side stated, where it stated one.
        anchor: an instant at which a period ends and the next begins.
        months: length of a period, 1 for a month, 12 for a year.
    """

    start: datetime | None = None
    end: datetime | None = None
    anchor: datetime | None = None
    months: int = 1

    def period(self, at: datetime) -> tuple[datetime, datetime]:
        """The subscription's period that contains an instant; the UTC month without dates."""
        stated = None if self.start is None or self.end is None else (self.start, self.end)
        if stated and stated[0] <= at < stated[1]:
            return stated
        if self.anchor is not None:
            return _step(self.anchor, self.months, at)
        if stated and stated[0] - _LATE <= at < stated[0]:
            # A late event of the period before; a start farther ahead says nothing of now.
            return _step(stated[0], self.months, at)
        return _calendar(Fixed.MONTH, at)

    def month(self, at: datetime) -> tuple[datetime, datetime]:
        """The monthly slice, on the billing day, of the period that contains an instant.

        The billing day is the later of the days on which the period begins and ends: one that
        begins on 28 February and ends on 31 March is a single month.
        """
        start, end = self.period(at)
        slice_start, slice_end = _step(max(start, end, key=lambda edge: edge.day), 1, at)
        return max(slice_start, start), min(slice_end, end)


@value
class Sliding:
    """The last `length_ms` milliseconds, wherever they lie."""

    length_ms: int

    @property
    def bucket_ms(self) -> int:
        """Width of one bucket in milliseconds, rounded up so that 60 cover the window."""
        return -(-self.length_ms // BUCKETS)

    def __str__(self) -> str:
        for unit in ("d", "h", "m"):
            count, rest = divmod(self.length_ms, _UNITS_MS[unit])
            if not rest:
                return f"{count}{unit}"
        return f"{self.length_ms // 1000}s"


class Fixed(StrEnum):
    """Windows that begin and end by the clock; calendar spans are UTC, a week begins on Monday."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    BILLING_MONTH = "billing_month"
    BILLING_PERIOD = "billing_period"
    LIFETIME = "lifetime"

    def period(self, at_ms: int, cycle: BillingCycle) -> Period:
        """The span of this window that contains an instant."""
        at = from_ms(at_ms)
        match self:
            case Fixed.LIFETIME:
                return Period(0, None)
            case Fixed.BILLING_MONTH:
                start, end = cycle.month(at)
            case Fixed.BILLING_PERIOD:
                start, end = cycle.period(at)
            case Fixed.HOUR | Fixed.DAY | Fixed.WEEK | Fixed.MONTH:
                start, end = _calendar(self, at)
        return Period(to_ms(start), to_ms(end))


Window = Sliding | Fixed
_FIXED = frozenset(window.value for window in Fixed)


def parse_window(text: str) -> Window | None:
    """A window as policy files write it (`1m`, `day`, `billing_month`), None for other text."""
    if text in _FIXED:
        return Fixed(text)
    length = parse_duration(text)
    return None if length is None else Sliding(length // _MILLISECOND)


def rough_length_ms(window: Window) -> int:
    """A window's length for ordering, longest first; a lifetime is longer than any other."""
    match window:
        case Sliding():
            return window.length_ms
        case Fixed.LIFETIME:
            return 2**62
        case Fixed.BILLING_PERIOD:
            # A month at the least; it stands in front of the calendar's and the slices.
            return 32 * _UNITS_MS["d"]
        case Fixed.MONTH | Fixed.BILLING_MONTH:
            return 31 * _UNITS_MS["d"]
        case Fixed.WEEK:
            return 7 * _UNITS_MS["d"]
        case Fixed.DAY:
            return _UNITS_MS["d"]
        case Fixed.HOUR:
            return _UNITS_MS["h"]


def add_months(at: datetime, months: int) -> datetime:
    """The same day and time so many months on; a day that month lacks becomes its last day."""
    index = at.year * 12 + at.month - 1 + months
    year, month = divmod(index, 12)
    last_day = calendar.monthrange(year, month + 1)[1]
    return at.replace(year=year, month=month + 1, day=min(at.day, last_day))


def _step(anchor: datetime, months: int, at: datetime) -> tuple[datetime, datetime]:
    # Steps are counted from the anchor, never from a clamped month end: after a short
    # February the 31st comes back in March.
    distance = (at.year - anchor.year) * 12 + at.month - anchor.month
    steps = distance // months
    if add_months(anchor, steps * months) > at:
        steps -= 1
    elif add_months(anchor, (steps + 1) * months) <= at:
        steps += 1
    return add_months(anchor, steps * months), add_months(anchor, (steps + 1) * months)


_CalendarUnit = Literal[Fixed.HOUR, Fixed.DAY, Fixed.WEEK, Fixed.MONTH]


def _calendar(unit: _CalendarUnit, at: datetime) -> tuple[datetime, datetime]:
    hour = at.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    match unit:
        case Fixed.HOUR:
            return hour, hour + timedelta(hours=1)
        case Fixed.DAY:
            return day, day + timedelta(days=1)
        case Fixed.WEEK:
            monday = day - timedelta(days=day.weekday())
            return monday, monday + timedelta(days=7)
        case Fixed.MONTH:
            first = day.replace(day=1)
            return first, add_months(first, 1)
