"""Over which time does a limit count, and when does it begin and end?"""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.domain.windows import (
    BUCKETS,
    BillingCycle,
    Fixed,
    Period,
    Sliding,
    add_months,
    from_ms,
    parse_duration,
    parse_window,
    rough_length_ms,
    to_ms,
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def days(start: str, end: str) -> tuple[datetime, datetime]:
    return at(start), at(end)


INSTANTS = st.datetimes(
    min_value=datetime(1990, 1, 1),  # noqa: DTZ001  the strategy adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("30s", Sliding(30_000)),
        ("1m", Sliding(60_000)),
        ("24h", Sliding(86_400_000)),
        ("366d", Sliding(366 * 86_400_000)),
        ("hour", Fixed.HOUR),
        ("billing_month", Fixed.BILLING_MONTH),
        ("lifetime", Fixed.LIFETIME),
        ("367d", None),
        ("0s", None),
        ("01m", None),
        ("-1m", None),
        ("1.5h", None),
        ("1w", None),
        ("1 m", None),
        ("1M", None),
        ("Day", None),
        ("m", None),
        ("", None),
        ("1m\n", None),
        ("١m", None),
        ("999999999999s", None),
    ],
)
def test_a_window_is_read_as_policy_files_write_it(text: str, window: object) -> None:
    assert parse_window(text) == window


def test_a_duration_is_a_number_with_its_unit() -> None:
    assert parse_duration("3d") == timedelta(days=3)
    assert parse_duration("90m") == timedelta(minutes=90)
    assert parse_duration("day") is None


@pytest.mark.parametrize(("text"), ["30s", "90s", "5m", "36h", "1d", "7d", "61m"])
def test_a_sliding_window_is_shown_in_its_largest_whole_unit(text: str) -> None:
    shown = str(parse_window(text))
    assert parse_window(shown) == parse_window(text)


