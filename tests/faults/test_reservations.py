"""Runs crash, come late, tell their end twice or two ends: nothing stays held."""

from pathlib import Path

from tests.faults.reservations import FATES, settle
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
