"""What a limit has left of its last period may be used in the next one, by whichever replica."""

import asyncio
import itertools
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.adapters.guarded.breaker import Breaker
from sidecar.adapters.redis.meter import RedisMeter
from sidecar.adapters.rolled import RolledMeter
from sidecar.adapters.sqlite.meter import SqliteMeter
from sidecar.domain.limits import Limit
from sidecar.domain.windows import BillingCycle, Fixed
from sidecar.ports import Meter
from tests.contract.stores import (
    At,
    ManualClock,
    World,
    limit,
    redis_meter,
    sqlite_meter,
    statements_of,
)

JUNE = datetime(2032, 6, 1, 0, 0, 1, tzinfo=UTC)
JULY, AUGUST = JUNE.replace(month=7), JUNE.replace(month=8)
MARCH = datetime(2032, 3, 1, tzinfo=UTC)
ROLLING = replace(limit(100, Fixed.BILLING_MONTH, name="monthly"), rollover=30)
MAY = datetime(2032, 5, 5, 12, tzinfo=UTC)
"""After what any server's clock shows: nothing is carried out of a time in which nobody counted."""


def replica(meter: Meter, clock: ManualClock) -> RolledMeter:
    """A meter that grants what is left, and has not been asked yet."""

    async def probe() -> None:
        await meter.ping(since=time.monotonic())

    return RolledMeter(meter, Breaker(probe), statements_of(meter), At(clock))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(MAY)


@pytest.fixture
def world(meter: Meter, clock: ManualClock) -> World:
    """One user of one app, who has had the plan since March."""
    return World(replica(meter, clock), clock, held_since=MARCH)


@pytest.fixture
def another(meter: Meter, world: World) -> World:
    """The same user at another replica."""
    return replace(world, meter=replica(meter, world.clock))


@pytest.mark.parametrize("window", [Fixed.MONTH, Fixed.BILLING_MONTH, Fixed.BILLING_PERIOD])
async def test_what_is_left_is_granted_in_the_next_period_and_not_later(
    world: World, window: Fixed
) -> None:
    rolling = replace(ROLLING, window=window)
    await world.use(rolling, tokens=85)
    assert await world.granted(rolling) == 0
    world.clock.set(JUNE)
    assert await world.granted(rolling) == 15
    world.clock.set(JULY)
    assert await world.granted(rolling) == 30
    await world.use(rolling, tokens=100)
    world.clock.set(AUGUST)
    assert await world.granted(rolling) == 0


async def test_a_subject_that_asks_late_in_a_period_finds_what_was_left(world: World) -> None:
    """By then the counter of the last period is gone, and its statement is not."""
    await world.use(ROLLING, tokens=85)
    world.clock.set(JUNE + timedelta(days=28))
    await _forget_counters(world.meter)
    assert await world.granted(ROLLING) == 15


async def test_use_from_before_there_were_statements_is_known_by_its_counter(world: World) -> None:
    await world.use(replace(ROLLING, is_stated=False), tokens=85)
    assert await world.statements() == ()
    world.clock.set(JUNE)
    assert await replace(world, held_since=None).granted(ROLLING) == 15


async def test_no_more_is_carried_on_than_the_policy_says(world: World) -> None:
    await world.use(ROLLING, tokens=5)
    world.clock.set(JUNE)
    assert await world.granted(ROLLING) == 30


async def test_it_is_drawn_after_the_allowance_and_refused_beyond(world: World) -> None:
    await world.use(ROLLING, tokens=90)
    world.clock.set(JUNE)
    name = await world.held(ROLLING, tokens=105)
    assert await world.level(ROLLING) == (0, 100)
    assert (await world.reserve(ROLLING, tokens=6)).reservation is None
    assert (await world.reserve(ROLLING, tokens=5)).reservation is not None
    await world.commit(name, 105)
    assert (await world.balance("rollover:monthly:2032-06-01T00:00:00Z"))[0] == 5


async def test_what_was_carried_in_and_is_not_used_is_not_carried_on(world: World) -> None:
    await world.use(ROLLING, tokens=70)
    world.clock.set(JUNE)
    await world.use(ROLLING, tokens=110)
    assert await world.granted(ROLLING) == 20
    world.clock.set(JULY)
    assert await world.granted(ROLLING) == 0


async def test_units_that_a_run_still_holds_are_not_left(world: World) -> None:
    world.clock.set(datetime(2032, 5, 31, 23, 59, 50, tzinfo=UTC))
    await world.use(ROLLING, tokens=60)
    name = await world.held(ROLLING, tokens=30)
    world.clock.set(JUNE)
    assert await world.granted(ROLLING) == 10
    await world.commit(name, 5)
    assert await world.granted(ROLLING) == 10


