"""How many bytes of Redis does each thing take that the meter keeps?

What the server's memory grew by, for each of many: keys, values, expiries and the tables that
hold them. Beside it what Redis says of one key alone, where a thing is one key.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from sidecar.adapters.redis.keys import app_prefix
from sidecar.adapters.redis.meter import RedisMeter
from sidecar.domain.grants import Grant
from sidecar.domain.limits import Limit
from sidecar.domain.request import Amounts, MeterKind
from sidecar.domain.windows import add_months
from tests.benchmarks.observed import ObservedRedis
from tests.benchmarks.traffic import (
    APP,
    HOUR,
    MONTH,
    USERS,
    asked,
    connection_to,
    event,
    limit,
    user_of,
)

ITEMS: Final = 20_000
HOURS: Final = 24
GRANTS: Final = 10

PERIOD: Final = "limit, fixed window"
SLIDING: Final = {
    1: "limit, sliding, 1 bucket",
    6: "limit, sliding, 6 buckets in a row",
    60: "limit, sliding, 60 buckets",
}
LIVE: Final = "live reservation, 3 limits"
ENDED: Final = "ended one, until 10 min after expiry"
COMPACT: Final = "remembered end, of few"
REMEMBERED: Final = "remembered end, of many"
EVENT: Final = "remembered event id"
USER_DAY: Final = "user-day of reports, 1 row"
LONG_USER_DAY: Final = f"user-day of reports, {HOURS} rows"
SESSION: Final = "session"
STATEMENT: Final = "statement of a limit, 1 period"
STATEMENTS: Final = "statements of a limit, 13 periods"
FIRST_GRANT: Final = "user's only grant"
GRANT: Final = f"grant, of {GRANTS} that a user has"

GOALS: Final = {
    **dict.fromkeys((PERIOD, *SLIDING.values()), 1_024),
    **dict.fromkeys((COMPACT, REMEMBERED, EVENT), 120),
}
"""Bytes at most."""
DAYS_REMEMBERED: Final = 10
"""For which ends and event ids stay at most; two days less at the least."""

_AT_ONCE: Final = 64
_CHUNK: Final = 500
_PREFIX: Final = app_prefix(APP)
_UNITS: Final = 12_345
_PERIODS: Final = 13
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Weight:
    """What one of many takes.

    Attributes:
        items: how many there were.
        grown: bytes by which the server grew, for each.
        alone: bytes of one key with its value, None where it is part of another.
    """

    items: int
    grown: float
    alone: int | None = None


async def measure(url: str, redis: ObservedRedis, *, items: int) -> dict[str, Weight]:
    """The weight of everything."""
    # What it keeps of every command that it has seen once is no part of the data.
    redis.ask("CONFIG", "SET", "latency-tracking", "no")
    scale = _Scale(url, redis, items)
    await scale.load_scripts()
    weights = {PERIOD: await scale.counters(MONTH, 1)}
    sliding = limit("tokens-per-hour", MeterKind.TOKENS, HOUR.window)
    for buckets, name in SLIDING.items():
        weights[name] = await scale.counters(sliding, buckets)
    weights[LIVE], weights[ENDED] = await scale.reservations()
    weights[COMPACT], weights[REMEMBERED] = await scale.remembered()
    weights[EVENT] = await scale.events()
    weights[USER_DAY] = await scale.user_days(1)
    weights[LONG_USER_DAY] = await scale.user_days(HOURS)
    weights[SESSION] = await scale.sessions()
    weights[STATEMENT] = await scale.statements(1)
    weights[STATEMENTS] = await scale.statements(_PERIODS)
    weights[FIRST_GRANT] = await scale.grants(1)
    weights[GRANT] = await scale.grants(GRANTS)
    redis.clear()
    return weights


@dataclass(frozen=True, slots=True)
class _Scale:
    url: str
    redis: ObservedRedis
    items: int

    async def load_scripts(self) -> None:
        """Let the server have the scripts before anything is weighed."""
        async with self._meter() as meter:
            await meter.ping(since=time.monotonic())

    async def counters(self, of: Limit, buckets: int) -> Weight:
        """A counter of each user, used in so many buckets."""
        now = datetime.now(UTC)
        width = timedelta(minutes=1)

        async def use(meter: RedisMeter, user: int) -> None:
            past = [
                event(60 * user + i, now - i * width, user=user, tokens=_UNITS, limits=(of,))
                for i in range(buckets)
            ]
            await meter.record(APP, past, since=time.monotonic())

        before = await self._emptied()
        # What else an event leaves behind goes at once, before it makes room for itself.
        await self._in_chunks(use, f"{_PREFIX}:e:*", f"{_PREFIX}:u:*", f"{_PREFIX}:p*")
        keys = self.redis.keys(f"{_PREFIX}:c:*")
        assert len(keys) == self.items
        return await self._weighed(before, keys[0])

    async def reservations(self) -> tuple[Weight, Weight]:
        """Live ones, then the same as they are left by their final commits."""
        before = await self._primed()
        wanted = [asked(USERS + number) for number in range(self.items)]
        async with self._meter() as meter:
            await _gathered(
                meter.reserve(each.hold, each.charges, since=time.monotonic()) for each in wanted
            )
        records = self.redis.keys(f"{_PREFIX}:r:*")
        assert len(records) == self.items
        live = await self._weighed(before, records[0])
        async with self._meter() as meter:
            await _gathered(_committed(meter, each.hold.reservation_id) for each in wanted)
        assert self.redis.ask("ZCARD", f"{_PREFIX}:x") == 0
        return live, await self._weighed(before, records[0])

    async def remembered(self) -> tuple[Weight, Weight]:
        """What is left of ended reservations when their records have gone.

        Redis packs a hash closely until it has more than 512 fields; twice as many are more.
        """
        before = await self._primed()
        weights = []
        for already in (0, self.items):

            async def end(meter: RedisMeter, number: int, already: int = already) -> None:
                each = asked(USERS + already + number)
                await meter.reserve(each.hold, each.charges, since=time.monotonic())
                await _committed(meter, each.hold.reservation_id)

            await self._in_chunks(end, f"{_PREFIX}:r:*")
            keys = self.redis.keys(f"{_PREFIX}:t:*")
            ends = already + self.items
            assert sum(self.redis.ask("HLEN", key) for key in keys) == USERS + ends
            days = self.redis.ask("PTTL", keys[0]) / _DAY_MS
            assert DAYS_REMEMBERED - 2 <= days <= DAYS_REMEMBERED
            grown = (await self.redis.memory() - before) / ends
            weights.append(Weight(ends, grown))
        return weights[0], weights[1]

    async def events(self) -> Weight:
        """Ids of events, of users who have reports already."""
        now = datetime.now(UTC)

        async def report(meter: RedisMeter, number: int) -> None:
            each = event(number, now, user=number % USERS)
            await meter.record(APP, [each], since=time.monotonic())

        await self._emptied()
        async with self._meter() as meter:
            await _gathered(report(meter, number) for number in range(USERS))
        before = await self.redis.memory()
        async with self._meter() as meter:
            await _gathered(report(meter, USERS + number) for number in range(self.items))
        ids = sum(self.redis.ask("SCARD", key) for key in self.redis.keys(f"{_PREFIX}:e:*"))
        assert ids == self.items + USERS
        return await self._weighed(before)

    async def user_days(self, rows: int) -> Weight:
        """Reports of one day of each user, with rows in so many of its hours."""
        day = datetime.now(UTC).replace(hour=0, minute=30) - timedelta(days=1)

        async def report(meter: RedisMeter, user: int) -> None:
            past = [
                event(HOURS * user + i, day + timedelta(hours=i), user=user, tokens=_UNITS)
                for i in range(rows)
            ]
            await meter.record(APP, past, since=time.monotonic())

        before = await self._emptied()
        await self._in_chunks(report, f"{_PREFIX}:e:*")
        keys = self.redis.keys(f"{_PREFIX}:u:*:*")
        assert len(keys) == self.items
        assert all(self.redis.ask("HLEN", key) == rows for key in keys[:10])
        return await self._weighed(before, keys[0])

    async def sessions(self) -> Weight:
        """Sessions of which nothing but events was told."""
        now = datetime.now(UTC)

        async def report(meter: RedisMeter, user: int) -> None:
            told = event(user, now, user=user, tokens=_UNITS, session=f"chat_{user}")
            await meter.record(APP, [told], since=time.monotonic())

        before = await self._emptied()
        await self._in_chunks(report, f"{_PREFIX}:e:*", f"{_PREFIX}:u:*")
        keys = self.redis.keys(f"{_PREFIX}:z:*")
        assert len(keys) == self.items
        return await self._weighed(before, keys[0])

    async def statements(self, periods: int) -> Weight:
        """What a limit of each user came to in so many months."""
        now = datetime.now(UTC)

        async def use(meter: RedisMeter, user: int) -> None:
            past = [
                event(
                    periods * user + i, add_months(now, -i), user=user, tokens=_UNITS,
                    limits=(MONTH,),
                )
                for i in reversed(range(periods))
            ]  # fmt: skip
            await meter.record(APP, past, since=time.monotonic())

        before = await self._emptied()
        others = [f"{_PREFIX}:{kind}:*" for kind in "ecu"]
        await self._in_chunks(use, *others)
        keys = self.redis.keys(f"{_PREFIX}:p:*")
        assert len(keys) == self.items
        return await self._weighed(before, keys[0])

    async def grants(self, each: int) -> Weight:
        """Grants, so many of each user."""
        now = datetime.now(UTC)

        async def push(meter: RedisMeter, user: int) -> None:
            for number in range(each):
                grant = Grant(
                    id=f"order-{user:06d}-{number}",
                    app_id=APP,
                    user_id=user_of(user, users=self.items),
                    limit="",
                    meter=MeterKind.TOKENS,
                    amount=500_000,
                    effective_at=now,
                    expires_at=now + timedelta(days=365),
                    reason="top-up",
                )
                await meter.grant(grant, since=time.monotonic())

        before = await self._emptied()
        async with self._meter() as meter:
            await _gathered(push(meter, user) for user in range(self.items // each))
        keys = self.redis.keys(f"{_PREFIX}:g:*")
        assert len(keys) == self.items // each
        weight = await self._weighed(before, keys[0])
        alone = weight.alone
        assert alone is not None
        return replace(weight, alone=alone // each)

    async def _emptied(self) -> int:
        self.redis.clear()
        return await self.redis.memory()

    async def _primed(self) -> int:
        """Memory when every user has counters, reports and a reservation that has ended."""
        self.redis.clear()
        async with self._meter() as meter:
            for number in range(USERS):
                each = asked(number)
                await meter.reserve(each.hold, each.charges, since=time.monotonic())
                await _committed(meter, each.hold.reservation_id)
        self.redis.delete(f"{_PREFIX}:r:*")
        return await self.redis.memory()

    async def _in_chunks(
        self, make: Callable[[RedisMeter, int], Awaitable[None]], *patterns: str
    ) -> None:
        """Make every item; what looks like the patterns is deleted every few."""
        async with self._meter() as meter:
            for begin in range(0, self.items, _CHUNK):
                until = min(begin + _CHUNK, self.items)
                await _gathered(make(meter, number) for number in range(begin, until))
                self.redis.delete(*patterns)

    @asynccontextmanager
    async def _meter(self) -> AsyncIterator[RedisMeter]:
        """A meter whose connection is gone before anything is weighed."""
        connection = connection_to(self.url)
        try:
            yield RedisMeter(connection)
        finally:
            await connection.close()

    async def _weighed(self, before: int, key: str = "") -> Weight:
        grown = (await self.redis.memory() - before) / self.items
        return Weight(self.items, grown, self.redis.weight(key) if key else None)


async def _committed(meter: RedisMeter, reservation_id: str) -> None:
    used = Amounts(1_000, 750, 250)
    await meter.commit(reservation_id, used, final=True, since=time.monotonic())


async def _gathered(calls: Iterable[Awaitable[object]]) -> None:
    waiting = iter(calls)

    async def call() -> None:
        for each in waiting:
            await each

    await asyncio.gather(*(call() for _ in range(_AT_ONCE)))
