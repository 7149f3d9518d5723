"""Redis forgets its scripts, or is killed and comes back: callers hardly notice."""

from pathlib import Path

from tests.faults.restarts import forget_scripts, restart

OPERATIONS = 4_000


async def test_no_call_fails_while_scripts_are_forgotten_under_load(tmp_path: Path) -> None:
    figures = await forget_scripts(tmp_path, OPERATIONS, times=40)
    assert figures.operations >= OPERATIONS
    assert figures.unanswered == 0
    assert figures.differences == {}


async def test_after_a_restart_under_load_no_call_fails_and_nothing_is_lost_or_counted_twice(
    tmp_path: Path,
) -> None:
    figures = await restart(tmp_path, OPERATIONS, times=3)
    assert figures.operations >= OPERATIONS
    # Redis was away in earnest.
    assert figures.unanswered > 0
    assert figures.late == 0
    assert figures.longest_s <= 2
    assert figures.differences == {}
