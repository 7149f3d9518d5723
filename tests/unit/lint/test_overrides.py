"""Which overrides are in vain, and which still do what they are for?"""

from pathlib import Path

import pytest

from tests.unit.lint.world import codes

PLANS = """
plans:
  free: {plugins: ["*"], limits: [{id: burst, meter: tokens, max: 2000, window: 1m}]}
  pro: {extends: free, limits: [{id: burst, meter: tokens, max: 30000, window: 1m}]}
  lab: {plugins: ["*"], limits: [{id: open, meter: tokens, max: null, window: 1m}]}
"""


def override(written: str) -> str:
    """One override of the limit of a minute."""
    return f"{PLANS}\noverrides: [{{id: it, for: {{apps: [acme]}}, {written}}}]\n"


@pytest.mark.parametrize(
    "written",
    [
        'limit: burst, max: 50000, until: "2026-06-15T12:00:01Z", reason: R',
        'limit: burst, max: 30000, until: "2026-12-01T00:00:00Z", reason: R',
        'limit: burst, max: null, until: "2027-06-01T00:00:00Z", reason: R',
        'limit: open, max: 500, until: "2026-12-01T00:00:00Z", reason: R',
        'limit: burst, max: 50000, from: "2028-01-01T00:00:00Z", until: "2028-12-01T00:00:00Z",'
        " reason: R",
        'limit: burst, max: 50000, from: "2026-06-02T00:00:00Z", until: "2026-06-05T00:00:00Z",'
        " reason: R",
    ],
)
def test_an_override_that_gives_more_for_a_while_is_left_alone(
    tmp_path: Path, written: str
) -> None:
    assert codes(tmp_path, override(written)) == []


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ('limit: burst, max: 50000, until: "2026-06-01T12:00:00Z", reason: R', ["F2"]),
        ('limit: burst, max: 50000, until: "2026-06-15T12:00:00Z", reason: R', ["F2"]),
        ('limit: burst, max: 20000, until: "2026-12-01T00:00:00Z", reason: R', ["F3"]),
        ('limit: open, max: null, until: "2026-12-01T00:00:00Z", reason: R', ["F3"]),
        ('limit: burst, max: 50000, until: "2026-12-01T00:00:00Z"', ["F4"]),
        ('limit: burst, max: 50000, until: "2026-12-01T00:00:00Z", reason: " "', ["F4"]),
        ("limit: burst, max: 50000, reason: R", ["F5"]),
        ('limit: burst, max: 50000, until: "2027-07-01T00:00:00Z", reason: R', ["F5"]),
        ("limit: burst, max: 1000", ["F4", "F5", "F3"]),
        ('limit: burst, max: 1000, until: "2020-01-01T00:00:00Z"', ["F2"]),
    ],
)
def test_an_override_in_vain_is_reported(tmp_path: Path, written: str, found: list[str]) -> None:
    assert codes(tmp_path, override(written)) == found


def test_a_star_in_whom_an_override_is_for_is_no_glob(tmp_path: Path) -> None:
    text = override('limit: burst, max: 50000, until: "2026-12-01T00:00:00Z", reason: R')
    assert codes(tmp_path, text.replace("[acme]", '["acme-?", acme]')) == ["F6"]
