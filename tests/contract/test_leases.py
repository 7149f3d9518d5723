"""What is answered in memory was held in Redis before, is settled once, and is given back."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from sidecar.adapters.redis.lease import HOT, LONGEST_S, parent_of
from sidecar.domain.limits import Dimension, Limit
from sidecar.domain.modes import Mode
from sidecar.domain.prices import Rates
from sidecar.domain.request import UNTOLD, Amounts, MeterKind
from sidecar.domain.usage import Hold, OnExpiry, ReservationState, Settlement, token_of
from sidecar.domain.windows import Fixed
from sidecar.errors import ReservationEnded, UnknownReservation
from tests.contract.leases import (
    calls,
    calm,
    heat,
    is_child,
    leased_meter,
    made,
    meter_of,
    settled,
    until,
)
from tests.contract.stores import ManualClock, World, limit, redis_connection, seconds

EVER = limit(1_000_000, Fixed.LIFETIME, name="ever")
BURST = limit(100_000, seconds(60), name="burst")
SLICE = 490
"""Of requests for 10: half as many again as come in ten seconds, if three came in one, and four."""
LATE_S = 60 + LONGEST_S + 1
"""After this a lease of a minute's requests has expired."""


@pytest.fixture
async def world(redis_url: str, clock: ManualClock) -> AsyncIterator[World]:
    """A process that makes leases."""
    async with redis_connection(redis_url), leased_meter(redis_url, clock) as meter:
        yield World(meter, clock)


@pytest.fixture
async def elsewhere(redis_url: str, world: World) -> AsyncIterator[World]:
    """Another process over the same Redis, begun anew without leases."""
    async with leased_meter(redis_url, world.clock, leases=False) as meter:
        yield replace(world, meter=meter)


async def leased(world: World, *limits: Limit, tokens: int = 10) -> str:
    name = await world.held(*limits, tokens=tokens)
    assert is_child(name)
    return name


async def is_answered_in_memory(world: World, *limits: Limit, tokens: int = 10) -> bool:
    return is_child(await world.held(*limits, tokens=tokens))


async def commit_untold(world: World, name: str, tokens: int) -> Settlement:
    """A commit of one who knows nothing but the tokens in all."""
    used = Amounts(tokens, UNTOLD, UNTOLD, cost=UNTOLD)
    return await world.meter.commit(name, used, final=True, since=time.monotonic())


# -- when is there a lease? ------------------------------------------------------------------


async def test_a_hot_user_is_answered_without_redis_out_of_what_is_held_there(
    world: World,
) -> None:
    await heat(world, EVER, BURST)
    assert await world.levels(EVER, BURST) == [(0, SLICE), (0, SLICE)]
    before = await calls(world)
    for _ in range(20):
        await leased(world, EVER, BURST)
    assert await calls(world) == before
    assert await world.levels(EVER, BURST) == [(0, SLICE), (0, SLICE)]


async def test_who_asks_seldom_asks_redis(world: World) -> None:
    await heat(world, EVER, checks=HOT - 1)
    assert await world.level(EVER) == (0, 0)
    world.clock.advance(seconds=LONGEST_S)
    await heat(world, EVER, checks=HOT - 1)
    assert not await is_answered_in_memory(world, EVER)


async def test_the_pace_of_the_time_before_counts_too(world: World) -> None:
    await heat(world, EVER)
    world.clock.advance(seconds=LONGEST_S)
    assert not await is_answered_in_memory(world, EVER)
    await made(world)
    assert await is_answered_in_memory(world, EVER)
    world.clock.advance(seconds=2 * LONGEST_S)
    assert not await is_answered_in_memory(world, EVER)
    await made(world)
    assert not await is_answered_in_memory(world, EVER)


async def test_who_goes_on_asking_is_answered_in_memory_all_the_time(world: World) -> None:
    await calm(world, EVER, BURST)
    answered = []
    for _ in range(40):
        world.clock.advance(seconds=1)
        answered.append(await world.held(EVER, BURST, tokens=10))
        await made(world)
    assert all(map(is_child, answered))
    assert len(set(map(parent_of, answered))) == 5


