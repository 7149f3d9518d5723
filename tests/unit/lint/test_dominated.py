"""When is a limit never reached because of another one?"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sidecar.domain.windows import BillingCycle, Fixed, Sliding, Window, from_ms, to_ms
from sidecar.policy.lint.spans import windows_met
from tests.unit.lint.world import codes, limits, warned

ENFORCED = "mode: enforce\n"
RAISED = """
overrides:
  - {id: acme, for: {apps: [acme]}, limit: day, max: 9000, until: "2026-12-01T00:00:00Z", reason: R}
"""
DAY = "id: day, meter: requests, max: 500, window: day"


@pytest.mark.parametrize(
    "other",
    [
        "id: hour, meter: requests, max: 499, window: hour",
        "id: hour, meter: requests, max: 999, window: 1h",  # around midnight
        "id: week, meter: requests, max: 3499, window: week",
        "id: month, meter: requests, max: 15499, window: month",
        "id: all, meter: requests, max: 999999, window: lifetime",
        "id: year, meter: requests, max: 999999, window: billing_period",
        "id: tokens, meter: tokens, max: 9999, window: hour",
        "id: app, meter: requests, max: 500, window: hour, per: [app]",
        "id: user, meter: requests, max: null, window: hour",
        "id: near, meter: requests, max: 400, window: day, mode: advisory",
        "id: seen, meter: requests, max: 900, window: hour, mode: off",
        "id: hour, meter: requests, max: 600, window: hour, warn_at: 0.5",
    ],
)
def test_a_limit_that_can_be_reached_is_left_alone(tmp_path: Path, other: str) -> None:
    assert codes(tmp_path, ENFORCED + limits(DAY, other)) == []


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ("id: hour, meter: requests, max: 500, window: hour", "E2"),
        ("id: hour, meter: requests, max: 1000, window: 1h", "E2"),
        ("id: week, meter: requests, max: 3500, window: week", "E2"),
        ("id: month, meter: requests, max: 15500, window: month", "E2"),
        ("id: mine, meter: requests, max: 500, window: day, per: [user, model]", "E2"),
        ("id: soft, meter: requests, max: 600, window: day, mode: advisory", "E2"),
        ("""id: o1, meter: requests, max: 600, window: day, when: 'request.model == "o1"'""", "E2"),
        ("id: same, meter: requests, max: 400, window: day, per: [user]", "E1"),
        ("id: hour, meter: requests, max: 1200, window: hour, warn_at: 0.5", "E2"),
    ],
)
def test_a_limit_that_another_one_forestalls_is_reported(
    tmp_path: Path, other: str, found: str
) -> None:
    assert codes(tmp_path, ENFORCED + limits(DAY, other)) == [found]


def test_use_that_is_only_warned_of_goes_on_over_a_longer_time(tmp_path: Path) -> None:
    week = "id: week, meter: requests, max: 9000, window: week"
    assert codes(tmp_path, ENFORCED + limits(DAY, week)) == ["E2"]
    assert codes(tmp_path, "mode: advisory\n" + limits(DAY, week)) == []


def test_a_milder_limit_forestalls_none_that_is_stricter(tmp_path: Path) -> None:
    hour = "id: hour, meter: requests, max: 900, window: hour"
    assert codes(tmp_path, ENFORCED + limits(f"{DAY}, mode: advisory", hour)) == []


def test_grants_add_to_an_allowance_so_that_a_bound_above_it_bounds_both(tmp_path: Path) -> None:
    month = "id: month, meter: tokens, max: 1000, window: billing_month"
    assert codes(tmp_path, limits(month, "id: week, meter: tokens, max: 5000, window: week")) == []
    assert codes(tmp_path, limits(month, "id: all, meter: tokens, max: 50, window: 1m")) == []
    assert codes(tmp_path, limits(month, "id: pace, meter: tokens, max: 5000, window: 1m")) == [
        "E2"
    ]
    nothing = month.replace("1000", "0")
    assert codes(tmp_path, limits(nothing, "id: pace, meter: tokens, max: 50, window: 1m")) == []


def test_an_override_that_raises_the_lower_limit_lets_the_other_one_be_reached(
    tmp_path: Path,
) -> None:
    hour = "id: hour, meter: requests, max: 600, window: hour"
    assert codes(tmp_path, limits(DAY, hour)) == ["E2"]
    assert codes(tmp_path, limits(DAY, hour) + RAISED) == []


def test_limits_of_plans_that_do_not_meet_are_not_compared(tmp_path: Path) -> None:
    text = """
        plans:
          free: {plugins: ["*"], limits: [{id: a, meter: requests, max: 5, window: day}]}
          pro: {plugins: ["*"], limits: [{id: b, meter: requests, max: 50, window: day}]}
        """
    assert codes(tmp_path, text) == []


def test_a_pair_that_several_plans_inherit_is_reported_once(tmp_path: Path) -> None:
    text = """
        plans:
          free:
            plugins: ["*"]
            limits:
              - {id: a, meter: requests, max: 5, window: day}
              - {id: b, meter: requests, max: 50, window: hour}
          pro: {extends: free}
          team: {extends: pro}
        """
    (found,) = warned(tmp_path, text)
    assert (found.code, found.path) == ("E2", "plans.free.limits[1].max")
    assert [related.message for related in found.related] == ["'a' stands here"]


WINDOWS: list[Window] = [Fixed.HOUR, Fixed.DAY, Fixed.WEEK, Fixed.MONTH]
WINDOWS += [Sliding(hours * 3_600_000) for hours in (1, 2, 5, 24, 36, 7 * 24, 30 * 24)]
START = datetime(2026, 2, 1, tzinfo=UTC)


def counted(window: Window, uses: list[tuple[int, int]], now_ms: int) -> int:
    """What a window counts at an instant, of uses and their times."""
    if isinstance(window, Sliding):
        first = now_ms - window.length_ms
        return sum(units for at_ms, units in uses if first < at_ms <= now_ms)
    period = window.period(now_ms, BillingCycle())
    return sum(units for at_ms, units in uses if period.contains(at_ms))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(WINDOWS),
    st.sampled_from(WINDOWS),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(1, 3 * 24 * 60), st.integers(1, 20)), max_size=200),
)
def test_what_is_called_unreachable_is_not_reached_by_any_use(
    strict: Window, lax: Window, maximum: int, steps: list[tuple[int, int]]
) -> None:
    windows = windows_met(strict, lax, enforced=True)
    assume(windows is not None)
    assert windows is not None
    uses: list[tuple[int, int]] = []
    now = START
    for minutes, units in steps:
        now += timedelta(minutes=minutes / 4)
        now_ms = to_ms(now)
        assert from_ms(now_ms) <= now
        if counted(strict, uses, now_ms) + units <= maximum:
            uses.append((now_ms, units))
            assert counted(lax, uses, now_ms) <= maximum * windows
