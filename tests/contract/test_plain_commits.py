"""Do both ways of a commit on Redis leave the same: the short one, and the one for all?"""

import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final

import pytest
from redis import Redis

from sidecar.adapters.redis.channel import Argument, Reply
from sidecar.adapters.redis.connection import RedisConnection
from sidecar.adapters.redis.meter import SCRIPTS, SETTLE, RedisMeter
from sidecar.adapters.redis.script import LEDGER, Script
from sidecar.domain.limits import Limit
from sidecar.domain.prices import Rates
from sidecar.domain.request import MeterKind
from sidecar.domain.windows import Fixed
from sidecar.errors import ReservationEnded, UnknownReservation
from tests.contract.stores import ManualClock, World, limit, seconds

LONG_WAY: Final = Script(*LEDGER, "sessions.lua", "settle.lua")
STEPS: Final = 60
MONTH = limit(3_000, Fixed.BILLING_MONTH, name="month")
LIMITS: Final = (
    MONTH,
    limit(900, seconds(60), name="minute"),
    limit(100, seconds(3_600), MeterKind.REQUESTS, name="hour"),
    limit(10**6, Fixed.LIFETIME, MeterKind.COST, name="ever"),
    limit(30, Fixed.LIFETIME, MeterKind.CONCURRENCY, name="at-once"),
    limit(2_000, Fixed.DAY, MeterKind.OUTPUT_TOKENS, name="sent"),
)
UNTOLD: Final = -1


class Settling(RedisConnection):
    """Runs a script in place of the one that settles."""

    def __init__(self, url: str, instead: Script) -> None:
        super().__init__(url, timeout_s=10, scripts=(*SCRIPTS, instead))
        self._instead = instead

    async def run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument], *, since: float
    ) -> Reply:
        return await super().run(
            self._instead if script is SETTLE else script, keys, arguments, since=since
        )


@pytest.fixture
async def twins(redis_url: str, clock: ManualClock) -> AsyncIterator[tuple[World, World]]:
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
    short, long = Settling(redis_url, SETTLE), Settling(beside(redis_url), LONG_WAY)
    yield (
        World(RedisMeter(short, clock.now_ms), clock),
        World(RedisMeter(long, clock.now_ms), clock),
    )
    await short.close()
    await long.close()


def beside(url: str) -> str:
    """Another data set of the same server."""
    return f"{url}?db=1"


def kept(url: str) -> dict[bytes, tuple[bytes, int]]:
    """All that is kept, to the byte, with the minutes that it still lives."""
    with Redis.from_url(url) as redis:

        def value(key: bytes) -> bytes:
            found: bytes = redis.get(key) if redis.type(key) == b"string" else redis.dump(key)
            return found

        return {
            key: (value(key), round(redis.pttl(key) / 60_000))
            # The head is of the server's own time.
            for key in redis.scan_iter("s3:{app}:*")
        }


async def step(world: World, dice: random.Random, names: list[str]) -> object:
    """One thing that may happen, the same for the same dice; what is told of it."""
    told = {
        "input_tokens": dice.choice((UNTOLD, dice.randrange(100))),
        "output_tokens": dice.choice((UNTOLD, dice.randrange(100))),
        "cost": dice.choice((UNTOLD, 0, dice.randrange(500))),
    }
    tokens, which = dice.randrange(250), dice.randrange(12)
    name = dice.choice(names) if names else ""
    chosen: list[Limit] = dice.sample(LIMITS, dice.randrange(1, 5))
    try:
        if which < 4 or not name:
            world = replace(world, rates=Rates(3, 7) if which == 1 else Rates(0, 0))
            metering = await world.reserve(*chosen, tokens=tokens, ttl_s=dice.randrange(5, 90))
            if metering.reservation is not None:
                names.append(metering.reservation.id)
            return metering.readings
        if which < 9:
            final, model = dice.random() < 0.9, dice.choice(("", "gpt-4o"))
            done = await world.commit(name, tokens, final=final, model=model, **told)
        elif which == 9:
            done = await world.release(name)
        elif which == 10:
            return await world.grant(300, f"grant-{dice.randrange(3)}")
        else:
            return await world.record(world.event(*chosen, tokens=tokens, reservation_id=name))
    except (ReservationEnded, UnknownReservation) as error:
        return type(error)
    return done.state, done.expires_at, done.tokens, done.readings


@pytest.mark.parametrize("seed", range(12))
async def test_a_commit_leaves_the_same_whichever_way_it_goes(
    twins: tuple[World, World], redis_url: str, seed: int
) -> None:
    dice = random.Random(seed)
    # One user without grants, whose commits nearly all are plain, and one with some.
    users = ["ann", "bob"]
    names: dict[tuple[int, str], list[str]] = {}
    for _ in range(STEPS):
        user, ahead, thrown = dice.choice(users), dice.choice((0, 0, 1, 7, 30)), dice.random()
        twins[0].clock.advance(seconds=ahead)
        answers = [
            await step(
                replace(world, user=user),
                random.Random(thrown),
                names.setdefault((i, user), []),
            )
            for i, world in enumerate(twins)
        ]
        assert answers[0] == answers[1]
    assert kept(redis_url) == kept(beside(redis_url))


async def test_a_plain_commit_asks_for_few_commands_and_writes_what_changes_alone(
    twins: tuple[World, World], redis_url: str
) -> None:
    world = twins[0]
    # Ends are remembered in ten shards here: the last is not the first of its own.
    for _ in range(11):
        name = await world.held(*LIMITS[:3], tokens=100)
        with Redis.from_url(redis_url) as redis:
            redis.config_resetstat()
            await world.commit(name, 70)
            told = redis.info("commandstats")
    calls = {name.removeprefix("cmdstat_"): each["calls"] for name, each in told.items()}

    # The counters, the record; the statement, two reports, the end. No TTL is set anew.
    assert calls == {
        "config|resetstat": 1, "evalsha": 1, "hget": 3, "hlen": 1, "hset": 4, "mget": 2, "set": 4,
        "zrem": 1,
    }  # fmt: skip
