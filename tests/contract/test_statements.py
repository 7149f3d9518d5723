"""What is noted for an invoice: each period of each counter, in the very step that counts."""

import asyncio
import contextlib
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.adapters.redis.meter import RedisMeter
from sidecar.adapters.sqlite.meter import SqliteMeter
from sidecar.domain.limits import Dimension
from sidecar.domain.modes import Mode
from sidecar.domain.request import MAX_INTEGER, MeterKind, Subject
from sidecar.domain.rollover import of_past
from sidecar.domain.statements import PeriodState, Statement, StatementKey
from sidecar.domain.usage import OnExpiry
from sidecar.domain.windows import BillingCycle, Fixed, from_ms, to_ms
from sidecar.errors import ReservationEnded, UnknownReservation
from tests.contract.stores import ManualClock, World, limit, redis_meter, seconds, sqlite_meter

SETTLE = timedelta(hours=72)
MONTHLY = limit(100, Fixed.BILLING_MONTH, name="monthly")
YEARLY = limit(1_000, Fixed.BILLING_PERIOD, name="yearly")
ANCHORED = BillingCycle(anchor=datetime(2026, 1, 31, 9, tzinfo=UTC))


def span(statement: Statement) -> tuple[str, str]:
    """From which day to which."""
    start, end = from_ms(statement.key.start_ms), from_ms(statement.end_ms)
    return f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}"


def adjusted(statement: Statement) -> list[tuple[int, int]]:
    """(used, granted) of each adjustment."""
    return [(each.used, each.granted) for each in statement.adjustments(SETTLE)]


async def test_a_statement_says_what_was_used_of_what_is_included(world: World) -> None:
    name = await world.held(MONTHLY, tokens=40)
    assert await world.statements() == ()
    await world.commit(name, 30)
    await world.use(MONTHLY, tokens=12)
    statement = await world.statement()
    assert (statement.used, statement.included, statement.granted) == (42, 100, 0)
    assert (statement.limit, statement.meter) == ("monthly", "tokens")
    assert (statement.window, statement.dimensions) == ("billing_month", {"user": "user"})
    assert statement.state(SETTLE, world.clock.now) is PeriodState.OPEN
    assert (statement.is_cut, statement.overlaps, statement.is_lost) == (False, False, False)


async def test_use_past_the_maximum_is_an_overage(world: World) -> None:
    await world.use(MONTHLY, tokens=130)
    statement = await world.statement()
    assert (statement.used, statement.overage(statement.used)) == (130, 30)


async def test_of_a_limit_without_a_bound_nothing_is_an_overage(world: World) -> None:
    await world.use(limit(None, name="free", mode=Mode.OFF), tokens=130)
    statement = await world.statement()
    assert statement.included is None
    assert statement.overage(statement.used) == 0


async def test_what_grants_paid_for_stands_apart(world: World) -> None:
    await world.grant(50)
    name = await world.held(MONTHLY, tokens=120)
    await world.commit(name, 110)
    await world.use(MONTHLY, tokens=60)
    statement = await world.statement()
    assert (statement.used, statement.granted) == (120, 50)
    assert (await world.balance(next(iter(await world.balances()))))[0] == 50


@pytest.mark.parametrize("window", [Fixed.HOUR, Fixed.DAY, Fixed.LIFETIME, seconds(60)])
async def test_only_months_and_billing_windows_have_statements(world: World, window: Fixed) -> None:
    await world.use(limit(1_000, window), tokens=5)
    assert (await world.page(None)).statements == ()


async def test_a_session_has_no_statement(world: World) -> None:
    per = (Dimension.APP, Dimension.USER, Dimension.SESSION)
    await world.using(session_id="chat").use(limit(1_000, per=per), tokens=5)
    assert (await world.page(None)).statements == ()


async def test_each_counter_has_a_line_with_the_values_of_its_dimensions(world: World) -> None:
    per = (Dimension.APP, Dimension.USER, Dimension.MODEL)
    each = limit(500, Fixed.BILLING_MONTH, name="each", per=per)
    await world.using(model="gpt-4o").use(each, MONTHLY, tokens=5)
    await world.using(model="o/1 mini").use(each, MONTHLY, tokens=6)
    lines = {(it.limit, it.dimensions.get("model")): it.used for it in await world.statements()}
    assert lines == {("monthly", None): 11, ("each", "gpt-4o"): 5, ("each", "o/1 mini"): 6}


