"""Thousands of reservations of one app are overdue: whoever comes next hardly notices."""

from pathlib import Path

from tests.contract.stores import PATIENCE_S
from tests.faults.expiry import TIMEOUT_S, expire

CALLS = 20


async def test_when_thousands_are_overdue_at_most_the_first_call_has_to_come_again(
    tmp_path: Path,
) -> None:
    figures = await expire(tmp_path, overdue=4_000, calls=CALLS, timeout_s=PATIENCE_S)

    assert figures.unanswered == 0
    # Of what was overdue nothing is held any more, however long it took.
    assert figures.held <= CALLS
    # A call has to come again if Redis works at it for longer than a request waits.
    _, *others = figures.work_ms
    assert max(others) < TIMEOUT_S * 1_000, figures.work_ms
