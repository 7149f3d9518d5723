"""What the calendar says of an instant, in UTC or in a zone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from operator import attrgetter
from zoneinfo import ZoneInfo

from sidecar.cel.times import EPOCH, SECOND, Duration, Timestamp, span_ns
from sidecar.cel.values import Failure

_OFFSET = re.compile(r"([+-]?)(\d\d):(\d\d)", re.ASCII)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*", re.ASCII)


def zone_of(name: str) -> tzinfo:
    """The zone of an IANA name or of an offset such as ``+01:00``."""
    if name in {"UTC", ""}:
        return UTC
    if offset := _OFFSET.fullmatch(name):
        span = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        if span >= timedelta(days=1) or int(offset[3]) > 59:
            raise Failure(f"unknown time zone: {name!r}")
        return timezone(-span if offset[1] == "-" else span)
    # the name becomes a path inside the zone database: only what can be a name goes there
    if len(name) > 60 or _NAME.fullmatch(name) is None:
        raise Failure(f"unknown time zone: {name[:60]!r}")
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise Failure(f"unknown time zone: {name!r}") from error


def _moment(value: object, zone: str | None) -> datetime:
    """The wall clock of an instant; sub-second parts are cut."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        moment = value if value.tzinfo is UTC else value.astimezone(UTC)
    elif type(value) is Timestamp:
        moment = EPOCH + timedelta(seconds=value.ns // SECOND)
    else:
        raise Failure("no such overload: a timestamp was expected")
    if zone is None:
        return moment
    if type(zone) is not str:
        raise Failure("no such overload: a time zone is a string")
    try:
        return moment.astimezone(zone_of(zone))
    except OverflowError as error:
        raise Failure("timestamp out of range in this time zone") from error


def _of_moment(read: Callable[[datetime], int]) -> Callable[..., int]:
    def accessor(value: object, zone: str | None = None) -> int:
        if zone is None and type(value) is datetime and value.tzinfo is UTC:
            return read(value)
        return read(_moment(value, zone))

    return accessor


def _of_either(
    read: Callable[[datetime], int], of_span: Callable[[int], int]
) -> Callable[..., int]:
    def accessor(value: object, zone: str | None = None) -> int:
        if zone is None:
            if type(value) is datetime and value.tzinfo is UTC:
                return read(value)
            if type(value) is Duration:
                return of_span(value.ns)
            if isinstance(value, timedelta):
                return of_span(span_ns(value))
        return read(_moment(value, zone))

    return accessor


def _whole(unit: int) -> Callable[[int], int]:
    def whole(ns: int) -> int:
        return ns // unit if ns >= 0 else -(-ns // unit)

    return whole


def _milliseconds(value: object, zone: str | None = None) -> int:
    if type(value) is Timestamp and zone is None:
        return value.ns % SECOND // 1_000_000
    if type(value) is Timestamp:
        _moment(value, zone)
        return value.ns % SECOND // 1_000_000
    return _of_either(lambda at: at.microsecond // 1_000, _span_milliseconds)(value, zone)


def _span_milliseconds(ns: int) -> int:
    # the part below the second, not the whole span: so the conformance cases have it
    part = abs(ns) % SECOND // 1_000_000
    return part if ns >= 0 else -part


ACCESSORS: Mapping[str, Callable[..., int]] = {
    "getFullYear": _of_moment(attrgetter("year")),
    "getMonth": _of_moment(lambda at: at.month - 1),
    "getDate": _of_moment(attrgetter("day")),
    "getDayOfMonth": _of_moment(lambda at: at.day - 1),
    "getDayOfWeek": _of_moment(lambda at: at.isoweekday() % 7),
    "getDayOfYear": _of_moment(lambda at: at.timetuple().tm_yday - 1),
    "getHours": _of_either(attrgetter("hour"), _whole(3600 * SECOND)),
    "getMinutes": _of_either(attrgetter("minute"), _whole(60 * SECOND)),
    "getSeconds": _of_either(attrgetter("second"), _whole(SECOND)),
    "getMilliseconds": _milliseconds,
}
