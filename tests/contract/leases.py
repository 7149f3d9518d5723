"""A meter that answers in memory, and users who ask often enough for it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sidecar.adapters.redis.connection import RedisConnection
from sidecar.adapters.redis.lease import HOT, LONGEST_S, parent_of
from sidecar.adapters.redis.leased import LEASES, LeasedMeter
from sidecar.adapters.redis.meter import SCRIPTS
from sidecar.domain.limits import Limit
from sidecar.domain.usage import OnExpiry
from tests.contract.stores import PATIENCE_S, ManualClock, World


@asynccontextmanager
async def leased_meter(
    url: str,
    clock: ManualClock,
    on_expiry: OnExpiry = OnExpiry.RELEASE,
    *,
    leases: bool = True,
    timeout_s: float = PATIENCE_S,
) -> AsyncIterator[LeasedMeter]:
    """A meter over a connection of its own, as one process has it."""
    connection = RedisConnection(url, timeout_s=timeout_s, scripts=(*SCRIPTS, *LEASES))
    meter = LeasedMeter(
        connection, clock.now_ms, on_expiry, leases=leases, monotonic=lambda: clock.ms / 1_000
    )
    try:
        yield meter
    finally:
        await meter.drain()
        await connection.close()


async def heat(world: World, *limits: Limit, checks: int = HOT, tokens: int = 10) -> None:
    """Ask so often that the next is answered in memory; nothing stays held for it."""
    for _ in range(checks):
        await world.release(await world.held(*limits, tokens=tokens))
    await made(world)


async def calm(world: World, *limits: Limit) -> None:
    """The same of one of whom it is known that these limits fill up slowly."""
    for _ in range(4 * HOT):
        world.clock.advance(milliseconds=60)
        await heat(world, *limits, checks=1)
    # Into a bucket that has just begun, when there is no lease any more.
    world.clock.advance(milliseconds=1_000 * (LONGEST_S + 1) - world.clock.ms % 1_000)
    await heat(world, *limits)


async def made(world: World) -> None:
    """Return when no lease is being made any more."""
    await until(lambda: not meter_of(world)._leasing._making)


async def settled(world: World) -> None:
    """Return when nothing of a lease is on its way to Redis any more."""
    await until(lambda: meter_of(world)._settling.is_idle)


async def until(holds: Callable[[], bool]) -> None:
    """Let others go on until it is so."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


def meter_of(world: World) -> LeasedMeter:
    """The meter, which makes leases."""
    assert isinstance(world.meter, LeasedMeter)
    return world.meter


def is_child(reservation_id: str) -> bool:
    """Whether a reservation was answered in memory."""
    return bool(parent_of(reservation_id))


async def calls(world: World) -> int:
    """Scripts that Redis has run so far."""
    told = await meter_of(world)._connection.command("INFO", "commandstats", since=time.monotonic())
    for line in str(told).splitlines():
        if line.startswith("cmdstat_evalsha:"):
            return int(line.split("calls=")[1].split(",")[0])
    return 0