async def test_nobody_is_answered_by_what_may_not_hold_any_more(
    world: World, elsewhere: World
) -> None:
    """A limit of which nobody knows how fast it fills up may be half full in half a second."""
    tight = limit(10_000, Fixed.LIFETIME, name="tight")
    await heat(world, tight)
    world.clock.advance(milliseconds=900)
    assert await is_answered_in_memory(world, tight)
    await elsewhere.use(tight, tokens=5_000)
    world.clock.advance(milliseconds=100)
    # It is heard of then, and of the half that is left a quarter may be gone after a quarter.
    assert not await is_answered_in_memory(world, tight)
    assert await is_answered_in_memory(world, tight)
    world.clock.advance(milliseconds=480)
    assert not await is_answered_in_memory(world, tight)


async def test_a_slice_grows_with_the_pace(world: World) -> None:
    await heat(world, EVER)
    for _ in range(20):
        for _ in range(100):
            name = await world.held(EVER, tokens=10)
        world.clock.advance(milliseconds=100)
        await made(world)
    assert is_child(name)
    before = await calls(world)
    for _ in range(1_000):
        await leased(world, EVER)
    assert await calls(world) - before <= 2


@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.ADVISORY])
async def test_near_a_limit_every_request_asks_redis(world: World, mode: Mode) -> None:
    tight = limit(10_000, name="tight", mode=mode)
    await world.use(tight, tokens=7_800)
    await heat(world, EVER, tight)
    assert await is_answered_in_memory(world, EVER, tight)
    for used in (7_970, 8_000, 9_000):
        others = world.of("app", f"user-{used}")
        await others.use(tight, tokens=used)
        await heat(others, EVER, tight)
        assert not await is_answered_in_memory(others, EVER, tight)
        assert await others.level(tight) == (used, 10)


async def test_a_lease_ends_when_others_have_used_up_what_was_plenty(
    world: World, elsewhere: World
) -> None:
    tight = limit(10_000, name="tight")
    await heat(world, tight)
    name = await leased(world, tight)
    await elsewhere.use(tight, tokens=8_000)
    await world.commit(name, 10)
    assert not await is_answered_in_memory(world, tight)
    await settled(world)
    assert await world.level(tight) == (8_010, 10)


async def test_no_more_than_a_twentieth_of_what_is_left_is_held_in_advance(world: World) -> None:
    tight = limit(10_000, name="tight")
    await world.use(tight, tokens=5_010)
    await heat(world, tight)
    used, held = await world.level(tight)
    assert used == 5_010
    assert 0 < held <= (10_000 - 5_010) // 20


async def test_where_a_few_requests_would_use_it_up_there_is_no_lease(world: World) -> None:
    tight = limit(800, name="tight")
    await heat(world, tight)
    assert await world.level(tight) == (0, 0)
    assert not await is_answered_in_memory(world, tight)


async def test_where_grants_are_drawn_there_is_no_lease(world: World) -> None:
    await world.grant(1)
    await heat(world, EVER)
    assert not await is_answered_in_memory(world, EVER)


async def test_a_request_with_an_id_asks_redis(world: World) -> None:
    await heat(world, EVER)
    first = await world.reserve(EVER, tokens=10, request_id="r-1")
    again = await world.reserve(EVER, tokens=10, request_id="r-1")
    assert first.reservation is not None
    assert not is_child(first.reservation.id)
    assert again.reservation == first.reservation
    assert await is_answered_in_memory(world, EVER)


async def test_a_request_that_does_not_fit_the_lease_asks_redis(world: World) -> None:
    await heat(world, EVER)
    assert not await is_answered_in_memory(world, EVER, tokens=SLICE + 1)
    assert not is_child(await world.held(EVER, tokens=10, ttl_s=61))
    assert await is_answered_in_memory(world, EVER)


