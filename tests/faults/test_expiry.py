"""Thousands of reservations of one app are overdue: whoever comes next hardly notices."""

from pathlib import Path

from tests.faults.expiry import expire

CALLS = 20
TRIES = 3
"""Fifty milliseconds pass on a busy machine though nobody asks anything of Redis."""


async def test_when_thousands_are_overdue_at_most_the_first_call_has_to_come_again(
    tmp_path: Path,
) -> None:
    unanswered = []
    for number in range(TRIES):
        figures = await expire(tmp_path / str(number), overdue=4_000, calls=CALLS)
        # Of what was overdue nothing is held any more, however long it took.
        assert figures.held <= CALLS
        unanswered.append(figures.unanswered)
        if figures.unanswered <= 1:
            return
    raise AssertionError(f"in each of {TRIES} tries so many calls had no answer: {unanswered}")
