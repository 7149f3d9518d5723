"""A short form of the benchmark: every figure is there, and stands for what it says."""

import os
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from tests.benchmarks import client_cost, memory, meter, server_cost
from tests.benchmarks.client_cost import Load
from tests.benchmarks.memory import Weight
from tests.benchmarks.observed import ObservedRedis
from tests.benchmarks.server_cost import BARE, RESERVE, Costs
from tests.benchmarks.sizing import Installation, need_of, shown
from tests.processes import RedisServer, redis_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as running:
        yield running


@pytest.fixture
def redis(server: RedisServer) -> Iterator[ObservedRedis]:
    observed = ObservedRedis(server.socket)
    yield observed
    observed.close()


@dataclass(frozen=True, slots=True)
class Run:
    """What one has printed, and has seen."""

    shown: str
    costs: Costs
    weights: dict[str, Weight]


@pytest.fixture(scope="module")
def run() -> Run:
    # How fast each is on a busy machine is for a person to read, not for a test.
    shown = StringIO()
    with redirect_stdout(shown):
        costs, weights = meter.main(["--quick"])
    return Run(shown.getvalue(), costs, weights)


def test_every_row_is_printed(run: Run) -> None:
    for row in (*client_cost.SCRIPTS_EACH, *sum(server_cost.PAIRS, ()), *memory.GOALS):
        assert row in run.shown


async def test_each_way_has_a_figure_of_every_round(
    server: RedisServer, redis: ObservedRedis
) -> None:
    loads = {Load(1, on_one_core=True): 10, Load(8): 40}
    cores = os.sched_getaffinity(0)

    measured = await client_cost.measure(server.url, redis, rounds=2, operations=loads)

    assert measured.keys() == loads.keys()
    assert os.sched_getaffinity(0) == os.sched_getaffinity(redis.process) == cores
    for ways in measured.values():
        assert ways.keys() == set(client_cost.SCRIPTS_EACH)
        assert all(len(rounds) == 2 for rounds in ways.values())
        assert all(round_.client_us > 0 for rounds in ways.values() for round_ in rounds)


def test_a_round_is_no_figure_if_the_server_did_something_else(redis: ObservedRedis) -> None:
    redis.clear()

    with pytest.raises(AssertionError, match=client_cost.RUN):
        client_cost.check(redis, client_cost.RUN, 1)


def test_the_bare_script_makes_six_commands_and_a_reservation_no_fewer(run: Run) -> None:
    assert run.costs[BARE][0].commands == 6
    assert run.costs[RESERVE][0].commands >= 6


def test_what_is_kept_in_great_numbers_stays_small(run: Run) -> None:
    heavy = {name: run.weights[name].grown for name, goal in memory.GOALS.items()}
    assert all(heavy[name] <= goal for name, goal in memory.GOALS.items()), heavy


def test_an_installation_needs_the_sum_of_what_it_keeps() -> None:
    names = (*memory.GOALS, memory.LIVE, memory.ENDED, memory.USER_DAY, memory.LONG_USER_DAY)
    weights = {name: Weight(1, 100.0) for name in names}

    need = need_of(Installation(rate=10, users=5, limits=3, hours=4, run_s=10), weights)

    assert need.limits == 5 * 3 * 100
    assert need.reservations == 10 * (10 + 50 + 600) * 100
    assert need.ends == 10 * 10 * 86_400 * 100
    assert need.reports == 5 * 91 * 100
    assert need.whole == need.limits + need.reservations + need.ends + need.reports


def test_sizes_are_shown_with_a_unit() -> None:
    assert [shown(999), shown(12_345), shown(3.2e6), shown(4.56e9)] == [
        "999 B", "12 kB", "3 MB", "4.6 GB",
    ]  # fmt: skip
