"""Every fault comes, one after the other, in no order: the count holds, and calm returns."""

import asyncio
from pathlib import Path

import uvloop

from tests.faults.storm import TIMEOUT_S, storm


def test_in_a_storm_everything_is_counted_once_and_after_it_soon_all_is_well(
    tmp_path: Path,
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(storm(tmp_path, 4.0))
    assert figures.faults.total() >= 15
    assert figures.operations > 1_000
    assert figures.again > 100
    assert figures.differences == {}
    assert figures.recovery_s <= 2
    assert figures.left_open == 0
    # Whatever happens, a call ends when its time is over; a busy machine may be late.
    assert figures.slowest_ms <= 5 * TIMEOUT_S * 1_000
