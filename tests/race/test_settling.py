"""Ten thousand reservations that are settled, forgotten, late or settled twice leak nothing."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import pytest

from sidecar.domain.windows import Fixed
from sidecar.errors import ReservationEnded
from tests.contract.stores import ManualClock, World, limit, redis_meter, seconds, sqlite_meter
from tests.processes import redis_server

RESERVATIONS: Final = 10_000
TOGETHER: Final = 250
USERS: Final = 20
LIMITS = (
    limit(10**9, seconds(60), name="minute"),
    limit(10**9, Fixed.LIFETIME, name="ever"),
)


@pytest.fixture(params=["redis", "sqlite"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    clock = ManualClock()
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            meter = await stack.enter_async_context(sqlite_meter(tmp_path / "s.db", clock))
            yield World(meter, clock)
        else:
            server = stack.enter_context(redis_server(tmp_path))
            yield World(await stack.enter_async_context(redis_meter(server.url, clock)), clock)


class Callers:
    """Callers of whom some crash, some are late, and some tell their end twice."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._random = random.Random(5)
        self._late: list[tuple[World, str, int]] = []
        self.charged: Counter[str] = Counter()
        self.fates: Counter[str] = Counter()

    async def reserve_and_settle(self) -> None:
        """One reservation, whatever becomes of it."""
        world = self._world.of("app", f"user-{self._random.randrange(USERS)}")
        held = self._random.randint(0, 500)
        used = self._random.choice((held, self._random.randint(0, held), held + 50))
        fate = self._random.choice(("crash", "late", "commit", "double", "release", "parts"))
        ttl_s = self._random.choice((1, 5, 20))
        self.fates[fate] += 1
        name = await world.held(*LIMITS, tokens=held, ttl_s=ttl_s)
        match fate:
            case "crash":
                return
            case "late":
                self._late.append((world, name, used))
                return
            case "release":
                await world.release(name)
                return
            case "parts":
                # It crashes after it told a part.
                await world.commit(name, used // 2, final=False)
                used //= 2
            case "double":
                await asyncio.gather(world.commit(name, used), world.commit(name, used))
            case _:
                await world.commit(name, used)
        self.charged[world.user] += used

    async def come_late(self) -> None:
        """Commit what expired, each twice; some are released, which is too late to matter."""
        late, self._late = self._late, []
        await asyncio.gather(*(self._commit_late(*each) for each in late))

    async def _commit_late(self, world: World, name: str, used: int) -> None:
        await asyncio.gather(world.commit(name, used), world.commit(name, used))
        with pytest.raises(ReservationEnded):
            await world.release(name)
        self.charged[world.user] += used


async def test_nothing_stays_held_and_what_was_committed_is_what_was_used(world: World) -> None:
    callers = Callers(world)
    for _ in range(RESERVATIONS // TOGETHER):
        await asyncio.gather(*(callers.reserve_and_settle() for _ in range(TOGETHER)))
        world.clock.advance(milliseconds=400)
    world.clock.advance(seconds=20)
    # The first that looks ends all that is overdue.
    assert await world.of("app").level(LIMITS[0]) == (0, 0)
    levels = [await world.of("app", user).levels(*LIMITS) for user in callers.charged]
    assert {held for level in levels for _, held in level} == {0}
    await callers.come_late()
    levels = [await world.of("app", user).levels(*LIMITS) for user in callers.charged]
    assert {held for level in levels for _, held in level} == {0}
    # All of it happened within the minute and late commits count where they were held.
    for (_, (ever, _)), user in zip(levels, callers.charged, strict=True):
        assert ever == callers.charged[user]
    assert min(callers.fates.values()) > 1_000
