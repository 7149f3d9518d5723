"""A master dies under load: for some seconds calls fail in time, then all is as it was."""

from pathlib import Path

import pytest

from tests.failover.drill import REQUEST_S, Drill, Kind, is_kept, run_drill


@pytest.mark.parametrize(
    "drill",
    [
        Drill(Kind.SENTINEL, calls=1_000, replicas=2, wait_replicas=1),
        Drill(Kind.CLUSTER, calls=1_000),
    ],
    ids=["sentinel", "cluster"],
)
def test_a_master_that_dies_under_load_is_replaced_within_five_seconds(
    drill: Drill, tmp_path: Path
) -> None:
    figures = run_drill(drill, tmp_path)

    assert is_kept(drill, figures), figures
    # It was noticed, and nobody hung meanwhile.
    assert figures.failed > 0
    assert figures.degraded_s > 0.5
    assert figures.slowest_s < REQUEST_S + 0.5
    assert figures.answered > 1_000