async def test_a_conditional_limit_has_a_line_of_its_own(world: World) -> None:
    some = limit(50, Fixed.BILLING_MONTH, name="some", conditional=True)
    await world.use(MONTHLY, some, tokens=5)
    await world.use(MONTHLY, tokens=6)
    assert {it.limit: it.used for it in await world.statements()} == {"monthly": 11, "some": 5}
    assert all(it.dimensions == {"user": "user"} for it in await world.statements())


@pytest.mark.parametrize("turned", [1, -1])
async def test_limits_that_share_a_counter_have_one_line(world: World, turned: int) -> None:
    """Or an invoice had the same units twice."""
    soft = limit(80, Fixed.BILLING_MONTH, name="soft", mode=Mode.ADVISORY)
    high = limit(200, Fixed.BILLING_MONTH, name="high")
    await world.use(*(soft, high, MONTHLY)[::turned], tokens=5)
    statement = await world.statement()
    assert (statement.limit, statement.included, statement.used) == ("monthly", 100, 5)


async def test_what_users_share_belongs_to_nobody(world: World) -> None:
    pool = limit(500, Fixed.BILLING_MONTH, name="pool", per=[Dimension.APP])
    await world.use(pool, MONTHLY, tokens=5)
    await world.of("app", "other").use(pool, MONTHLY, tokens=6)
    lines = [(it.key.owner, it.limit, it.used) for it in (await world.page(None)).statements]
    assert lines == [("", "pool", 11), ("other", "monthly", 6), ("user", "monthly", 5)]
    assert [it.limit for it in await world.statements()] == ["monthly"]


# -- periods ----------------------------------------------------------------------------------


async def test_months_end_on_the_last_day_where_they_lack_the_billing_day(world: World) -> None:
    world = replace(world, cycle=ANCHORED)
    for month in (1, 2, 3, 4):
        world.clock.set(datetime(2026, month, 31 if month in (1, 3) else 28, 12, tzinfo=UTC))
        await world.use(MONTHLY, tokens=month)
    assert [(*span(it), it.used) for it in await world.statements()] == [
        ("2026-01-31", "2026-02-28", 1),
        ("2026-02-28", "2026-03-31", 2),
        ("2026-03-31", "2026-04-30", 7),
    ]


async def test_a_year_has_a_line_for_itself_and_for_each_month(world: World) -> None:
    year = BillingCycle(
        start=datetime(2026, 3, 15, tzinfo=UTC), end=datetime(2027, 3, 15, tzinfo=UTC)
    )
    world = replace(world, cycle=year)
    for month in (5, 6, 7):
        world.clock.set(datetime(2026, month, 16, tzinfo=UTC))
        await world.use(MONTHLY, YEARLY, tokens=month)
    assert [(it.limit, *span(it), it.used) for it in await world.statements()] == [
        ("monthly", "2026-05-15", "2026-06-15", 5),
        ("monthly", "2026-06-15", "2026-07-15", 6),
        ("monthly", "2026-07-15", "2026-08-15", 7),
        ("yearly", "2026-03-15", "2027-03-15", 18),
    ]


async def test_a_new_billing_day_ends_the_period_that_runs(world: World) -> None:
    await world.use(MONTHLY, tokens=5)
    moved = replace(world, cycle=BillingCycle(start=world.clock.now, anchor=world.clock.now))
    world.clock.advance(hours=1)
    await moved.use(MONTHLY, tokens=7)
    first, second = await world.statements()
    assert (*span(first), first.used, first.is_cut) == ("2026-05-01", "2026-05-05", 5, True)
    assert (*span(second), second.used, second.is_cut) == ("2026-05-05", "2026-06-05", 7, False)
    assert first.state(SETTLE, world.clock.now) is PeriodState.SETTLING


async def test_a_run_of_a_period_that_was_cut_short_is_charged_there(world: World) -> None:
    await world.use(MONTHLY, tokens=5)
    name = await world.held(MONTHLY, tokens=30, ttl_s=86_400)
    moved = replace(world, cycle=BillingCycle(start=world.clock.now, anchor=world.clock.now))
    world.clock.advance(hours=1)
    await moved.use(MONTHLY, tokens=7)
    await world.commit(name, 20)
    first, second = await world.statements()
    assert (span(first)[1], first.used, second.used) == ("2026-05-05", 25, 7)
    assert [(each.used, each.granted) for each in first.late] == [(20, 0)]