@pytest.mark.parametrize(
    ("window", "instant", "start", "end"),
    [
        (Fixed.HOUR, "2026-05-05T21:00:00", "2026-05-05T21:00:00", "2026-05-05T22:00:00"),
        (Fixed.HOUR, "2026-05-05T21:59:59.999", "2026-05-05T21:00:00", "2026-05-05T22:00:00"),
        (Fixed.DAY, "2026-05-05T00:00:00", "2026-05-05", "2026-05-06"),
        (Fixed.DAY, "2026-12-31T23:59:59", "2026-12-31", "2027-01-01"),
        (Fixed.WEEK, "2026-05-04T00:00:00", "2026-05-04", "2026-05-11"),  # a Monday
        (Fixed.WEEK, "2026-05-10T23:59:59", "2026-05-04", "2026-05-11"),  # a Sunday
        (Fixed.WEEK, "2026-01-01T12:00:00", "2025-12-29", "2026-01-05"),
        (Fixed.MONTH, "2024-02-29T12:00:00", "2024-02-01", "2024-03-01"),
        (Fixed.MONTH, "2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
    ],
)
def test_calendar_windows_begin_and_end_by_utc(
    window: Fixed, instant: str, start: str, end: str
) -> None:
    period = window.period(to_ms(at(instant)), BillingCycle())
    assert period == Period(to_ms(at(start)), to_ms(at(end)))


def test_a_lifetime_never_ends() -> None:
    period = Fixed.LIFETIME.period(to_ms(at("2026-05-05")), BillingCycle())
    assert period.end_ms is None
    assert period.contains(2**60)


def test_a_period_includes_its_start_and_not_its_end() -> None:
    period = Period(10, 20)
    assert [period.contains(instant) for instant in (9, 10, 19, 20)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("instant", "months", "result"),
    [
        ("2026-01-31", 1, "2026-02-28"),
        ("2024-01-31", 1, "2024-02-29"),
        ("2026-03-31", -1, "2026-02-28"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2024-02-29", 48, "2028-02-29"),
        ("2026-12-15", 1, "2027-01-15"),
        ("2026-01-15", -13, "2024-12-15"),
    ],
)
def test_a_day_that_a_month_lacks_becomes_its_last(instant: str, months: int, result: str) -> None:
    assert add_months(at(instant), months) == at(result)


@pytest.mark.parametrize(
    ("instant", "expected"),
    [
        ("2026-01-31", days("2026-01-31", "2026-02-28")),
        ("2026-02-27T23:59:59", days("2026-01-31", "2026-02-28")),
        ("2026-02-28", days("2026-02-28", "2026-03-31")),
        ("2026-03-30", days("2026-02-28", "2026-03-31")),
        ("2026-03-31", days("2026-03-31", "2026-04-30")),
        ("2024-02-29", days("2024-02-29", "2024-03-31")),
        ("2024-02-28", days("2024-01-31", "2024-02-29")),
        ("2020-05-15", days("2020-04-30", "2020-05-31")),
    ],
)
@pytest.mark.parametrize("window", ["period", "month"])
def test_a_cycle_anchored_on_the_31st_keeps_its_day_after_a_short_month(
    window: str, instant: str, expected: tuple[datetime, datetime]
) -> None:
    cycle = BillingCycle(anchor=at("2026-12-31"))
    assert getattr(cycle, window)(at(instant)) == expected


def test_a_stated_period_holds_where_it_contains_the_instant() -> None:
    cycle = BillingCycle(start=at("2026-05-03"), end=at("2026-06-07"), anchor=at("2026-01-01"))
    assert cycle.period(at("2026-05-03")) == days("2026-05-03", "2026-06-07")
    assert cycle.period(at("2026-06-06T23:59:59")) == days("2026-05-03", "2026-06-07")


def test_after_a_stated_period_cycles_step_from_the_next_billing_date() -> None:
    cycle = BillingCycle(start=at("2026-05-03"), end=at("2026-06-03"), anchor=at("2026-06-03"))
    assert cycle.period(at("2026-06-03")) == days("2026-06-03", "2026-07-03")


def test_a_late_event_before_a_stated_period_falls_into_the_one_before() -> None:
    cycle = BillingCycle(start=at("2026-05-03"), end=at("2026-06-03"), anchor=at("2026-06-03"))
    assert cycle.period(at("2026-05-02")) == days("2026-04-03", "2026-05-03")


def test_a_period_before_a_stated_one_ends_where_the_stated_one_begins() -> None:
    cycle = BillingCycle(start=at("2026-05-03"), end=at("2026-06-03"))
    assert cycle.period(at("2026-04-25")) == days("2026-04-03", "2026-05-03")
    assert cycle.month(at("2026-04-25")) == days("2026-04-03", "2026-05-03")


def test_a_stated_period_that_is_still_to_come_says_nothing_of_now() -> None:
    cycle = BillingCycle(start=at("2026-12-15"), end=at("2027-01-15"))
    assert cycle.period(at("2026-05-20")) == days("2026-05-01", "2026-06-01")
    assert cycle.period(at("2026-12-06")) == days("2026-12-01", "2027-01-01")


def test_before_a_period_to_come_cycles_step_from_the_next_billing_date() -> None:
    cycle = BillingCycle(start=at("2026-12-15"), end=at("2027-01-15"), anchor=at("2026-06-10"))
    assert cycle.period(at("2026-05-20")) == days("2026-05-10", "2026-06-10")
    assert cycle.period(at("2026-12-14")) == days("2026-12-10", "2027-01-10")


def test_after_a_stated_period_without_any_other_date_it_is_the_month_in_utc() -> None:
    cycle = BillingCycle(start=at("2026-05-03"), end=at("2026-06-03"))
    assert cycle.period(at("2026-06-03")) == days("2026-06-01", "2026-07-01")


def test_without_any_date_a_period_is_the_month_in_utc() -> None:
    assert BillingCycle().period(at("2026-05-05")) == days("2026-05-01", "2026-06-01")
    assert BillingCycle().month(at("2026-05-05")) == days("2026-05-01", "2026-06-01")


@pytest.mark.parametrize(
    ("instant", "period", "month"),
    [
        (
            "2026-03-20",
            days("2025-11-15", "2026-11-15"),
            days("2026-03-15", "2026-04-15"),
        ),
        (
            "2026-11-14T23:00:00",
            days("2025-11-15", "2026-11-15"),
            days("2026-10-15", "2026-11-15"),
        ),
        (
            "2026-11-15",
            days("2026-11-15", "2027-11-15"),
            days("2026-11-15", "2026-12-15"),
        ),
    ],
)
def test_a_year_is_sliced_on_the_billing_day(
    instant: str, period: tuple[datetime, datetime], month: tuple[datetime, datetime]
) -> None:
    cycle = BillingCycle(anchor=at("2026-11-15"), months=12)
    assert cycle.period(at(instant)) == period
    assert cycle.month(at(instant)) == month


def test_a_year_from_a_leap_day_ends_with_a_whole_month() -> None:
    cycle = BillingCycle(anchor=at("2024-02-29"), months=12)
    assert cycle.period(at("2027-06-01")) == days("2027-02-28", "2028-02-29")
    assert cycle.month(at("2028-02-28")) == days("2028-01-29", "2028-02-29")


@given(INSTANTS, INSTANTS, st.sampled_from([1, 3, 12]))
def test_every_instant_lies_in_its_period_and_in_its_slice(
    anchor: datetime, instant: datetime, months: int
) -> None:
    cycle = BillingCycle(anchor=anchor, months=months)
    start, end = cycle.period(instant)
    slice_start, slice_end = cycle.month(instant)
    assert start <= slice_start <= instant < slice_end <= end
    assert cycle.period(start) == (start, end)
    assert cycle.month(slice_start) == (slice_start, slice_end)


@given(INSTANTS, INSTANTS, st.sampled_from([1, 3, 12]))
def test_periods_follow_each_other_without_a_gap(
    anchor: datetime, instant: datetime, months: int
) -> None:
    cycle = BillingCycle(anchor=anchor, months=months)
    _, end = cycle.period(instant)
    assert cycle.period(end)[0] == end
    _, slice_end = cycle.month(instant)
    assert cycle.month(slice_end)[0] == slice_end


@given(INSTANTS, INSTANTS)
def test_a_monthly_cycle_is_never_sliced(anchor: datetime, instant: datetime) -> None:
    cycle = BillingCycle(anchor=anchor)
    assert cycle.month(instant) == cycle.period(instant)


@given(st.integers(1, 366 * 86_400).map(lambda seconds: Sliding(seconds * 1000)))
def test_the_buckets_of_a_sliding_window_cover_it(window: Sliding) -> None:
    assert (window.bucket_ms - 1) * BUCKETS < window.length_ms <= window.bucket_ms * BUCKETS


@given(st.integers(-(10**12), 10**13))
def test_milliseconds_and_instants_are_the_same_thing(at_ms: int) -> None:
    assert to_ms(from_ms(at_ms)) == at_ms


def test_an_instant_between_two_milliseconds_belongs_to_the_earlier() -> None:
    assert to_ms(at("1970-01-01T00:00:00.001999")) == 1
    assert to_ms(at("1969-12-31T23:59:59.999999")) == -1


def test_windows_are_ordered_by_length_a_lifetime_first() -> None:
    order: list[Sliding | Fixed] = [
        Fixed.LIFETIME, Sliding(366 * 86_400_000), Fixed.BILLING_PERIOD, Fixed.BILLING_MONTH,
        Fixed.WEEK, Fixed.DAY, Fixed.HOUR, Sliding(60_000),
    ]  # fmt: skip
    assert sorted(order, key=rough_length_ms, reverse=True) == order
    assert rough_length_ms(Fixed.MONTH) == rough_length_ms(Fixed.BILLING_MONTH)
