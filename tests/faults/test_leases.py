"""Replies are lost while leases answer: everything is counted once all the same."""

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from sidecar.adapters.redis.lease import LONGEST_S
from sidecar.domain.usage import OnExpiry
from sidecar.errors import MeterUnavailable
from tests.contract.leases import heat, is_child, leased_meter
from tests.contract.stores import ManualClock, World
from tests.faults.callers import EVER, HOUR, LIMITS, OF_THE_APP, Ledger, soon
from tests.faults.proxy import FaultProxy
from tests.faults.server import redis_node, url_of
from tests.faults.weather import Faults

RUNS = 2_000
TOGETHER = 16
HASTY_S = 0.5


class Runs:
    """Runs of one hot user, each from its check to its end."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._dice = random.Random(seed)
        self.ledger = Ledger()
        self.fates: Counter[str] = Counter()
        self.in_memory = 0

    async def run(self, runs: int) -> None:
        """So many, some at a time."""

        async def lane() -> None:
            while self.fates.total() < runs:
                await self._lead()

        async with asyncio.TaskGroup() as group:
            for _ in range(TOGETHER):
                group.create_task(lane())

    async def _lead(self) -> None:
        world, dice, insist = self._world, self._dice, self.ledger.insist
        fate = dice.choice(("commit", "commit", "commit", "release", "parts", "event", "crash"))
        self.fates[fate] += 1
        world.clock.advance(milliseconds=dice.randint(0, 6))
        hold = world.hold(dice.randint(1, 20), ttl_s=dice.choice((1, 30)))
        metering = await insist(lambda: world.make(hold, *LIMITS))
        assert metering.reservation is not None
        name = metering.reservation.id
        self.in_memory += is_child(name)
        used = dice.randint(0, 30)
        match fate:
            case "crash":
                return
            case "release":
                await insist(lambda: world.release(name))
                return
            case "parts":
                await insist(lambda: world.commit(name, used // 2, final=False))
            case "event":
                event = world.event(*LIMITS, tokens=used, reservation_id=name)
                await insist(lambda: world.record(event))
        await insist(lambda: world.commit(name, used))
        self.ledger.tokens[world.user] += used
        self.ledger.requests[world.user] += 1


@pytest.mark.parametrize("on_expiry", OnExpiry)
@pytest.mark.parametrize("seed", [1, 2])
async def test_each_end_is_counted_once_and_nothing_stays_held(
    tmp_path: Path, on_expiry: OnExpiry, seed: int
) -> None:
    clock = ManualClock()
    with redis_node(tmp_path) as node, FaultProxy(url_of(node), seed=seed) as proxy:
        async with leased_meter(proxy.url, clock, on_expiry) as meter:
            proxy.inject(Faults(drop_share=0.02))
            runs = Runs(World(meter, clock), seed)
            await runs.run(RUNS)
            proxy.heal()
            await meter.drain()
            clock.advance(seconds=30 + LONGEST_S + 1)
            levels = await World(meter, clock).levels(EVER, HOUR, OF_THE_APP)
            differences = await runs.ledger.differences(World(meter, clock))
    assert proxy.seen.dropped > 20
    assert runs.in_memory > RUNS // 4
    assert [held for _, held in levels] == [0, 0, 0]
    if on_expiry is OnExpiry.RELEASE:
        assert differences == {}
    else:
        # What crashed runs held was charged beside.
        assert levels[0][0] > runs.ledger.tokens.total()
    assert min(runs.fates.values()) > RUNS // 10


async def test_while_redis_is_silent_nobody_waits_longer_than_a_request_may(
    tmp_path: Path,
) -> None:
    """Those that come while a call is under way fail with the next, each in its own time."""
    clock, used = ManualClock(), 7
    with redis_node(tmp_path) as node, FaultProxy(url_of(node)) as proxy:
        async with leased_meter(proxy.url, clock, timeout_s=HASTY_S) as meter:
            world = World(meter, clock)
            await heat(world, EVER)
            names = [await world.held(EVER, tokens=10) for _ in range(20)]
            assert all(map(is_child, names))
            proxy.inject(Faults(swallows=True))

            async def commit(name: str, late_s: float) -> float:
                await asyncio.sleep(late_s)
                began = time.monotonic()
                with pytest.raises(MeterUnavailable):
                    await world.commit(name, used)
                return time.monotonic() - began

            waits = await asyncio.gather(
                *(commit(name, 0.02 * number) for number, name in enumerate(names))
            )
            assert max(waits) < 2 * HASTY_S
            proxy.heal()
            await soon(lambda: meter.ping(since=time.monotonic()))
            ledger = Ledger()
            for name in names:
                await ledger.insist(lambda name=name: world.commit(name, used))  # type: ignore[misc] # bound at once
            await meter.drain()
            assert await world.level(EVER) == (20 * used, 0)
