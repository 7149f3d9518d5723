"""Is anything left of reservations whose runs crash, come late or tell their end twice?"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.domain.limits import Dimension
from sidecar.domain.request import MeterKind
from sidecar.domain.windows import Fixed
from sidecar.errors import ReservationEnded
from tests.contract.stores import PATIENCE_S, ManualClock, World, limit
from tests.faults.callers import EVER, HOUR, OF_THE_APP, PLENTY, Ledger, meter_at
from tests.faults.proxy import FaultProxy
from tests.faults.server import redis_node, url_of
from tests.faults.weather import Faults

TOGETHER: Final = 250
USERS: Final = 20
RUNNING = limit(PLENTY, Fixed.LIFETIME, MeterKind.CONCURRENCY, name="running", per=(Dimension.APP,))
LIMITS: Final = (EVER, HOUR, OF_THE_APP, RUNNING)
TTLS_S: Final = (1, 5, 20)
FATES: Final = (
    "crash", "crash after a part", "late", "late twice", "commit", "commit twice",
    "release", "release twice", "release after commit", "commit after release",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of it.

    Attributes:
        fates: how many met which end.
        lost: replies that were lost on the way.
        held: units and runs held by all after expiry and one call, by whom if by anybody.
        differences: users whose counters are not what the ledger says.
        wrong: ends that were let pass, though the reservation had another.
    """

    reservations: int
    fates: Counter[str]
    lost: int
    held: tuple[int, int]
    differences: dict[str, object]
    wrong: int
    seconds: float


class Runs:
    """Runs of which some crash, some are late, and some tell their end twice or two of them."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._dice = random.Random(seed)
        self._late: list[tuple[World, str, int, int]] = []
        self.ledger = Ledger()
        self.fates: Counter[str] = Counter()
        self.wrong = 0

    async def begin(self, reservations: int) -> None:
        """Let so many runs begin, and end as they may, a crowd at a time."""
        while self.fates.total() < reservations:
            async with asyncio.TaskGroup() as group:
                for _ in range(TOGETHER):
                    group.create_task(self._run())
            self._world.clock.advance(milliseconds=100)

    async def held_after_expiry(self) -> tuple[int, int]:
        """Units and runs that are held by all when everything has expired and one call came."""
        self._world.clock.advance(seconds=max(TTLS_S))
        (_, units), (_, running) = await self._world.levels(OF_THE_APP, RUNNING)
        return units, running

    async def come_late(self) -> None:
        """Commit what expired long ago."""
        while self._late:
            late, self._late = self._late[:TOGETHER], self._late[TOGETHER:]
            async with asyncio.TaskGroup() as group:
                for world, name, used, times in late:
                    group.create_task(self._commit(world, name, used, times))

    async def differences(self) -> dict[str, object]:
        """Whose counters are not what the ledger says."""
        wrong: dict[str, object] = {}
        for user, used in sorted(self.ledger.tokens.items()):
            levels = await self._world.of(self._world.app, user).levels(EVER, HOUR)
            if levels != [(used, 0), (used, 0)]:
                wrong[user] = (levels, used)
        levels = await self._world.levels(OF_THE_APP, RUNNING)
        if levels != [(self.ledger.tokens.total(), 0), (0, 0)]:
            wrong["all"] = (levels, self.ledger.tokens.total())
        return wrong

    async def _run(self) -> None:
        fate = self._dice.choice(FATES)
        self.fates[fate] += 1
        world = self._world.of(self._world.app, f"user-{self._dice.randrange(USERS)}")
        held = self._dice.randint(0, 500)
        used = self._dice.choice((held, self._dice.randint(0, held), held + 50))
        hold = world.hold(held, ttl_s=self._dice.choice(TTLS_S))
        name, times = hold.reservation_id, 1 + fate.endswith("twice")
        await self.ledger.insist(lambda: world.make(hold, *LIMITS))
        match fate.split():
            case ["crash"]:
                pass
            case ["crash", *_]:
                await self.ledger.insist(lambda: world.commit(name, used, final=False))
                self.ledger.tokens[world.user] += used
            case ["late", *_]:
                self._late.append((world, name, used, times))
            case ["release", "after", _]:
                await self._commit(world, name, used)
                await self._must_fail(lambda: world.release(name))
            case ["release", *_]:
                await self._release(world, name, times)
            case ["commit", "after", _]:
                await self._release(world, name)
                await self._must_fail(lambda: world.commit(name, used))
            case _:
                await self._commit(world, name, used, times)

    async def _commit(self, world: World, name: str, used: int, times: int = 1) -> None:
        calls = (self.ledger.insist(lambda: world.commit(name, used)) for _ in range(times))
        await asyncio.gather(*calls)
        self.ledger.tokens[world.user] += used

    async def _release(self, world: World, name: str, times: int = 1) -> None:
        calls = (self.ledger.insist(lambda: world.release(name)) for _ in range(times))
        await asyncio.gather(*calls)

    async def _must_fail(self, ask: Callable[[], Awaitable[object]]) -> None:
        try:
            await self.ledger.insist(ask)
        except ReservationEnded:
            return
        self.wrong += 1


async def settle(folder: Path, reservations: int, faults: Faults, *, seed: int = 1) -> Settled:
    """Let so many runs begin, on a way with these faults, and see what is left of them."""
    clock, began = ManualClock(), time.monotonic()
    with redis_node(folder) as node, FaultProxy(url_of(node), seed=seed) as proxy:
        proxy.inject(faults)
        async with meter_at(proxy.url, clock, PATIENCE_S) as meter:
            runs = Runs(World(meter, clock), seed)
            await runs.begin(reservations)
            proxy.heal()
            held = await runs.held_after_expiry()
            proxy.inject(faults)
            await runs.come_late()
            proxy.heal()
            differences = await runs.differences()
        return Settled(
            runs.fates.total(), runs.fates, proxy.seen.dropped, held, differences,
            runs.wrong, time.monotonic() - began,
        )  # fmt: skip
