"""What was used hour by hour, by whom and with what, as every store reports it."""

import asyncio
from datetime import timedelta

import pytest

from sidecar.domain.prices import Rates
from sidecar.domain.request import MAX_INTEGER, UNTOLD, Amounts, MeterKind
from sidecar.domain.usage import UsageRow
from sidecar.domain.windows import Fixed
from sidecar.errors import ReservationEnded
from tests.contract.stores import World, limit

MONTHLY = limit(None, Fixed.BILLING_MONTH, name="monthly")
BUDGET = limit(None, Fixed.BILLING_MONTH, MeterKind.COST, name="budget")
STRANGE = ["a b", "a=b", "ä", "a\tb", "a\nb", "%", "*", "名前", "x" * 256, "é" * 256]


def totals(rows: list[UsageRow]) -> list[tuple[int, int]]:
    """(tokens, requests) of each row."""
    return [(row.used.tokens, row.used.requests) for row in rows]


async def test_where_nothing_was_used_nothing_is_reported(world: World) -> None:
    assert await world.usage() == []
    await world.release(await world.held(MONTHLY, tokens=10))
    assert await world.usage() == await world.usage("user") == []


async def test_a_commit_is_reported_with_all_that_it_told(world: World) -> None:
    asking = world.using(model="gpt-4o", workflow="bot", agent="planner", plugin="search")
    name = await asking.held(MONTHLY, tokens=100)
    await asking.commit(name, 70, input_tokens=50, output_tokens=20, cost=9)
    hour = world.clock.ms // 3_600_000
    used = Amounts(70, 50, 20, 1, 9)
    assert await world.usage("user") == [
        UsageRow(hour, "user", "gpt-4o", "bot", "planner", "search", used)
    ]
    assert await world.usage() == [UsageRow(hour, "", "gpt-4o", "bot", "planner", "search", used)]


async def test_a_commit_may_name_another_model(world: World) -> None:
    asking = world.using(model="asked", agent="planner")
    await asking.commit(await asking.held(MONTHLY, tokens=10), 7, model="answered")
    (row,) = await world.usage("user")
    assert (row.model, row.agent, row.used.tokens) == ("answered", "planner", 7)


async def test_a_commit_without_limits_is_reported_too(world: World) -> None:
    await world.commit(await world.held(tokens=10), 7)
    assert totals(await world.usage()) == [(7, 1)]


async def test_users_are_told_apart_and_summed_up(world: World) -> None:
    other = world.of("app", "other")
    stranger = world.of("another")
    for each, tokens in ((world, 10), (other, 5), (stranger, 3)):
        await each.commit(await each.held(MONTHLY, tokens=tokens), tokens)
    assert totals(await world.usage("user")) == [(10, 1)]
    assert totals(await world.usage("other")) == [(5, 1)]
    assert totals(await world.usage()) == [(15, 2)]
    assert totals(await stranger.usage()) == [(3, 1)]


async def test_each_model_workflow_agent_and_plugin_has_a_row(world: World) -> None:
    for number, dimension in enumerate(("model", "workflow", "agent", "plugin")):
        for value in ("a", "b"):
            asking = world.using(**{dimension: value})
            await asking.commit(await asking.held(tokens=1), number)
    rows = await world.usage("user")
    keys = [(row.model, row.workflow, row.agent, row.plugin) for row in rows]
    assert keys == sorted(keys)
    assert len(set(keys)) == 8


@pytest.mark.parametrize("name", STRANGE)
async def test_strange_names_are_reported_as_they_are(world: World, name: str) -> None:
    asking = world.of(name, name).using(model=name, workflow=name, agent=name, plugin=name)
    await asking.record(asking.event(MONTHLY, tokens=3))
    await asking.commit(await asking.held(MONTHLY, tokens=1), 4, model=f"{name}.")
    (first, second) = await asking.usage(name)
    assert (first.user_id, first.model, first.plugin) == (name, name, name)
    assert (second.model, second.workflow, second.agent) == (f"{name}.", name, name)
    assert totals([first, second]) == [(3, 1), (4, 1)]


# -- when ------------------------------------------------------------------------------------


async def test_a_commit_counts_in_its_own_hour_and_an_event_in_that_of_its_time(
    world: World,
) -> None:
    begin = world.clock.now
    name = await world.held(MONTHLY, tokens=100, ttl_s=7_200)
    world.clock.advance(hours=1)
    await world.commit(name, 70)
    await world.use(MONTHLY, tokens=5, at=begin + timedelta(minutes=59))
    await world.use(MONTHLY, tokens=3, at=begin - timedelta(milliseconds=1))
    await world.use(MONTHLY, tokens=2, at=world.clock.now + timedelta(minutes=5))
    rows = await world.usage("user", begin - timedelta(hours=2), begin + timedelta(hours=2))
    hour = begin.timestamp() // 3_600
    assert [(row.hour - hour, row.used.tokens) for row in rows] == [(-1, 3), (0, 5), (1, 72)]


