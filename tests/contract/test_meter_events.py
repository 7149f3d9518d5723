"""Use that is reported after the fact: each event once, in its own time, on every store."""

import asyncio
from datetime import timedelta

import pytest

from sidecar.domain.limits import Dimension
from sidecar.domain.request import MeterKind
from sidecar.domain.usage import ReservationState, Tally, name_reservation
from sidecar.domain.windows import Fixed
from tests.contract.stores import World, limit, seconds

MONTHLY = limit(1_000, name="monthly")
HOURLY = limit(1_000, Fixed.HOUR, name="hourly")
BURST = limit(100, seconds(60), name="burst")
REQUESTS = limit(100, Fixed.DAY, MeterKind.REQUESTS, name="requests")


async def test_an_event_counts_in_every_limit_and_past_their_maximum(world: World) -> None:
    assert await world.record(world.event(MONTHLY, BURST, tokens=5_000)) == Tally(1, 0)
    assert await world.levels(MONTHLY, BURST) == [(5_000, 0), (5_000, 0)]


async def test_nothing_reported_is_nothing_counted(world: World) -> None:
    assert await world.record() == Tally(0, 0)
    assert await world.record(world.event(tokens=10)) == Tally(1, 0)


async def test_an_event_counts_once_however_often_it_comes(world: World) -> None:
    event = world.event(MONTHLY, tokens=10, name="e-1")
    assert await world.record(event) == Tally(1, 0)
    assert await world.record(event) == Tally(0, 1)
    world.clock.advance(days=6)
    assert await world.record(event, world.event(MONTHLY, tokens=5)) == Tally(1, 1)
    assert await world.level(MONTHLY) == (15, 0)


async def test_an_event_counts_once_within_one_batch(world: World) -> None:
    event = world.event(MONTHLY, tokens=10, name="e-1")
    assert await world.record(event, event, event) == Tally(1, 2)
    assert await world.level(MONTHLY) == (10, 0)


async def test_an_event_counts_once_however_many_report_it_together(world: World) -> None:
    event = world.event(MONTHLY, tokens=10, name="e-1")
    tallies = await asyncio.gather(*(world.record(event) for _ in range(40)))
    assert sum(tally.accepted for tally in tallies) == 1
    assert await world.level(MONTHLY) == (10, 0)


async def test_the_first_of_two_events_with_one_id_counts(world: World) -> None:
    await world.record(world.event(MONTHLY, tokens=10, name="e-1"))
    await world.record(world.event(MONTHLY, tokens=99, name="e-1"))
    assert await world.level(MONTHLY) == (10, 0)


async def test_two_apps_may_use_the_same_event_id(world: World) -> None:
    other = world.of("other")
    await world.record(world.event(MONTHLY, tokens=10, name="e-1"))
    assert await other.record(other.event(MONTHLY, tokens=20, name="e-1")) == Tally(1, 0)
    assert (await world.level(MONTHLY), await other.level(MONTHLY)) == ((10, 0), (20, 0))


async def test_a_large_batch_is_counted_whole(world: World) -> None:
    events = [world.event(MONTHLY, BURST, tokens=1) for _ in range(500)]
    assert await world.record(*events) == Tally(500, 0)
    assert await world.levels(MONTHLY, BURST) == [(500, 0), (500, 0)]


async def test_a_late_event_counts_in_the_window_of_its_own_time(world: World) -> None:
    earlier = world.clock.now - timedelta(hours=1)
    await world.record(world.event(MONTHLY, HOURLY, BURST, tokens=10, at=earlier))
    assert await world.levels(MONTHLY, HOURLY, BURST) == [(10, 0), (0, 0), (0, 0)]
    world.clock.set(earlier)
    assert await world.level(HOURLY) == (10, 0)


async def test_an_event_a_little_late_lies_in_its_own_bucket(world: World) -> None:
    begin = world.clock.now
    world.clock.advance(seconds=40)
    await world.use(BURST, tokens=10)
    await world.use(BURST, tokens=5, at=begin)
    (reading,) = await world.read(BURST)
    assert (reading.used, reading.resets_at) == (15, begin + timedelta(seconds=61))
    world.clock.advance(seconds=21)
    assert await world.level(BURST) == (10, 0)


async def test_an_event_ahead_of_time_counts_at_once_and_no_longer_than_what_is_used_now(
    world: World,
) -> None:
    """The sender's clock is ahead; what it reports was used by now."""
    begin = world.clock.now
    await world.use(BURST, tokens=10, at=begin + timedelta(minutes=5))
    (reading,) = await world.read(BURST)
    assert (reading.used, reading.resets_at) == (10, begin + timedelta(seconds=61))
    world.clock.advance(seconds=61, milliseconds=-1)
    assert await world.level(BURST) == (10, 0)
    world.clock.advance(milliseconds=1)
    assert await world.level(BURST) == (0, 0)


async def test_an_event_ahead_of_time_in_the_next_period_waits_for_it(world: World) -> None:
    world.clock.advance(minutes=58)
    await world.use(HOURLY, tokens=10, at=world.clock.now + timedelta(minutes=5))
    assert await world.level(HOURLY) == (0, 0)
    world.clock.advance(minutes=2)
    assert await world.level(HOURLY) == (10, 0)


async def test_an_event_without_a_reservation_is_one_request(world: World) -> None:
    await world.record(world.event(MONTHLY, REQUESTS, tokens=10))
    await world.record(world.event(MONTHLY, REQUESTS, tokens=10, requests=0))
    assert await world.levels(MONTHLY, REQUESTS) == [(20, 0), (1, 0)]


