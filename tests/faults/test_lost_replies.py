"""Replies are lost after Redis has done what was asked: it is counted once."""

from pathlib import Path

import pytest

from tests.faults.lost_replies import lose_replies
from tests.faults.weather import Faults

OPERATIONS = 2_000


@pytest.mark.parametrize("seed", [1, 2])
async def test_everything_is_counted_once_though_one_reply_in_a_hundred_is_lost(
    tmp_path: Path, seed: int
) -> None:
    figures = await lose_replies(tmp_path, OPERATIONS, Faults(drop_share=0.01), seed=seed)
    assert figures.operations >= OPERATIONS
    assert figures.lost >= 10
    assert figures.differences == {}


async def test_everything_is_counted_once_though_nobody_is_told_that_replies_are_lost(
    tmp_path: Path,
) -> None:
    """The connection stays open and nothing comes: only time tells, and the caller asks again."""
    figures = await lose_replies(
        tmp_path, OPERATIONS, Faults(drop_every=400, drop_silently=True), timeout_s=0.25
    )
    assert figures.operations >= OPERATIONS
    assert figures.lost >= 4
    assert figures.again > 0
    assert figures.differences == {}