async def test_only_the_hours_that_are_asked_for_are_told(world: World) -> None:
    begin = world.clock.now
    for hours in range(-60, 1, 12):
        await world.use(MONTHLY, tokens=1, at=begin + timedelta(hours=hours))
    found = await world.usage(None, begin - timedelta(hours=48), begin - timedelta(hours=12))
    hour = begin.timestamp() // 3_600
    assert [row.hour - hour for row in found] == [-48, -36, -24, -12]
    assert await world.usage(None, begin, begin - timedelta(hours=1)) == []


# -- once ------------------------------------------------------------------------------------


async def test_of_commits_that_are_not_final_only_what_comes_to_them_is_reported(
    world: World,
) -> None:
    name = await world.held(MONTHLY, tokens=100)
    for used in (30, 30, 50, 20):
        await world.commit(name, used, final=False, input_tokens=used)
    (row,) = await world.usage("user")
    assert row.used == Amounts(50, 50, 0, 1, 0)
    world.clock.advance(hours=1)
    await world.commit(name, 120, input_tokens=50, output_tokens=70)
    await world.commit(name, 120, input_tokens=50, output_tokens=70)
    (row,) = await world.usage("user")
    assert row.used == Amounts(70, 0, 70, 0, 0)


async def test_of_what_a_commit_does_not_know_nothing_is_reported(world: World) -> None:
    name = await world.held(MONTHLY, tokens=100, input_tokens=60, output_tokens=40)
    await world.commit(name, 80, input_tokens=UNTOLD, output_tokens=UNTOLD)
    (row,) = await world.usage("user")
    assert row.used == Amounts(80, 0, 0, 1, 0)


async def test_events_are_part_of_their_reservation(world: World) -> None:
    name = await world.held(MONTHLY, tokens=100)
    agent = world.using(agent="helper")
    event = agent.event(MONTHLY, tokens=30, input_tokens=30, reservation_id=name)
    await agent.record(event, event)
    await agent.record(agent.event(MONTHLY, tokens=20, reservation_id=name))
    await world.commit(name, 80, input_tokens=35)
    rows = {row.agent: row.used for row in await world.usage("user")}
    assert rows == {"helper": Amounts(50, 30, 0, 1, 0), "": Amounts(30, 5, 0, 0, 0)}
    await agent.record(agent.event(MONTHLY, tokens=20, reservation_id=name))
    with pytest.raises(ReservationEnded):
        await world.commit(name, 81)
    assert sum(tokens for tokens, _ in totals(await world.usage("user"))) == 80


async def test_an_event_that_comes_again_is_reported_once(world: World) -> None:
    event = world.event(MONTHLY, tokens=10, name="e-1")
    await world.record(event, event)
    await world.record(event)
    assert totals(await world.usage()) == [(10, 1)]


async def test_a_report_of_nothing_is_no_row(world: World) -> None:
    await world.record(world.event(MONTHLY, tokens=0, requests=0))
    assert await world.usage() == []
    await world.record(world.event(MONTHLY, tokens=10, requests=0))
    assert totals(await world.usage()) == [(10, 0)]


async def test_what_is_released_was_not_used_but_for_what_was_told_before(world: World) -> None:
    name = await world.held(MONTHLY, tokens=100)
    await world.commit(name, 30, final=False)
    await world.release(name)
    assert totals(await world.usage()) == [(30, 1)]
    await world.record(world.event(MONTHLY, tokens=5, reservation_id=name))
    assert totals(await world.usage()) == [(35, 2)]


async def test_expiry_reports_nothing_and_a_late_commit_does(charging: World) -> None:
    name = await charging.held(MONTHLY, tokens=100, ttl_s=30)
    charging.clock.advance(seconds=30)
    assert await charging.level(MONTHLY) == (100, 0)
    assert await charging.usage() == []
    await charging.commit(name, 60)
    assert totals(await charging.usage()) == [(60, 1)]


async def test_of_many_that_commit_together_every_token_is_reported(world: World) -> None:
    names = await asyncio.gather(*(world.held(MONTHLY, tokens=10) for _ in range(60)))
    await asyncio.gather(*(world.commit(name, 7) for name in names))
    assert totals(await world.usage()) == totals(await world.usage("user")) == [(420, 60)]


async def test_a_report_stops_at_the_greatest_exact_number(world: World) -> None:
    for _ in range(3):
        await world.record(world.event(MONTHLY, tokens=MAX_INTEGER, cost=MAX_INTEGER))
    (row,) = await world.usage("user")
    assert (row.used.tokens, row.used.cost, row.used.requests) == (MAX_INTEGER, MAX_INTEGER, 3)


# -- what it cost ----------------------------------------------------------------------------


