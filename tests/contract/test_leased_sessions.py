"""What is answered in memory is a delta of its session too, whoever settles it."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from sidecar.adapters.redis.lease import LONGEST_S
from sidecar.domain.limits import Dimension
from sidecar.domain.request import UNTOLD, Amounts, MeterKind
from sidecar.domain.usage import OnExpiry, ReservationState
from sidecar.domain.windows import Fixed
from tests.contract.leases import heat, is_child, leased_meter, meter_of
from tests.contract.stores import ManualClock, World, limit, redis_connection

EVER = limit(1_000_000, Fixed.LIFETIME, name="ever")
PER_MODEL = limit(1_000_000, Fixed.LIFETIME, name="per-model", per=[Dimension.APP, Dimension.MODEL])
INPUT = limit(1_000_000, Fixed.LIFETIME, MeterKind.INPUT_TOKENS, name="input")


@pytest.fixture
async def world(redis_url: str, clock: ManualClock) -> AsyncIterator[World]:
    """A process that makes leases."""
    async with redis_connection(redis_url), leased_meter(redis_url, clock) as meter:
        yield World(meter, clock)


@pytest.fixture
async def elsewhere(redis_url: str, world: World) -> AsyncIterator[World]:
    """Another process over the same Redis."""
    async with leased_meter(redis_url, world.clock, leases=False) as meter:
        yield replace(world, meter=meter)


def in_chat(world: World, name: str = "one") -> World:
    return world.using(session_id=name, model="m")


async def leased(world: World, tokens: int = 10) -> str:
    name = await world.held(EVER, PER_MODEL, tokens=tokens)
    assert is_child(name)
    return name


async def test_each_run_of_a_lease_is_a_delta_of_its_own_session(
    world: World, elsewhere: World
) -> None:
    await heat(world.using(model="m"), EVER, PER_MODEL)
    one, two = in_chat(world), in_chat(world, "two")
    names = [await leased(one), await leased(two), await leased(two), await leased(one)]
    await elsewhere.record(in_chat(elsewhere).summary(EVER, tokens=12))
    for settling, name in zip((world, elsewhere, world, elsewhere), names, strict=True):
        await settling.commit(name, 7)
        # Whoever made the lease hears of it.
        await world.commit(name, 7)
    await meter_of(world).drain()
    assert await one.levels(EVER, PER_MODEL) == [(28, 0), (28, 0)]
    await world.record(one.summary(EVER, tokens=20), two.summary(EVER, tokens=15))
    assert await one.levels(EVER, PER_MODEL) == [(35, 0), (28, 0)]
    rows = {row.model: row.used for row in await world.usage()}
    assert rows == {"m": Amounts(28, requests=4), "": Amounts(7)}


@pytest.mark.parametrize("settles", ["here", "elsewhere"])
async def test_what_a_summary_has_counted_is_held_no_more(
    world: World, elsewhere: World, settles: str
) -> None:
    chat = in_chat(world)
    await heat(chat, EVER, PER_MODEL)
    name = await leased(chat)
    await world.record(chat.summary(EVER, tokens=100))
    held = [reserved for _, reserved in await chat.levels(EVER, PER_MODEL)]
    await (world if settles == "here" else elsewhere).commit(name, 8)
    used = [(100, held[0] - 8), (8, held[1] - 8)]
    assert await chat.levels(EVER, PER_MODEL) == used
    await meter_of(world).drain()
    # What the other process has settled is back when the lease has expired.
    world.clock.advance(seconds=70)
    assert await chat.levels(EVER, PER_MODEL) == [(100, 0), (8, 0)]


async def test_a_run_with_a_record_of_its_own_stays_in_its_session(
    world: World, elsewhere: World
) -> None:
    await heat(world.using(model="m"), EVER, PER_MODEL)
    chat = in_chat(world)
    name = await leased(chat)
    await world.record(chat.summary(EVER, tokens=5))
    await world.commit(name, 4, final=False)
    assert (await chat.level(EVER))[0] == 5
    await world.record(world.event(EVER, tokens=3, reservation_id=name))
    assert (await chat.level(EVER))[0] == 7
    await elsewhere.commit(name, 9)
    await elsewhere.record(in_chat(elsewhere).summary(EVER, tokens=10))
    await meter_of(world).drain()
    assert await chat.level(EVER) == (10, 0)


async def test_parts_that_a_commit_does_not_tell_are_not_counted_twice(world: World) -> None:
    chat = in_chat(world)
    for _ in range(51):
        await world.release(await chat.held(EVER, INPUT, tokens=10, input_tokens=7))
    await heat(chat, EVER, INPUT)
    name = ""
    while not is_child(name):
        name = await chat.held(EVER, INPUT, tokens=10, input_tokens=7)
    used = Amounts(10, UNTOLD, UNTOLD, cost=UNTOLD)
    await world.meter.commit(name, used, final=True, since=time.monotonic())
    await world.record(chat.summary(EVER, INPUT, tokens=10, input_tokens=8))
    assert [units for units, _ in await chat.levels(EVER, INPUT)] == [10, 8]


@pytest.mark.parametrize("on_expiry", OnExpiry)
async def test_a_late_commit_fills_what_a_summary_said(
    redis_url: str, clock: ManualClock, on_expiry: OnExpiry
) -> None:
    async with redis_connection(redis_url), leased_meter(redis_url, clock, on_expiry) as meter:
        world = World(meter, clock)
        chat = in_chat(world)
        await heat(chat, EVER, PER_MODEL)
        names = [await leased(chat) for _ in range(2)]
        await meter.drain()
        clock.advance(seconds=60 + LONGEST_S + 1)
        guessed = 20 if on_expiry is OnExpiry.CHARGE else 0
        await world.record(chat.summary(EVER, tokens=9))
        assert await chat.levels(EVER, PER_MODEL) == [(9 + guessed, 0), (guessed, 0)]
        settled = await world.commit(names[0], 7)
        assert settled.state is ReservationState.COMMITTED
        await world.commit(names[1], 6)
        # The last one lets the rest of the guess go.
        assert await chat.levels(EVER, PER_MODEL) == [(13, 0), (13, 0)]


async def test_a_run_that_redis_has_lost_is_a_delta_too(world: World) -> None:
    chat = in_chat(world)
    await heat(chat, EVER, PER_MODEL)
    name = await leased(chat)
    await meter_of(world)._connection.command("FLUSHALL", since=time.monotonic())
    await world.record(chat.summary(EVER, tokens=10))
    await world.commit(name, 7)
    assert await chat.levels(EVER, PER_MODEL) == [(10, 0), (7, 0)]
