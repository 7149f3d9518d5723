"""When does a change of plan lose what was counted?"""

from pathlib import Path

import pytest

from tests.unit.lint.world import codes, warned

DAY = "id: day, meter: tokens, max: 500, window: day"


def family(parent: str, child: str, mode: str = "enforce") -> str:
    """A plan with a limit, and one that extends it and restates it."""
    return f"""
        mode: {mode}
        plans:
          free: {{plugins: ["*"], limits: [{{{parent}}}]}}
          pro: {{extends: free, limits: [{{{child}}}]}}
        """


@pytest.mark.parametrize(
    ("parent", "child"),
    [
        (DAY, "id: day, meter: tokens, max: 5000, window: day"),
        (DAY, "id: day, meter: tokens, max: null, window: week"),
        (DAY, "id: day, meter: tokens, max: 5000, window: day, per: [user, app]"),
        (DAY, "id: day, meter: tokens, max: 5000, window: day, mode: advisory"),
        (f"{DAY}, warn_at: 0.5", "id: day, meter: tokens, max: 5000, window: day"),
        (
            "id: pace, meter: tokens, max: 500, window: 1m",
            "id: pace, meter: tokens, max: 9000, window: 10m",
        ),
        (f"{DAY}, per: [app]", "id: day, meter: tokens, max: 5000, window: day, per: [app]"),
    ],
)
def test_a_restated_limit_that_keeps_its_counter_is_left_alone(
    tmp_path: Path, parent: str, child: str
) -> None:
    assert codes(tmp_path, family(parent, child)) == []


@pytest.mark.parametrize(
    ("parent", "child", "said"),
    [
        (f"{DAY}, per: [app]", "id: day, meter: tokens, max: 9, window: day", "without its per"),
        (f"{DAY}, mode: advisory", "id: day, meter: tokens, max: 9, window: day", "its mode"),
        (
            f"""{DAY}, when: 'request.model == "o1"'""",
            "id: day, meter: tokens, max: 9, window: day",
            "without its when",
        ),
        (DAY, "id: day, meter: requests, max: 9, window: day", "another meter"),
        (DAY, "id: day, meter: tokens, max: 9, window: week", "another window"),
        (DAY, "id: day, meter: tokens, max: 9, window: day, per: [app]", "another per"),
    ],
)
def test_a_restated_limit_with_another_counter_is_reported(
    tmp_path: Path, parent: str, child: str, said: str
) -> None:
    (found,) = warned(tmp_path, family(parent, child))
    assert found.code == "E5"
    assert said in found.message


def plans(free: str, pro: str, team: str = "") -> str:
    """Plans that do not extend each other, each with what is written."""
    text = "plans:\n"
    for name, written in (("free", free), ("pro", pro), ("team", team)):
        if written:
            text += f'  {name}: {{plugins: ["*"], {written}}}\n'
    return text


@pytest.mark.parametrize(
    ("free", "pro"),
    [
        ("day", "day"),
        ("day", "23h"),
        ("day", "week"),
        ("month", "billing_month"),
        ("1h", "60m"),
        ("billing_month", "366d"),
    ],
)
def test_windows_that_are_the_same_or_different_on_purpose_are_left_alone(
    tmp_path: Path, free: str, pro: str
) -> None:
    text = plans(
        f"limits: [{{id: a, meter: tokens, max: 5, window: {free}}}]",
        f"limits: [{{id: b, meter: tokens, max: 50, window: {pro}}}]",
    )
    assert codes(tmp_path, text) == []


@pytest.mark.parametrize(
    ("free", "pro"), [("day", "24h"), ("1d", "day"), ("hour", "60m"), ("30d", "month")]
)
def test_windows_that_differ_only_in_how_they_are_written_are_reported(
    tmp_path: Path, free: str, pro: str
) -> None:
    text = plans(
        f"limits: [{{id: a, meter: tokens, max: 5, window: {free}}}]",
        f"limits: [{{id: b, meter: tokens, max: 50, window: {pro}}}]",
    )
    (found,) = warned(tmp_path, text)
    assert (found.code, found.path) == ("E6", "plans.pro.limits[0].window")


def test_a_plan_that_has_both_windows_shares_one_of_them(tmp_path: Path) -> None:
    text = plans(
        "limits: [{id: a, meter: tokens, max: 5, window: day}]",
        "limits: [{id: b, meter: tokens, max: 50, window: day}, "
        "{id: c, meter: tokens, max: 60, window: 24h}]",
    )
    assert codes(tmp_path, text) == []


PACE = "limits: [{{id: {0}-pace, meter: requests, max: {1}, window: 1m}}]"


def test_a_meter_that_only_the_plan_in_the_middle_leaves_open_is_reported(tmp_path: Path) -> None:
    text = plans(
        f"tokens_per_month: 100, {PACE.format('free', 5)}",
        "tokens_per_month: 1000",
        f"tokens_per_month: 10000, {PACE.format('team', 500)}",
    )
    (found,) = warned(tmp_path, text)
    assert (found.code, found.path) == ("E8", "plans.pro")


@pytest.mark.parametrize(
    ("free", "pro", "team"),
    [
        # the greatest plan is free of it, or the smallest
        (f"100, {PACE.format('free', 5)}", f"1000, {PACE.format('pro', 50)}", "10000"),
        ("100", f"1000, {PACE.format('pro', 50)}", f"10000, {PACE.format('team', 500)}"),
        # it says so itself
        (
            f"100, {PACE.format('free', 5)}",
            f"1000, {PACE.format('pro', 'null')}",
            f"10000, {PACE.format('team', 500)}",
        ),
        # nobody can say which one is the middle
        (f"100, {PACE.format('free', 5)}", "null", f"10000, {PACE.format('team', 500)}"),
    ],
)
def test_a_plan_may_leave_a_meter_open(tmp_path: Path, free: str, pro: str, team: str) -> None:
    text = plans(*(f"tokens_per_month: {it}" for it in (free, pro, team)))
    assert codes(tmp_path, text) == []
