"""Random sequences of grants, holds, commits, events and time read as a plain model says."""

from pathlib import Path

import pytest

from tests.grants.run import play_many

SEQUENCES = {"sqlite": 100, "redis": 100, "cluster": 60, "fakeredis": 10}
"""`make grants` plays ten thousand on each store."""


@pytest.mark.parametrize("store", SEQUENCES)
async def test_no_unit_is_lost_and_none_spent_twice(
    store: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    match store:
        case "sqlite":
            address = str(tmp_path / "s.db")
        case "redis":
            address = request.getfixturevalue("redis_url")
        case "cluster":
            address = request.getfixturevalue("cluster_url")
        case _:
            address = request.getfixturevalue("fake_redis_url")
    tally = await play_many(address, SEQUENCES[store], seed=1)
    assert tally["sequences"] == SEQUENCES[store]
    # What the sequences were made for did happen.
    assert tally["holds that grants pay for"] > SEQUENCES[store] // 2
    assert tally["units paid by grants"] > 10 * SEQUENCES[store]
    assert tally["units followed to who paid"] > 20 * SEQUENCES[store]
