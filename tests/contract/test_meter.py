"""What is held, charged and given back, on every store."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from sidecar.domain.limits import Dimension
from sidecar.domain.modes import Mode
from sidecar.domain.request import MAX_INTEGER, UNTOLD, Amounts, MeterKind
from sidecar.domain.usage import Hold, ReservationState, name_reservation
from sidecar.domain.windows import Fixed
from sidecar.errors import ReservationEnded, UnknownReservation
from tests.contract.stores import World, contents, limit, seconds

MONTHLY = limit(1_000, name="monthly")
BURST = limit(100, seconds(60), name="burst")
UNKNOWN = name_reservation("app", "never-made")


# -- reading ---------------------------------------------------------------------------------


async def test_a_counter_that_nobody_touched_reads_zero(world: World) -> None:
    monthly, burst = await world.read(MONTHLY, BURST)
    assert (monthly.used, monthly.reserved, monthly.remaining) == (0, 0, 1_000)
    assert (burst.used, burst.reserved, burst.remaining) == (0, 0, 100)
    assert burst.resets_at is None
    assert monthly.resets_at is not None


async def test_reading_no_limit_gives_no_reading(world: World) -> None:
    assert await world.read() == ()


async def test_reading_changes_nothing(world: World) -> None:
    await world.held(MONTHLY, BURST, tokens=10)
    before = await contents(world.meter)
    await world.read(MONTHLY, BURST, tokens=5_000)
    assert await contents(world.meter) == before


async def test_the_store_says_that_it_answers(world: World) -> None:
    await world.meter.ping(since=float("inf"))


# -- holding ---------------------------------------------------------------------------------


async def test_a_reservation_is_held_in_every_limit_at_once(world: World) -> None:
    metering = await world.reserve(MONTHLY, BURST, tokens=60)
    assert metering.reservation is not None
    assert metering.reservation.tokens == 60
    assert metering.reservation.expires_at == world.clock.now + timedelta(seconds=60)
    assert await world.levels(MONTHLY, BURST) == [(0, 60), (0, 60)]


async def test_a_refused_reservation_changes_not_a_byte(world: World) -> None:
    await world.held(MONTHLY, BURST, tokens=60)
    before = await contents(world.meter)
    metering = await world.reserve(MONTHLY, BURST, tokens=41, request_id="again")
    assert metering.reservation is None
    assert await contents(world.meter) == before
    assert await world.levels(MONTHLY, BURST) == [(0, 60), (0, 60)]


async def test_readings_are_those_before_the_requests_own_units(world: World) -> None:
    await world.use(MONTHLY, tokens=200)
    await world.held(MONTHLY, tokens=300)
    metering = await world.reserve(MONTHLY, tokens=400)
    (reading,) = metering.readings
    assert (reading.used, reading.reserved, reading.requested) == (200, 300, 400)
    assert reading.remaining == 500


async def test_a_refusal_reads_the_same_as_an_allowance_would(world: World) -> None:
    await world.use(MONTHLY, tokens=200)
    await world.held(MONTHLY, tokens=300)
    (reading,) = (await world.reserve(MONTHLY, tokens=501)).readings
    assert (reading.used, reading.reserved, reading.remaining) == (200, 300, 500)
    assert reading.is_exceeded


async def test_the_last_unit_can_be_had_and_the_next_cannot(world: World) -> None:
    assert (await world.reserve(MONTHLY, tokens=999)).reservation is not None
    assert (await world.reserve(MONTHLY, tokens=1)).reservation is not None
    assert (await world.reserve(MONTHLY, tokens=1)).reservation is None


async def test_a_limit_with_nothing_left_refuses_a_request_for_nothing(world: World) -> None:
    assert (await world.reserve(MONTHLY)).reservation is not None
    await world.use(MONTHLY, tokens=1_000)
    assert (await world.reserve(MONTHLY)).reservation is None


async def test_a_maximum_of_zero_refuses_everything(world: World) -> None:
    assert (await world.reserve(limit(0))).reservation is None


@pytest.mark.parametrize("mode", [Mode.ADVISORY, Mode.OFF])
async def test_a_limit_that_is_not_enforced_holds_past_its_maximum(
    world: World, mode: Mode
) -> None:
    lenient = limit(100, mode=mode)
    metering = await world.reserve(lenient, tokens=150)
    assert metering.reservation is not None
    assert metering.readings[0].is_exceeded
    assert await world.level(lenient) == (0, 150)


async def test_an_enforced_limit_beside_an_advisory_one_still_refuses_both(world: World) -> None:
    lenient = limit(10, Fixed.DAY, name="daily", mode=Mode.ADVISORY)
    assert (await world.reserve(lenient, BURST, tokens=101)).reservation is None
    assert await world.levels(lenient, BURST) == [(0, 0), (0, 0)]


async def test_a_limit_without_a_maximum_counts(world: World) -> None:
    unlimited = limit(None)
    name = await world.held(unlimited, tokens=10**12)
    (reading,) = await world.read(unlimited)
    assert (reading.reserved, reading.remaining) == (10**12, None)
    await world.commit(name, 10**11)
    assert await world.level(unlimited) == (10**11, 0)


async def test_limits_that_share_a_counter_hold_it_once(world: World) -> None:
    soft = replace(MONTHLY, id="soft", maximum=500, mode=Mode.ADVISORY)
    name = await world.held(MONTHLY, soft, BURST, tokens=50)
    assert await world.levels(MONTHLY, soft, BURST) == [(0, 50), (0, 50), (0, 50)]
    settled = await world.commit(name, 40)
    assert [reading.used for reading in settled.readings] == [40, 40, 40]


async def test_the_lower_of_two_maximums_on_one_counter_refuses(world: World) -> None:
    lower = replace(MONTHLY, id="lower", maximum=500)
    assert (await world.reserve(MONTHLY, lower, tokens=501)).reservation is None
    assert (await world.reserve(lower, MONTHLY, tokens=500)).reservation is not None


async def test_a_raised_limit_keeps_what_was_already_used(world: World) -> None:
    await world.use(MONTHLY, tokens=1_000)
    raised = replace(MONTHLY, id="pro-monthly", maximum=5_000)
    (reading,) = await world.read(raised)
    assert (reading.used, reading.remaining) == (1_000, 4_000)


async def test_a_conditional_limit_has_a_counter_of_its_own(world: World) -> None:
    conditional = limit(1_000, name="gpt-4", conditional=True)
    await world.held(MONTHLY, tokens=10)
    assert await world.levels(MONTHLY, conditional) == [(0, 10), (0, 0)]


async def test_a_reservation_without_limits_lives_and_ends(world: World) -> None:
    name = await world.held(tokens=10)
    assert (await world.commit(name, 10)).readings == ()


async def test_fifty_of_many_racing_reservations_fit_and_again_when_all_are_given_back(
    world: World,
) -> None:
    tight = limit(5_000)
    for _ in range(2):
        meterings = await asyncio.gather(*(world.reserve(tight, tokens=100) for _ in range(100)))
        made = [metering.reservation.id for metering in meterings if metering.reservation]
        assert len(made) == 50
        assert await world.level(tight) == (0, 5_000)
        await asyncio.gather(*map(world.release, made))
        assert await world.level(tight) == (0, 0)


async def test_a_total_stops_at_the_greatest_exact_number(world: World) -> None:
    unlimited = limit(None)
    rolling = limit(None, seconds(60), name="rolling")
    for _ in range(3):
        await world.use(unlimited, rolling, tokens=MAX_INTEGER)
    assert await world.levels(unlimited, rolling) == [(MAX_INTEGER, 0), (MAX_INTEGER, 0)]


async def test_what_is_held_stops_there_too_and_comes_back_whole(world: World) -> None:
    unlimited = limit(None)
    first = await world.held(unlimited, tokens=MAX_INTEGER - 5)
    second = await world.held(unlimited, tokens=MAX_INTEGER)
    assert await world.level(unlimited) == (0, MAX_INTEGER)
    await world.release(first)
    assert await world.level(unlimited) == (0, 5)
    await world.commit(second, 7)
    assert await world.level(unlimited) == (7, 0)


async def test_a_thousand_greatest_numbers_do_no_harm(world: World) -> None:
    unlimited = limit(None)
    name = await world.held(unlimited, tokens=1)
    for _ in range(21):
        await world.record(
            *(world.event(unlimited, tokens=MAX_INTEGER, reservation_id=name) for _ in range(50))
        )
        await world.extend(name, unlimited, tokens=MAX_INTEGER)
        await asyncio.gather(*(world.held(unlimited, tokens=MAX_INTEGER) for _ in range(50)))
    assert await world.level(unlimited) == (MAX_INTEGER, MAX_INTEGER)
    settled = await world.release(name)
    assert settled.tokens == MAX_INTEGER


# -- whose counter ---------------------------------------------------------------------------

STRANGE = [
    "a}b", "{a}", "a:b", "*", "%", "%2A", "a b", "ä", "名前", "a\tb", "a\nb",
    "é" * 256, "x" * 256,
]  # fmt: skip


async def test_no_two_names_share_a_counter(world: World) -> None:
    """Neither apps nor users, however they are spelled."""
    names = [*STRANGE, "a", "b"]
    for number, name in enumerate(names):
        await world.of(name).held(MONTHLY, tokens=number + 1)
        await world.of("app", name).held(MONTHLY, tokens=100 + number)
    for number, name in enumerate(names):
        assert await world.of(name).level(MONTHLY) == (0, number + 1)
        assert await world.of("app", name).level(MONTHLY) == (0, 100 + number)


@pytest.mark.parametrize("name", STRANGE)
async def test_a_reservation_of_a_strange_name_goes_all_its_way(world: World, name: str) -> None:
    theirs = world.of(name, name)
    held = await theirs.held(MONTHLY, BURST, tokens=10, request_id=name)
    assert (await theirs.held_request(held)).subject.user_id == name
    await theirs.extend(held, MONTHLY, BURST, tokens=5)
    await theirs.record(theirs.event(MONTHLY, tokens=3, name=name, reservation_id=held))
    await theirs.commit(held, 12)
    assert await theirs.levels(MONTHLY, BURST) == [(12, 0), (12, 0)]


async def test_a_limit_per_app_is_shared_by_its_users(world: World) -> None:
    per_app = limit(1_000, per=[Dimension.APP])
    await world.of("app", "one").held(per_app, tokens=600)
    assert (await world.of("app", "two").reserve(per_app, tokens=401)).reservation is None
    assert (await world.of("other", "two").reserve(per_app, tokens=401)).reservation is not None


# -- committing ------------------------------------------------------------------------------


@pytest.mark.parametrize("used", [0, 40, 100, 250])
async def test_a_commit_charges_what_was_used_and_gives_the_rest_back(
    world: World, used: int
) -> None:
    name = await world.held(MONTHLY, BURST, tokens=100)
    settled = await world.commit(name, used)
    assert settled.state is ReservationState.COMMITTED
    assert settled.reservation_id == name
    assert [(reading.used, reading.reserved) for reading in settled.readings] == [(used, 0)] * 2
    assert [reading.limit.id for reading in settled.readings] == ["monthly", "burst"]
    assert await world.levels(MONTHLY, BURST) == [(used, 0), (used, 0)]


async def test_a_settlement_shows_the_limits_as_the_check_did(world: World) -> None:
    unlimited = limit(None, Fixed.LIFETIME, name="ever", mode=Mode.ADVISORY)
    name = await world.held(MONTHLY, BURST, unlimited, tokens=100)
    shown = [reading.limit for reading in (await world.commit(name, 1)).readings]
    assert shown == [MONTHLY, BURST, unlimited]


async def test_a_commit_that_is_not_final_keeps_the_rest_held(world: World) -> None:
    name = await world.held(MONTHLY, tokens=100)
    settled = await world.commit(name, 30, final=False)
    assert settled.state is ReservationState.HELD
    assert await world.level(MONTHLY) == (30, 70)


async def test_commits_state_totals_not_differences(world: World) -> None:
    name = await world.held(MONTHLY, tokens=100)
    for used in (30, 30, 50, 20, 50):
        await world.commit(name, used, final=False)
    assert await world.level(MONTHLY) == (50, 50)
    await world.commit(name, 120, final=False)
    assert await world.level(MONTHLY) == (120, 0)
    await world.commit(name, 130)
    assert await world.level(MONTHLY) == (130, 0)


async def test_a_final_commit_below_what_was_told_takes_nothing_back(world: World) -> None:
    name = await world.held(MONTHLY, tokens=100)
    await world.commit(name, 80, final=False)
    await world.commit(name, 60)
    assert await world.level(MONTHLY) == (80, 0)


async def test_a_repeated_final_commit_changes_nothing(world: World) -> None:
    name = await world.held(MONTHLY, tokens=100)
    first = await world.commit(name, 40)
    assert await world.commit(name, 40) == first
    assert await world.commit(name, 30, final=False) == first
    assert await world.level(MONTHLY) == (40, 0)


@pytest.mark.parametrize("final", [True, False])
async def test_a_commit_of_more_after_the_final_one_is_told_that_it_is_too_late(
    final: bool, world: World
) -> None:
    name = await world.held(MONTHLY, tokens=100)
    await world.commit(name, 40)
    with pytest.raises(ReservationEnded):
        await world.commit(name, 41, final=final)
    assert await world.level(MONTHLY) == (40, 0)


async def test_what_a_commit_does_not_know_is_taken_to_be_what_was_held(world: World) -> None:
    read, written = (
        limit(10_000, meter=meter, name=meter.value)
        for meter in (MeterKind.INPUT_TOKENS, MeterKind.OUTPUT_TOKENS)
    )
    name = await world.held(MONTHLY, read, written, tokens=30, input_tokens=10, output_tokens=20)

    async def commit(tokens: int, *, final: bool) -> None:
        await world.commit(name, tokens, final=final, input_tokens=UNTOLD, output_tokens=UNTOLD)

    await commit(12, final=False)
    assert await world.levels(MONTHLY, read, written) == [(12, 18), (0, 10), (0, 20)]
    await commit(25, final=True)
    assert await world.levels(MONTHLY, read, written) == [(25, 0), (10, 0), (20, 0)]
    await commit(25, final=True)
    assert await world.levels(MONTHLY, read, written) == [(25, 0), (10, 0), (20, 0)]


async def test_what_a_commit_does_not_know_is_never_more_than_it_used_in_all(world: World) -> None:
    read = limit(10_000, meter=MeterKind.INPUT_TOKENS, name="read")
    name = await world.held(MONTHLY, read, tokens=900, input_tokens=600)
    await world.commit(name, 5, input_tokens=UNTOLD, output_tokens=UNTOLD)
    assert await world.levels(MONTHLY, read) == [(5, 0), (5, 0)]


async def test_every_meter_takes_its_own_units(world: World) -> None:
    limits = [
        limit(10_000, meter=meter, name=meter.value)
        for meter in (MeterKind.TOKENS, MeterKind.INPUT_TOKENS, MeterKind.OUTPUT_TOKENS)
    ]
    name = await world.held(*limits, tokens=300, input_tokens=100, output_tokens=200)
    assert await world.levels(*limits) == [(0, 300), (0, 100), (0, 200)]
    await world.commit(name, 250, input_tokens=90, output_tokens=160)
    assert await world.levels(*limits) == [(250, 0), (90, 0), (160, 0)]


async def test_cost_is_charged_in_its_micro_units(world: World) -> None:
    budget = limit(1_000_000, meter=MeterKind.COST)
    name = await world.held(budget, cost=700_000)
    await world.commit(name, cost=650_000)
    assert await world.level(budget) == (650_000, 0)


async def test_a_run_is_one_request_which_a_commit_keeps(world: World) -> None:
    requests = limit(2, seconds(60), MeterKind.REQUESTS)
    name = await world.held(requests)
    assert await world.level(requests) == (0, 1)
    await world.commit(name, 100)
    assert await world.level(requests) == (1, 0)


async def test_a_release_returns_the_request(world: World) -> None:
    requests = limit(1, seconds(60), MeterKind.REQUESTS)
    name = await world.held(requests)
    assert (await world.reserve(requests)).reservation is None
    await world.release(name)
    assert (await world.reserve(requests)).reservation is not None


async def test_concurrency_is_held_while_a_run_lives_and_never_used_up(world: World) -> None:
    concurrent = limit(2, Fixed.LIFETIME, MeterKind.CONCURRENCY)
    first, second = await world.held(concurrent), await world.held(concurrent)
    assert (await world.reserve(concurrent)).reservation is None
    await world.commit(first, 100, final=False)
    assert (await world.reserve(concurrent)).reservation is None
    await world.commit(first, 100)
    third = await world.held(concurrent)
    await world.release(second)
    assert await world.level(concurrent) == (0, 1)
    await world.release(third)
    assert await world.level(concurrent) == (0, 0)


async def test_concurrency_of_runs_that_died_comes_back(world: World) -> None:
    concurrent = limit(1, Fixed.LIFETIME, MeterKind.CONCURRENCY)
    await world.held(concurrent, ttl_s=60)
    world.clock.advance(seconds=60)
    assert (await world.reserve(concurrent)).reservation is not None


# -- giving back -----------------------------------------------------------------------------


async def test_a_release_gives_all_back(world: World) -> None:
    name = await world.held(MONTHLY, BURST, tokens=100)
    settled = await world.release(name)
    assert settled.state is ReservationState.RELEASED
    assert [(reading.used, reading.reserved) for reading in settled.readings] == [(0, 0)] * 2
    assert await world.levels(MONTHLY, BURST) == [(0, 0), (0, 0)]


async def test_a_release_keeps_what_was_charged_before(world: World) -> None:
    name = await world.held(MONTHLY, tokens=100)
    await world.commit(name, 30, final=False)
    await world.release(name)
    assert await world.level(MONTHLY) == (30, 0)


async def test_a_second_release_is_harmless(world: World) -> None:
    name = await world.held(MONTHLY, tokens=100)
    assert await world.release(name) == await world.release(name)


async def test_a_commit_after_a_release_is_told_so(world: World) -> None:
    name = await world.held(MONTHLY, tokens=100)
    await world.release(name)
    for final in (True, False):
        with pytest.raises(ReservationEnded, match="already released"):
            await world.commit(name, 10, final=final)
    assert await world.level(MONTHLY) == (0, 0)


async def test_a_release_after_a_commit_is_told_so(world: World) -> None:
    name = await world.held(MONTHLY, tokens=100)
    await world.commit(name, 10)
    with pytest.raises(ReservationEnded, match="already committed"):
        await world.release(name)
    with pytest.raises(ReservationEnded, match="already committed"):
        await world.withdraw(name)
    assert await world.level(MONTHLY) == (10, 0)


@pytest.mark.parametrize(
    "name",
    [
        UNKNOWN, "", "x", "res_", "res_.", "res_YXBw.", "res_%.t", "res_é.t",
        "res_YXBw" + "A" * 300, "res_YXBw.t\n", "res_YXBw.*",
    ],
)  # fmt: skip
async def test_an_id_that_names_no_reservation_is_unknown(world: World, name: str) -> None:
    for call in (
        world.commit(name, 1),
        world.commit(name, 1, final=False),
        world.release(name),
        world.held_request(name),
        world.extend(name, MONTHLY, tokens=1),
    ):
        with pytest.raises(UnknownReservation):
            await call


# -- expiry ----------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["=", "==", "!", "\n", " "])
async def test_a_reservation_has_one_id_however_its_app_may_be_spelled(
    world: World, spelling: str
) -> None:
    name = await world.held(MONTHLY, tokens=10)
    other = name.replace(".", f"{spelling}.")
    for call in (world.commit, world.release, world.held_request):
        with pytest.raises(UnknownReservation):
            await call(other)
    await world.withdraw(other)
    assert await world.level(MONTHLY) == (0, 10)


async def test_a_reservation_that_expires_gives_back_what_it_holds(world: World) -> None:
    await world.held(MONTHLY, BURST, tokens=100, ttl_s=30)
    world.clock.advance(seconds=29.999)
    assert await world.levels(MONTHLY, BURST) == [(0, 100), (0, 100)]
    world.clock.advance(milliseconds=1)
    assert await world.levels(MONTHLY, BURST) == [(0, 0), (0, 0)]


async def test_a_commit_after_expiry_still_charges(world: World) -> None:
    name = await world.held(MONTHLY, tokens=100, ttl_s=30)
    world.clock.advance(minutes=10)
    settled = await world.commit(name, 70, final=False)
    assert settled.state is ReservationState.EXPIRED
    assert await world.level(MONTHLY) == (70, 0)
    settled = await world.commit(name, 80)
    assert settled.state is ReservationState.COMMITTED
    assert await world.level(MONTHLY) == (80, 0)


async def test_a_late_commit_charges_in_the_window_of_the_hold(world: World) -> None:
    hourly = limit(1_000, Fixed.HOUR)
    world.clock.advance(minutes=59)
    name = await world.held(hourly, BURST, tokens=100, ttl_s=30)
    world.clock.advance(minutes=2)
    settled = await world.commit(name, 70)
    assert [reading.used for reading in settled.readings] == [70, 0]
    assert await world.levels(hourly, BURST) == [(0, 0), (0, 0)]
    world.clock.advance(minutes=-2)
    assert await world.level(hourly) == (70, 0)


async def test_a_release_after_expiry_is_harmless(world: World) -> None:
    name = await world.held(MONTHLY, tokens=100, ttl_s=30)
    world.clock.advance(seconds=30)
    assert (await world.release(name)).state is ReservationState.EXPIRED
    await world.commit(name, 10)
    assert await world.level(MONTHLY) == (10, 0)


async def test_a_partly_committed_hold_expires_with_the_rest(world: World) -> None:
    name = await world.held(MONTHLY, tokens=100, ttl_s=30)
    await world.commit(name, 40, final=False)
    world.clock.advance(seconds=30)
    assert await world.level(MONTHLY) == (40, 0)
    await world.commit(name, 90)
    assert await world.level(MONTHLY) == (90, 0)


async def test_any_number_of_overdue_reservations_is_given_back_before_an_answer(
    world: World,
) -> None:
    """Far more than one script ends."""
    tight = limit(500)
    lenient = limit(1, Fixed.DAY, name="lenient", mode=Mode.ADVISORY)
    names = await asyncio.gather(*(world.held(tight, lenient, tokens=1) for _ in range(500)))
    world.clock.advance(seconds=60)
    metering = await world.reserve(tight, lenient, tokens=1)
    assert metering.reservation is not None
    assert not any(reading.is_exceeded for reading in metering.readings)
    assert await world.levels(tight, lenient) == [(0, 1), (0, 1)]
    await world.commit(names[250], 3)
    assert await world.level(tight) == (3, 1)


# -- extending -------------------------------------------------------------------------------


async def test_an_extension_holds_more_and_lives_longer(world: World) -> None:
    name = await world.held(MONTHLY, BURST, tokens=30, ttl_s=60)
    world.clock.advance(seconds=50)
    metering = await world.extend(name, MONTHLY, BURST, tokens=20, ttl_s=60)
    assert metering.reservation is not None
    assert metering.reservation.id == name
    assert metering.reservation.tokens == 50
    assert metering.reservation.expires_at == world.clock.now + timedelta(seconds=60)
    assert [reading.reserved for reading in metering.readings] == [30, 30]
    assert await world.levels(MONTHLY, BURST) == [(0, 50), (0, 50)]
    world.clock.advance(seconds=59)
    assert await world.levels(MONTHLY, BURST) == [(0, 50), (0, 50)]
    world.clock.advance(seconds=1)
    assert await world.levels(MONTHLY, BURST) == [(0, 0), (0, 0)]


async def test_an_extension_without_limits_only_prolongs(world: World) -> None:
    name = await world.held(MONTHLY, tokens=30, ttl_s=60)
    world.clock.advance(seconds=59)
    await world.extend(name, ttl_s=60)
    world.clock.advance(seconds=59)
    assert await world.level(MONTHLY) == (0, 30)


async def test_an_extension_never_shortens_a_life(world: World) -> None:
    name = await world.held(MONTHLY, tokens=30, ttl_s=600)
    await world.extend(name, MONTHLY, ttl_s=10)
    world.clock.advance(seconds=599)
    assert await world.level(MONTHLY) == (0, 30)
    world.clock.advance(seconds=1)
    assert await world.level(MONTHLY) == (0, 0)


async def test_a_refused_extension_changes_not_a_byte(world: World) -> None:
    name = await world.held(MONTHLY, BURST, tokens=60, ttl_s=60)
    before = await contents(world.meter)
    metering = await world.extend(name, MONTHLY, BURST, tokens=41, ttl_s=600)
    assert metering.reservation is None
    assert metering.readings[1].remaining == 40
    assert await contents(world.meter) == before


async def test_a_commit_settles_the_hold_with_its_extensions(world: World) -> None:
    name = await world.held(MONTHLY, tokens=30)
    await world.extend(name, MONTHLY, tokens=20)
    await world.commit(name, 40, final=False)
    assert await world.level(MONTHLY) == (40, 10)
    await world.extend(name, MONTHLY, tokens=5)
    assert await world.level(MONTHLY) == (40, 15)
    settled = await world.commit(name, 45)
    assert [(reading.used, reading.reserved) for reading in settled.readings] == [(45, 0)]


async def test_an_extension_in_the_next_window_is_charged_after_the_first_hold_is_used(
    world: World,
) -> None:
    hourly = limit(1_000, Fixed.HOUR)
    world.clock.advance(minutes=59)
    name = await world.held(hourly, tokens=30, ttl_s=120)
    world.clock.advance(minutes=1)
    await world.extend(name, hourly, tokens=20, ttl_s=120)
    assert await world.level(hourly) == (0, 20)
    await world.commit(name, 45)
    assert await world.level(hourly) == (15, 0)
    world.clock.advance(minutes=-1)
    assert await world.level(hourly) == (30, 0)


async def test_an_extension_may_hold_in_other_limits(world: World) -> None:
    name = await world.held(MONTHLY, tokens=30)
    await world.extend(name, MONTHLY, BURST, tokens=20)
    assert await world.levels(MONTHLY, BURST) == [(0, 50), (0, 20)]
    settled = await world.commit(name, 45)
    assert [reading.limit.id for reading in settled.readings] == ["monthly"]
    assert await world.levels(MONTHLY, BURST) == [(45, 0), (45, 0)]


async def test_the_same_extension_again_gives_the_same_answer_and_holds_no_more(
    world: World,
) -> None:
    name = await world.held(MONTHLY, tokens=30)
    first = await world.extend(name, MONTHLY, tokens=20, decision_id="dec_x")
    world.clock.advance(seconds=1)
    assert await world.extend(name, MONTHLY, tokens=20, decision_id="dec_x") == first
    assert await world.level(MONTHLY) == (0, 50)


async def test_an_extension_that_comes_again_after_another_holds_no_more_either(
    world: World,
) -> None:
    name = await world.held(MONTHLY, tokens=30)
    for decision in ("dec_x", "dec_y", "dec_z"):
        await world.extend(name, MONTHLY, tokens=20, decision_id=decision)
    for decision in ("dec_x", "dec_y"):
        again = await world.extend(name, MONTHLY, tokens=20, decision_id=decision)
        assert again.decision_id == decision
        assert again.reservation is not None
        assert again.reservation.tokens == 90
        # What was read then is not remembered: it is told as it is now.
        assert [reading.reserved for reading in again.readings] == [90]
    assert await world.level(MONTHLY) == (0, 90)


async def test_the_request_of_a_live_reservation_is_known(world: World) -> None:
    hold = world.hold(30, request_id="r-1")
    hold = Hold(
        hold.reservation_id,
        hold.decision_id,
        replace(
            hold.request,
            plugin="search",
            model="gpt-4o",
            session_id="chat",
            attributes={"region": "eu", "deep": {"list": [1, True, None, "ü"]}},
        ),
    )
    await world.make(hold, MONTHLY)
    assert await world.held_request(hold.reservation_id) == hold.request


@pytest.mark.parametrize("end", ["commit", "release", "expire"])
async def test_what_has_ended_cannot_be_extended(world: World, end: str) -> None:
    name = await world.held(MONTHLY, tokens=30)
    match end:
        case "commit":
            await world.commit(name, 10)
        case "release":
            await world.release(name)
        case _:
            world.clock.advance(seconds=60)
    before = await world.level(MONTHLY)
    with pytest.raises(ReservationEnded):
        await world.extend(name, MONTHLY, tokens=1)
    with pytest.raises(ReservationEnded):
        await world.held_request(name)
    assert await world.level(MONTHLY) == before


# -- withdrawing -----------------------------------------------------------------------------


async def test_a_withdrawn_reservation_is_forgotten(world: World) -> None:
    name = await world.held(MONTHLY, tokens=30, request_id="r-1")
    await world.withdraw(name)
    assert await world.level(MONTHLY) == (0, 0)
    with pytest.raises(UnknownReservation):
        await world.commit(name, 1)
    await world.withdraw(name)
    again = await world.held(MONTHLY, tokens=31, request_id="r-1")
    assert again != name


async def test_an_amount_of_every_meter_is_asked_of_the_right_limit(world: World) -> None:
    amounts = Amounts(1, 2, 3, 4, 5, 6)
    limits = [limit(None, meter=meter, name=meter.value) for meter in MeterKind]
    hold = Hold(name_reservation("app", "all"), "dec", world.request(amounts))
    await world.make(hold, *limits)
    assert [held for _, held in await world.levels(*limits)] == [1, 2, 3, 4, 5, 6]
