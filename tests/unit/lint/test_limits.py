"""Which limits are called useless, and which do something after all?"""

from pathlib import Path

import pytest

from tests.unit.lint.world import codes, limits, warned

OVERRIDE = """
overrides:
  - {id: acme, for: {apps: [acme]}, limit: few, max: 900, until: "2026-12-01T00:00:00Z", reason: R}
"""


@pytest.mark.parametrize(
    "limit",
    [
        "id: few, meter: requests, max: 10, window: day, warn_at: 0.8",
        "id: few, meter: requests, max: 5, window: day, warn_at: 0.8",
        "id: few, meter: tokens, max: 0, window: billing_month",
        "id: few, meter: tokens, max: 0, window: lifetime",
        "id: few, meter: tokens, max: 5, window: day, per: [session]",
        "id: few, meter: tokens, max: 5, window: 7d, per: [user, session]",
        "id: few, meter: tokens, max: 5, window: month, per: [user, model, plugin]",
        "id: few, meter: tokens, max: 5, window: day, per: [model, plugin, agent, workflow]",
        "id: few, meter: concurrency, max: 5, per: [session]",
        "id: few, meter: concurrency, max: 5, status: 429",
        "id: few, meter: tokens, max: 5, window: lifetime, status: 403",
        "id: few, meter: tokens, max: 5, window: billing_month, status: 429",
        "id: few, meter: tokens, max: null, window: day",
        "id: few, meter: cost, max: 5000000, window: day",
        "id: few, meter: cost, max: 1000, window: 1m",
        "id: few, meter: tokens, max: 1000, window: month, rollover: {max: 1000}",
        "id: few, meter: requests, max: 9, window: billing_period, per: [user], rollover: {max: 1}",
    ],
)
def test_a_limit_that_can_be_meant_is_left_alone(tmp_path: Path, limit: str) -> None:
    assert codes(tmp_path, limits(limit)) == []


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        ("id: few, meter: requests, max: 4, window: day, warn_at: 0.8", "E3"),
        ("id: few, meter: requests, max: 100, window: day, warn_at: 0.01", "E3"),
        ("id: few, meter: requests, max: 9, window: day, mode: off, warn_at: 0.5", "E3"),
        ("id: few, meter: requests, max: null, window: day, warn_at: 0.5", "E3"),
        ("id: few, meter: requests, max: 0, window: day", "E4"),
        ("id: few, meter: concurrency, max: 0", "E4"),
        ("id: few, meter: cost, max: 5, window: day", "E4"),
        ("id: few, meter: tokens, max: 9, window: 8d, per: [session]", "E7"),
        ("id: few, meter: tokens, max: 9, window: month, per: [model, plugin, agent]", "E7"),
        ("id: few, meter: tokens, max: 9, window: lifetime, status: 429", "E9"),
        ("id: few, meter: tokens, max: 9, window: month, rollover: {max: 10}", "E10"),
        ("id: few, meter: tokens, max: 9, window: month, mode: off, rollover: {max: 1}", "E10"),
    ],
)
def test_a_limit_that_cannot_be_meant_is_reported(tmp_path: Path, limit: str, found: str) -> None:
    assert codes(tmp_path, limits(limit)) == [found]


@pytest.mark.parametrize(
    "limit",
    [
        "id: few, meter: requests, max: 0, window: day",
        "id: few, meter: requests, max: null, window: day, warn_at: 0.5",
        "id: few, meter: requests, max: 1, window: day, warn_at: 0.8",
    ],
)
def test_what_an_override_raises_may_be_nothing_without_it(tmp_path: Path, limit: str) -> None:
    assert codes(tmp_path, limits(limit) + OVERRIDE) == []


def test_a_share_of_no_maximum_can_be_taken_out_by_a_machine(tmp_path: Path) -> None:
    (found,) = warned(
        tmp_path, limits("id: few, meter: requests, max: null, window: day, warn_at: 0.5")
    )
    assert found.fix is not None
    text = tmp_path.joinpath("policy.yaml").read_text()
    assert "window: day}" in text[: found.fix.start] + text[found.fix.end :]
