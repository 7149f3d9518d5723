"""The short form of `make storm`: fewer clients of every kind."""

from pathlib import Path

from tests.clients.storm import PATIENCE_S, weather

SLOW = 100
NOISE_S = 0.1
"""What a machine that is busy with other tests may add to the slowest answers."""


async def test_who_behaves_is_answered_beside_those_who_do_not(tmp_path: Path) -> None:
    found = await weather(tmp_path, leaving=1_000, slow=SLOW, seconds=6, rate=100, turns=2)

    assert found.calm.failed == []
    assert found.storm.failed == []
    assert found.storm.quantile(0.99) <= 3 * found.calm.quantile(0.99) + NOISE_S
    assert sum(told.left for told in found.told) == 1_000
    assert all(told.refused == 0 for told in found.told)
    # The slow ones were borne for so long, and cut off, and nothing is left of them.
    assert all(told.slow_cut >= SLOW for told in found.told)
    assert all(told.slow_longest_s < PATIENCE_S + 3 for told in found.told)
    assert found.connections_left <= 0
    assert "Traceback" not in found.errors
