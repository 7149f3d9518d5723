"""What becomes of everybody else when callers go away in the middle of a call?"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.domain.windows import Fixed
from tests.contract.stores import PATIENCE_S, ManualClock, World, limit
from tests.faults.callers import EVER, HOUR, PLENTY, meter_at
from tests.faults.proxy import FaultProxy
from tests.faults.server import callers_of, redis_node, url_of
from tests.faults.weather import Faults

TOGETHER: Final = 500
READERS: Final = 20
STAYING: Final = 0.3
TTL_S: Final = 60
KNOWN = limit(PLENTY, Fixed.LIFETIME, name="known")
WAY: Final = Faults(commands_late_ms=2, replies_late_ms=3)


@dataclass(frozen=True, slots=True)
class Cancellations:
    """What came of it.

    Attributes:
        cancelled: callers that went away before they had all their answers.
        answered: answers that were looked at, each of which names its caller.
        crossed: of them, those that were somebody else's.
        reconnections: that were made while they came and went.
        left_open: connections after all, more than there were before.
        held_before, held: units held when all had gone, and after expiry and one call.
        used, told: units in the counter, and in the ledger.
    """

    cancelled: int
    answered: int
    crossed: int
    reconnections: int
    left_open: int
    held_before: int
    held: int
    used: int
    told: int
    seconds: float


class Crowd:
    """Callers of whom each asks for something that only he can have asked for."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._dice = random.Random(seed)
        self._unsure: list[tuple[World, str, int]] = []
        self.tally: Counter[str] = Counter()
        self.told = 0

    async def prepare(self) -> None:
        """Let every reader have a number of his own to read."""
        for number in range(READERS):
            await self._reader(number).use(KNOWN, tokens=self._known(number))

    async def come_and_go(self, cancelled: int) -> None:
        """Let callers come until so many have gone too early."""
        while self.tally["cancelled"] < cancelled:
            callers = [asyncio.create_task(self._call()) for _ in range(TOGETHER)]
            for caller in callers:
                if self._dice.random() >= STAYING:
                    self._send_away(caller)
            await asyncio.wait(callers)
            for caller in callers:
                if caller.cancelled():
                    self.tally["cancelled"] += 1
                else:
                    caller.result()

    async def make_sure(self) -> None:
        """Ask again what the callers were told who went away while they committed."""
        for world, name, used in self._unsure:
            await world.commit(name, used)
            self.told += used

    def _send_away(self, caller: asyncio.Task[None]) -> None:
        """Cancel a caller after so many turns of the loop, or after so long."""
        loop = asyncio.get_running_loop()
        if self._dice.random() < 0.5:
            loop.call_later(self._dice.uniform(0, 0.04), caller.cancel)
        else:
            _after_turns(self._dice.randrange(8), caller.cancel)

    async def _call(self) -> None:
        if self._dice.random() < 0.5:
            await self._read()
        else:
            await self._spend()

    async def _read(self) -> None:
        number = self._dice.randrange(READERS)
        level = await self._reader(number).level(KNOWN)
        self._look(level == (self._known(number), 0))

    async def _spend(self) -> None:
        world = self._world.of(self._world.app, "spender")
        units = self._dice.randint(1, 10**6)
        hold = world.hold(units, ttl_s=TTL_S)
        name = hold.reservation_id
        metering = await world.make(hold, EVER, HOUR)
        reservation = metering.reservation
        mine = (name, units, hold.decision_id)
        self._look(
            reservation is not None
            and (reservation.id, reservation.tokens, metering.decision_id) == mine
        )
        if self._dice.random() < 0.2:
            # It crashes.
            return
        used = self._dice.randint(0, units)
        try:
            settled = await world.commit(name, used)
        except asyncio.CancelledError:
            self._unsure.append((world, name, used))
            raise
        self._look((settled.reservation_id, settled.tokens) == (name, units))
        self.told += used

    def _look(self, is_mine: bool) -> None:
        self.tally["answered"] += 1
        self.tally["crossed"] += not is_mine

    def _reader(self, number: int) -> World:
        return self._world.of(self._world.app, f"reader-{number}")

    def _known(self, number: int) -> int:
        return 1_000 + number


def _after_turns(turns: int, act: Callable[[], object]) -> None:
    loop = asyncio.get_running_loop()
    if turns:
        loop.call_soon(_after_turns, turns - 1, act)
    else:
        loop.call_soon(act)


async def cancel_callers(folder: Path, cancelled: int, *, seed: int = 1) -> Cancellations:
    """Let so many callers go away at any moment while others stay, on a slow way."""
    clock, began = ManualClock(), time.monotonic()
    with redis_node(folder) as node, FaultProxy(url_of(node)) as proxy:
        async with meter_at(proxy.url, clock, PATIENCE_S) as meter:
            world = World(meter, clock)
            crowd = Crowd(world, seed)
            await crowd.prepare()
            before, made = callers_of(node), proxy.seen.connections
            proxy.inject(WAY)
            await crowd.come_and_go(cancelled)
            await crowd.make_sure()
            left_open = callers_of(node) - before
            reconnections = proxy.seen.connections - made
            spender = world.of(world.app, "spender")
            _, held_before = await spender.level(EVER)
            clock.advance(seconds=TTL_S)
            used, held = await spender.level(EVER)
        return Cancellations(
            crowd.tally["cancelled"], crowd.tally["answered"], crowd.tally["crossed"],
            reconnections, left_open, held_before, held, used, crowd.told,
            time.monotonic() - began,
        )  # fmt: skip
