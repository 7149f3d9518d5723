"""When use begins to count and when it leaves, on every store."""

from datetime import UTC, datetime, timedelta

import pytest

from sidecar.domain.request import MAX_INTEGER
from sidecar.domain.windows import BillingCycle, Fixed, Sliding
from tests.contract.stores import START, World, limit, seconds

BURST = limit(100, seconds(60), name="burst")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# -- sliding ---------------------------------------------------------------------------------


async def test_use_counts_in_full_until_its_whole_bucket_has_left(world: World) -> None:
    await world.use(BURST, tokens=60)
    world.clock.advance(seconds=61, milliseconds=-1)
    assert await world.level(BURST) == (60, 0)
    world.clock.advance(milliseconds=1)
    assert await world.level(BURST) == (0, 0)


async def test_use_at_the_end_of_a_bucket_stays_the_whole_length(world: World) -> None:
    world.clock.advance(milliseconds=999)
    await world.use(BURST, tokens=60)
    world.clock.advance(seconds=60)
    assert await world.level(BURST) == (60, 0)
    world.clock.advance(milliseconds=1)
    assert await world.level(BURST) == (0, 0)


async def test_resets_at_is_when_the_oldest_use_leaves(world: World) -> None:
    await world.use(BURST, tokens=10)
    world.clock.advance(seconds=20)
    await world.use(BURST, tokens=10)
    (reading,) = await world.read(BURST)
    assert reading.resets_at == START + timedelta(seconds=61)
    world.clock.advance(seconds=41)
    (reading,) = await world.read(BURST)
    assert (reading.used, reading.resets_at) == (10, START + timedelta(seconds=81))
    world.clock.advance(seconds=20)
    (reading,) = await world.read(BURST)
    assert (reading.used, reading.resets_at) == (0, None)


async def test_what_is_refused_is_told_when_it_will_fit(world: World) -> None:
    for tokens in (30, 30, 40):
        await world.use(BURST, tokens=tokens)
        world.clock.advance(seconds=10)
    for tokens, fits_s in ((30, 61), (31, 71), (60, 71), (61, 81), (100, 81)):
        (reading,) = (await world.reserve(BURST, tokens=tokens)).readings
        assert reading.resets_at == START + timedelta(seconds=fits_s)


async def test_it_fits_at_that_instant_and_not_before(world: World) -> None:
    await world.use(BURST, tokens=70)
    world.clock.advance(seconds=7)
    await world.use(BURST, tokens=30)
    (reading,) = (await world.reserve(BURST, tokens=71)).readings
    assert reading.resets_at is not None
    world.clock.set(reading.resets_at - timedelta(milliseconds=1))
    assert (await world.reserve(BURST, tokens=71)).reservation is None
    world.clock.advance(milliseconds=1)
    assert (await world.reserve(BURST, tokens=70)).reservation is not None


async def test_what_is_held_is_taken_for_used_now_when_it_will_fit_is_told(world: World) -> None:
    await world.use(BURST, tokens=50)
    world.clock.advance(seconds=10)
    await world.held(BURST, tokens=50, ttl_s=600)
    assert (await world.reserve(BURST, tokens=50)).readings[0].resets_at == START + timedelta(
        seconds=61
    )
    assert (await world.reserve(BURST, tokens=51)).readings[0].resets_at == START + timedelta(
        seconds=71
    )


async def test_more_than_the_maximum_never_fits(world: World) -> None:
    await world.use(BURST, tokens=50)
    (reading,) = (await world.reserve(BURST, tokens=101)).readings
    assert reading.resets_at is None
    assert not reading.ends


async def test_a_commit_counts_at_the_time_of_its_hold(world: World) -> None:
    name = await world.held(BURST, tokens=60, ttl_s=600)
    world.clock.advance(seconds=30)
    await world.commit(name, 50)
    assert await world.level(BURST) == (50, 0)
    world.clock.advance(seconds=31)
    assert await world.level(BURST) == (0, 0)


async def test_a_hold_does_not_leave_a_window_before_it_ends(world: World) -> None:
    name = await world.held(BURST, tokens=60, ttl_s=600)
    world.clock.advance(seconds=300)
    assert await world.level(BURST) == (0, 60)
    await world.commit(name, 50)
    assert await world.level(BURST) == (0, 0)