async def test_a_late_report_does_not_falsify_the_periods_that_were(world: World) -> None:
    """It falls into a period that nobody was in: its billing day is newer than it is."""
    april, may = datetime(2026, 4, 10, tzinfo=UTC), datetime(2026, 5, 10, tzinfo=UTC)
    old = replace(world, cycle=BillingCycle(anchor=may))
    world.clock.set(april)
    await old.use(MONTHLY, tokens=1)
    world.clock.set(may)
    await old.use(MONTHLY, tokens=2)
    world.clock.set(datetime(2026, 5, 20, tzinfo=UTC))
    new = replace(world, cycle=BillingCycle(anchor=datetime(2026, 6, 19, 12, tzinfo=UTC)))
    await new.use(MONTHLY, tokens=3)
    world.clock.advance(hours=6)
    await new.use(MONTHLY, tokens=4, at=world.clock.now - timedelta(days=3))
    assert [(*span(it), it.used, it.is_cut, it.overlaps) for it in await world.statements()] == [
        ("2026-04-10", "2026-05-10", 1, False, False),
        ("2026-04-19", "2026-05-19", 4, False, True),
        ("2026-05-10", "2026-05-19", 2, True, False),
        ("2026-05-19", "2026-06-19", 3, False, False),
    ]


async def test_a_month_that_becomes_a_year_is_one_line_with_the_later_end(world: World) -> None:
    start = datetime(2026, 5, 1, tzinfo=UTC)
    month = BillingCycle(start=start, end=datetime(2026, 6, 1, tzinfo=UTC))
    year = BillingCycle(start=start, end=datetime(2027, 5, 1, tzinfo=UTC))
    await replace(world, cycle=month).use(YEARLY, tokens=5)
    await replace(world, cycle=year).use(YEARLY, tokens=6)
    statement = await world.statement()
    assert (*span(statement), statement.used) == ("2026-05-01", "2027-05-01", 11)
    assert statement.state(SETTLE, datetime(2026, 7, 1, tzinfo=UTC)) is PeriodState.OPEN


async def test_an_upgrade_keeps_the_line_and_changes_what_is_included(world: World) -> None:
    await world.use(MONTHLY, tokens=90)
    await world.use(limit(5_000, Fixed.BILLING_MONTH, name="pro-monthly"), tokens=60)
    statement = await world.statement()
    assert (statement.limit, statement.included, statement.used) == ("pro-monthly", 5_000, 150)
    assert statement.overage(statement.used) == 0


async def test_a_run_from_before_an_upgrade_does_not_undo_it(world: World) -> None:
    name = await world.held(MONTHLY, tokens=50)
    world.clock.advance(seconds=5)
    await world.use(limit(5_000, Fixed.BILLING_MONTH, name="pro-monthly"), tokens=60)
    await world.commit(name, 40)
    statement = await world.statement()
    assert (statement.limit, statement.included, statement.used) == ("pro-monthly", 5_000, 100)


async def test_a_late_report_after_a_downgrade_does_not_change_the_period(world: World) -> None:
    pro = limit(5_000, Fixed.MONTH, name="pro")
    await world.use(pro, tokens=3_000)
    world.clock.set(datetime(2026, 6, 1, 2, tzinfo=UTC))
    may = datetime(2026, 5, 31, tzinfo=UTC)
    await world.use(limit(100, Fixed.MONTH, name="free"), tokens=7, at=may)
    statement = await world.statement()
    assert (statement.limit, statement.included, statement.used) == ("pro", 5_000, 3_007)


# -- the end of a period ----------------------------------------------------------------------


async def test_a_late_report_before_the_settling_time_counts_in_the_period(world: World) -> None:
    await world.use(MONTHLY, tokens=5)
    world.clock.set(datetime(2026, 6, 3, 23, tzinfo=UTC))
    await world.use(MONTHLY, tokens=7, at=datetime(2026, 5, 31, tzinfo=UTC))
    statement = await world.statement()
    assert statement.state(SETTLE, world.clock.now) is PeriodState.SETTLING
    assert (statement.used, adjusted(statement)) == (12, [])


