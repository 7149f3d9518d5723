"""What does a call cost Redis, beside a script that makes six commands and decides nothing?

The bare script has the keys of the reservations that ran just before it, in another app, and writes
all that stands there after each of them, even what that only changed in its place. It is sent by a
meter that does all else as ever: the longer a server waits for its next call, the colder are its
caches, and the more each costs. Both also run where every bucket of the windows is in use.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sidecar.adapters.redis.connection import Argument, RedisConnection, Reply, Script
from sidecar.adapters.redis.keys import app_prefix
from sidecar.adapters.redis.meter import RedisMeter
from sidecar.domain.request import Amounts
from sidecar.domain.windows import from_ms
from tests.benchmarks.observed import ObservedRedis
from tests.benchmarks.traffic import (
    APP,
    PATIENCE_S,
    THREE,
    Asked,
    Recorder,
    Sent,
    asked,
    connection_to,
    event,
)

OPERATIONS: Final = 4_000
OVERDUE: Final = 128
"""As many as one call ends."""

RESERVE: Final = "reserve under 3 limits"
BARE: Final = "bare script, 6 commands"
RESERVE_USED: Final = "reserve, 60 buckets in use"
BARE_USED: Final = "bare script, the same bytes"
LEAVING: Final = "reserve, a bucket leaves each time"
FINISH: Final = "final commit"
READ: Final = "read of 3 limits"
RECORD: Final = "record of one event"
REAP: Final = f"ending of {OVERDUE} overdue ones"
PAIRS: Final = ((RESERVE, BARE), (RESERVE_USED, BARE_USED))

_BARE: Final = Script("bare.lua", folder=Path(__file__).parent)
_IN_TURN: Final = 400
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
"""By what is called, one of each round or more."""


async def measure(url: str, redis: ObservedRedis, *, rounds: int, operations: int) -> Costs:
    """Every call in every round."""
    calls = _Calls(url, redis, operations)
    costs: Costs = {}
    for _ in range(rounds):
        for measured in (calls.settled, calls.in_use, calls.leaving, calls.overdue):
            for name, found in (await measured()).items():
                costs.setdefault(name, []).extend(found)
    redis.clear()
    return costs


@dataclass(frozen=True, slots=True)
class _Calls:
    url: str
    redis: ObservedRedis
    count: int

    async def settled(self) -> Costs:
        """Reservations in counters without use, and the other calls after them."""
        self.redis.clear()
        wanted = [asked(number, users=_USERS) for number in range(self.count)]
        used, now = Amounts(1_000, 750, 250), datetime.now(UTC)
        reserved, bare = await self._beside_bare(wanted)
        async with self._meter() as meter:
            finished = await self._cost(
                meter.commit(each.hold.reservation_id, used, final=True, since=time.monotonic())
                for each in wanted
            )
            read = await self._cost(
                meter.read(each.hold.request.subject, each.charges, since=time.monotonic())
                for each in wanted
            )
            events = [event(i, now, user=i % _USERS, limits=THREE) for i in range(self.count)]
            recorded = await self._cost(
                meter.record(APP, [each], since=time.monotonic()) for each in events
            )
        return {
            RESERVE: reserved, BARE: bare, FINISH: [finished], READ: [read], RECORD: [recorded],
        }  # fmt: skip

    async def in_use(self) -> Costs:
        """Reservations in counters whose windows have use in every bucket."""
        wanted = [asked(number, users=_USERS) for number in range(self.count)]
        async with self._meter() as meter:
            await self._use(meter, datetime.now(UTC))
        reserved, bare = await self._beside_bare(wanted)
        return {RESERVE_USED: reserved, BARE_USED: bare}

    async def leaving(self) -> Costs:
        """The same where each user comes once in a second: his oldest second has always gone."""
        begin_ms = now_ms = time.time_ns() // 1_000_000

        def calls(meter: RedisMeter) -> Iterator[Awaitable[object]]:
            nonlocal now_ms
            for number in range(self.count):
                now_ms = begin_ms + (number // _USERS + 1) * 1_000
                each = asked(number, users=_USERS)
                yield meter.reserve(each.hold, each.charges, since=time.monotonic())

        async with self._meter(lambda: now_ms) as meter:
            await self._use(meter, from_ms(begin_ms))
            return {LEAVING: [await self._cost(calls(meter))]}

    async def overdue(self) -> Costs:
        """One call that finds as many overdue reservations as it may end."""
        self.redis.clear()
        now_ms = time.time_ns() // 1_000_000
        expiries, wanted = f"{app_prefix(APP)}:x", [asked(number) for number in range(OVERDUE)]
        subject, charges = wanted[0].hold.request.subject, wanted[0].charges
        async with self._meter(lambda: now_ms) as meter:
            await self._reserved(meter, wanted)
            assert self.redis.ask("ZCARD", expiries) == OVERDUE
            now_ms += wanted[0].hold.request.ttl_s * 1_000
            cost = await self._cost([meter.read(subject, charges, since=time.monotonic())])
        assert self.redis.ask("ZCARD", expiries) == 0
        return {REAP: [cost]}

    async def _beside_bare(self, wanted: Sequence[Asked]) -> tuple[list[Cost], list[Cost]]:
        """Reservations and bare calls in turn, a few at a time: both meet the same noise."""
        recorder, instead = Recorder(self.url), _Bare(self.url)
        meter, same = RedisMeter(recorder), RedisMeter(instead)
        reserved, bare = list[Cost](), list[Cost]()
        await recorder.ready(since=time.monotonic())
        await instead.ready(since=time.monotonic())
        for begin in range(0, len(wanted), _IN_TURN):
            recorder.sent.clear()
            now = wanted[begin : begin + _IN_TURN]
            reserved.append(await self._reserved(meter, now))
            instead.given = {sent.keys[1]: (sent, self._written(sent)) for sent in recorder.sent}
            bare.append(await self._reserved(same, now))
        await recorder.close()
        await instead.close()
        return reserved, bare

    @asynccontextmanager
    async def _meter(self, now_ms: Callable[[], int] | None = None) -> AsyncIterator[RedisMeter]:
        connection = connection_to(self.url)
        await connection.ready(since=time.monotonic())
        try:
            yield RedisMeter(connection, now_ms=now_ms)
        finally:
            await connection.close()

    async def _reserved(self, meter: RedisMeter, wanted: Sequence[Asked]) -> Cost:
        return await self._cost(
            meter.reserve(each.hold, each.charges, since=time.monotonic()) for each in wanted
        )

    async def _use(self, meter: RedisMeter, now: datetime) -> None:
        """Use every bucket of each user's windows."""
        self.redis.clear()
        for user in range(_USERS):
            past = [
                event(user * len(_PAST) + i, now - age, user=user, limits=THREE)
                for i, age in enumerate(_PAST)
            ]
            await meter.record(APP, past, since=time.monotonic())

    def _written(self, sent: Sent) -> list[bytes]:
        """What stands under a reservation, then under each of its counters."""
        record, *counters = self.redis.values(sent.keys[1], *sent.keys[3:])
        written = [value for value in (record, *counters) if value]
        assert len(written) == 4, written
        return written

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


class _Bare(RedisConnection):
    """Runs the bare script in place of the meter's, and says what that has said.

    Attributes:
        given: what was sent under the place of a reservation, and what is to be written.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout_s=PATIENCE_S, scripts=(_BARE,))
        self.given: dict[str, tuple[Sent, list[bytes]]] = {}

    async def run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument], *, since: float
    ) -> Reply:
        """The reply of the meter's script."""
        sent, written = self.given[keys[1]]
        assert script is sent.script
        await super().run(_BARE, _of_bare_app(sent), written, since=since)
        return sent.reply


def _of_bare_app(sent: Sent) -> list[str]:
    """The keys of another app, as long as those of a reservation."""
    return [key.replace(app_prefix(APP), app_prefix("bare")) for key in sent.keys]
