"""What does an operation cost the process that asks, beside redis-py and the library `limits`?

Every way has the same server in turn, its data flushed before. Our meter, our connection and
redis-py send the very same commands, noted from the meter; what the server has counted and keeps
is checked after each round.
"""

import asyncio
import gc
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from resource import RUSAGE_SELF, getrusage
from typing import Any, Final

from limits import RateLimitItemPerHour, RateLimitItemPerMinute, RateLimitItemPerMonth
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import BlockingConnectionPool, Redis

from sidecar.adapters.redis.meter import RESERVE, RedisMeter
from tests.benchmarks.calm import calm_garbage_collection
from tests.benchmarks.observed import ObservedRedis
from tests.benchmarks.traffic import (
    THREE,
    USERS,
    Asked,
    Recorder,
    Sent,
    asked,
    connection_to,
    user_of,
)

OPERATIONS: Final = {1: 3_000, 16: 8_000, 64: 16_000}
"""In one round, by how many are asked at once."""

METER: Final = "RedisMeter.reserve"
RUN: Final = "RedisConnection.run"
PLAIN: Final = "redis-py evalsha"
LIMITS: Final = "limits, moving window"
SCRIPTS_EACH: Final = {METER: 1, RUN: 1, PLAIN: 1, LIMITS: len(THREE)}
"""Scripts that one operation of each way calls."""

_WARMING: Final = 200
_ROOM: Final = 1_000_000

