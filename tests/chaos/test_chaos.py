"""Whatever breaks around a server, its answers come in time, say what they are, and add up."""

from pathlib import Path

import pytest

from tests.chaos.breaking import BACK_S, FAULTS, break_all
from tests.chaos.filling import fill_disk
from tests.chaos.killing import kill_often

PAUSE_S = 1.0
"""What a test machine may take beside."""


@pytest.mark.parametrize("mode", ["open", "closed", "local"])
async def test_redis_breaks_in_seven_ways_and_every_answer_is_in_time_and_of_its_mode(
    tmp_path: Path, mode: str
) -> None:
    broken = await break_all(tmp_path / "s", mode, 0.8)

    assert [seen.fault for seen in broken.seen] == list(FAULTS)
    assert [seen for seen in broken.seen if not seen.degraded] == []
    assert [seen.wrong for seen in broken.seen if seen.wrong] == []
    # A machine that is shared with others is late for reasons of its own; `make chaos` wants all.
    assert [seen for seen in broken.seen if seen.late > 1 + seen.answers // 10] == []
    assert [seen for seen in broken.seen if seen.back_s > BACK_S + PAUSE_S] == []
    assert broken.counted == broken.used


@pytest.mark.parametrize("store", ["sqlite", "redis"])
async def test_what_a_killed_server_has_acknowledged_is_counted_once(
    tmp_path: Path, store: str
) -> None:
    killed = await kill_often(tmp_path / "s", store, kills=3, seed=7)

    assert killed.counted == killed.used
    assert killed.answers > 20
    # A line at the very end of a file may be torn, of each process that was killed.
    assert killed.torn <= killed.kills
    assert killed.damaged == 0
    assert killed.leftover == 0


async def test_a_full_disk_is_said_loses_nothing_and_is_got_over(tmp_path: Path) -> None:
    filled = await fill_disk(tmp_path / "s", 1.5)

    assert filled.refused > 0
    assert filled.unclear == []
    assert filled.back_s < BACK_S
    assert filled.counted == filled.used
