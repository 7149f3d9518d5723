"""Units that were granted beside the allowance: what they pay for, and when, on every store."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from sidecar.domain.grants import GrantOutcome
from sidecar.domain.limits import Dimension
from sidecar.domain.modes import Mode
from sidecar.domain.request import Amounts, MeterKind
from sidecar.domain.usage import Hold
from sidecar.domain.windows import Fixed
from sidecar.errors import GrantConflict
from tests.contract.stores import World, contents, limit, reservation_name, seconds

MONTHLY = limit(100, Fixed.BILLING_MONTH, name="monthly")
EVER = limit(1_000, Fixed.LIFETIME, name="ever")
BURST = limit(80, seconds(60), name="burst")
HOURLY = limit(80, Fixed.HOUR, name="hourly")
REQUESTS = limit(2, Fixed.BILLING_MONTH, MeterKind.REQUESTS, name="requests")


# -- pushing ---------------------------------------------------------------------------------


async def test_a_grant_is_stored_and_listed(world: World) -> None:
    until = world.clock.now + timedelta(days=30)
    assert await world.grant(50, "g", expires=until, reason="top-up") is GrantOutcome.SYNCED
    balance = (await world.balances())["g"]
    assert (balance.grant.amount, balance.used, balance.held, balance.left) == (50, 0, 0, 50)
    assert (balance.grant.meter, balance.grant.limit) == (MeterKind.TOKENS, "")
    assert (balance.grant.effective_at, balance.grant.expires_at) == (world.clock.now, until)
    assert (balance.grant.app_id, balance.grant.user_id) == ("app", "user")
    assert balance.grant.reason == "top-up"


async def test_the_same_grant_again_does_nothing(world: World) -> None:
    await world.grant(50, "g", reason="top-up")
    await world.use(MONTHLY, tokens=110)
    world.clock.advance(days=1)
    again = await world.grant(50, "g", reason="whatever", effective=world.clock.now)
    assert again is GrantOutcome.DUPLICATE
    assert await world.balance("g") == (10, 0, 40)


async def test_an_id_with_other_content_is_refused_and_changes_nothing(world: World) -> None:
    await world.grant(50, "g")
    for push in (
        world.grant(51, "g"),
        world.grant(50, "g", meter=MeterKind.REQUESTS),
        world.grant(50, "g", limit="monthly"),
        world.grant(50, "g", expires=world.clock.now + timedelta(days=1)),
    ):
        with pytest.raises(GrantConflict, match="'g' came before with other content; revoke it"):
            await push
    assert await world.balance("g") == (0, 0, 50)


async def test_what_is_revoked_stays_revoked(world: World) -> None:
    await world.grant(50, "g")
    assert await world.revoke("g") is GrantOutcome.REVOKED
    assert await world.revoke("g") is GrantOutcome.DUPLICATE
    assert await world.grant(50, "g") is GrantOutcome.DUPLICATE
    assert await world.granted(MONTHLY) == 0
    assert (await world.balances())["g"].revoked


async def test_a_revocation_that_comes_first_keeps_the_late_original_out(world: World) -> None:
    assert await world.revoke("g") is GrantOutcome.REVOKED
    assert await world.grant(50, "g") is GrantOutcome.DUPLICATE
    assert await world.granted(MONTHLY) == 0


async def test_a_user_may_have_sixty_four_grants_that_are_not_over(world: World) -> None:
    for number in range(64):
        await world.grant(1, f"g{number:02}")
    with pytest.raises(GrantConflict, match="'user' has 64 grants already"):
        await world.grant(1, "one-more")
    assert await world.grant(1, "g00") is GrantOutcome.DUPLICATE
    assert await world.revoke("unknown") is GrantOutcome.REVOKED
    assert await world.of("app", "other").grant(1, "one-more") is GrantOutcome.SYNCED
    await world.revoke("g63")
    await world.use(limit(0, Fixed.BILLING_MONTH), tokens=2)
    assert await world.grant(1, "one-more") is GrantOutcome.SYNCED
    assert await world.grant(1, "a-second") is GrantOutcome.SYNCED
    assert await world.grant(1, "a-third") is GrantOutcome.SYNCED
    with pytest.raises(GrantConflict):
        await world.grant(1, "a-fourth")


async def test_a_grant_that_reservations_hold_is_not_over(world: World) -> None:
    begin = world.clock.now
    for number in range(64):
        await world.grant(1, f"g{number:02}", expires=begin + timedelta(hours=1))
    none = limit(0, Fixed.BILLING_MONTH)
    name = await world.held(none, tokens=2, ttl_s=7_200)
    world.clock.advance(hours=1)
    for number in range(62):
        await world.grant(1, f"new{number:02}")
    with pytest.raises(GrantConflict):
        await world.grant(1, "one-more")
    await world.release(name)
    await world.grant(1, "one-more")


async def test_what_is_over_for_ninety_days_is_forgotten_when_another_comes(world: World) -> None:
    begin = world.clock.now
    await world.grant(10, "expired", expires=begin + timedelta(days=1))
    await world.grant(10, "spent")
    await world.grant(10, "revoked")
    await world.grant(10, "good")
    await world.use(limit(0, Fixed.BILLING_MONTH), tokens=20)
    assert list(await world.balances()) == ["expired", "good", "revoked", "spent"]
    await world.revoke("revoked")
    used = {name: balance.used for name, balance in (await world.balances()).items()}
    assert used == {"expired": 10, "good": 10, "revoked": 0, "spent": 0}
    world.clock.advance(days=90, milliseconds=-1)
    await world.grant(1, "new")
    assert len(await world.balances()) == 5
    world.clock.advance(milliseconds=1)
    await world.grant(1, "newer")
    assert sorted(await world.balances()) == ["expired", "new", "newer", "spent"]
    world.clock.advance(days=1)
    await world.grant(1, "newest")
    assert sorted(await world.balances()) == ["new", "newer", "newest", "spent"]


async def test_grants_belong_to_one_user_of_one_app(world: World) -> None:
    await world.grant(50, "g")
    for other in (world.of("app", "other"), world.of("other")):
        assert await other.granted(MONTHLY) == 0
        assert await other.balances() == {}
        await other.grant(7, "g")
        assert await other.granted(MONTHLY) == 7
    assert await world.granted(MONTHLY) == 50


async def test_of_many_that_push_one_grant_together_it_counts_once(world: World) -> None:
    outcomes = await asyncio.gather(*(world.grant(50, "g") for _ in range(40)))
    assert outcomes.count(GrantOutcome.SYNCED) == 1
    assert await world.granted(MONTHLY) == 50


@pytest.mark.parametrize("name", ["a b", "ä", "a\tb", "a\nb", "=", "%", "'", "x" * 256, "é" * 256])
async def test_a_grant_of_a_strange_name_goes_all_its_way(world: World, name: str) -> None:
    theirs = world.of(name, name)
    await theirs.grant(50, name, reason=name)
    await theirs.grant(7, f"{name}-2", limit=name)
    held = await theirs.held(MONTHLY, tokens=120)
    assert await theirs.balance(name) == (0, 20, 30)
    await theirs.commit(held, 110)
    first, second = (await theirs.balances()).values()
    assert (first.grant.id, first.grant.reason, first.used, first.held) == (name, name, 10, 0)
    assert (second.grant.limit, second.grant.meter, second.left) == (name, None, 7)


# -- holding ---------------------------------------------------------------------------------


async def test_a_grant_adds_to_what_remains(world: World) -> None:
    await world.grant(50)
    (reading,) = (await world.reserve(MONTHLY, tokens=120)).readings
    assert (reading.used, reading.reserved, reading.granted, reading.remaining) == (0, 0, 50, 150)
    (reading,) = await world.read(MONTHLY)
    # What the grant pays for is held there, and not in the counter.
    assert (reading.used, reading.reserved, reading.granted, reading.remaining) == (0, 100, 30, 30)
    assert await world.level(MONTHLY) == (0, 100)


async def test_the_allowance_is_used_first(world: World) -> None:
    await world.grant(50, "g")
    name = await world.held(MONTHLY, tokens=100)
    assert await world.balance("g") == (0, 0, 50)
    await world.commit(name, 100)
    await world.commit(await world.held(MONTHLY, tokens=10), 10)
    assert await world.balance("g") == (10, 0, 40)
    assert await world.level(MONTHLY) == (100, 0)


async def test_the_last_unit_of_a_grant_can_be_had_and_the_next_cannot(world: World) -> None:
    await world.grant(50, "g")
    assert (await world.reserve(MONTHLY, tokens=149)).reservation is not None
    assert (await world.reserve(MONTHLY, tokens=1)).reservation is not None
    assert (await world.reserve(MONTHLY, tokens=1)).reservation is None
    assert await world.balance("g") == (0, 50, 0)


async def test_a_refused_request_holds_nothing_of_a_grant(world: World) -> None:
    await world.grant(50)
    await world.held(MONTHLY, BURST, tokens=60)
    before = await contents(world.meter)
    assert (await world.reserve(MONTHLY, BURST, tokens=60)).reservation is None
    assert (await world.reserve(MONTHLY, tokens=91)).reservation is None
    assert await contents(world.meter) == before


async def test_a_unit_pays_in_all_limits_that_draw_the_grant_at_once(world: World) -> None:
    await world.grant(50, "g")
    name = await world.held(MONTHLY, EVER, BURST, tokens=70)
    await world.commit(name, 70)
    world.clock.advance(minutes=2)
    name = await world.held(MONTHLY, EVER, BURST, tokens=50)
    assert await world.balance("g") == (0, 20, 30)
    # A limit on the pace counts everything, whoever pays for it.
    assert await world.levels(MONTHLY, EVER, BURST) == [(70, 30), (70, 30), (0, 50)]
    await world.commit(name, 50)
    assert await world.levels(MONTHLY, EVER, BURST) == [(100, 0), (100, 0), (50, 0)]
    assert await world.balance("g") == (20, 0, 30)


async def test_grants_of_a_meter_are_for_allowances_and_not_for_the_pace(world: World) -> None:
    await world.grant(50)
    windows = (Fixed.BILLING_MONTH, Fixed.BILLING_PERIOD, Fixed.LIFETIME)
    others = (Fixed.HOUR, Fixed.DAY, Fixed.WEEK, Fixed.MONTH, seconds(60))
    readings = await world.read(*(limit(100, window) for window in (*windows, *others)))
    assert [reading.granted for reading in readings] == [50] * 3 + [0] * 5


async def test_a_grant_of_one_limit_is_for_that_alone_whatever_its_window(world: World) -> None:
    await world.grant(50, "g", limit="burst")
    assert [await world.granted(each) for each in (BURST, MONTHLY, HOURLY)] == [50, 0, 0]
    name = await world.held(BURST, MONTHLY, tokens=100)
    assert await world.balance("g") == (0, 20, 30)
    assert await world.levels(BURST, MONTHLY) == [(0, 80), (0, 100)]
    await world.commit(name, 90)
    assert await world.balance("g") == (10, 0, 40)
    assert await world.levels(BURST, MONTHLY) == [(80, 0), (90, 0)]


async def test_each_meter_draws_its_own_grants(world: World) -> None:
    await world.grant(50, "tokens")
    await world.grant(3, "requests", meter=MeterKind.REQUESTS)
    for _ in range(4):
        await world.commit(await world.held(MONTHLY, REQUESTS, tokens=30), 30)
    assert await world.balance("tokens") == (20, 0, 30)
    assert await world.balance("requests") == (2, 0, 1)
    assert (await world.reserve(MONTHLY, REQUESTS, tokens=30)).reservation is not None
    assert (await world.reserve(MONTHLY, REQUESTS)).reservation is None


async def test_concurrency_and_limits_without_a_bound_draw_nothing(world: World) -> None:
    await world.grant(5, "g", meter=MeterKind.CONCURRENCY)
    await world.grant(5, "named", limit="unlimited")
    running = limit(1, Fixed.LIFETIME, MeterKind.CONCURRENCY, name="running")
    unlimited = limit(None, Fixed.LIFETIME, name="unlimited")
    await world.held(running, unlimited, tokens=10)
    assert (await world.reserve(running)).reservation is None
    assert await world.levels(running, unlimited) == [(0, 1), (0, 10)]
    assert await world.balance("g") == await world.balance("named") == (0, 0, 5)


async def test_an_advisory_limit_draws_grants_and_then_holds_past_everything(world: World) -> None:
    await world.grant(50, "g")
    lenient = replace(MONTHLY, mode=Mode.ADVISORY)
    name = await world.held(lenient, tokens=200)
    assert await world.balance("g") == (0, 50, 0)
    assert await world.level(lenient) == (0, 150)
    await world.commit(name, 170)
    # The allowance's part, and what was held past it, comes first.
    assert await world.balance("g") == (20, 0, 30)
    assert await world.level(lenient) == (150, 0)


async def test_a_limit_that_is_off_spends_nobodys_grants(world: World) -> None:
    await world.grant(50, "g")
    off = replace(MONTHLY, mode=Mode.OFF)
    await world.commit(await world.held(off, tokens=200), 200)
    assert await world.balance("g") == (0, 0, 50)
    assert await world.level(off) == (200, 0)


async def test_where_limits_share_a_counter_grants_begin_where_the_first_would_refuse(
    world: World,
) -> None:
    await world.grant(50, "g")
    upper = replace(MONTHLY, id="upper", maximum=500)
    soft = replace(MONTHLY, id="soft", maximum=40, mode=Mode.ADVISORY)
    await world.held(soft, upper, MONTHLY, tokens=100)
    assert await world.balance("g") == (0, 0, 50)
    assert (await world.reserve(soft, upper, MONTHLY, tokens=51)).reservation is None
    await world.held(upper, MONTHLY, soft, tokens=50)
    assert await world.balance("g") == (0, 50, 0)
    assert await world.level(MONTHLY) == (0, 100)


async def test_a_limit_of_the_whole_app_draws_the_grants_of_who_asks(world: World) -> None:
    whole = limit(100, Fixed.BILLING_MONTH, name="whole", per=[Dimension.APP])
    other = world.of("app", "other")
    await world.grant(50, "g")
    await other.held(whole, tokens=100)
    assert (await other.reserve(whole, tokens=1)).reservation is None
    assert (await world.reserve(whole, tokens=50)).reservation is not None
    assert await world.balance("g") == (0, 50, 0)
    assert await other.level(whole) == (0, 100)


async def test_of_many_that_race_for_a_grant_as_many_get_it_as_it_has_units(world: World) -> None:
    await world.grant(2_000, "g")
    for _ in range(2):
        meterings = await asyncio.gather(*(world.reserve(MONTHLY, tokens=50) for _ in range(80)))
        made = [metering.reservation.id for metering in meterings if metering.reservation]
        assert len(made) == 42
        assert await world.balance("g") == (0, 2_000, 0)
        await asyncio.gather(*map(world.release, made))
        assert await world.balance("g") == (0, 0, 2_000)
    assert await world.level(MONTHLY) == (0, 0)


# -- order and time --------------------------------------------------------------------------


async def test_the_grant_that_expires_first_is_drawn_first(world: World) -> None:
    begin = world.clock.now
    await world.grant(10, "never")
    await world.grant(10, "late", expires=begin + timedelta(days=9))
    await world.grant(10, "b-early", expires=begin + timedelta(days=3))
    await world.grant(
        10, "older", expires=begin + timedelta(days=3), effective=begin - timedelta(days=1)
    )
    await world.grant(10, "a-early", expires=begin + timedelta(days=3))
    order = ["older", "a-early", "b-early", "late", "never"]
    assert list(await world.balances()) == order
    none = limit(0, Fixed.BILLING_MONTH)
    for count in range(1, 6):
        await world.held(none, tokens=10)
        held = {name: balance.held for name, balance in (await world.balances()).items()}
        assert held == {name: 10 * (place < count) for place, name in enumerate(order)}


async def test_a_grant_is_drawn_from_its_first_to_before_its_last_instant(world: World) -> None:
    begin = world.clock.now + timedelta(seconds=10)
    await world.grant(50, "g", effective=begin, expires=begin + timedelta(seconds=10))
    none = limit(0, Fixed.BILLING_MONTH)
    world.clock.advance(seconds=10, milliseconds=-1)
    assert await world.granted(none) == 0
    assert (await world.reserve(none, tokens=1)).reservation is None
    world.clock.advance(milliseconds=1)
    assert await world.granted(none) == 50
    world.clock.advance(seconds=10, milliseconds=-1)
    name = await world.held(none, tokens=1)
    world.clock.advance(milliseconds=1)
    assert await world.granted(none) == 0
    assert (await world.reserve(none, tokens=1)).reservation is None
    # What was held in time still pays.
    await world.commit(name, 1)
    assert await world.balance("g") == (1, 0, 49)
    assert await world.level(none) == (0, 0)


async def test_a_new_period_begins_with_its_allowance_and_what_is_left_of_grants(
    world: World,
) -> None:
    await world.grant(50, "g")
    await world.commit(await world.held(MONTHLY, tokens=120), 120)
    world.clock.advance(days=30)
    (reading,) = await world.read(MONTHLY)
    assert (reading.used, reading.granted, reading.remaining) == (0, 30, 130)


async def test_what_was_held_of_a_grant_comes_back_to_it_when_the_period_has_ended(
    world: World,
) -> None:
    await world.grant(50, "g")
    name = await world.held(MONTHLY, tokens=150, ttl_s=40 * 86_400)
    world.clock.advance(days=30)
    assert await world.granted(MONTHLY) == 0
    await world.commit(name, 110)
    assert await world.balance("g") == (10, 0, 40)
    assert await world.level(MONTHLY) == (0, 0)
    world.clock.advance(days=-30)
    assert await world.level(MONTHLY) == (100, 0)


# -- committing ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("used", "counted", "paid"), [(0, 0, 0), (90, 90, 0), (100, 100, 0), (130, 100, 30)]
)
async def test_a_commit_uses_the_allowances_part_first_and_gives_the_rest_back(
    world: World, used: int, counted: int, paid: int
) -> None:
    await world.grant(50, "g")
    name = await world.held(MONTHLY, tokens=140)
    settled = await world.commit(name, used)
    assert await world.balance("g") == (paid, 0, 50 - paid)
    assert await world.level(MONTHLY) == (counted, 0)
    (reading,) = settled.readings
    assert (reading.used, reading.reserved, reading.granted) == (counted, 0, 50 - paid)
    assert await world.commit(name, used) == settled


async def test_commits_that_are_not_final_state_totals_of_grants_too(world: World) -> None:
    await world.grant(50, "g")
    name = await world.held(MONTHLY, tokens=140)
    for used, expected in ((80, (0, 40, 10)), (110, (10, 30, 10)), (90, (10, 30, 10))):
        settled = await world.commit(name, used, final=False)
        assert await world.balance("g") == expected
        assert settled.readings[0].granted == 10
    assert await world.level(MONTHLY) == (100, 0)
    await world.commit(name, 140)
    assert await world.balance("g") == (40, 0, 10)


async def test_what_a_commit_uses_beyond_its_hold_is_the_allowances_then_the_grants(
    world: World,
) -> None:
    await world.grant(30, "g")
    name = await world.held(MONTHLY, EVER, BURST, tokens=80)
    await world.commit(name, 110)
    assert await world.levels(MONTHLY, EVER, BURST) == [(100, 0), (100, 0), (110, 0)]
    assert await world.balance("g") == (10, 0, 20)
    name = await world.held(MONTHLY, EVER, tokens=5)
    await world.commit(name, 45)
    # What nobody pays for is charged past the maximum.
    assert await world.levels(MONTHLY, EVER) == [(125, 0), (125, 0)]
    assert await world.balance("g") == (30, 0, 0)


async def test_excess_that_a_grant_pays_costs_no_other_allowance_that_draws_it(
    world: World,
) -> None:
    """Not ten of the lifetime and ten of the grant for the same ten tokens."""
    await world.grant(30, "g")
    await world.use(MONTHLY, EVER, tokens=100)
    name = await world.held(MONTHLY, EVER, tokens=10)
    await world.commit(name, 20)
    assert await world.balance("g") == (20, 0, 10)
    assert await world.levels(MONTHLY, EVER) == [(100, 0), (100, 0)]


async def test_a_release_and_a_withdrawal_give_back_to_the_grant(world: World) -> None:
    await world.grant(50, "g")
    await world.release(await world.held(MONTHLY, tokens=140))
    assert await world.balance("g") == (0, 0, 50)
    await world.withdraw(await world.held(MONTHLY, tokens=140))
    assert await world.balance("g") == (0, 0, 50)
    assert await world.level(MONTHLY) == (0, 0)


async def test_a_grant_that_expired_meanwhile_gets_its_units_back_and_keeps_them(
    world: World,
) -> None:
    await world.grant(50, "g", expires=world.clock.now + timedelta(seconds=30))
    name = await world.held(MONTHLY, tokens=140)
    world.clock.advance(seconds=30)
    await world.commit(name, 110)
    assert await world.balance("g") == (10, 0, 40)
    assert await world.granted(MONTHLY) == 0


async def test_what_is_held_of_a_revoked_grant_still_pays(world: World) -> None:
    await world.grant(50, "g")
    name = await world.held(MONTHLY, tokens=140)
    await world.revoke("g")
    assert await world.granted(MONTHLY) == 0
    assert await world.balance("g") == (0, 40, 0)
    await world.commit(name, 130)
    assert await world.balance("g") == (30, 0, 0)
    assert await world.level(MONTHLY) == (100, 0)
    assert (await world.reserve(MONTHLY, tokens=1)).reservation is None


async def test_an_extension_draws_grants_like_a_first_hold(world: World) -> None:
    await world.grant(50, "g")
    name = await world.held(MONTHLY, EVER, tokens=80)
    await world.extend(name, MONTHLY, EVER, tokens=40)
    assert await world.balance("g") == (0, 20, 30)
    assert await world.levels(MONTHLY, EVER) == [(0, 100), (0, 100)]
    await world.commit(name, 105)
    assert await world.balance("g") == (5, 0, 45)
    assert await world.levels(MONTHLY, EVER) == [(100, 0), (100, 0)]


async def test_a_refused_extension_holds_nothing_of_a_grant(world: World) -> None:
    await world.grant(50, "g")
    name = await world.held(MONTHLY, tokens=80)
    before = await contents(world.meter)
    assert (await world.extend(name, MONTHLY, tokens=71)).reservation is None
    assert await contents(world.meter) == before


async def test_a_repeated_request_is_told_of_grants_as_it_was_at_first(world: World) -> None:
    await world.grant(50)
    first = await world.reserve(MONTHLY, tokens=120, request_id="r-1")
    assert first.readings[0].granted == 50
    assert await world.reserve(MONTHLY, tokens=120, request_id="r-1") == first
    name = await world.held(MONTHLY, tokens=1)
    extended = await world.extend(name, MONTHLY, tokens=2, decision_id="dec_x")
    assert extended.readings[0].granted == 29
    assert await world.extend(name, MONTHLY, tokens=2, decision_id="dec_x") == extended


async def test_a_hold_beyond_everything_of_a_lenient_limit_is_given_back_whole(
    world: World,
) -> None:
    lenient = replace(MONTHLY, mode=Mode.ADVISORY)
    await world.grant(50, "a")
    await world.grant(20, "b", limit="monthly")
    hold = Hold(reservation_name("app", 7), "dec", world.request(Amounts(500)))
    await world.make(hold, lenient, EVER)
    await world.release(hold.reservation_id)
    assert await world.levels(lenient, EVER) == [(0, 0), (0, 0)]
    assert (await world.balance("a"), await world.balance("b")) == ((0, 0, 50), (0, 0, 20))


# -- events ----------------------------------------------------------------------------------


async def test_an_event_beyond_the_allowance_is_paid_by_grants(world: World) -> None:
    await world.grant(50, "g")
    await world.use(MONTHLY, EVER, BURST, tokens=120)
    assert await world.balance("g") == (20, 0, 30)
    assert await world.levels(MONTHLY, EVER, BURST) == [(100, 0), (100, 0), (120, 0)]
    await world.use(MONTHLY, EVER, tokens=40)
    assert await world.balance("g") == (50, 0, 0)
    assert await world.levels(MONTHLY, EVER) == [(110, 0), (110, 0)]


async def test_a_late_event_is_judged_by_its_own_period_and_paid_by_the_grants_of_now(
    world: World,
) -> None:
    earlier = world.clock.now
    await world.use(MONTHLY, tokens=95)
    world.clock.advance(days=30)
    await world.grant(50, "g")
    world.clock.advance(seconds=1)
    await world.use(MONTHLY, tokens=20, at=earlier)
    assert await world.balance("g") == (15, 0, 35)
    assert await world.level(MONTHLY) == (0, 0)


async def test_use_that_has_left_its_window_draws_no_grant(world: World) -> None:
    await world.grant(50, "g", limit="burst")
    await world.use(BURST, tokens=80)
    await world.use(BURST, tokens=30, at=world.clock.now - timedelta(minutes=5))
    assert await world.balance("g") == (0, 0, 50)
    await world.use(BURST, tokens=30, at=world.clock.now - timedelta(seconds=30))
    assert await world.balance("g") == (30, 0, 20)


async def test_an_event_draws_down_what_its_reservation_holds_of_grants(world: World) -> None:
    await world.grant(50, "g")
    name = await world.held(MONTHLY, tokens=120)
    await world.record(world.event(MONTHLY, tokens=110, reservation_id=name))
    assert await world.balance("g") == (10, 10, 30)
    assert await world.level(MONTHLY) == (100, 0)
    await world.record(world.event(MONTHLY, tokens=35, reservation_id=name))
    assert await world.balance("g") == (45, 0, 5)
    await world.commit(name, 145)
    assert await world.balance("g") == (45, 0, 5)
    assert await world.level(MONTHLY) == (100, 0)


@pytest.mark.parametrize("name", ["a b", "a\nb", "50%", "=", "é", "日本"])
async def test_a_grant_is_for_the_limit_of_its_name_whatever_that_is(
    world: World, name: str
) -> None:
    named = limit(100, Fixed.MONTH, name=name)
    await world.grant(50, "top-up", limit=name, reason=name)
    held = await world.reserve(named, tokens=130)
    assert [reading.granted for reading in held.readings] == [50]
    assert await world.balance("top-up") == (0, 30, 20)
    assert await world.granted(named) == 20
