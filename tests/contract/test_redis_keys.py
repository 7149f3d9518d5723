"""How long does what stands in Redis live? That is by the server's clock: no test can wait."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from sidecar.adapters.redis.meter import RedisMeter
from sidecar.domain.request import MeterKind
from sidecar.domain.usage import PLACE, token_of
from sidecar.domain.windows import BillingCycle, Fixed
from sidecar.errors import ReservationEnded
from tests.contract.stores import (
    START,
    ManualClock,
    World,
    limit,
    redis_meter,
    seconds,
)

DAY_MS = 86_400_000
FOR_EVER = -1
BURST = limit(100, seconds(60), name="burst")
MONTHLY = limit(100, name="monthly")
EVER = limit(100, Fixed.LIFETIME, name="ever")


@pytest.fixture
async def world(redis_url: str, clock: ManualClock) -> AsyncIterator[World]:
    async with redis_meter(redis_url, clock) as meter:
        yield World(meter, clock)


async def lives(world: World, pattern: str = "*") -> dict[str, int]:
    """Milliseconds that each key still lives, -1 for ever."""
    assert isinstance(world.meter, RedisMeter)
    ask = world.meter._connection.command
    keys = await ask("KEYS", pattern, since=time.monotonic())
    assert isinstance(keys, list)
    found = {}
    for key in map(str, keys):
        left = await ask("PTTL", key, since=time.monotonic())
        assert isinstance(left, int)
        found[key.removeprefix("s3:{app}").removeprefix(":")] = left
    return found


async def test_a_live_reservation_never_vanishes_with_what_it_holds(world: World) -> None:
    """Nobody may call for weeks; the hold must still be found and given back."""
    name = await world.held(EVER, tokens=10)
    assert (await lives(world))[record_of(name)] == FOR_EVER
    await world.extend(name, EVER, tokens=10)
    assert (await lives(world))[record_of(name)] == FOR_EVER


async def test_what_an_expired_reservation_held_is_known_for_seven_days(world: World) -> None:
    name = await world.held(EVER, tokens=10)
    world.clock.advance(seconds=60)
    await world.read(EVER)
    assert 7 * DAY_MS < (await lives(world))[record_of(name)] <= 8 * DAY_MS


@pytest.mark.parametrize("end", ["commit", "release"])
async def test_of_an_ended_reservation_little_is_known_for_seven_days(
    world: World, end: str
) -> None:
    """All of it for as long as its request may come again, then how it ended."""
    name = await world.held(EVER, tokens=10)
    await (world.commit(name, 5) if end == "commit" else world.release(name))
    assert 600_000 < (await lives(world))[record_of(name)] <= 660_000
    await pass_time(world, minutes=12)
    assert record_of(name) not in await lives(world)
    for _ in range(7):
        await pass_time(world, days=1)
        with pytest.raises(ReservationEnded):
            await (world.release(name) if end == "commit" else world.commit(name, 5))
    settled = await (world.commit(name, 5) if end == "commit" else world.release(name))
    assert settled.state.value.startswith(end)
    assert (settled.tokens, settled.readings) == (10, ())
    if end == "commit":
        with pytest.raises(ReservationEnded):
            await world.commit(name, 6)


async def test_nothing_but_lifetimes_and_live_holds_lives_for_ever(world: World) -> None:
    await world.held(EVER, MONTHLY, BURST, tokens=10, request_id="r-1")
    await world.use(EVER, MONTHLY, BURST, tokens=1)
    immortal = {key.split(":")[0] for key, left in (await lives(world)).items() if left < 0}
    counters = [key for key, left in (await lives(world, "*:c:*")).items() if left < 0]
    assert immortal == {"", "c", "r", "x"}
    assert counters == ["c:tokens:lifetime:user=user@0"]


async def test_statements_are_kept_for_400_days_after_the_end(world: World) -> None:
    await world.use(MONTHLY, tokens=1)
    end = (START.replace(month=6, day=1, hour=0) - START) / timedelta(milliseconds=1)
    found = await lives(world, "*:p*")
    assert set(found) == {"p", "pt", "p:tokens:month:user=user"}
    assert all(end + 399 * DAY_MS < left <= end + 400 * DAY_MS for left in found.values())


async def test_a_counter_without_statements_is_listed_no_more(world: World) -> None:
    await world.of("app", "gone").use(MONTHLY, tokens=1)
    await world.use(MONTHLY, tokens=1)
    world.clock.advance(days=500)
    await world.use(MONTHLY, tokens=1)
    assert isinstance(world.meter, RedisMeter)
    listed = await world.meter._connection.command(
        "ZRANGE", "s3:{app}:p", 0, -1, since=time.monotonic()
    )
    assert listed == ["user tokens:month:user=user"]
    (statement,) = (await world.page(None)).statements
    assert statement.used == 1


async def test_nothing_of_a_refused_request_is_kept(world: World) -> None:
    await world.reserve(MONTHLY, tokens=101, request_id="r-1")
    assert await lives(world) == {"": FOR_EVER}


async def test_a_sliding_counter_outlives_its_window_and_its_holds(world: World) -> None:
    await world.use(BURST, tokens=1)
    assert 61_000 < await life_of(world, "tokens:60000ms") < 480_000
    name = await world.held(BURST, tokens=1, ttl_s=3_600)
    assert await life_of(world, "tokens:60000ms") > 3_661_000
    await world.extend(name, MONTHLY, tokens=1, ttl_s=7_200)
    assert await life_of(world, "tokens:60000ms") > 7_261_000


async def test_a_period_is_kept_for_late_events_after_its_end(world: World) -> None:
    await world.use(MONTHLY, tokens=1)
    rest = (START.replace(month=6, day=1, hour=0) - START) / timedelta(milliseconds=1)
    assert rest + 7 * DAY_MS < await life_of(world, "tokens:month") <= rest + 8 * DAY_MS


async def test_a_period_that_became_longer_is_kept_to_its_new_end(world: World) -> None:
    period = limit(100, Fixed.BILLING_PERIOD)
    start = START.replace(day=1)
    world.cycle = BillingCycle(start=start, end=start.replace(month=6))
    await world.use(period, tokens=60)
    world.cycle = BillingCycle(start=start, end=start.replace(year=2027), months=12)
    await world.use(period, tokens=1)
    assert await life_of(world, "tokens:billing_period") > 365 * DAY_MS


@pytest.mark.parametrize("end", ["commit", "release", "expire"])
async def test_nothing_stands_for_ever_that_counts_nothing(world: World, end: str) -> None:
    at_once = limit(10, Fixed.LIFETIME, MeterKind.CONCURRENCY, name="at-once")
    name, other = await world.held(at_once), await world.held(at_once)
    match end:
        case "commit":
            await world.commit(name)
        case "release":
            await world.release(name)
        case _:
            world.clock.advance(seconds=60)
    assert await world.level(at_once) == (0, 0 if end == "expire" else 1)
    if end != "expire":
        await world.release(other)
    assert await lives(world, "*:c:*") == {}


async def test_a_session_is_kept_for_eight_days_after_its_last_change(world: World) -> None:
    chat = world.using(session_id="chat")
    told = [chat.event(MONTHLY, tokens=1), chat.summary(MONTHLY, tokens=5)]
    for event in (*told, chat.event(MONTHLY, tokens=9)):
        await chat.record(event)
        assert 8 * DAY_MS - 60_000 < await life_of_session(world) <= 8 * DAY_MS
        await pass_time(world, days=3)
    name = await chat.held(MONTHLY, tokens=10)
    assert await life_of_session(world) <= 5 * DAY_MS
    await chat.commit(name, 10)
    assert await life_of_session(world) > 7 * DAY_MS


async def test_without_a_session_none_is_kept(world: World) -> None:
    await world.use(MONTHLY, tokens=1)
    await world.commit(await world.held(MONTHLY, tokens=1), 1)
    assert await lives(world, "*:z:*") == {}


async def pass_time(world: World, **span: float) -> None:
    """Let every key live so much shorter, as if that time had passed on the server too."""
    assert isinstance(world.meter, RedisMeter)
    ask, elapsed = world.meter._connection.command, int(timedelta(**span).total_seconds() * 1000)
    for key, left in (await lives(world)).items():
        if left != FOR_EVER:
            await ask("PEXPIRE", f"s3:{{app}}:{key}", left - elapsed, since=time.monotonic())
    world.clock.advance(**span)


def record_of(reservation_id: str) -> str:
    """Where a reservation stands."""
    return f"r:{token_of(reservation_id)[:PLACE]}"


async def life_of(world: World, counter: str) -> int:
    (left,) = (await lives(world, f"*:c:{counter}*")).values()
    return left


async def life_of_session(world: World) -> int:
    (left,) = (await lives(world, "*:z:*")).values()
    return left


async def test_every_key_of_an_app_lies_in_one_slot(world: World) -> None:
    """So that one script may touch them all in a cluster."""
    theirs = world.of("a}b{c", "u}v")
    name = await theirs.held(EVER, MONTHLY, BURST, tokens=10, request_id="r-1")
    await theirs.record(theirs.event(MONTHLY, tokens=1, reservation_id=name))
    await theirs.record(theirs.using(session_id="s}t").summary(MONTHLY, tokens=1))
    keys = list(await lives(world))
    assert len(keys) >= 7
    assert {key[key.index("{") + 1 : key.index("}")] for key in keys} == {"a%7Db%7Bc"}