async def test_whoever_is_new_carries_nothing(world: World) -> None:
    new = replace(world, held_since=world.clock.now)
    unknown = replace(world.of("app", "unknown"), held_since=None)
    assert [await it.granted(ROLLING) for it in (new, unknown)] == [0, 0]
    world.clock.set(JUNE)
    assert [await it.granted(ROLLING) for it in (new, unknown)] == [30, 0]


async def test_nothing_is_carried_out_of_a_time_in_which_nobody_counted(
    clock: ManualClock,
) -> None:
    """It may have been used all the same, before there was a sidecar."""
    async with sqlite_meter(None, clock) as meter:
        world = World(replica(meter, clock), clock, held_since=MARCH)
        assert await world.granted(ROLLING) == 0
        await world.of("app", "other").use(ROLLING, tokens=1)
        world.clock.set(JUNE)
        assert await world.granted(ROLLING) == 30


async def test_use_tells_that_somebody_without_a_subscription_was_there(world: World) -> None:
    unknown = replace(world, held_since=None)
    await unknown.use(ROLLING, tokens=90)
    world.clock.set(JUNE)
    assert await unknown.granted(ROLLING) == 10


async def test_after_an_upgrade_what_was_left_of_the_old_plan_is_left(world: World) -> None:
    """The counter is the same, and so is what was included in the last period."""
    await world.use(limit(50, Fixed.BILLING_MONTH, name="free"), tokens=40)
    world.clock.set(JUNE)
    assert await replace(world, held_since=JUNE).granted(ROLLING) == 10


async def test_a_plan_that_is_changed_in_a_period_carries_no_more_than_the_new_one_says(
    world: World, another: World
) -> None:
    await world.use(ROLLING, tokens=5)
    world.clock.set(JUNE)
    assert await world.granted(ROLLING) == 30
    smaller = replace(limit(50, Fixed.BILLING_MONTH, name="small"), rollover=20)

    assert await world.granted(smaller) == 20
    assert await another.granted(smaller) == 20


async def test_of_what_was_unlimited_nothing_is_left(world: World) -> None:
    await world.use(limit(None, Fixed.BILLING_MONTH, name="free"), tokens=40)
    world.clock.set(JUNE)
    assert await world.granted(ROLLING) == 0


async def test_every_replica_grants_the_same_and_once(world: World, another: World) -> None:
    await world.use(ROLLING, tokens=80)
    world.clock.set(JUNE)
    assert await asyncio.gather(*(it.granted(ROLLING) for it in [world, another] * 4)) == [20] * 8
    await world.use(ROLLING, tokens=110)
    assert await another.granted(ROLLING) == 10
    assert len(await world.balances()) == 1