async def test_an_extended_hold_in_another_limit_stays_held(world: World) -> None:
    name = await world.held(BURST, tokens=60, ttl_s=60)
    await world.extend(name, limit(1_000, name="monthly"), tokens=1, ttl_s=3_600)
    world.clock.advance(seconds=3_599)
    assert await world.level(BURST) == (0, 60)


@pytest.mark.parametrize("length", [1, 7, 61, 3_600, 86_400, 366 * 86_400])
async def test_a_window_of_any_length_is_emptied_within_two_buckets_of_its_length(
    world: World, length: int
) -> None:
    rolling = limit(100, seconds(length))
    world.clock.advance(milliseconds=12_345)
    await world.use(rolling, tokens=100)
    world.clock.advance(milliseconds=length * 1_000)
    assert await world.level(rolling) == (100, 0)
    world.clock.advance(milliseconds=Sliding(length * 1_000).bucket_ms)
    assert await world.level(rolling) == (0, 0)


async def test_two_lengths_have_two_counters(world: World) -> None:
    minute, hour = BURST, limit(1_000, seconds(3_600), name="hourly")
    await world.use(minute, hour, tokens=80)
    world.clock.advance(seconds=61)
    assert await world.levels(minute, hour) == [(0, 0), (80, 0)]


async def test_time_that_runs_backwards_gives_nothing_away(world: World) -> None:
    """A replica took over whose clock is behind."""
    await world.use(BURST, tokens=80)
    world.clock.advance(seconds=-30)
    assert (await world.reserve(BURST, tokens=21)).reservation is None


async def test_what_is_held_after_the_clock_was_set_back_counts_in_the_newest_bucket(
    world: World,
) -> None:
    """Else it would leave its window earlier than a true minute after it was used."""
    begin = world.clock.now
    await world.use(BURST, tokens=10)
    world.clock.advance(seconds=-30)
    name = await world.held(BURST, tokens=40)
    await world.commit(name, 40)
    world.clock.set(begin + timedelta(seconds=61, milliseconds=-1))
    assert await world.level(BURST) == (50, 0)
    world.clock.advance(milliseconds=1)
    assert await world.level(BURST) == (0, 0)


async def test_a_long_idle_window_starts_from_nothing(world: World) -> None:
    for _ in range(120):
        await world.use(BURST, tokens=1)
        world.clock.advance(seconds=1)
    assert await world.level(BURST) == (60, 0)
    world.clock.advance(days=3)
    assert await world.level(BURST) == (0, 0)
    await world.use(BURST, tokens=5)
    assert await world.level(BURST) == (5, 0)


# -- fixed -----------------------------------------------------------------------------------

MONTHLY_ON_31ST = BillingCycle(anchor=at("2026-01-31T10:00"))
YEARLY = BillingCycle(start=at("2026-01-31T10:00"), end=at("2027-01-31T10:00"), months=12)


@pytest.mark.parametrize(
    ("window", "cycle", "now", "edge"),
    [
        (Fixed.HOUR, BillingCycle(), "2026-05-05T12:34:56", "2026-05-05T13:00"),
        (Fixed.DAY, BillingCycle(), "2026-05-05T12:34:56", "2026-05-06T00:00"),
        (Fixed.WEEK, BillingCycle(), "2026-05-05T12:34:56", "2026-05-11T00:00"),
        (Fixed.MONTH, BillingCycle(), "2026-02-05T12:34:56", "2026-03-01T00:00"),
        (Fixed.MONTH, BillingCycle(), "2026-12-31T23:59:59", "2027-01-01T00:00"),
        (Fixed.BILLING_MONTH, BillingCycle(), "2026-05-05T12:34:56", "2026-06-01T00:00"),
        (Fixed.BILLING_MONTH, MONTHLY_ON_31ST, "2026-02-05T12:00", "2026-02-28T10:00"),
        (Fixed.BILLING_MONTH, MONTHLY_ON_31ST, "2026-03-05T12:00", "2026-03-31T10:00"),
        (Fixed.BILLING_MONTH, YEARLY, "2026-02-05T12:00", "2026-02-28T10:00"),
        (Fixed.BILLING_PERIOD, YEARLY, "2026-02-05T12:00", "2027-01-31T10:00"),
        (Fixed.BILLING_PERIOD, MONTHLY_ON_31ST, "2026-02-05T12:00", "2026-02-28T10:00"),
    ],
)
async def test_a_fixed_window_begins_anew_at_its_edge_and_keeps_the_old_count(
    world: World, window: Fixed, cycle: BillingCycle, now: str, edge: str
) -> None:
    world.cycle = cycle
    fixed = limit(100, window)
    world.clock.set(at(now))
    await world.use(fixed, tokens=60)
    held = await world.held(fixed, tokens=40, ttl_s=86_400)
    (reading,) = (await world.reserve(fixed, tokens=1)).readings
    assert (reading.used, reading.reserved, reading.resets_at) == (60, 40, at(edge))

    world.clock.set(at(edge) - timedelta(milliseconds=1))
    (reading,) = await world.read(fixed)
    assert reading.used == 60

    world.clock.set(at(edge))
    (reading,) = await world.read(fixed)
    assert (reading.used, reading.reserved) == (0, 0)
    await world.use(fixed, tokens=7)
    await world.commit(held, 30)
    assert await world.level(fixed) == (7, 0)

    world.clock.set(at(now))
    assert await world.level(fixed) == (90, 0)


