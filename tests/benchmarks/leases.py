"""`make bench-leases`: what does a check of a hot user cost, with leases and without?

One user with three limits and room for everything, asked about by many callers at once, each of
whom reserves and then commits. In alternating rounds over the same server; afterwards what it
has counted is checked.

    python -m tests.benchmarks.leases [--rounds 5] [--operations 30000] [--callers 64]
"""

import argparse
import asyncio
import gc
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import uvloop

from sidecar.adapters.redis.connection import RedisConnection
from sidecar.adapters.redis.leased import LEASES, LeasedMeter
from sidecar.adapters.redis.meter import SCRIPTS
from sidecar.domain.request import Amounts, Subject
from tests.benchmarks.calm import calm_garbage_collection
from tests.benchmarks.observed import ObservedRedis
from tests.benchmarks.traffic import APP, PATIENCE_S, THREE, Asked, asked, charges_of
from tests.processes import redis_server

WITH: Final = "with leases"
WITHOUT: Final = "without"
CHECK: Final = "check"
BOTH: Final = "check and commit"
USED: Final = Amounts(1_100, 850, 250)


@dataclass(frozen=True, slots=True)
class Round:
    """One way in one round; everything but the rate for one operation.

    Attributes:
        calls: scripts that Redis ran.
        rate: operations in a second.
    """

    rate: float
    client_us: float
    redis_us: float
    calls: float


Rounds = dict[tuple[str, str], list[Round]]
"""By what is done, and how."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="make bench-leases", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--operations", type=int, default=30_000)
    parser.add_argument("--callers", type=int, default=64)
    told = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="bench-") as name, redis_server(Path(name)) as server:
        redis = ObservedRedis(server.socket)
        measured = measure(server.url, redis, told.rounds, told.operations, told.callers)
        rounds = uvloop.run(measured)
        redis.close()
    print(f"One user, {len(THREE)} limits, {told.callers} callers: medians of {told.rounds} rounds")
    print(f"{'':30} {'a second':>9} {'':>15} {'client µs':>10} {'Redis µs':>9} {'calls':>7}")
    for (what, how), each in rounds.items():
        rates = [round_.rate for round_ in each]
        client, server_us, calls = (
            statistics.median(getattr(round_, part) for round_ in each)
            for part in ("client_us", "redis_us", "calls")
        )
        spread = f"({min(rates):.0f}-{max(rates):.0f})"
        print(
            f"{what + ', ' + how:30} {statistics.median(rates):9.0f} {spread:>15}"
            f" {client:10.1f} {server_us:9.1f} {calls:7.3f}"
        )


async def measure(
    url: str, redis: ObservedRedis, rounds: int, operations: int, callers: int
) -> Rounds:
    """Every way in every round, another one first each time."""
    wanted = [_asked(number) for number in range(operations)]
    ways = [(what, how) for what in (CHECK, BOTH) for how in (WITHOUT, WITH)]
    measured: Rounds = {way: [] for way in ways}
    with calm_garbage_collection():
        for turn in range(rounds):
            for what, how in ways[turn % 4 :] + ways[: turn % 4]:
                redis.clear()
                async with _meter(url, leases=how == WITH) as meter:
                    await meter.ping(since=time.monotonic())
                    round_ = await _round(redis, meter, wanted, callers, commits=what == BOTH)
                    await meter.drain()
                    await _check(meter, operations, commits=what == BOTH)
                measured[what, how].append(round_)
    return measured


def _asked(number: int) -> Asked:
    """A request of the one user, without an id."""
    each = asked(number, users=1)
    request = replace(each.hold.request, request_id="")
    return Asked(replace(each.hold, request=request), charges_of(request, THREE))


@asynccontextmanager
async def _meter(url: str, *, leases: bool) -> AsyncIterator[LeasedMeter]:
    connection = RedisConnection(url, timeout_s=PATIENCE_S, scripts=(*SCRIPTS, *LEASES))
    try:
        yield LeasedMeter(connection, leases=leases)
    finally:
        await connection.close()


async def _round(
    redis: ObservedRedis,
    meter: LeasedMeter,
    wanted: Sequence[Asked],
    callers: int,
    *,
    commits: bool,
) -> Round:
    numbers, count = iter(wanted), len(wanted)

    async def ask() -> None:
        for each in numbers:
            # As between two requests: others have their turn.
            await asyncio.sleep(0)
            metering = await meter.reserve(each.hold, each.charges, since=time.monotonic())
            assert metering.reservation is not None
            if commits:
                name = metering.reservation.id
                await meter.commit(name, USED, final=True, since=time.monotonic())

    gc.collect()
    redis.forget_calls()
    server_s, begun, cpu_s = redis.cpu_s, time.perf_counter(), time.process_time()
    await asyncio.gather(*(ask() for _ in range(callers)))
    cpu_s, lasted = time.process_time() - cpu_s, time.perf_counter() - begun
    calls, _ = redis.scripts
    return Round(
        rate=count / lasted,
        client_us=cpu_s / count * 1e6,
        redis_us=(redis.cpu_s - server_s) / count * 1e6,
        calls=calls / count,
    )


async def _check(meter: LeasedMeter, operations: int, *, commits: bool) -> None:
    """That everything was counted, once."""
    charges, subject = charges_of(_asked(0).hold.request, THREE), Subject(APP, "user-00000")
    read = await meter.read(subject, charges, since=time.monotonic())
    held = 0 if commits else operations
    tokens, requests = USED.tokens * (operations - held), operations - held
    estimate = _asked(0).hold.request.estimate.tokens
    for reading, used, reserved in zip(
        read.readings, (tokens, tokens, requests), (estimate, estimate, 1), strict=True
    ):
        found = (reading.used, reading.reserved)
        assert found == (used, held * reserved), (reading.limit.id, found)


if __name__ == "__main__":
    main()