async def test_a_raised_limit_ends_the_lease_under_the_old_one(world: World) -> None:
    await heat(world, EVER)
    await leased(world, EVER)
    assert not await is_answered_in_memory(world, replace(EVER, maximum=2_000_000))
    await meter_of(world).drain()
    assert await world.level(EVER) == (0, 20)


async def test_the_same_hold_again_is_the_same_reservation(world: World) -> None:
    await heat(world, EVER)
    hold = world.hold(10)
    first, again = await world.make(hold, EVER), await world.make(hold, EVER)
    assert first.reservation is not None
    assert is_child(first.reservation.id)
    assert again == first
    asked = world.hold(SLICE + 1)
    assert await world.make(asked, EVER) == await world.make(asked, EVER)


# -- in which windows does it count? ---------------------------------------------------------


async def test_what_was_answered_in_memory_counts_from_then_on(world: World) -> None:
    await calm(world, EVER, BURST)
    early, late = await leased(world, EVER, BURST), ""
    for _ in range(7):
        world.clock.advance(seconds=1)
        late = await leased(world, EVER, BURST)
    await world.commit(early, 10)
    await world.commit(late, 7)
    for later_ms, used in ((53_999, 17), (1, 7), (6_999, 7), (1, 0)):
        world.clock.advance(milliseconds=later_ms)
        assert (await world.level(BURST))[0] == used


@pytest.mark.parametrize("has_record", [False, True])
async def test_whoever_settles_it_knows_since_when_it_counts(
    world: World, elsewhere: World, has_record: bool
) -> None:
    await calm(world, EVER, BURST)
    world.clock.advance(seconds=5)
    name = await leased(world, EVER, BURST)
    if has_record:
        await world.commit(name, 4, final=False)
    await elsewhere.commit(name, 10)
    # Whoever made the lease hears of it.
    await world.commit(name, 10)
    await meter_of(world).drain()
    world.clock.advance(milliseconds=60_999)
    assert await world.level(BURST) == (10, 0)
    world.clock.advance(milliseconds=1)
    assert await world.level(BURST) == (0, 0)


async def test_where_expiry_charges_what_is_held_a_lease_ends_with_its_bucket(
    redis_url: str, clock: ManualClock
) -> None:
    """That is charged in the bucket in which it was held."""
    charge = OnExpiry.CHARGE
    async with redis_connection(redis_url), leased_meter(redis_url, clock, charge) as meter:
        world = World(meter, clock)
        await heat(world, EVER, BURST)
        clock.advance(milliseconds=999)
        await leased(world, EVER, BURST)
        clock.advance(milliseconds=1)
        assert not await is_answered_in_memory(world, EVER, BURST)


async def test_a_lease_lives_ten_seconds_or_a_sixth_of_a_window(world: World) -> None:
    for lives_s, limits in ((10, [EVER]), (2, [EVER, limit(10**6, seconds(12), name="brief")])):
        await calm(world, *limits)
        world.clock.advance(milliseconds=1_000 * lives_s - 1)
        assert await is_answered_in_memory(world, *limits)
        world.clock.advance(milliseconds=1)
        assert not await is_answered_in_memory(world, *limits)


async def test_a_lease_ends_with_its_period(world: World) -> None:
    daily = limit(1_000_000, Fixed.DAY, name="daily")
    world.clock.set(world.clock.now.replace(hour=23, minute=59, second=59))
    await heat(world, daily)
    world.clock.advance(milliseconds=999)
    assert await is_answered_in_memory(world, daily)
    world.clock.advance(milliseconds=1)
    assert not await is_answered_in_memory(world, daily)
    await meter_of(world).drain()
    # The next day begins with what is asked for in it.
    assert await world.level(daily) == (0, 10)


# -- what is told? ---------------------------------------------------------------------------