# -- with a reservation ----------------------------------------------------------------------


async def test_an_event_draws_its_reservation_down(world: World) -> None:
    name = await world.held(MONTHLY, BURST, tokens=100)
    await world.record(world.event(MONTHLY, BURST, tokens=30, reservation_id=name))
    assert await world.levels(MONTHLY, BURST) == [(30, 70), (30, 70)]
    await world.record(world.event(MONTHLY, BURST, tokens=90, reservation_id=name))
    assert await world.levels(MONTHLY, BURST) == [(120, 0), (120, 0)]


async def test_a_duplicate_draws_nothing_down(world: World) -> None:
    name = await world.held(MONTHLY, tokens=100)
    event = world.event(MONTHLY, tokens=30, name="e-1", reservation_id=name)
    await world.record(event, event)
    await world.record(event)
    assert await world.level(MONTHLY) == (30, 70)


async def test_an_event_draws_down_in_the_windows_of_the_hold(world: World) -> None:
    world.clock.advance(minutes=59)
    name = await world.held(HOURLY, tokens=100, ttl_s=600)
    world.clock.advance(minutes=2)
    await world.record(world.event(HOURLY, tokens=30, reservation_id=name))
    assert await world.level(HOURLY) == (0, 0)
    world.clock.advance(minutes=-2)
    assert await world.level(HOURLY) == (30, 70)


async def test_a_run_is_one_request_however_many_events_it_has(world: World) -> None:
    name = await world.held(MONTHLY, REQUESTS, tokens=100)
    for _ in range(3):
        await world.record(world.event(MONTHLY, REQUESTS, tokens=10, reservation_id=name))
    assert await world.levels(MONTHLY, REQUESTS) == [(30, 70), (1, 0)]
    await world.commit(name, 60)
    assert await world.levels(MONTHLY, REQUESTS) == [(60, 0), (1, 0)]


async def test_concurrency_is_held_until_the_run_ends_whatever_events_say(world: World) -> None:
    concurrent = limit(5, Fixed.LIFETIME, MeterKind.CONCURRENCY)
    name = await world.held(concurrent, tokens=100)
    await world.record(world.event(concurrent, tokens=10, reservation_id=name))
    assert await world.level(concurrent) == (0, 1)
    await world.commit(name, 10)
    assert await world.level(concurrent) == (0, 0)


@pytest.mark.parametrize(("told", "committed", "counted"), [(30, 50, 50), (60, 50, 60)])
async def test_of_events_and_the_final_commit_the_greater_counts(
    world: World, told: int, committed: int, counted: int
) -> None:
    name = await world.held(MONTHLY, tokens=100)
    await world.record(world.event(MONTHLY, tokens=told, reservation_id=name))
    await world.commit(name, committed)
    assert await world.level(MONTHLY) == (counted, 0)


async def test_an_event_after_the_final_commit_counts_nothing(world: World) -> None:
    name = await world.held(MONTHLY, REQUESTS, tokens=100)
    await world.commit(name, 50)
    event = world.event(MONTHLY, REQUESTS, tokens=30, reservation_id=name)
    assert await world.record(event) == Tally(1, 0)
    assert await world.levels(MONTHLY, REQUESTS) == [(50, 0), (1, 0)]


async def test_an_event_after_a_release_counts_like_any_other(world: World) -> None:
    name = await world.held(MONTHLY, REQUESTS, tokens=100)
    await world.release(name)
    await world.record(world.event(MONTHLY, REQUESTS, tokens=30, reservation_id=name))
    assert await world.levels(MONTHLY, REQUESTS) == [(30, 0), (1, 0)]


async def test_an_event_after_expiry_charges_in_the_window_of_the_hold(world: World) -> None:
    world.clock.advance(minutes=59)
    name = await world.held(HOURLY, REQUESTS, tokens=100, ttl_s=30)
    world.clock.advance(minutes=5)
    await world.record(world.event(HOURLY, REQUESTS, tokens=30, reservation_id=name))
    assert await world.levels(HOURLY, REQUESTS) == [(0, 0), (1, 0)]
    settled = await world.commit(name, 40)
    assert settled.state is ReservationState.COMMITTED
    assert [reading.used for reading in settled.readings] == [40, 1]


@pytest.mark.parametrize(
    "name", [name_reservation("app", "never-made"), "nothing", "res_.", "a\nb\tc", "é" * 256]
)
async def test_an_event_with_an_unknown_reservation_counts_like_any_other(
    world: World, name: str
) -> None:
    await world.record(world.event(MONTHLY, REQUESTS, tokens=30, reservation_id=name))
    assert await world.levels(MONTHLY, REQUESTS) == [(30, 0), (1, 0)]


async def test_an_event_cannot_draw_down_another_apps_reservation(world: World) -> None:
    other = world.of("other")
    theirs = await other.held(MONTHLY, tokens=100)
    await world.record(world.event(MONTHLY, tokens=30, reservation_id=theirs))
    assert await world.level(MONTHLY) == (30, 0)
    assert await other.level(MONTHLY) == (0, 100)


async def test_an_event_with_a_reservation_charges_what_the_reservation_holds(
    world: World,
) -> None:
    """The hold's limits were chosen by the check; the event adds none."""
    per_app = limit(1_000, per=[Dimension.APP], name="per-app")
    name = await world.held(MONTHLY, tokens=100)
    await world.record(world.event(MONTHLY, per_app, tokens=30, reservation_id=name))
    assert await world.levels(MONTHLY, per_app) == [(30, 70), (0, 0)]
