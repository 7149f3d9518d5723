"""What does an operation cost the process that asks, beside redis-py and the library `limits`?

Every way has the same server in turn, its data flushed before. Our meter, our connection and
redis-py send the very same commands, noted from the meter; what the server has counted and keeps
is checked after each round. Beside them stands what no client can do without: a protocol that
writes the command and reads the reply, and does nothing else.

Where one is asked at a time, client and server take turns. On a core each they sleep and wake
each other up, which takes the kernel (of a virtual machine above all) longer than everything
else takes; the slower a client is, the more of that it is spared. On one core nobody sleeps: what
is left is the client's own work. Both are measured.
"""

import asyncio
import gc
import os
import statistics
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from resource import RUSAGE_SELF, getrusage
from typing import Any, Final, cast

import hiredis
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


@dataclass(frozen=True, slots=True)
class Load:
    """How many are asked at once.

    Attributes:
        on_one_core: the client and the server share one; else each runs where it likes.
    """

    at_once: int
    on_one_core: bool = False

    def __str__(self) -> str:
        return f"{self.at_once:2}{'*' if self.on_one_core else ' '}"


OPERATIONS: Final = {
    Load(1, on_one_core=True): 3_000, Load(1): 3_000, Load(16): 8_000, Load(64): 16_000,
}  # fmt: skip
"""In one round."""

BARE: Final = "bare write and read"
METER: Final = "RedisMeter.reserve"
RUN: Final = "RedisConnection.run"
PLAIN: Final = "redis-py evalsha"
LIMITS: Final = "limits, moving window"
SCRIPTS_EACH: Final = {METER: 1, RUN: 1, BARE: 1, PLAIN: 1, LIMITS: len(THREE)}
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


Rounds = dict[Load, dict[str, list[Round]]]
"""By load, and by way."""


async def measure(
    url: str, redis: ObservedRedis, *, rounds: int, operations: dict[Load, int]
) -> Rounds:
    """Every way in every round, another one first each time."""
    wanted = [asked(number) for number in range(max(operations.values()))]
    sent = await _noted(url, redis, wanted)
    measured: Rounds = {load: {way: [] for way in SCRIPTS_EACH} for load in operations}
    with calm_garbage_collection():
        for turn in range(rounds):
            for load, count in operations.items():
                async with _ways(url, load.at_once, wanted, sent) as ways:
                    names = [*ways]
                    for name in names[turn % len(names) :] + names[: turn % len(names)]:
                        with _cores(redis, load):
                            round_ = await _round(redis, name, ways[name], load.at_once, count)
                        measured[load][name].append(round_)
    redis.clear()
    return measured


@contextmanager
def _cores(redis: ObservedRedis, load: Load) -> Iterator[None]:
    """Where client and server run meanwhile."""
    cores = os.sched_getaffinity(0)
    places = {min(cores)} if load.on_one_core else cores
    processes = (os.getpid(), redis.process)
    try:
        for process in processes:
            os.sched_setaffinity(process, places)
        yield
    finally:
        for process in processes:
            os.sched_setaffinity(process, cores)


class _Bare(asyncio.Protocol):
    """Writes commands as they come and reads replies in their order; nothing can go wrong."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(encoding="utf-8", errors="surrogateescape")
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no children of asyncio's.
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        while (reply := self._reader.gets()) is not False:
            self._waiting.popleft().set_result(reply)

    def ask(self, command: tuple[str | bytes | int, ...]) -> asyncio.Future[Any]:
        """The reply."""
        future = self._loop.create_future()
        self._waiting.append(future)
        self._transport.write(hiredis.pack_command(command))  # type: ignore[arg-type] # its stub: 1-tuple
        return future

    def close(self) -> None:
        """Close the connection."""
        self._transport.abort()


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
    _, bare = await asyncio.get_running_loop().create_unix_connection(
        _Bare, url.removeprefix("unix://")
    )
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

    def of_bare() -> Operation:
        async def ask(number: int) -> None:
            each = sent[number]
            command = ("EVALSHA", RESERVE.digest, len(each.keys), *each.keys, *each.arguments)
            reply = await bare.ask(command)
            assert reply[0].startswith("held\n")

        return ask

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
            BARE: of_bare,
            PLAIN: of_redis_py,
            LIMITS: of_limits,
        }
    finally:
        await connection.close()
        bare.close()
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
