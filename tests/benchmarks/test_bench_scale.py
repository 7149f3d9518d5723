"""A short form of the other one: what grows has its costs, and is what it says."""

from pathlib import Path

import pytest

from sidecar.domain.modes import Ceiling
from sidecar.policy.load import load as load_policies
from tests.benchmarks import load, scale
from tests.benchmarks.contestants import SUBJECTS, Arena
from tests.benchmarks.growing import Growth
from tests.benchmarks.memory import ENDED, GOALS, LIVE, LONG_USER_DAY, USER_DAY, Weight
from tests.benchmarks.rounds import open_loop
from tests.benchmarks.scaled import HALF, HOT, LIMITS, ONE, USERS, told
from tests.benchmarks.sizing import EXAMPLES, Cost, table


def test_each_growth_has_its_costs(capsys: pytest.CaptureFixture[str]) -> None:
    costs = scale.main(["--quick", "--only", "limits", "replicas"])

    shown = capsys.readouterr().out
    assert list(costs["limits"]) == ["3", "1", HALF]
    assert list(costs["replicas"]) == ["1", "2"]
    assert all(cost.redis_us > 0 for grown in costs.values() for cost in grown.values())
    assert all(f"| {what} | {to} |" in shown for what, grown in costs.items() for to in grown)


def test_what_a_core_of_redis_holds_follows_from_what_a_request_takes_of_it() -> None:
    costs = {
        LIMITS: {"3": Cost(100.0, 40.0), HALF: Cost(125.0, 50.0)},
        USERS: {"1,000": Cost(100.0, 40.0), ONE: Cost(90.0, 36.0), HOT: Cost(60.0, 9.0)},
    }

    shown = "\n".join(told(costs))

    # A run has two requests: half of a second is 4,000 times 125 µs, 10,000 times 50 µs.
    assert "one worker, busy for 50% of its time, serves 2,000 runs/s" in shown
    assert "one core of Redis, busy for 50%, counts 5,000 runs/s, as much as 2.5 such" in shown
    assert "12,500 at the very most" in shown
    assert "beyond 5,000 runs/s a Cluster is needed" in shown
    assert "36.0 µs of Redis a request, with leases 9.0: 4.0 times as many" in shown
    assert f"| {LIMITS} | {HALF} | 125 | 50.0 | 1.25 |" in shown


def test_each_installation_has_its_workers_and_its_memory() -> None:
    names = (*GOALS, LIVE, ENDED, USER_DAY, LONG_USER_DAY)
    weights = {name: Weight(1, 100.0) for name in names}

    _, _, *rows = table(weights, Cost(server_us=125.0, redis_us=50.0))

    assert len(rows) == len(EXAMPLES)
    assert rows[0].startswith("| 1 | 1,000 | 1 | 0.0001 | 300 kB | 66 kB | ")
    assert rows[3].startswith("| 1,000 | 1,000,000 | 1 | 0.1 | 300 MB | 66 MB | ")


def test_policies_grow_in_one_way_at_a_time(tmp_path: Path) -> None:
    def sizes(growth: Growth) -> tuple[int, int, int]:
        written = growth.written(tmp_path / f"{growth}")
        policies = load_policies(written, ceiling=Ceiling.RAISED)
        return len(policies.rules), len(policies.plans), len(policies.plans[0].limits)

    assert sizes(Growth()) == (20, 5, 3)
    assert sizes(Growth(rules=200)) == (200, 5, 3)
    assert sizes(Growth(plans=50)) == (20, 50, 3)
    assert sizes(Growth(limits=16)) == (20, 5, 16)


def test_a_million_subjects_have_what_one_has(tmp_path: Path) -> None:
    with Arena(tmp_path, subjects=1_000, program=()) as arena:
        server = arena.begin(SUBJECTS)
        assert server.redis is not None
        first, last = (
            {key.replace(load.name_of(user), "…") for key in server.redis.keys(f"*{name}*")}
            for user in (700, 950)
            for name in [load.name_of(user)]
        )

        assert first == last
        assert sum(":c:" in key for key in first) == 3
        assert sum(":sub:" in key for key in first) == 1
        assert server.told["bytes a subject"] > 500
        assert open_loop(server, 100, 0.5).calls == 1.0