async def test_what_comes_after_the_settling_time_is_an_adjustment(world: World) -> None:
    may = datetime(2026, 5, 31, tzinfo=UTC)
    await world.use(MONTHLY, tokens=98)
    await world.grant(3)
    world.clock.set(datetime(2026, 6, 4, tzinfo=UTC))
    closed = await world.statement()
    assert closed.state(SETTLE, world.clock.now) is PeriodState.CLOSED
    await world.use(MONTHLY, tokens=7, at=may)
    world.clock.advance(hours=2)
    await world.use(MONTHLY, tokens=2, at=may)
    await world.use(MONTHLY, tokens=3, at=may)
    statement = await world.statement()
    assert adjusted(statement) == [(4, 3), (5, 0)]
    assert statement.used - sum(used for used, _ in adjusted(statement)) == closed.used
    assert (await world.level(MONTHLY)) == (0, 0)


async def test_a_late_commit_after_the_settling_time_is_an_adjustment(world: World) -> None:
    world.clock.set(datetime(2026, 5, 31, 23, 59, 30, tzinfo=UTC))
    name = await world.held(MONTHLY, tokens=50)
    world.clock.set(datetime(2026, 6, 6, tzinfo=UTC))
    await world.commit(name, 40)
    statement = await world.statement()
    assert span(statement) == ("2026-05-01", "2026-06-01")
    assert adjusted(statement) == [(40, 0)]


async def test_the_end_lies_on_the_full_hour_after_the_settling_time(world: World) -> None:
    odd = BillingCycle(anchor=datetime(2026, 5, 20, 14, 23, 11, tzinfo=UTC))
    await replace(world, cycle=odd).use(MONTHLY, tokens=5)
    statement = await world.statement()
    assert statement.closes_at(SETTLE) == datetime(2026, 5, 23, 15, tzinfo=UTC)
    assert statement.closes_at(timedelta(hours=1)) == datetime(2026, 5, 20, 16, tzinfo=UTC)


async def test_an_estimate_that_expiry_charged_is_corrected_by_an_adjustment(
    charging: World,
) -> None:
    world = charging
    await world.grant(30)
    world.clock.set(datetime(2026, 5, 31, 23, 59, 50, tzinfo=UTC))
    name = await world.held(MONTHLY, tokens=120)
    world.clock.advance(hours=1)
    await world.read(MONTHLY)
    statement = await world.statement()
    assert (statement.used, statement.granted) == (100, 20)
    world.clock.set(datetime(2026, 6, 5, tzinfo=UTC))
    await world.commit(name, 90)
    statement = await world.statement()
    assert (statement.used, statement.granted) == (90, 0)
    assert adjusted(statement) == [(-10, -20)]


async def test_a_statement_is_kept_for_400_days(world: World) -> None:
    await world.use(MONTHLY, tokens=5)
    world.clock.set(datetime(2027, 6, 1, tzinfo=UTC))
    await world.use(MONTHLY, tokens=6)
    assert [it.used for it in await world.statements()] == [5, 6]


async def test_a_counter_that_was_lost_is_told(world: World) -> None:
    await world.use(MONTHLY, tokens=5)
    match world.meter:
        case RedisMeter():
            key = "s3:{app}:c:tokens:billing_month:user=user@1777593600000"
            lost = await world.meter._connection.command("DEL", key, since=time.monotonic())
            assert lost == 1
        case SqliteMeter():
            await world.meter._database.run(
                lambda connection: connection.execute("DELETE FROM counter"),
                since=time.monotonic(),
            )
    await world.use(MONTHLY, tokens=6)
    statement = await world.statement()
    assert (statement.used, statement.is_lost) == (11, True)
    assert await world.level(MONTHLY) == (6, 0)


async def test_it_is_known_since_when_an_app_is_counted(world: World) -> None:
    assert (await world.page(None)).counted_from_ms is None
    await world.use(MONTHLY, tokens=5)
    first = (await world.page(None)).counted_from_ms
    assert first is not None
    assert first >= to_ms(world.clock.now)
    world.clock.advance(days=1)
    await world.use(YEARLY, tokens=5)
    assert (await world.page(None)).counted_from_ms == first


# -- pages ------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 100])
async def test_pages_of_any_size_hold_each_statement_once(world: World, count: int) -> None:
    for month in (5, 6, 7):
        world.clock.set(datetime(2026, month, 16, tzinfo=UTC))
        for name in ("ann", "bob smith", "Žoë", "ann%"):
            await world.of("app", name).use(MONTHLY, limit(7, name="plain"), tokens=month)
    whole = (await world.page(None)).statements
    assert len(whole) == 24
    for user in (None, "ann", "bob smith", "Žoë", "ann%"):
        found: list[Statement] = []
        after: StatementKey | None = None
        while True:
            page = await world.page(user, after, count)
            assert len(page.statements) <= count
            found += page.statements
            after = page.last
            if after is None:
                break
        assert found == [it for it in whole if user in (None, it.dimensions["user"])]


