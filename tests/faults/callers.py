"""Callers who ask until they are answered, and a ledger of what must have been counted."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeVar

from sidecar.adapters.redis.connection import RedisConnection
from sidecar.adapters.redis.meter import SCRIPTS, RedisMeter
from sidecar.domain.limits import Dimension
from sidecar.domain.request import Amounts, MeterKind
from sidecar.domain.windows import Fixed
from sidecar.errors import MeterUnavailable
from tests.contract.stores import PATIENCE_S, ManualClock, World, limit, seconds

T = TypeVar("T")

USERS: Final = 5
PLENTY: Final = 10**12
EVER = limit(PLENTY, Fixed.LIFETIME, name="ever")
HOUR = limit(PLENTY, seconds(3_600), name="hour")
REQUESTS = limit(PLENTY, Fixed.MONTH, MeterKind.REQUESTS, name="requests")
OF_THE_APP = limit(PLENTY, Fixed.LIFETIME, name="of-the-app", per=(Dimension.APP,))
LIMITS: Final = (EVER, HOUR, REQUESTS, OF_THE_APP)


@asynccontextmanager
async def meter_at(url: str, clock: ManualClock, timeout_s: float) -> AsyncIterator[RedisMeter]:
    """A meter whose calls wait so long, over a connection of its own."""
    connection = RedisConnection(url, timeout_s=timeout_s, scripts=SCRIPTS)
    try:
        yield RedisMeter(connection, now_ms=clock.now_ms)
    finally:
        await connection.close()


class Attempt(NamedTuple):
    """One call, in seconds of the monotonic clock."""

    began: float
    ended: float
    is_answered: bool


async def soon(ask: Callable[[], Awaitable[object]]) -> float:
    """Ask until there is an answer; how many seconds that took."""
    began = time.monotonic()
    while True:
        try:
            await ask()
        except MeterUnavailable:
            assert time.monotonic() - began < PATIENCE_S
            await asyncio.sleep(0.001)
        else:
            return time.monotonic() - began


@dataclass(slots=True)
class Ledger:
    """What each user must have been charged, whatever happened on the way."""

    tokens: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    attempts: list[Attempt] = field(default_factory=list)
    operations: int = 0

    @property
    def again(self) -> int:
        """Calls that had no answer, and were made again."""
        return len(self.attempts) - self.operations

    async def insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer: the same call again is harmless."""
        while True:
            began = time.monotonic()
            try:
                answer = await ask()
            except MeterUnavailable:
                self.attempts.append(Attempt(began, time.monotonic(), is_answered=False))
                # It may have failed without waiting for anything.
                await asyncio.sleep(0.001)
            else:
                self.attempts.append(Attempt(began, time.monotonic(), is_answered=True))
                self.operations += 1
                return answer

    async def differences(self, world: World) -> dict[str, object]:
        """What counters and reports hold beside what they should, where it is not the same."""
        wrong: dict[str, object] = {}
        for user in sorted(self.tokens | self.requests):
            of_user = world.of(world.app, user)
            levels = await of_user.levels(EVER, HOUR, REQUESTS)
            reported = [row.used for row in await of_user.usage(user)]
            tokens, requests = self.tokens[user], self.requests[user]
            if levels != [(tokens, 0), (tokens, 0), (requests, 0)]:
                wrong[user] = (levels, tokens, requests)
            if reported != [Amounts(tokens, requests=requests)]:
                wrong[f"reports of {user}"] = (reported, tokens, requests)
        (of_app,) = await world.levels(OF_THE_APP)
        if of_app != (self.tokens.total(), 0):
            wrong["app"] = (of_app, self.tokens.total())
        return wrong


class Callers:
    """Reservations from their making to their end, and events, of several users at once."""

    def __init__(self, world: World, *, seed: int = 1) -> None:
        self._world = world
        self._dice = random.Random(seed)
        self.ledger = Ledger()

    async def run(self, operations: int, together: int = 16) -> None:
        """Make so many calls, so many at a time."""
        await self.run_while(lambda: self.ledger.operations < operations, together)

    async def run_while(self, goes_on: Callable[[], bool], together: int = 16) -> None:
        """Make calls, so many at a time."""

        async def call() -> None:
            while goes_on():
                await self.lead()

        async with asyncio.TaskGroup() as group:
            for _ in range(together):
                group.create_task(call())

    async def lead(self) -> None:
        """One reservation or one event."""
        world = self._world.of(self._world.app, f"user-{self._dice.randrange(USERS)}")
        if self._dice.random() < 0.25:
            await self._report(world)
        else:
            await self._spend(world)

    async def _report(self, world: World) -> None:
        events = [
            world.event(*LIMITS, tokens=self._dice.randint(1, 100))
            for _ in range(self._dice.randint(1, 3))
        ]
        tally = await self.ledger.insist(lambda: world.record(*events))
        assert tally.accepted + tally.duplicates == len(events)
        self.ledger.tokens[world.user] += sum(event.event.used.tokens for event in events)
        self.ledger.requests[world.user] += len(events)

    async def _spend(self, world: World) -> None:
        dice, insist = self._dice, self.ledger.insist
        held = dice.randint(1, 100)
        request_id = f"request-{next(world.names)}" if dice.random() < 0.5 else ""
        hold = world.hold(held, ttl_s=600, request_id=request_id)
        name = hold.reservation_id
        metering = await insist(lambda: world.make(hold, *LIMITS))
        assert metering.reservation is not None
        assert (metering.reservation.id, metering.decision_id) == (name, hold.decision_id)
        assert metering.reservation.tokens == held
        if dice.random() < 0.3:
            held += await self._extend(world, name, dice.choice((1, 1, 2, 3)))
        used, has_told = 0, dice.random() < 0.3
        if has_told:
            used = dice.randint(0, held)
            settled = await insist(lambda: world.commit(name, used, final=False))
            assert settled.reservation_id == name
        if dice.random() < 0.2:
            await insist(lambda: world.release(name))
            self.ledger.requests[world.user] += has_told
        else:
            total = dice.randint(used, 2 * held)
            await insist(lambda: world.commit(name, total))
            used = total
            self.ledger.requests[world.user] += 1
        self.ledger.tokens[world.user] += used

    async def _extend(self, world: World, name: str, times: int) -> int:
        """Hold more, several times at once; the units in all."""

        async def extend(more: int) -> None:
            decision = f"more_{next(world.names)}"
            extended = await self.ledger.insist(
                lambda: world.extend(
                    name, EVER, HOUR, OF_THE_APP, tokens=more, ttl_s=900, decision_id=decision
                )
            )
            assert extended.reservation is not None
            assert (extended.reservation.id, extended.decision_id) == (name, decision)

        units = [self._dice.randint(1, 100) for _ in range(times)]
        await asyncio.gather(*map(extend, units))
        return sum(units)