async def test_readings_show_what_was_handed_out_and_what_was_used(world: World) -> None:
    await heat(world, EVER)
    first = await world.reserve(EVER, tokens=10)
    second = await world.reserve(EVER, tokens=20)
    assert first.reservation is not None
    after = await world.commit(first.reservation.id, 4)
    third = await world.reserve(EVER, tokens=30)
    shown = [metering.readings[0] for metering in (first, second, third)]
    assert [(each.used, each.reserved, each.requested) for each in shown] == [
        (0, 0, 10), (0, 10, 20), (4, 20, 30),
    ]  # fmt: skip
    assert [(each.used, each.reserved) for each in after.readings] == [(4, 20)]
    assert after.readings[0].limit == EVER


async def test_a_reservation_lives_as_long_as_it_was_asked_to(world: World) -> None:
    await heat(world, EVER)
    world.clock.advance(milliseconds=300)
    hold = world.hold(10)
    metering = await world.make(hold, EVER)
    assert metering.reservation is not None
    assert is_child(metering.reservation.id)
    assert metering.decision_id == hold.decision_id
    assert (metering.reservation.expires_at - world.clock.now).total_seconds() == 60
    assert metering.reservation.tokens == 10


async def test_no_reading_shows_more_room_than_there_is(world: World) -> None:
    await heat(world, EVER, BURST)
    names = []
    for number in range(40):
        metering = await world.reserve(EVER, BURST, tokens=10)
        assert metering.reservation is not None
        names.append(metering.reservation.id)
        if number % 3 == 0:
            await world.commit(names.pop(0), 7)
        elif number % 7 == 0:
            await world.release(names.pop(0))
    await meter_of(world).drain()
    before = await world.reserve(EVER, BURST, tokens=10)
    assert [reading.remaining for reading in before.readings] == [
        reading.limit.maximum - reading.used - 10 * len(names)
        for reading in before.readings
        if reading.limit.maximum is not None
    ]


# -- each end happens once -------------------------------------------------------------------