async def test_use_at_the_same_time_is_all_in_the_statement(world: World) -> None:
    async def run(tokens: int) -> None:
        name = await world.held(limit(MAX_INTEGER, Fixed.BILLING_MONTH), tokens=tokens)
        await world.commit(name, tokens)

    await asyncio.gather(*map(run, range(1, 41)))
    assert (await world.statement()).used == 820


async def test_requests_and_cost_have_statements_too(world: World) -> None:
    requests = limit(3, Fixed.MONTH, MeterKind.REQUESTS, name="requests")
    cost = limit(1_000, Fixed.MONTH, MeterKind.COST, name="cost")
    for _ in range(4):
        await world.record(world.event(requests, cost, cost=300))
    lines = {it.limit: (it.meter, it.used) for it in await world.statements()}
    assert lines == {"requests": ("requests", 4), "cost": ("cost", 1_200)}


# -- whatever happens -------------------------------------------------------------------------

LATE = st.timedeltas(timedelta(), timedelta(days=7))
STEPS = st.one_of(
    st.tuples(st.just("wait"), st.timedeltas(timedelta(hours=1), timedelta(days=6))),
    st.tuples(st.just("late"), LATE),
    st.tuples(st.just("hold"), st.integers(1, 60)),
    st.tuples(st.just("commit"), st.integers(0, 90)),
    st.tuples(st.just("upgrade"), st.integers(50, 200)),
    st.tuples(st.just("grant"), st.integers(1, 60)),
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps=st.lists(STEPS, min_size=10, max_size=60),
    on_expiry=st.sampled_from(OnExpiry),
)
async def test_whatever_happens_a_closed_period_stays_and_nothing_is_missing(
    redis_url: str, steps: list[tuple[str, Any]], on_expiry: OnExpiry
) -> None:
    clock = ManualClock()
    async with sqlite_meter(None, clock, on_expiry) as first:
        await _stays(World(first, clock), steps)
    clock = ManualClock()
    async with redis_meter(redis_url, clock, on_expiry) as second:
        await _stays(World(second, clock), steps)


async def _stays(world: World, steps: list[tuple[str, Any]]) -> None:
    monthly, holds, closed = MONTHLY, list[str](), dict[int, object]()
    for number, (step, amount) in enumerate(steps):
        match step:
            case "wait":
                world.clock.ms += int(amount / timedelta(milliseconds=1))
            case "late":
                await world.use(monthly, tokens=7 + number, at=world.clock.now - amount)
            case "hold":
                held = await world.reserve(monthly, tokens=amount, ttl_s=86_400)
                holds += [held.reservation.id] if held.reservation else []
            case "commit" if holds:
                with contextlib.suppress(UnknownReservation, ReservationEnded):
                    await world.commit(holds.pop(0), amount)
            case "upgrade":
                monthly = limit(amount, Fixed.BILLING_MONTH, name=f"plan-{number}")
            case "grant":
                await world.grant(amount)
        now = world.clock.now
        for statement in await world.statements():
            start = statement.key.start_ms
            if statement.state(SETTLE, now) is PeriodState.CLOSED:
                shown = _invoiced(statement)
                assert closed.setdefault(start, shown) == shown
    assert sum(each.used for each in await world.statements()) == await _counted(world)


def _invoiced(statement: Statement) -> object:
    """What an invoice was made from."""
    used = statement.used - sum(each.used for each in statement.adjustments(SETTLE))
    granted = statement.granted - sum(each.granted for each in statement.adjustments(SETTLE))
    return statement.end_ms, statement.limit, statement.included, used, granted


async def _counted(world: World) -> int:
    """All that the counters of the months hold."""
    end, found = world.clock.now + timedelta(days=400), 0
    for statement in await world.statements():
        start = from_ms(statement.key.start_ms)
        past = of_past(MONTHLY, statement.key.counter, start, end)
        subject = Subject(world.app, world.user)
        read = await world.meter.read(subject, [past], since=time.monotonic())
        found += read.readings[0].used
    return found