async def test_a_lifetime_never_begins_anew(world: World) -> None:
    ever = limit(100, Fixed.LIFETIME)
    await world.use(ever, tokens=100)
    world.clock.advance(days=3_650)
    (reading,) = (await world.reserve(ever, tokens=1)).readings
    assert (reading.used, reading.resets_at) == (100, None)


async def test_a_period_that_began_before_1970_is_held_and_charged_like_any_other(
    world: World,
) -> None:
    start = datetime(1969, 6, 1, tzinfo=UTC)
    world.cycle = BillingCycle(start=start, end=datetime(2030, 6, 1, tzinfo=UTC))
    period = limit(100, Fixed.BILLING_PERIOD)
    kept, lost = [await world.held(period, tokens=10) for _ in range(2)]
    assert await world.level(period) == (0, 20)
    await world.commit(kept, 7)
    assert await world.level(period) == (7, 10)
    world.clock.advance(seconds=60)
    assert await world.level(period) == (7, 0)
    await world.commit(lost, 2)
    assert await world.level(period) == (9, 0)


async def test_a_period_that_became_longer_keeps_its_count_to_its_new_end(world: World) -> None:
    """A monthly subscription that was upgraded to a yearly one on the same day."""
    start = at("2026-05-01T00:00")
    period = limit(100, Fixed.BILLING_PERIOD)
    world.cycle = BillingCycle(start=start, end=at("2026-06-01T00:00"))
    await world.use(period, tokens=60)
    world.cycle = BillingCycle(start=start, end=at("2027-05-01T00:00"), months=12)
    await world.use(period, tokens=1)
    world.clock.advance(days=200)
    for _ in range(300):
        # Many writes: in some of them a store clears away what has ended.
        await world.use(BURST, tokens=1)
    assert await world.level(period) == (61, 0)


async def test_what_has_long_ended_is_cleared_away(world: World) -> None:
    hourly = limit(None, Fixed.HOUR)
    old = await world.held(hourly, BURST, tokens=1, request_id="old")
    await world.commit(old, 1)
    live = await world.held(hourly, tokens=1, ttl_s=86_400)
    world.clock.advance(hours=23)
    for _ in range(300):
        await world.use(hourly, tokens=1)
    assert await world.level(hourly) == (300, 0)
    await world.extend(live, hourly, tokens=2)
    assert await world.level(hourly) == (300, 2)


@pytest.mark.parametrize("step", [timedelta(minutes=5), timedelta(milliseconds=-1)])
async def test_greatest_numbers_leave_a_sliding_window_like_any_other(
    world: World, step: timedelta
) -> None:
    rolling = limit(MAX_INTEGER, seconds(60))
    world.clock.ms += step // timedelta(milliseconds=1)
    await world.use(rolling, tokens=MAX_INTEGER)
    world.clock.advance(seconds=30)
    await world.use(rolling, tokens=MAX_INTEGER)
    assert (await world.reserve(rolling, tokens=1)).reservation is None
    world.clock.advance(seconds=32)
    assert await world.level(rolling) == (0, 0)
