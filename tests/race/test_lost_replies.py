"""One reply in a hundred is lost after Redis has done what was asked: it is counted once."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

import pytest

from sidecar.adapters.redis.meter import RedisMeter
from sidecar.domain.request import Amounts
from sidecar.domain.usage import Hold, name_reservation
from sidecar.domain.windows import Fixed, from_ms
from sidecar.errors import MeterUnavailable
from tests.contract.stores import World, limit
from tests.integration.test_redis_connection import connected, listening
from tests.processes import RedisServer, redis_server
from tests.race.lossy import Losses, losing_replies

T = TypeVar("T")

OPERATIONS: Final = 2_000
CALLERS: Final = 8
USERS: Final = 5
EVER = limit(200_000, Fixed.LIFETIME, name="ever")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


class Ledger:
    """What each user must have been charged, whatever was lost on the way."""

    def __init__(self) -> None:
        self.charged: Counter[str] = Counter()
        self.operations = 0
        self.again = 0

    async def insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask until there is an answer: the same call again is harmless."""
        self.operations += 1
        while True:
            try:
                return await ask()
            except MeterUnavailable:
                self.again += 1
                assert self.again < OPERATIONS


async def call(world: World, ledger: Ledger, dice: random.Random, name: str) -> None:
    """One caller, until all have asked enough."""
    number = 0
    while ledger.operations < OPERATIONS:
        number += 1
        user = f"user-{dice.randrange(USERS)}"
        await lead(world.of("app", user), ledger, dice, f"{name}-{number}")


async def lead(world: World, ledger: Ledger, dice: random.Random, name: str) -> None:
    """A reservation from its making to its end, or an event."""
    if dice.random() < 0.25:
        tokens = dice.randint(1, 100)
        at = from_ms(time.time_ns() // 1_000_000)
        event = world.event(EVER, tokens=tokens, name=name, at=at)
        tally = await ledger.insist(lambda: world.record(event))
        assert tally.accepted + tally.duplicates == 1
        ledger.charged[world.user] += tokens
        return
    request_id = f"request-{name}" if dice.random() < 0.5 else ""
    held = dice.randint(1, 100)
    request = world.request(Amounts(held, requests=1), 600, request_id)
    hold = Hold(name_reservation("app", name), f"dec_{name}", request)
    metering = await ledger.insist(lambda: world.make(hold, EVER))
    assert metering.reservation is not None
    assert metering.reservation.id == hold.reservation_id
    assert metering.decision_id == hold.decision_id
    if dice.random() < 0.3:
        more = dice.randint(1, 100)
        extended = await ledger.insist(
            lambda: world.extend(
                hold.reservation_id, EVER, tokens=more, ttl_s=900, decision_id=f"more_{name}"
            )
        )
        held += more
        assert extended.reservation is not None
        assert extended.reservation.tokens == held
    used = 0
    if dice.random() < 0.3:
        used = dice.randint(0, held)
        await ledger.insist(lambda: world.commit(hold.reservation_id, used, final=False))
    if dice.random() < 0.2:
        await ledger.insist(lambda: world.release(hold.reservation_id))
    else:
        total = dice.randint(used, 2 * held)
        await ledger.insist(lambda: world.commit(hold.reservation_id, total))
        used = total
    ledger.charged[world.user] += used


async def test_every_operation_is_counted_once_though_replies_are_lost(
    tmp_path: Path, server: RedisServer
) -> None:
    losses, ledger = Losses(0.01, seed=1), Ledger()
    async with (
        listening(tmp_path / "lossy.sock", losing_replies(server, losses)) as url,
        connected(url) as lossy,
    ):
        world = World(RedisMeter(lossy), app="app")
        dice = random.Random(1)
        await asyncio.gather(
            *(call(world, ledger, dice, f"caller-{number}") for number in range(CALLERS))
        )
    assert ledger.operations >= OPERATIONS
    assert losses.replies >= OPERATIONS
    assert losses.lost >= 10
    async with connected(server.url) as direct:
        for user in ledger.charged:
            level = await World(RedisMeter(direct), app="app", user=user).level(EVER)
            assert level == (ledger.charged[user], 0)
