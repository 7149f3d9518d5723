"""A short form of the other one: what grows has its costs, and is what it says."""

from pathlib import Path

import pytest

from sidecar.domain.modes import Ceiling
from sidecar.policy.load import load as load_policies
from tests.benchmarks import load, scale
from tests.benchmarks.contestants import SUBJECTS, Arena
from tests.benchmarks.growing import Growth
from tests.benchmarks.rounds import open_loop
from tests.benchmarks.scaled import HALF
from tests.benchmarks.sizing import EXAMPLES


def test_each_growth_has_its_costs_and_installations_their_sizes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    costs = scale.main(["--quick", "--only", "limits", "replicas", "sizing"])

    shown = capsys.readouterr().out
    assert list(costs["limits"]) == ["3", "1", HALF]
    assert list(costs["replicas"]) == ["1", "2"]
    assert all(cost.redis_us > 0 for grown in costs.values() for cost in grown.values())
    assert all(f"| {each.rate:,g} | {each.users:,} |" in shown for each in EXAMPLES)


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
    with Arena(tmp_path, subjects=1_000) as arena:
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
