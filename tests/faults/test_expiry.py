"""Thousands of reservations of one app are overdue: whoever comes next hardly notices."""

from pathlib import Path

from tests.faults.expiry import expire

CALLS = 20
FIRST = 1


async def test_when_thousands_are_overdue_at_most_the_first_call_has_to_come_again(
    tmp_path: Path,
) -> None:
    figures = await expire(tmp_path, overdue=4_000, calls=CALLS)
    assert figures.unanswered <= FIRST
    # Of what was overdue nothing is held any more.
    assert figures.held <= CALLS