async def test_what_was_noted_is_granted_by_another_replica_if_the_first_one_died(
    world: World, another: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.use(ROLLING, tokens=80)
    world.clock.set(JUNE)

    async def dies(*_: object, **__: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(world.meter, "grant", dies)
    with pytest.raises(ConnectionError):
        await world.read(ROLLING)
    assert await another.granted(ROLLING) == 20


async def test_a_grant_that_was_used_up_long_ago_does_not_come_again(
    world: World, another: World
) -> None:
    """After ninety days nobody knows of it any more."""
    start = datetime(2032, 1, 1, tzinfo=UTC)
    world.clock.set(datetime(2031, 12, 1, tzinfo=UTC))
    year = replace(limit(100, Fixed.BILLING_PERIOD, name="yearly"), rollover=30)
    before = BillingCycle(start=start.replace(year=2031), end=start)
    present = BillingCycle(start=start, end=start.replace(year=2033))
    await replace(world, cycle=before).use(year, tokens=80)
    world.clock.set(start + timedelta(hours=1))
    mine, other = (replace(it, cycle=present) for it in (world, another))
    assert await mine.granted(year) == 20
    await mine.use(year, tokens=120)
    world.clock.set(start + timedelta(days=200))
    await mine.grant(1, "something-else", limit="else")
    assert list(await mine.balances()) == ["something-else"]
    assert await other.granted(year) == 0


async def test_a_new_billing_day_carries_on_what_was_left_of_the_period_that_it_ended(
    world: World,
) -> None:
    await world.use(ROLLING, tokens=75)
    world.clock.set(JUNE)
    assert await world.granted(ROLLING) == 25
    await world.use(ROLLING, tokens=90)
    world.clock.advance(days=9)
    moved = replace(world, cycle=BillingCycle(start=world.clock.now, anchor=world.clock.now))
    await moved.use(ROLLING, tokens=1)
    # The statement of the period before says only now that it was cut: by this first use.
    assert await moved.granted(ROLLING) == 10


@pytest.mark.parametrize("ask", ["read", "reserve", "event"])
async def test_whatever_comes_first_in_a_period_finds_it(world: World, ask: str) -> None:
    await world.use(ROLLING, tokens=80)
    world.clock.set(JUNE)
    match ask:
        case "read":
            assert (await world.read(ROLLING))[0].remaining == 120
        case "reserve":
            assert (await world.reserve(ROLLING, tokens=120)).reservation is not None
        case _:
            await world.use(ROLLING, tokens=120)
            assert await world.level(ROLLING) == (100, 0)


async def test_what_is_noted_has_no_statement_and_no_report(world: World) -> None:
    await world.use(ROLLING, tokens=80)
    world.clock.set(JUNE)
    await world.read(ROLLING)
    assert len(await world.statements()) == 1
    assert await world.usage("user") == []


async def test_too_many_grants_leave_it_out_and_refuse_nothing(world: World) -> None:
    await world.use(ROLLING, tokens=80)
    world.clock.set(JUNE - timedelta(hours=1))
    for number in range(64):
        await world.grant(1, f"other-{number}", limit="another-limit")
    world.clock.set(JUNE)
    assert await world.granted(ROLLING) == 0
    assert await world.level(ROLLING) == (0, 0)


async def _forget_counters(meter: Meter) -> None:
    """As a store does in time."""
    assert isinstance(meter, RolledMeter)
    match meter._inner:
        case SqliteMeter() as inner:
            await inner._database.run(
                lambda connection: connection.execute("DELETE FROM counter"),
                since=time.monotonic(),
            )
        case RedisMeter() as inner:
            ask = inner._connection.command
            keys = await ask("KEYS", "s3:{app}:c:*", since=time.monotonic())
            assert isinstance(keys, list)
            for key in map(str, keys):
                await ask("DEL", key, since=time.monotonic())


# -- any use, over months, against a plain account ---------------------------------------------

USES = st.lists(st.integers(0, 160), min_size=2, max_size=5)
ROUNDS = itertools.count()


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(months=st.lists(USES, min_size=2, max_size=6), most=st.sampled_from([1, 30, 100, 500]))
async def test_over_months_nobody_uses_more_than_was_given_and_carried(
    redis_url: str, tmp_path: Path, months: list[list[int]], most: int
) -> None:
    rolling = replace(ROLLING, rollover=most)
    number = next(ROUNDS)
    for store in ("sqlite", "redis"):
        clock = ManualClock(MAY)
        async with AsyncExitStack() as stack:
            meter: Meter
            if store == "sqlite":
                meter = await stack.enter_async_context(
                    sqlite_meter(tmp_path / f"{number}.db", clock)
                )
            else:
                meter = await stack.enter_async_context(redis_meter(redis_url, clock))
            worlds = [World(replica(meter, clock), clock, held_since=clock.now) for _ in range(2)]
            worlds[1].names = worlds[0].names
            used = await _live(worlds, rolling, months)
    carried = 0
    for month, asked in zip(used, months, strict=True):
        total = sum(month)
        room = 100 + carried
        # All that fitted was let in, and nothing else.
        assert month == _fitting(asked, room)
        carried = min(most, max(0, 100 - total))


def _fitting(asked: Sequence[int], room: int) -> list[int]:
    let_in = []
    for tokens in asked:
        fits = max(tokens, 1) <= room
        let_in.append(tokens if fits else 0)
        room -= let_in[-1]
    return let_in


async def _live(
    worlds: Sequence[World], rolling: Limit, months: Sequence[Sequence[int]]
) -> list[list[int]]:
    """What was let in of what was asked for, at one replica after the other."""
    turns, clock, found = itertools.cycle(worlds), worlds[0].clock, []
    for index, asked in enumerate(months):
        clock.set(datetime(2032 + (4 + index) // 12, (4 + index) % 12 + 1, 20, tzinfo=UTC))
        let_in = []
        for tokens in asked:
            world = next(turns)
            metering = await world.reserve(rolling, tokens=tokens)
            if metering.reservation is not None:
                await world.commit(metering.reservation.id, tokens)
            let_in.append(tokens if metering.reservation is not None else 0)
        found.append(let_in)
    return found
