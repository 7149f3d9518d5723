"""A store's clock that is set back, or jumps to and fro, lets nobody have more than a limit."""

import random
from datetime import timedelta

import pytest

from sidecar.domain.windows import Fixed, Window
from tests.contract.stores import START, ManualClock, World, limit, seconds

MOST = 50
MINUTE_MS = 60_000


async def admitted(world: World, window: Window, times: int = 80) -> int:
    """How many of so many requests are let through, and use their units."""
    tight, through = limit(MOST, window), 0
    for _ in range(times):
        made = await world.reserve(tight, tokens=1)
        if made.reservation is not None:
            through += 1
            await world.commit(made.reservation.id, 1)
    return through


@pytest.mark.parametrize(
    ("window", "back"),
    [
        (seconds(60), 1), (seconds(60), 60), (seconds(60), 3_600),
        (Fixed.HOUR, 60), (Fixed.DAY, 60), (Fixed.DAY, 3_600),
    ],
    ids=str,
)  # fmt: skip
async def test_a_clock_that_is_set_back_lets_no_more_through(
    window: Window, back: int, world: World, clock: ManualClock
) -> None:
    clock.advance(minutes=30)
    assert await admitted(world, window) == MOST
    clock.advance(seconds=-back)
    assert await admitted(world, window, 20) == 0
    clock.advance(seconds=back)
    assert await admitted(world, window, 20) == 0


async def test_a_clock_that_jumps_to_and_fro_opens_one_window_for_each_minute_it_saw(
    world: World, clock: ManualClock
) -> None:
    assert await admitted(world, seconds(60)) == MOST
    clock.set(START + timedelta(seconds=61))
    assert await admitted(world, seconds(60)) == MOST
    for offset in (0, 61, -60, 30, 61):
        clock.set(START + timedelta(seconds=offset))
        assert await admitted(world, seconds(60), 20) == 0


@pytest.mark.parametrize("seed", range(5))
async def test_however_a_clock_is_stepped_a_minute_holds_one_limit(
    seed: int, world: World, clock: ManualClock
) -> None:
    chance = random.Random(seed)
    first = latest = clock.ms
    through = await admitted(world, seconds(60), 10)
    for _ in range(60):
        clock.advance(seconds=chance.choice((-60, -30, -1, 0, 0.5, 1, 10, 30, 60)))
        latest = max(latest, clock.ms)
        through += await admitted(world, seconds(60), chance.randrange(1, 30))
        assert through <= MOST * (1 + (latest - first) // MINUTE_MS)
