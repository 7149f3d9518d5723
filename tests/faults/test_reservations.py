"""Runs crash, come late, tell their end twice or two ends: nothing stays held."""

from pathlib import Path

from tests.contract.stores import ManualClock, World, sqlite_meter
from tests.faults.reservations import FATES, Runs, settle
from tests.faults.weather import Faults

RESERVATIONS = 5_000


async def test_nothing_stays_held_and_what_was_committed_is_what_was_used(tmp_path: Path) -> None:
    """One reply in two hundred is lost beside."""
    figures = await settle(tmp_path, RESERVATIONS, Faults(drop_share=0.005))
    assert figures.reservations >= RESERVATIONS
    assert set(figures.fates) == set(FATES)
    assert figures.lost >= 10
    assert figures.wrong == 0
    assert figures.held == (0, 0)
    assert figures.differences == {}


async def test_nothing_stays_held_in_sqlite_either(tmp_path: Path) -> None:
    clock = ManualClock()
    async with sqlite_meter(tmp_path / "s.db", clock) as meter:
        runs = Runs(World(meter, clock), seed=5)
        await runs.begin(RESERVATIONS)
        assert await runs.held_after_expiry() == (0, 0)
        await runs.come_late()
        assert await runs.differences() == {}
    assert set(runs.fates) == set(FATES)
    assert runs.wrong == 0
