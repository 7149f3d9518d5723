"""Points in time and spans between them, to the nanosecond, within the years 1 to 9999."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sidecar.cel.values import INT_MAX, INT_MIN, Failure

SECOND = 1_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = -62_135_596_800 * SECOND
LATEST = 253_402_300_800 * SECOND - 1

_TIMESTAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_DURATION_PART = re.compile(
    r"(\d+)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)|\.(\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII
)
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}


def _fraction(nanoseconds: int) -> str:
    return f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""


def span_ns(span: timedelta) -> int:
    """The nanoseconds of a `timedelta`, exactly."""
    return ((span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds) * 1_000


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    """A span of time in nanoseconds; 64 bits of them, so about 292 years either way."""

    ns: int

    @classmethod
    def from_timedelta(cls, span: timedelta) -> Duration:
        """The same span; exact."""
        return cls(span_ns(span))

    def to_timedelta(self) -> timedelta:
        """The same span, cut to microseconds towards zero."""
        micros = abs(self.ns) // 1_000
        return timedelta(microseconds=micros if self.ns >= 0 else -micros)

    def __str__(self) -> str:
        whole, rest = divmod(abs(self.ns), SECOND)
        return f"{'-' if self.ns < 0 else ''}{whole}{_fraction(rest)}s"


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    """A point in time: nanoseconds since 1970 in UTC."""

    ns: int

    @classmethod
    def from_datetime(cls, moment: datetime) -> Timestamp:
        """The same instant.

        Raises:
            Failure: the datetime has no time zone.
        """
        if moment.tzinfo is None:
            raise Failure("a datetime without a time zone is no timestamp")
        return cls(span_ns(moment - EPOCH))

    def to_datetime(self) -> datetime:
        """The same instant in UTC, cut to microseconds."""
        return EPOCH + timedelta(microseconds=self.ns // 1_000)

    def __str__(self) -> str:
        whole, rest = divmod(self.ns, SECOND)
        return f"{(EPOCH + timedelta(seconds=whole)).isoformat()[:19]}{_fraction(rest)}Z"


def duration_of(ns: int) -> Duration:
    """A duration, or a failure when 64 bits do not hold it."""
    if not INT_MIN <= ns <= INT_MAX:
        raise Failure("duration out of range")
    return Duration(ns)


def timestamp_of(ns: int) -> Timestamp:
    """A timestamp, or a failure outside the years 1 to 9999."""
    if not EARLIEST <= ns <= LATEST:
        raise Failure("timestamp out of range")
    return Timestamp(ns)


def parse_timestamp(text: str) -> Timestamp:
    """The instant that RFC 3339 text names, with up to nine decimals."""
    found = _TIMESTAMP.fullmatch(text)
    if found is None:
        raise Failure(f"not an RFC 3339 timestamp: {text[:40]!r}")
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError as error:
        raise Failure(f"not an RFC 3339 timestamp: {text!r} ({error})") from error
    ns = span_ns(moment - EPOCH) + int((found[7] or "").ljust(9, "0"))
    if found[8]:
        if int(found[9]) > 23 or int(found[10]) > 59:
            raise Failure(f"not an RFC 3339 timestamp: {text!r} (offset out of range)")
        offset = (int(found[9]) * 3600 + int(found[10]) * 60) * SECOND
        ns += -offset if found[8] == "+" else offset
    return timestamp_of(ns)


def parse_duration(text: str) -> Duration:
    """The span that text such as ``1h30m``, ``-1.5s`` or ``250ms`` names."""
    body = text[1:] if text[:1] in {"-", "+"} else text
    if body == "0":
        return Duration(0)
    # bounded before the first digit is read: int() of a long text is slow
    if not body or len(body) > 100:
        raise Failure(f"not a duration: {text[:40]!r}")
    total = at = 0
    while at < len(body):
        part = _DURATION_PART.match(body, at)
        if part is None:
            raise Failure(f"not a duration: {text!r}")
        whole, decimals, unit = part[1] or "0", part[2] or part[4] or "", _UNITS[part[3] or part[5]]
        total += int(whole) * unit
        if decimals:
            total += int(decimals) * unit // 10 ** len(decimals)
        at = part.end()
    return duration_of(-total if text[0] == "-" else total)