Operation = Callable[[int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Round:
    """One way in one round.

    Attributes:
        rate: operations in a second.
        client_us: CPU of this process for one operation.
        kernel_us: the part of it that the kernel took, to send, to sleep and to wake up.
        redis_us: CPU of the server for one operation.
        busy: part of the time in which the server's CPU worked.
    """

    rate: float
    client_us: float
    kernel_us: float
    redis_us: float
    busy: float
    p50_ms: float
    p99_ms: float


Rounds = dict[int, dict[str, list[Round]]]
"""By how many are asked at once, and by way."""


async def measure(
    url: str, redis: ObservedRedis, *, rounds: int, operations: dict[int, int]
) -> Rounds:
    """Every way in every round, another one first each time."""
    wanted = [asked(number) for number in range(max(operations.values()))]
    sent = await _noted(url, redis, wanted)
    measured: Rounds = {at_once: {way: [] for way in SCRIPTS_EACH} for at_once in operations}
    with calm_garbage_collection():
        for turn in range(rounds):
            for at_once, count in operations.items():
                async with _ways(url, at_once, wanted, sent) as ways:
                    names = [*ways]
                    for name in names[turn % len(names) :] + names[: turn % len(names)]:
                        round_ = await _round(redis, name, ways[name], at_once, count)
                        measured[at_once][name].append(round_)
    redis.clear()
    return measured


async def _noted(url: str, redis: ObservedRedis, wanted: Sequence[Asked]) -> list[Sent]:
    """What the meter sends for each of these."""
    redis.clear()
    recorder = Recorder(url)
    meter = RedisMeter(recorder)
    for each in wanted:
        await meter.reserve(each.hold, each.charges, since=time.monotonic())
    await recorder.close()
    assert len(recorder.sent) == len(wanted)
    assert all(each.script is RESERVE for each in recorder.sent)
    return recorder.sent


@asynccontextmanager
async def _ways(
    url: str, at_once: int, wanted: Sequence[Asked], sent: Sequence[Sent]
) -> AsyncIterator[dict[str, Callable[[], Operation]]]:
    """Each way, connected; called, it begins over a server without data."""
    connection = connection_to(url)
    # Among the texts of a reply there are numbers as bytes.
    pool = BlockingConnectionPool.from_url(
        url, max_connections=at_once, decode_responses=True, encoding_errors="surrogateescape"
    )
    plain = Redis(connection_pool=pool)
    pool_of_limits = BlockingConnectionPool.from_url(url, max_connections=at_once)
    # A pool among the storage's options is what its documentation offers, and its types forbid.
    options: dict[str, Any] = {"connection_pool": pool_of_limits}
    storage = RedisStorage(f"async+redis+{url}", implementation="redispy", **options)
    flat = [(*each.keys, *each.arguments) for each in sent]
    users = [user_of(number) for number in range(USERS)]
    windows = (
        RateLimitItemPerMonth(_ROOM), RateLimitItemPerMinute(_ROOM), RateLimitItemPerHour(_ROOM),
    )  # fmt: skip

    def of_meter() -> Operation:
        meter = RedisMeter(connection)

        async def reserve(number: int) -> None:
            each = wanted[number]
            metering = await meter.reserve(each.hold, each.charges, since=time.monotonic())
            assert metering.reservation is not None

        return reserve

    def of_connection() -> Operation:
        async def run(number: int) -> None:
            each = sent[number]
            since = time.monotonic()
            reply = await connection.run(RESERVE, each.keys, each.arguments, since=since)
            assert isinstance(reply, list)
            assert reply[0].startswith("held\n")

        return run

    def of_redis_py() -> Operation:
        async def evalsha(number: int) -> None:
            count = len(sent[number].keys)
            reply = await plain.evalsha(RESERVE.digest, count, *flat[number])
            assert reply[0].startswith("held\n")

        return evalsha

    def of_limits() -> Operation:
        limiter = MovingWindowRateLimiter(storage)

        async def hit(number: int) -> None:
            # With a cost it would write an entry for each token.
            for window in windows:
                assert await limiter.hit(window, users[number % USERS])

        return hit

    try:
        yield {
            METER: of_meter,
            RUN: of_connection,
            PLAIN: of_redis_py,
            LIMITS: of_limits,
        }
    finally:
        await connection.close()
        await plain.aclose()
        await pool.aclose()
        await pool_of_limits.aclose()


async def _round(
    redis: ObservedRedis, name: str, begin: Callable[[], Operation], at_once: int, count: int
) -> Round:
    # Connections are made and scripts are loaded before the clock runs.
    redis.clear()
    await _drive(begin(), min(_WARMING, count), at_once)
    gc.collect()
    redis.clear()
    operation = begin()
    server_s, before, begun = redis.cpu_s, getrusage(RUSAGE_SELF), time.perf_counter()
    waits = await _drive(operation, count, at_once)
    lasted, after = time.perf_counter() - begun, getrusage(RUSAGE_SELF)
    kernel_s = after.ru_stime - before.ru_stime
    cpu_s = after.ru_utime - before.ru_utime + kernel_s
    server_s = redis.cpu_s - server_s
    check(redis, name, count)
    return Round(
        rate=count / lasted,
        client_us=cpu_s / count * 1e6,
        kernel_us=kernel_s / count * 1e6,
        redis_us=server_s / count * 1e6,
        busy=server_s / lasted,
        p50_ms=statistics.median(waits) * 1e3,
        p99_ms=sorted(waits)[len(waits) * 99 // 100] * 1e3,
    )


async def _drive(operation: Operation, count: int, at_once: int) -> list[float]:
    """How long each waited, in seconds."""
    numbers, waits = iter(range(count)), list[float]()

    async def ask() -> None:
        for number in numbers:
            begun = time.perf_counter()
            await operation(number)
            waits.append(time.perf_counter() - begun)

    await asyncio.gather(*(ask() for _ in range(at_once)))
    return waits


def check(redis: ObservedRedis, name: str, count: int) -> None:
    """That the server did what is said to be measured."""
    calls, _ = redis.scripts
    assert calls == SCRIPTS_EACH[name] * count, (name, calls, count)
    keys, counters = redis.ask("DBSIZE"), len(THREE) * min(count, USERS)
    # Of ours there are the reservations too, the head of the app and the list of expiries.
    expected = counters if name == LIMITS else counters + count + 2
    assert keys == expected, (name, keys, expected)
