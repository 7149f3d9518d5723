"""A short form of the benchmark: every figure is there, and stands for what it says."""

from pathlib import Path

import pytest

from tests.benchmarks import leases
from tests.benchmarks.leases import BOTH, CHECK, WITH, WITHOUT
from tests.benchmarks.observed import ObservedRedis
from tests.processes import redis_server


def test_every_row_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    leases.main(["--rounds", "1", "--operations", "100"])

    shown = capsys.readouterr().out
    for what in (CHECK, BOTH):
        for how in (WITH, WITHOUT):
            assert f"{what}, {how}" in shown


async def test_a_hot_user_asks_redis_seldom(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        redis = ObservedRedis(server.socket)
        rounds = await leases.measure(server.url, redis, rounds=1, operations=3_000, callers=16)
        redis.close()
    calls = {way: each[0].calls for way, each in rounds.items()}
    assert (calls[CHECK, WITHOUT], calls[BOTH, WITHOUT]) == (1.0, 2.0)
    assert calls[CHECK, WITH] < 0.5
    assert calls[BOTH, WITH] < 1.0
