"""What does a call cost Redis, beside a script that makes six commands and decides nothing?

The bare script has the keys and writes the bytes of the reservations that ran just before it.
Both also run where every bucket of the sliding windows is in use.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sidecar.adapters.redis.connection import Script
from sidecar.adapters.redis.keys import app_prefix
from sidecar.adapters.redis.meter import RedisMeter
from sidecar.domain.request import Amounts
from tests.benchmarks.observed import ObservedRedis
from tests.benchmarks.traffic import (
    APP,
    THREE,
    Asked,
    Recorder,
    Sent,
    asked,
    connection_to,
    event,
)

OPERATIONS: Final = 4_000
OVERDUE: Final = 256
"""As many as one call ends."""

RESERVE: Final = "reserve under 3 limits"
BARE: Final = "bare script, 6 commands"
RESERVE_USED: Final = "reserve, 60 buckets in use"
BARE_USED: Final = "bare script, the same bytes"
FINISH: Final = "final commit"
READ: Final = "read of 3 limits"
RECORD: Final = "record of one event"
REAP: Final = f"ending of {OVERDUE} overdue ones"
PAIRS: Final = ((RESERVE, BARE), (RESERVE_USED, BARE_USED))

_BARE: Final = Script("bare.lua", folder=Path(__file__).parent)
_AT_ONCE: Final = 64
_USERS: Final = 100
_PAST: Final = (
    *(timedelta(minutes=60 - i) for i in range(60)),
    *(timedelta(seconds=60 - i) for i in range(61)),
)
"""How long ago something was used: in every bucket of a minute and of an hour."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call costs the server.

    Attributes:
        script_us: time in the script.
        whole_us: CPU in all, of reading commands and writing replies too.
        commands: that the script makes.
    """

    script_us: float
    whole_us: float
    commands: float


Costs = dict[str, list[Cost]]
"""By what is called, one of each round."""


async def measure(url: str, redis: ObservedRedis, *, rounds: int, operations: int) -> Costs:
    """Every call in every round."""
    calls = _Calls(url, redis, operations)
    costs: Costs = {}
    for _ in range(rounds):
        found = await calls.settled() | await calls.in_use() | await calls.overdue()
        for name, cost in found.items():
            costs.setdefault(name, []).append(cost)
    redis.clear()
    return costs


@dataclass(frozen=True, slots=True)
class _Calls:
    url: str
    redis: ObservedRedis
    count: int

    async def settled(self) -> dict[str, Cost]:
        """Reservations in counters without use, and the other calls after them."""
        self.redis.clear()
        wanted = [asked(number, users=_USERS) for number in range(self.count)]
        recorder = Recorder(self.url)
        await recorder.ready(since=time.monotonic())
        meter = RedisMeter(recorder)
        found = {RESERVE: await self._reserved(meter, wanted)}
        sent = tuple(recorder.sent)
        written = self._written(sent[-1])
        used = Amounts(1_000, 750, 250)
        found[FINISH] = await self._cost(
            meter.commit(each.hold.reservation_id, used, final=True, since=time.monotonic())
            for each in wanted
        )
        found[READ] = await self._cost(
            meter.read(each.hold.request.subject, each.charges, since=time.monotonic())
            for each in wanted
        )
        now = datetime.now(UTC)
        events = [event(i, now, user=i % _USERS, limits=THREE) for i in range(self.count)]
        found[RECORD] = await self._cost(
            meter.record(APP, [each], since=time.monotonic()) for each in events
        )
        await recorder.close()
        found[BARE] = await self._bare(sent, written)
        return found

    async def in_use(self) -> dict[str, Cost]:
        """Reservations in counters whose windows have use in every bucket."""
        self.redis.clear()
        recorder = Recorder(self.url)
        meter, now = RedisMeter(recorder), datetime.now(UTC)
        for user in range(_USERS):
            past = [
                event(user * len(_PAST) + i, now - age, user=user, limits=THREE)
                for i, age in enumerate(_PAST)
            ]
            await meter.record(APP, past, since=time.monotonic())
        recorder.sent.clear()
        wanted = [asked(number, users=_USERS) for number in range(self.count)]
        found = {RESERVE_USED: await self._reserved(meter, wanted)}
        await recorder.close()
        written = self._written(recorder.sent[-1])
        found[BARE_USED] = await self._bare(recorder.sent, written)
        return found

    async def overdue(self) -> dict[str, Cost]:
        """One call that finds as many overdue reservations as it may end."""
        self.redis.clear()
        connection, now_ms = connection_to(self.url), time.time_ns() // 1_000_000
        wanted = [asked(number) for number in range(OVERDUE)]
        held = RedisMeter(connection, now_ms=lambda: now_ms)
        await self._reserved(held, wanted)
        expiries, first = f"{app_prefix(APP)}:x", wanted[0]
        assert self.redis.ask("ZCARD", expiries) == OVERDUE
        later = RedisMeter(connection, now_ms=lambda: now_ms + first.hold.request.ttl_s * 1_000)
        cost = await self._cost(
            [later.read(first.hold.request.subject, first.charges, since=time.monotonic())]
        )
        assert self.redis.ask("ZCARD", expiries) == 0
        await connection.close()
        return {REAP: cost}

    async def _reserved(self, meter: RedisMeter, wanted: Sequence[Asked]) -> Cost:
        return await self._cost(
            meter.reserve(each.hold, each.charges, since=time.monotonic()) for each in wanted
        )

    def _written(self, sent: Sent) -> tuple[str, ...]:
        """What stands under a reservation, then under each of its counters."""
        values = self.redis.ask("MGET", *sent.keys)
        assert all(values[i] for i in (1, 3, 4, 5)), values
        return values[1], *values[3:]

    async def _bare(self, sent: Sequence[Sent], written: Sequence[str]) -> Cost:
        self.redis.clear()
        connection = connection_to(self.url, _BARE)
        await connection.ready(since=time.monotonic())
        cost = await self._cost(
            connection.run(_BARE, each.keys, written, since=time.monotonic()) for each in sent
        )
        await connection.close()
        return cost

    async def _cost(self, calls: Iterable[Awaitable[object]]) -> Cost:
        waiting = iter(calls)

        async def call() -> int:
            made = 0
            for each in waiting:
                await each
                made += 1
            return made

        self.redis.forget_calls()
        cpu_s = self.redis.cpu_s
        made_in_all = sum(await asyncio.gather(*(call() for _ in range(_AT_ONCE))))
        cpu_s = self.redis.cpu_s - cpu_s
        scripts, script_us = self.redis.scripts
        assert scripts == made_in_all, (scripts, made_in_all)
        return Cost(script_us / scripts, cpu_s / scripts * 1e6, self.redis.calls / scripts)
