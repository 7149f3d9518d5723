"""Timestamps and durations, to the nanosecond, as text and in time zones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.cel import CelError, Duration, Environment, Timestamp
from sidecar.cel.times import EARLIEST, LATEST, parse_duration, parse_timestamp
from sidecar.cel.types import TIMESTAMP
from sidecar.cel.values import INT_MAX, INT_MIN, Failure
from tests.unit.cel.world import program


@given(st.integers(EARLIEST, LATEST))
def test_a_timestamp_s_text_is_read_back_as_the_same_instant(ns: int) -> None:
    assert parse_timestamp(str(Timestamp(ns))) == Timestamp(ns)


@given(st.integers(INT_MIN, INT_MAX))
def test_a_duration_s_text_is_read_back_as_the_same_span(ns: int) -> None:
    assert parse_duration(str(Duration(ns))) == Duration(ns)


@given(st.datetimes(timezones=st.timezones()))
def test_a_datetime_comes_back_as_the_same_instant(moment: datetime) -> None:
    try:
        there = Timestamp.from_datetime(moment)
    except OverflowError:
        return
    if EARLIEST <= there.ns <= LATEST:
        assert there.to_datetime() == moment.astimezone(UTC)


@given(st.timedeltas())
def test_a_timedelta_comes_back_as_the_same_span(span: timedelta) -> None:
    assert Duration.from_timedelta(span).to_timedelta() == span


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("1s", 10**9),
        ("-1.5s", -1_500_000_000),
        ("1h30m", 5_400 * 10**9),
        ("250ms", 250_000_000),
        ("1.000000001s", 1_000_000_001),
        ("1us2ns", 1_002),
        (".5s", 500_000_000),
        ("+2m", 120 * 10**9),
    ],
)
def test_a_duration_is_read(text: str, ns: int) -> None:
    assert parse_duration(text) == Duration(ns)


@pytest.mark.parametrize(
    "text", ["", "-", "1", "1d", "1 s", "s", "1s2", "1h" * 60, "--1s", "9999999h", "١s"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Failure):
        parse_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T00:00:00.0000000001Z",
        "2026-01-01T00:00:00+24:00",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "٢٠٢٦-01-01T00:00:00Z",
    ],
)
def test_what_is_no_timestamp_is_refused(text: str) -> None:
    with pytest.raises(Failure):
        parse_timestamp(text)


def test_a_datetime_without_a_zone_is_no_timestamp() -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001  a naive one is the point
    error = program("now", Environment({"now": TIMESTAMP})).evaluate({"now": naive})
    assert isinstance(error, CelError)
    assert error.message == "a datetime without a time zone is no timestamp"


@pytest.mark.parametrize(
    ("accessor", "expected"),
    [
        ("getFullYear()", 2025),
        ("getMonth()", 11),
        ("getDate()", 31),
        ("getDayOfMonth()", 30),
        ("getDayOfWeek()", 3),
        ("getDayOfYear()", 364),
        ("getHours()", 23),
        ("getMinutes()", 30),
        ("getSeconds()", 15),
        ("getMilliseconds()", 250),
        ('getFullYear("Asia/Tokyo")', 2026),
        ('getMonth("+01:00")', 0),
        ('getDate("Asia/Tokyo")', 1),
        ('getDayOfWeek("Asia/Tokyo")', 4),
        ('getDayOfYear("Asia/Tokyo")', 0),
        ('getHours("-09:30")', 14),
        ('getMinutes("+05:45")', 15),
        ('getMilliseconds("Asia/Tokyo")', 250),
    ],
)
def test_the_calendar_is_read_in_utc_or_in_a_zone(accessor: str, expected: int) -> None:
    reading = program(f"at.{accessor}", Environment({"at": TIMESTAMP}))
    utc = datetime(2025, 12, 31, 23, 30, 15, 250_000, tzinfo=UTC)
    elsewhere = utc.astimezone(timezone(timedelta(hours=-7)))
    for moment in (utc, elsewhere, Timestamp.from_datetime(utc)):
        assert reading.evaluate({"at": moment}) == expected


def test_summer_time_is_the_zone_s() -> None:
    hours = program('at.getHours("Europe/Paris")', Environment({"at": TIMESTAMP}))
    assert hours.evaluate({"at": datetime(2026, 1, 15, 12, tzinfo=UTC)}) == 13
    assert hours.evaluate({"at": datetime(2026, 7, 15, 12, tzinfo=UTC)}) == 14
