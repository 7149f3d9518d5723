"""Callers go away at any moment: nobody gets another's answer, and nothing of theirs is left."""

from pathlib import Path

from tests.faults.cancellations import cancel_callers

CANCELLED = 4_000


async def test_thousands_of_callers_who_go_away_leave_nothing_behind(tmp_path: Path) -> None:
    figures = await cancel_callers(tmp_path, CANCELLED)
    assert figures.cancelled >= CANCELLED
    assert figures.answered >= CANCELLED // 4
    assert figures.crossed == 0
    # Nobody who left took the connection with him.
    assert figures.reconnections == 0
    assert figures.left_open == 0
    assert figures.held_before > 0
    assert figures.held == 0
    assert figures.used == figures.told
