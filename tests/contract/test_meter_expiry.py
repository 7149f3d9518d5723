"""What becomes of units whose reservation expires: given back, or charged, on every store."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from sidecar.domain.request import UNTOLD, MeterKind
from sidecar.domain.usage import OnExpiry, ReservationState, Settlement
from sidecar.domain.windows import Fixed
from sidecar.errors import ReservationEnded, UnknownReservation
from tests.contract.stores import World, beside, limit, seconds

MONTHLY = limit(100, Fixed.BILLING_MONTH, name="monthly")
EVER = limit(None, Fixed.LIFETIME, name="ever")
BURST = limit(80, seconds(60), name="burst")
HOURLY = limit(200, Fixed.HOUR, name="hourly")
REQUESTS = limit(10, Fixed.DAY, MeterKind.REQUESTS, name="requests")
RUNNING = limit(2, Fixed.LIFETIME, MeterKind.CONCURRENCY, name="running")


# -- given back ------------------------------------------------------------------------------


async def test_what_expires_comes_back_to_the_grants_too(world: World) -> None:
    await world.grant(50, "g")
    await world.held(MONTHLY, tokens=130, ttl_s=30)
    world.clock.advance(seconds=30)
    assert await world.level(MONTHLY) == (0, 0)
    assert await world.balance("g") == (0, 0, 50)


async def test_a_late_commit_is_paid_as_if_nothing_had_been_held(world: World) -> None:
    await world.grant(50, "g")
    name = await world.held(MONTHLY, tokens=130, ttl_s=30)
    world.clock.advance(seconds=30)
    await world.use(MONTHLY, tokens=60)
    await world.commit(name, 70)
    assert await world.level(MONTHLY) == (100, 0)
    assert await world.balance("g") == (30, 0, 20)


# -- charged ---------------------------------------------------------------------------------


async def test_what_expires_is_charged_where_it_was_held(charging: World) -> None:
    begin = charging.clock.now
    await charging.held(MONTHLY, EVER, BURST, HOURLY, REQUESTS, tokens=60, ttl_s=30)
    charging.clock.advance(seconds=30, milliseconds=-1)
    assert await charging.levels(MONTHLY, BURST) == [(0, 60), (0, 60)]
    charging.clock.advance(milliseconds=1)
    readings = await charging.read(MONTHLY, EVER, BURST, HOURLY, REQUESTS)
    assert [(each.used, each.reserved) for each in readings] == [(60, 0)] * 4 + [(1, 0)]
    assert readings[2].resets_at == begin + timedelta(seconds=61)
    charging.clock.advance(minutes=59)
    assert await charging.levels(MONTHLY, BURST) == [(60, 0), (0, 0)]


async def test_what_expires_long_unseen_is_charged_in_the_period_of_the_hold(
    charging: World,
) -> None:
    await charging.held(MONTHLY, BURST, HOURLY, tokens=60, ttl_s=30)
    charging.clock.advance(hours=2)
    assert await charging.levels(MONTHLY, BURST, HOURLY) == [(60, 0), (0, 0), (0, 0)]
    charging.clock.advance(hours=-2)
    assert await charging.level(HOURLY) == (60, 0)


async def test_concurrency_comes_back_whatever_expiry_means(charging: World) -> None:
    for _ in range(2):
        await charging.held(RUNNING, MONTHLY, tokens=10, ttl_s=30)
    assert (await charging.reserve(RUNNING)).reservation is None
    charging.clock.advance(seconds=30)
    assert await charging.levels(RUNNING, MONTHLY) == [(0, 0), (20, 0)]
    late = await charging.held(RUNNING, MONTHLY, tokens=10, ttl_s=30)
    charging.clock.advance(seconds=30)
    await charging.commit(late, 3)
    assert await charging.levels(RUNNING, MONTHLY) == [(0, 0), (23, 0)]


async def test_what_was_held_of_grants_is_used_with_the_rest(charging: World) -> None:
    await charging.grant(50, "g")
    await charging.held(MONTHLY, BURST, tokens=60, ttl_s=30)
    charging.clock.advance(minutes=2)
    name = await charging.held(MONTHLY, BURST, tokens=70, ttl_s=30)
    charging.clock.advance(seconds=30)
    assert await charging.levels(MONTHLY, BURST) == [(100, 0), (70, 0)]
    assert await charging.balance("g") == (30, 0, 20)
    await charging.commit(name, 10)
    assert await charging.levels(MONTHLY, BURST) == [(70, 0), (10, 0)]
    assert await charging.balance("g") == (0, 0, 50)


@pytest.mark.parametrize("used", [0, 40, 60, 95])
async def test_a_late_commit_corrects_the_guess(charging: World, used: int) -> None:
    name = await charging.held(MONTHLY, BURST, REQUESTS, tokens=60, ttl_s=30)
    charging.clock.advance(seconds=30)
    settled = await charging.commit(name, used)
    assert settled.state is ReservationState.COMMITTED
    assert [reading.used for reading in settled.readings] == [used, used, 1]
    assert await charging.levels(MONTHLY, BURST, REQUESTS) == [(used, 0), (used, 0), (1, 0)]
    assert await charging.commit(name, used) == settled
    with pytest.raises(ReservationEnded):
        await charging.commit(name, used + 1)


async def test_late_commits_that_are_not_final_correct_it_once(charging: World) -> None:
    name = await charging.held(MONTHLY, tokens=60, ttl_s=30)
    charging.clock.advance(seconds=30)
    settled = await charging.commit(name, 10, final=False)
    assert settled.state is ReservationState.EXPIRED
    assert await charging.level(MONTHLY) == (10, 0)
    await charging.commit(name, 10, final=False)
    assert await charging.level(MONTHLY) == (10, 0)
    charging.clock.advance(hours=1)
    await charging.commit(name, 25, final=False)
    await charging.commit(name, 20)
    assert await charging.level(MONTHLY) == (25, 0)


async def test_what_was_committed_in_time_is_no_guess(charging: World) -> None:
    name = await charging.held(MONTHLY, tokens=60, ttl_s=30)
    await charging.commit(name, 20, final=False)
    charging.clock.advance(seconds=30)
    assert await charging.level(MONTHLY) == (60, 0)
    await charging.commit(name, 5)
    assert await charging.level(MONTHLY) == (20, 0)


async def test_an_extended_hold_is_charged_with_its_extensions(charging: World) -> None:
    charging.clock.advance(minutes=59)
    name = await charging.held(HOURLY, MONTHLY, tokens=30, ttl_s=120)
    charging.clock.advance(minutes=1)
    await charging.extend(name, HOURLY, MONTHLY, tokens=20, ttl_s=120)
    charging.clock.advance(minutes=2)
    assert await charging.levels(HOURLY, MONTHLY) == [(20, 0), (50, 0)]
    await charging.commit(name, 35)
    # Nothing is held any more: all is charged where it was held last.
    assert await charging.levels(HOURLY, MONTHLY) == [(35, 0), (35, 0)]
    charging.clock.advance(minutes=-3)
    assert await charging.level(HOURLY) == (0, 0)


async def test_the_first_late_event_corrects_the_guess_and_others_add(charging: World) -> None:
    await charging.grant(50, "g")
    name = await charging.held(MONTHLY, REQUESTS, tokens=120, ttl_s=30)
    charging.clock.advance(seconds=30)
    assert await charging.levels(MONTHLY, REQUESTS) == [(100, 0), (1, 0)]
    for total in (30, 60, 90):
        event = charging.event(MONTHLY, REQUESTS, tokens=30, reservation_id=name)
        await charging.record(event, event)
        assert await charging.levels(MONTHLY, REQUESTS) == [(total, 0), (1, 0)]
    assert await charging.balance("g") == (0, 0, 50)
    await charging.commit(name, 110)
    assert await charging.levels(MONTHLY, REQUESTS) == [(100, 0), (1, 0)]
    assert await charging.balance("g") == (10, 0, 40)


async def test_a_late_commit_finds_its_sliding_window_gone_and_its_period_there(
    charging: World,
) -> None:
    name = await charging.held(MONTHLY, BURST, tokens=60, ttl_s=30)
    charging.clock.advance(seconds=40)
    await charging.use(BURST, tokens=7)
    assert await charging.level(BURST) == (67, 0)
    charging.clock.advance(seconds=30)
    await charging.commit(name, 20)
    assert await charging.levels(MONTHLY, BURST) == [(20, 0), (7, 0)]


async def test_a_window_forgets_a_guess_that_was_taken_back(charging: World) -> None:
    begin = charging.clock.now
    name = await charging.held(BURST, tokens=60, ttl_s=5)
    charging.clock.advance(seconds=20)
    await charging.use(BURST, tokens=7)
    (reading,) = await charging.read(BURST)
    assert (reading.used, reading.resets_at) == (67, begin + timedelta(seconds=61))
    await charging.commit(name, 0)
    (reading,) = await charging.read(BURST)
    assert (reading.used, reading.resets_at) == (7, begin + timedelta(seconds=81))


async def test_a_release_of_what_expired_gives_nothing_back(charging: World) -> None:
    await charging.grant(50, "g")
    name = await charging.held(MONTHLY, tokens=120, ttl_s=30)
    charging.clock.advance(seconds=30)
    for _ in range(2):
        assert (await charging.release(name)).state is ReservationState.EXPIRED
        assert await charging.level(MONTHLY) == (100, 0)
        assert await charging.balance("g") == (20, 0, 30)
    await charging.commit(name, 10)
    assert await charging.level(MONTHLY) == (10, 0)


async def test_a_withdrawal_of_what_expired_takes_the_guess_back(charging: World) -> None:
    """The request was refused: nobody ran it."""
    await charging.grant(50, "g")
    name = await charging.held(MONTHLY, BURST, REQUESTS, tokens=60, ttl_s=30)
    other = await charging.held(MONTHLY, tokens=60, ttl_s=30)
    charging.clock.advance(seconds=30)
    await charging.withdraw(name)
    await charging.withdraw(other)
    assert await charging.levels(MONTHLY, BURST, REQUESTS) == [(0, 0)] * 3
    assert await charging.balance("g") == (0, 0, 50)
    with pytest.raises(UnknownReservation):
        await charging.commit(name, 1)


async def test_what_is_given_back_in_time_is_not_charged(charging: World) -> None:
    released, withdrawn = [await charging.held(MONTHLY, tokens=30, ttl_s=30) for _ in range(2)]
    committed = await charging.held(MONTHLY, tokens=30, ttl_s=30)
    await charging.release(released)
    await charging.withdraw(withdrawn)
    await charging.commit(committed, 7)
    charging.clock.advance(seconds=30)
    assert await charging.level(MONTHLY) == (7, 0)


async def test_what_expiry_means_is_settled_when_the_units_are_held(charging: World) -> None:
    """Whoever comes by may have been told otherwise."""
    lenient = replace(charging, meter=beside(charging.meter, OnExpiry.RELEASE))
    await charging.held(MONTHLY, tokens=30, ttl_s=30)
    lent = await lenient.held(MONTHLY, tokens=40, ttl_s=30)
    charging.clock.advance(seconds=30)
    assert await lenient.level(MONTHLY) == (30, 0)
    await charging.commit(lent, 5)
    assert await charging.level(MONTHLY) == (35, 0)


async def test_of_what_a_late_commit_does_not_know_nothing_is_charged(charging: World) -> None:
    read = limit(1_000, Fixed.DAY, MeterKind.INPUT_TOKENS, name="read")
    name = await charging.held(MONTHLY, read, tokens=60, input_tokens=40, ttl_s=30)
    charging.clock.advance(seconds=30)
    assert await charging.levels(MONTHLY, read) == [(60, 0), (40, 0)]
    await charging.commit(name, 50, input_tokens=UNTOLD, output_tokens=UNTOLD)
    assert await charging.levels(MONTHLY, read) == [(50, 0), (0, 0)]


async def test_what_expires_beyond_the_allowance_is_charged_past_it(charging: World) -> None:
    await charging.held(MONTHLY, tokens=60, ttl_s=30)
    await charging.use(MONTHLY, tokens=70)
    charging.clock.advance(seconds=30)
    assert await charging.level(MONTHLY) == (130, 0)
    assert (await charging.reserve(MONTHLY, tokens=1)).reservation is None


async def test_any_number_of_reservations_is_charged_before_an_answer(charging: World) -> None:
    await charging.grant(300, "g")
    tight = limit(100, Fixed.BILLING_MONTH)
    await asyncio.gather(*(charging.held(tight, tokens=1) for _ in range(400)))
    charging.clock.advance(seconds=60)
    assert (await charging.reserve(tight, tokens=1)).reservation is None
    assert await charging.level(tight) == (100, 0)
    assert await charging.balance("g") == (300, 0, 0)


# -- long after ------------------------------------------------------------------------------


async def test_the_call_that_ends_a_reservation_shows_its_limits_however_late(
    world: World,
) -> None:
    name = await world.held(MONTHLY, tokens=30, ttl_s=30)
    world.clock.advance(hours=1, milliseconds=123)
    settled = await world.commit(name, 20)
    assert [reading.used for reading in settled.readings] == [20]
    again = await world.commit(name, 20)
    assert (again.state, again.tokens, again.readings) == (settled.state, 30, ())


@pytest.mark.parametrize("end", ["commit", "release"])
async def test_a_repeated_end_shows_the_limits_until_ten_minutes_after_the_hold(
    world: World, end: str
) -> None:
    name = await world.held(MONTHLY, tokens=30, ttl_s=30)

    async def settle() -> Settlement:
        return await (world.commit(name, 20) if end == "commit" else world.release(name))

    first = await settle()
    world.clock.advance(seconds=630, milliseconds=-1)
    assert await settle() == first
    world.clock.advance(milliseconds=1)
    assert await settle() == replace(first, readings=())
    assert await world.level(MONTHLY) == (20 if end == "commit" else 0, 0)


async def test_of_a_commit_long_ago_the_tokens_are_known(world: World) -> None:
    name = await world.held(MONTHLY, tokens=30, ttl_s=30)
    await world.commit(name, 20, input_tokens=15, output_tokens=5)
    world.clock.advance(days=6)
    settled = await world.commit(name, 20, input_tokens=UNTOLD, output_tokens=UNTOLD)
    assert settled.state is ReservationState.COMMITTED
    with pytest.raises(ReservationEnded):
        await world.commit(name, 21)
    for call in (world.release(name), world.held_request(name), world.extend(name, MONTHLY)):
        with pytest.raises(ReservationEnded):
            await call
    event = world.event(MONTHLY, tokens=5, reservation_id=name)
    await world.record(event)
    assert await world.level(MONTHLY) == (20, 0)


async def test_of_a_release_long_ago_it_is_known_that_it_was_one(world: World) -> None:
    name = await world.held(MONTHLY, tokens=30, ttl_s=30)
    await world.release(name)
    world.clock.advance(days=6)
    assert (await world.release(name)).state is ReservationState.RELEASED
    for call in (world.commit(name, 1), world.held_request(name), world.extend(name, MONTHLY)):
        with pytest.raises(ReservationEnded):
            await call
    await world.record(world.event(MONTHLY, tokens=5, reservation_id=name))
    assert await world.level(MONTHLY) == (5, 0)