async def test_a_commit_charges_what_was_used_and_the_rest_is_handed_out_again(
    world: World,
) -> None:
    await heat(world, EVER)
    for _ in range(3 * SLICE // 10):
        settlement = await world.commit(await leased(world, EVER), 3)
        assert settlement.state is ReservationState.COMMITTED
    assert (await world.level(EVER))[0] == 3 * 3 * SLICE // 10


async def test_a_commit_that_comes_again_changes_nothing(world: World) -> None:
    await heat(world, EVER)
    name = await leased(world, EVER)
    first, again = await asyncio.gather(world.commit(name, 7), world.commit(name, 7))
    assert first == again == await world.commit(name, 7) == await world.commit(name, 5)
    with pytest.raises(ReservationEnded):
        await world.commit(name, 8)
    with pytest.raises(ReservationEnded):
        await world.release(name)
    assert await world.level(EVER) == (7, SLICE - 7)


async def test_what_was_released_is_not_committed(world: World, elsewhere: World) -> None:
    await heat(world, EVER)
    name = await leased(world, EVER)
    first = await world.release(name)
    assert first.state is ReservationState.RELEASED
    assert await world.release(name) == first
    for there in (world, elsewhere):
        with pytest.raises(ReservationEnded):
            await there.commit(name, 1)
    assert await world.level(EVER) == (0, SLICE)


async def test_what_was_withdrawn_is_forgotten_and_free(world: World) -> None:
    await heat(world, EVER)
    name = await leased(world, EVER)
    await world.withdraw(name)
    await world.withdraw(name)
    with pytest.raises(UnknownReservation):
        await world.commit(name, 1)
    await meter_of(world).drain()
    assert await world.level(EVER) == (0, 0)


async def test_commits_that_come_together_go_together(world: World) -> None:
    await heat(world, EVER)
    names = [await leased(world, EVER) for _ in range(40)]
    before = await calls(world)
    await asyncio.gather(*(world.commit(name, 5) for name in names))
    assert await calls(world) - before <= 2
    assert (await world.level(EVER))[0] == 200


async def test_more_than_was_held_is_charged_and_what_others_hold_stays_theirs(
    world: World,
) -> None:
    await heat(world, EVER)
    name, other = await leased(world, EVER), await leased(world, EVER)
    await world.commit(name, SLICE + 5)
    assert not await is_answered_in_memory(world, EVER)
    await world.commit(other, 10)
    assert (await world.level(EVER))[0] == SLICE + 15


async def test_of_what_a_commit_does_not_tell_what_was_held_counts(world: World) -> None:
    parts = limit(1_000_000, meter=MeterKind.INPUT_TOKENS, name="input")
    cost = limit(10**9, meter=MeterKind.COST, name="cost")
    rates = Rates(1_000_000, 2_000_000)
    for _ in range(HOT + 1):
        request = world.request(Amounts(10, 6, 4, requests=1, cost=14))
        hold = Hold(world.hold().reservation_id, "dec", request, rates)
        metering = await world.make(hold, parts, cost)
        await made(world)
    assert metering.reservation is not None
    assert is_child(metering.reservation.id)
    late = await world.make(replace(hold, reservation_id=world.hold().reservation_id), parts, cost)
    assert late.reservation is not None
    await commit_untold(world, metering.reservation.id, 20)
    assert [used for used, _ in await world.levels(parts, cost)] == [6, 40]
    # Of what came too late, nothing is held any more.
    world.clock.advance(seconds=LATE_S)
    await commit_untold(world, late.reservation.id, 20)
    assert [used for used, _ in await world.levels(parts, cost)] == [6, 80]


async def test_what_ends_together_in_one_counter_is_all_counted_in_it(world: World) -> None:
    of_all = limit(1_000_000, seconds(60), name="of-all", per=[Dimension.APP])
    monthly = limit(1_000_000, Fixed.BILLING_MONTH, name="monthly")
    others, names = [world.of("app", f"user-{number}") for number in range(4)], []
    for each in others:
        await heat(each, of_all, monthly)
        names += [(each, await leased(each, of_all, monthly)) for _ in range(2)]
    world.clock.advance(milliseconds=900)
    names += [(each, await leased(each, of_all, monthly)) for each in others]
    before = await calls(world)
    await asyncio.gather(*(each.commit(name, 7) for each, name in names))
    assert await calls(world) == before + 1
    await meter_of(world).drain()
    assert await world.level(of_all) == (12 * 7, 0)
    for each in others:
        assert await each.level(monthly) == (3 * 7, 0)
        assert (await each.statement()).used == 3 * 7
        (row,) = await each.usage(each.user)
        assert row.used == Amounts(3 * 7, requests=3)
    assert sum(row.used.tokens for row in await world.usage()) == 12 * 7


async def test_a_grant_that_comes_meanwhile_pays_for_what_comes_after_it(world: World) -> None:
    await heat(world, EVER)
    first, second = await leased(world, EVER), await leased(world, EVER)
    await world.grant(100)
    settled = await world.commit(first, 7)
    assert settled.readings[0].granted == 100
    assert not await is_answered_in_memory(world, EVER)
    await world.commit(second, 10)
    await meter_of(world).drain()
    assert await world.level(EVER) == (17, 10)


async def test_concurrency_comes_back_with_each_end(world: World) -> None:
    running = limit(2_000, Fixed.LIFETIME, MeterKind.CONCURRENCY, name="running")
    await heat(world, EVER, running)
    for _ in range(200):
        await world.commit(await leased(world, EVER, running), 1)
    await meter_of(world).drain()
    assert await world.levels(EVER, running) == [(200, 0), (0, 0)]


async def test_each_run_is_reported_under_its_own_name_and_model(world: World) -> None:
    await heat(world, EVER)
    name = await leased(world, EVER)
    request = replace(world.request(Amounts(10, requests=1)), agent="planner", model="small")
    hold = replace(world.hold(), request=request)
    metering = await world.make(hold, EVER)
    assert metering.reservation is not None
    await asyncio.gather(
        world.commit(name, 3), world.commit(metering.reservation.id, 5, model="large")
    )
    rows = {(row.model, row.agent): row.used for row in await world.usage("user")}
    assert rows == {
        ("", ""): Amounts(3, requests=1),
        ("large", "planner"): Amounts(5, requests=1),
    }


# -- what goes on while a run lives ----------------------------------------------------------


async def test_a_run_that_tells_parts_and_asks_for_more_is_charged_for_all(world: World) -> None:
    await heat(world, EVER)
    name = await leased(world, EVER)
    await world.commit(name, 4, final=False)
    assert await world.level(EVER) == (4, SLICE - 4)
    extended = await world.extend(name, EVER, tokens=30, ttl_s=90)
    assert extended.reservation is not None
    assert (extended.reservation.id, extended.reservation.tokens) == (name, 40)
    event = world.event(EVER, tokens=6, reservation_id=name)
    await world.record(event)
    assert await world.level(EVER) == (10, SLICE + 20)
    await world.commit(name, 25)
    await meter_of(world).drain()
    assert await world.level(EVER) == (25, 0)


async def test_the_request_of_a_live_run_is_known(world: World) -> None:
    await heat(world, EVER)
    name = await leased(world, EVER)
    assert (await world.held_request(name)).estimate.tokens == 10
    await world.commit(name, 4, final=False)
    assert (await world.held_request(name)).estimate.tokens == 10
    other = await leased(world, EVER)
    world.clock.advance(seconds=60)
    with pytest.raises(ReservationEnded, match="expired"):
        await world.held_request(other)


async def test_an_event_for_a_run_counts_once_with_the_runs_total(world: World) -> None:
    await heat(world, EVER)
    name = await leased(world, EVER)
    event = world.event(EVER, tokens=6, reservation_id=name)
    for _ in range(2):
        await world.record(event)
    await world.commit(name, 8)
    await world.record(world.event(EVER, tokens=5, reservation_id=name))
    assert (await world.level(EVER))[0] == 8
    (row,) = await world.usage("user")
    assert row.used == Amounts(8, requests=1)


async def test_what_ends_at_once_in_several_apps_ends_in_one_call(world: World) -> None:
    other, names = world.of("other"), []
    for each in (world, other):
        await heat(each, EVER, BURST)
        names += [await leased(each, EVER, BURST), await leased(each, EVER, BURST)]
    before = await calls(world)
    settled = await asyncio.gather(
        world.commit(names[0], 7), other.commit(names[2], 9),
        other.commit(names[3], 1), world.commit(names[1], 5),
    )  # fmt: skip
    assert await calls(world) == before + 1
    assert [it.readings[0].used for it in settled] == [12, 10, 10, 12]
    await meter_of(world).drain()
    assert await world.levels(EVER, BURST) == [(12, 0), (12, 0)]
    assert await other.levels(EVER, BURST) == [(10, 0), (10, 0)]
    assert sum(row.used.requests for row in await other.usage()) == 2


# -- other processes -------------------------------------------------------------------------


async def test_any_process_commits_what_another_has_answered(
    world: World, elsewhere: World
) -> None:
    await heat(world, EVER, BURST)
    name = await leased(world, EVER, BURST)
    there = await elsewhere.commit(name, 7)
    assert there.state is ReservationState.COMMITTED
    assert [reading.limit.id for reading in there.readings] == ["ever", "burst"]
    assert (await elsewhere.commit(name, 7)).state is ReservationState.COMMITTED
    assert (await world.commit(name, 7)).state is ReservationState.COMMITTED
    with pytest.raises(ReservationEnded):
        await elsewhere.commit(name, 8)
    await meter_of(world).drain()
    assert await world.levels(EVER, BURST) == [(7, 0), (7, 0)]


async def test_what_another_process_has_not_seen_is_shared_out_as_the_first_was_asked(
    world: World, elsewhere: World
) -> None:
    parts = limit(1_000_000, meter=MeterKind.INPUT_TOKENS, name="input")
    cost = limit(10**9, meter=MeterKind.COST, name="cost")
    for _ in range(HOT + 1):
        request = world.request(Amounts(10, 6, 4, requests=1, cost=14))
        hold = Hold(world.hold().reservation_id, "dec", request, Rates(1_000_000, 2_000_000))
        metering = await world.make(hold, parts, cost)
        await made(world)
    assert metering.reservation is not None
    await commit_untold(elsewhere, metering.reservation.id, 20)
    assert [used for used, _ in await world.levels(parts, cost)] == [12, 40]


async def test_another_process_releases_and_the_units_come_back_with_the_lease(
    world: World, elsewhere: World
) -> None:
    await heat(world, EVER)
    name = await leased(world, EVER)
    assert (await elsewhere.release(name)).state is ReservationState.RELEASED
    with pytest.raises(ReservationEnded):
        await world.commit(name, 1)
    await meter_of(world).drain()
    assert await world.level(EVER) == (0, 0)


async def test_another_process_does_not_know_a_run_that_still_lives(
    world: World, elsewhere: World
) -> None:
    await heat(world, EVER)
    name = await leased(world, EVER)
    with pytest.raises(UnknownReservation):
        await elsewhere.held_request(name)
    with pytest.raises(UnknownReservation):
        await elsewhere.extend(name, EVER, tokens=1)
    with pytest.raises(UnknownReservation):
        await elsewhere.commit(name, 1, final=False)
    await elsewhere.record(elsewhere.event(EVER, tokens=5, reservation_id=name))
    assert await world.level(EVER) == (5, SLICE)


async def test_once_it_has_a_record_of_its_own_any_process_may_extend_it(
    world: World, elsewhere: World
) -> None:
    await heat(world, EVER)
    name = await leased(world, EVER)
    await world.commit(name, 4, final=False)
    await elsewhere.extend(name, EVER, tokens=10)
    await elsewhere.commit(name, 12)
    assert (await world.commit(name, 12)).state is ReservationState.COMMITTED
    await meter_of(world).drain()
    assert await world.level(EVER) == (12, 0)


async def test_nobody_knows_a_child_of_no_lease(elsewhere: World) -> None:
    name = await elsewhere.held(EVER, tokens=10)
    with pytest.raises(UnknownReservation):
        await elsewhere.commit(name[:-1] + "x~1", 1)
    with pytest.raises(UnknownReservation):
        await elsewhere.release("res_~.~1")


# -- how a lease ends ------------------------------------------------------------------------


async def test_a_lease_that_somebody_extends_still_serves_its_runs(
    world: World, elsewhere: World
) -> None:
    """Its id is the front part of its runs' ids."""
    await heat(world, EVER)
    committed, extended = await leased(world, EVER), await leased(world, EVER)
    await elsewhere.extend(parent_of(committed), EVER, tokens=5)
    await world.extend(extended, EVER, tokens=3)
    await world.commit(committed, 3)
    await meter_of(world).drain()
    assert await world.level(EVER) == (3, 10 + 3 + 5)


async def test_a_drained_process_holds_no_more_than_its_runs_do(world: World) -> None:
    await heat(world, EVER, BURST)
    names = [await leased(world, EVER, BURST) for _ in range(3)]
    await meter_of(world).drain()
    assert await world.levels(EVER, BURST) == [(0, 30), (0, 30)]
    assert not await is_answered_in_memory(world, EVER, BURST)
    await world.commit(names[0], 4)
    await world.release(names[1])
    assert await world.levels(EVER, BURST) == [(4, 20), (4, 20)]
    await world.commit(names[2], 10)
    assert await world.levels(EVER, BURST) == [(14, 10), (14, 10)]


async def test_a_lease_whose_time_is_over_ends_though_nobody_asks(world: World) -> None:
    brief = limit(100_000, seconds(12), name="brief")
    await heat(world, brief)
    assert await world.level(brief) != (0, 0)
    world.clock.advance(seconds=2)
    await until(lambda: not meter_of(world)._leasing._leases)
    await settled(world)
    assert await world.level(brief) == (0, 0)


async def test_a_used_up_lease_is_followed_by_another(world: World) -> None:
    await heat(world, EVER)
    answered = []
    for _ in range(3 * SLICE // 10):
        answered.append(is_child(await world.held(EVER, tokens=10)))
        await made(world)
    assert answered.count(False) <= 3
    await settled(world)
    await meter_of(world).drain()
    assert await world.level(EVER) == (0, 3 * SLICE)


async def test_nothing_is_left_of_a_lease_whose_runs_have_ended(world: World) -> None:
    await heat(world, EVER)
    name = await leased(world, EVER)
    shown = await world.commit(name, 4)
    await meter_of(world).drain()
    ask = meter_of(world)._connection.command
    parent = f"s3:{{app}}:r:{token_of(parent_of(name))[:16]}"
    left = await ask("PTTL", parent, since=time.monotonic())
    assert isinstance(left, int)
    assert 600_000 < left <= 600_000 + 1_000 * LATE_S
    assert await ask("ZCARD", "s3:{app}:x", since=time.monotonic()) == 0
    assert (await world.commit(name, 4)).state is shown.state


@pytest.mark.parametrize("on_expiry", OnExpiry)
async def test_what_a_crashed_process_held_expires_like_any_reservation(
    redis_url: str, clock: ManualClock, on_expiry: OnExpiry
) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(redis_connection(redis_url))
        crashed = World(
            await stack.enter_async_context(leased_meter(redis_url, clock, on_expiry)), clock
        )
        await heat(crashed, EVER, BURST)
        _, in_advance = await crashed.level(EVER)
        names = [await leased(crashed, EVER, BURST) for _ in range(2)]
        other = await stack.enter_async_context(leased_meter(redis_url, clock, on_expiry))
        rest = replace(crashed, meter=other)
        # What it held beside, nobody gives back before.
        clock.advance(seconds=LATE_S - 2)
        assert await rest.levels(EVER, BURST) == [(0, in_advance), (0, in_advance)]
        clock.advance(seconds=1)
        charged = in_advance if on_expiry is OnExpiry.CHARGE else 0
        assert await rest.level(EVER) == (charged, 0)
        assert await rest.commit(names[0], 7) == await rest.commit(names[0], 7)
        # A late commit is part of what the expiry has charged.
        assert await rest.level(EVER) == (charged or 7, 0)
        await rest.commit(names[1], in_advance)
        assert await rest.level(EVER) == (in_advance + 7, 0)


@pytest.mark.parametrize("on_expiry", OnExpiry)
async def test_who_comes_late_is_charged_for_what_was_used(
    redis_url: str, clock: ManualClock, on_expiry: OnExpiry
) -> None:
    async with redis_connection(redis_url), leased_meter(redis_url, clock, on_expiry) as meter:
        world = World(meter, clock)
        await heat(world, EVER)
        names = [await leased(world, EVER) for _ in range(3)]
        await meter.drain()
        assert await world.level(EVER) == (0, 30)
        clock.advance(seconds=LATE_S)
        charged = 30 if on_expiry is OnExpiry.CHARGE else 0
        assert await world.level(EVER) == (charged, 0)
        settlement = await world.commit(names[0], 4)
        assert settlement.state is ReservationState.COMMITTED
        assert (await world.release(names[1])).state is ReservationState.EXPIRED
        assert await world.level(EVER) == (24 if charged else 4, 0)
        await world.commit(names[1], 15, final=False)
        assert await world.level(EVER) == (29 if charged else 19, 0)


async def test_what_was_used_counts_though_redis_has_lost_what_was_held(world: World) -> None:
    await heat(world, EVER)
    name = await leased(world, EVER)
    await meter_of(world)._connection.command("FLUSHALL", since=time.monotonic())
    first = await world.commit(name, 7)
    assert first.state is ReservationState.COMMITTED
    assert await world.commit(name, 7) == first
    assert await world.level(EVER) == (7, 0)
    with pytest.raises(UnknownReservation):
        await world.extend(name, EVER, tokens=1)