async def test_a_cost_that_is_not_told_follows_from_the_rates_of_the_hold(world: World) -> None:
    world.rates = Rates(2_000_000, 10_000_000)
    name = await world.held(BUDGET, tokens=100, cost=900)
    await world.commit(name, 60, final=False, input_tokens=50, output_tokens=UNTOLD, cost=UNTOLD)
    # Fifty in at 2, ten of which nothing is known at the dearer rate.
    assert await world.level(BUDGET) == (200, 700)
    await world.commit(name, 70, input_tokens=50, output_tokens=20, cost=UNTOLD)
    assert await world.level(BUDGET) == (300, 0)
    (row,) = await world.usage("user")
    assert row.used == Amounts(70, 50, 20, 1, 300)
    again = await world.commit(name, 70, input_tokens=50, output_tokens=20, cost=UNTOLD)
    assert [reading.used for reading in again.readings] == [300]


@pytest.mark.parametrize(
    ("rates", "used", "cost"),
    [
        (Rates(0, 0), Amounts(10**6, 10**6), 0),
        (Rates(1, 1), Amounts(1, 1, 0), 1),
        (Rates(1, 1), Amounts(10**6 + 1, 10**6, 1), 2),
        (Rates(3, 7), Amounts(999_999, 333_333, 666_666), 6),
        (Rates(10**9, 10**9), Amounts(MAX_INTEGER, MAX_INTEGER, 0), MAX_INTEGER),
        (Rates(10**9, 1), Amounts(MAX_INTEGER // 1_000, UNTOLD, UNTOLD), 9_007_199_254_740_000),
        (Rates(123_456_789, 987_654_321), Amounts(7_654_321, 1_234_567, 6_000_000), 6_492_913_456),
    ],
)
async def test_a_cost_is_rounded_up_to_a_whole_micro_unit(
    world: World, rates: Rates, used: Amounts, cost: int
) -> None:
    world.rates = rates
    name = await world.held(BUDGET, tokens=1, cost=1)
    await world.commit(
        name,
        used.tokens,
        input_tokens=used.input_tokens,
        output_tokens=used.output_tokens,
        cost=UNTOLD,
    )
    (row,) = await world.usage("user")
    assert row.used.cost == cost
    assert await world.level(BUDGET) == (cost, 0)
    assert rates.cost(used.tokens, used.input_tokens, used.output_tokens) == cost


async def test_a_cost_that_is_told_is_taken_as_it_is(world: World) -> None:
    world.rates = Rates(2_000_000, 10_000_000)
    name = await world.held(BUDGET, tokens=100, cost=900)
    await world.commit(name, 70, input_tokens=50, output_tokens=20, cost=123)
    assert await world.level(BUDGET) == (123, 0)
    (row,) = await world.usage("user")
    assert row.used.cost == 123


async def test_the_same_tokens_again_are_no_more_though_they_cost_more_by_now(
    world: World,
) -> None:
    name = await world.held(BUDGET, tokens=100, cost=900)
    await world.commit(name, 70, cost=123)
    await world.commit(name, 70, cost=456)
    assert await world.level(BUDGET) == (123, 0)
    with pytest.raises(ReservationEnded):
        await world.commit(name, 71, cost=123)


async def test_without_rates_tokens_cost_nothing(world: World) -> None:
    name = await world.held(BUDGET, tokens=100, cost=900)
    await world.commit(name, 70, cost=UNTOLD)
    assert await world.level(BUDGET) == (0, 0)


# -- how much is told apart ------------------------------------------------------------------


async def use_models(world: World, first: int, last: int) -> None:
    """One token with each of so many models."""
    models = [world.using(model=f"m{number:04}") for number in range(first, last)]
    events = [each.event(MONTHLY, tokens=1) for each in models]
    for start in range(0, len(events), 500):
        await world.record(*events[start : start + 500])


async def test_a_user_has_five_hundred_and_twelve_rows_a_day_and_one_for_the_rest(
    world: World,
) -> None:
    await use_models(world, 0, 510)
    world.clock.advance(hours=1)
    await use_models(world, 600, 606)
    await use_models(world, 600, 604)
    begin, end = world.clock.now - timedelta(hours=1), world.clock.now
    rows = await world.usage("user", begin, end)
    assert sum(tokens for tokens, _ in totals(rows)) == 520
    rest = [row for row in rows if row.model == "*"]
    assert [(row.workflow, row.agent, row.plugin, row.used.tokens) for row in rest] == [
        ("*", "*", "*", 6)
    ]
    assert len(rows) == 513
    # All users together are told apart further, and so is another user, and the next day.
    assert len(await world.usage(None, begin, end)) == 516
    other = world.of("app", "other")
    await use_models(other, 0, 5)
    assert totals(await other.usage("other")) == [(1, 1)] * 5
    world.clock.advance(days=1)
    await use_models(world, 700, 702)
    assert totals(await world.usage("user")) == [(1, 1)] * 2


async def test_an_app_has_four_thousand_and_ninety_six_rows_a_day(world: World) -> None:
    for number in range(9):
        await use_models(world.of("app", f"u{number}"), 500 * number, 500 * (number + 1))
    rows = await world.usage()
    assert len(rows) == 4_097
    assert sum(tokens for tokens, _ in totals(rows)) == 4_500
    assert {row.used.tokens for row in rows if row.model == "*"} == {404}
    assert len(await world.usage("u8")) == 500
