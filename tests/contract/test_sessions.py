"""What does a session count as? Its deltas, or what its summaries say: whatever is more."""

import random

import pytest

from sidecar.domain.limits import Dimension
from sidecar.domain.prices import Rates
from sidecar.domain.request import MAX_INTEGER, UNTOLD, Amounts, MeterKind
from sidecar.domain.usage import ReservationState, Tally
from sidecar.domain.value import fields_of
from sidecar.domain.windows import Fixed
from tests.contract.stores import START, World, limit

A, U = Dimension.APP, Dimension.USER
MONTHLY = limit(100_000)
HOURLY = limit(100_000, Fixed.HOUR, name="hourly")
PER_SESSION = limit(100_000, per=[A, U, Dimension.SESSION], name="per-session")
PER_WORKFLOW = limit(100_000, per=[A, U, Dimension.WORKFLOW], name="per-workflow")
PER_MODEL = limit(100_000, per=[A, U, Dimension.MODEL], name="per-model")
PER_AGENT = limit(100_000, per=[A, U, Dimension.AGENT], name="per-agent")
PER_PLUGIN = limit(100_000, per=[A, U, Dimension.PLUGIN], name="per-plugin")
WHEN = limit(100_000, name="when", conditional=True)
REQUESTS = limit(1_000, meter=MeterKind.REQUESTS, name="requests")
INPUT = limit(100_000, meter=MeterKind.INPUT_TOKENS, name="input")
OUTPUT = limit(100_000, meter=MeterKind.OUTPUT_TOKENS, name="output")
COST = limit(100_000, meter=MeterKind.COST, name="cost")
PLAIN = (MONTHLY, PER_SESSION, PER_WORKFLOW)
NARROW = (PER_MODEL, PER_AGENT, PER_PLUGIN, WHEN)


@pytest.fixture
def chat(world: World) -> World:
    """One session of the user."""
    return in_chat(world)


def in_chat(world: World, name: str = "chat") -> World:
    return world.using(
        session_id=name, workflow="support", model="gpt-4o", agent="planner", plugin="search"
    )


async def reported(world: World, user: str | None = None) -> dict[str, Amounts]:
    """What the reports show by the name of the model, whatever the hour."""
    rows = await world.usage(user, START.replace(day=1), START.replace(day=28))
    sums: dict[str, Amounts] = {}
    for row in rows:
        sums[row.model] = plus(sums.get(row.model, Amounts()), row.used)
    return sums


def plus(one: Amounts, other: Amounts) -> Amounts:
    return Amounts(*(getattr(one, name) + getattr(other, name) for name in fields_of(Amounts)))


# -- summaries and events -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
async def test_a_session_counts_as_its_last_summary_in_whatever_order_and_number_it_is_told(
    chat: World, seed: int
) -> None:
    deltas = [chat.event(*PLAIN, tokens=10 * number) for number in range(1, 11)]
    first, last = chat.summary(*PLAIN, tokens=290), chat.summary(*PLAIN, tokens=560)
    told = [*deltas[:7], first, first, *deltas[7:], last] * 2
    random.Random(seed).shuffle(told)
    for event in told:
        await chat.record(event)
    assert await chat.levels(*PLAIN) == [(560, 0)] * 3
    assert (await reported(chat)) == {
        "gpt-4o": Amounts(550, requests=10), "": Amounts(10),
    }  # fmt: skip


async def test_only_what_a_summary_says_beyond_the_deltas_is_counted(chat: World) -> None:
    await chat.record(chat.event(MONTHLY, tokens=60), chat.summary(MONTHLY, tokens=100))
    assert await chat.level(MONTHLY) == (100, 0)
    await chat.record(chat.summary(MONTHLY, tokens=90))
    assert await chat.level(MONTHLY) == (100, 0)


async def test_deltas_that_come_later_fill_what_a_summary_said(chat: World) -> None:
    await chat.record(chat.summary(MONTHLY, tokens=100))
    await chat.record(chat.event(MONTHLY, tokens=60))
    assert await chat.level(MONTHLY) == (100, 0)
    await chat.record(chat.event(MONTHLY, tokens=60))
    assert await chat.level(MONTHLY) == (120, 0)


async def test_one_call_may_bring_deltas_and_summaries_together(chat: World) -> None:
    told = [
        chat.summary(MONTHLY, tokens=100), chat.event(MONTHLY, tokens=60),
        chat.event(MONTHLY, tokens=60), chat.summary(MONTHLY, tokens=125),
    ]  # fmt: skip
    assert await chat.record(*told, *told) == Tally(4, 4)
    assert await chat.level(MONTHLY) == (125, 0)


async def test_a_summary_counts_once_by_its_id(chat: World) -> None:
    summary = chat.summary(MONTHLY, tokens=100, name="s-1")
    assert await chat.record(summary) == Tally(1, 0)
    assert await chat.record(summary) == Tally(0, 1)
    assert await chat.record(chat.summary(MONTHLY, tokens=500, name="s-1")) == Tally(0, 1)
    assert await chat.level(MONTHLY) == (100, 0)


async def test_the_tokens_of_a_summary_are_those_that_it_adds(chat: World) -> None:
    first = await chat.record(chat.event(MONTHLY, tokens=60), chat.summary(MONTHLY, tokens=100))
    again = await chat.record(chat.summary(MONTHLY, tokens=100), chat.event(MONTHLY, tokens=7))
    assert (first.tokens, again.tokens) == (100, 7)


async def test_a_summary_is_no_request(chat: World) -> None:
    await chat.record(chat.summary(MONTHLY, REQUESTS, tokens=100))
    assert await chat.levels(MONTHLY, REQUESTS) == [(100, 0), (0, 0)]
    await chat.record(chat.event(MONTHLY, REQUESTS, tokens=100))
    assert await chat.levels(MONTHLY, REQUESTS) == [(100, 0), (1, 0)]


async def test_counters_of_a_model_an_agent_a_plugin_or_a_when_have_the_deltas_alone(
    chat: World,
) -> None:
    await chat.record(chat.summary(*PLAIN, *NARROW, tokens=100))
    assert await chat.levels(*NARROW) == [(0, 0)] * 4
    await chat.record(chat.event(*PLAIN, *NARROW, tokens=60))
    assert await chat.levels(*PLAIN) == [(100, 0)] * 3
    assert await chat.levels(*NARROW) == [(60, 0)] * 4


async def test_sessions_users_and_apps_are_counted_apart(world: World) -> None:
    for owner in (world, world.of("app", "bob"), world.of("other")):
        for name in ("one", "two"):
            chat = in_chat(owner, name)
            await chat.record(
                chat.event(PER_SESSION, tokens=30), chat.summary(PER_SESSION, tokens=50)
            )
            assert await chat.level(PER_SESSION) == (50, 0)
    await in_chat(world, "one").record(in_chat(world, "one").event(MONTHLY, tokens=20))
    assert await world.level(MONTHLY) == (0, 0)


async def test_events_without_a_session_are_of_none(world: World) -> None:
    chat = in_chat(world)
    await world.record(world.event(MONTHLY, tokens=60))
    await chat.record(chat.summary(MONTHLY, tokens=100))
    await world.record(world.event(MONTHLY, tokens=60))
    assert await chat.level(MONTHLY) == (220, 0)


async def test_each_meter_counts_for_itself(chat: World) -> None:
    meters = MONTHLY, INPUT, OUTPUT
    await chat.record(chat.event(*meters, tokens=100, input_tokens=90, output_tokens=10))
    await chat.record(chat.summary(*meters, tokens=100, input_tokens=50, output_tokens=50))
    assert await chat.levels(*meters) == [(100, 0), (90, 0), (50, 0)]
    await chat.record(chat.event(*meters, tokens=100, input_tokens=70, output_tokens=30))
    assert await chat.levels(*meters) == [(200, 0), (160, 0), (50, 0)]
    assert await reported(chat) == {
        "gpt-4o": Amounts(200, 160, 40, 2), "": Amounts(0, 0, 10),
    }  # fmt: skip


async def test_a_summary_counts_in_the_window_of_its_own_time(chat: World) -> None:
    before = chat.clock.now
    chat.clock.advance(hours=1)
    await chat.record(chat.event(HOURLY, tokens=30), chat.summary(HOURLY, tokens=100, at=before))
    assert await chat.level(HOURLY) == (30, 0)
    await chat.record(chat.event(HOURLY, tokens=90))
    assert await chat.level(HOURLY) == (50, 0)
    chat.clock.advance(hours=-1)
    assert await chat.level(HOURLY) == (70, 0)


async def test_a_session_is_known_for_eight_days_after_its_last_change(chat: World) -> None:
    await chat.record(chat.event(MONTHLY, tokens=10))
    chat.clock.advance(days=7, hours=23)
    await chat.record(chat.event(MONTHLY, tokens=20))
    chat.clock.advance(days=7, hours=23)
    await chat.record(chat.summary(MONTHLY, tokens=50))
    assert await chat.level(MONTHLY) == (50, 0)
    chat.clock.advance(days=8)
    await chat.record(chat.summary(MONTHLY, tokens=51))
    assert await chat.level(MONTHLY) == (101, 0)


async def test_the_largest_numbers_do_not_run_over(chat: World) -> None:
    unlimited = limit(None)
    for told in (chat.event, chat.summary, chat.event, chat.summary):
        await chat.record(told(unlimited, tokens=MAX_INTEGER, input_tokens=MAX_INTEGER))
    assert await chat.level(unlimited) == (MAX_INTEGER, 0)


# -- cost -----------------------------------------------------------------------------------------


async def test_what_a_summary_adds_costs_what_its_rates_say(chat: World) -> None:
    chat.rates = Rates(2_000_000, 4_000_000)
    both = MONTHLY, COST
    await chat.record(chat.event(*both, tokens=60, input_tokens=50, output_tokens=10, cost=77))
    await chat.record(chat.summary(*both, tokens=100, input_tokens=70, output_tokens=30))
    assert await chat.levels(*both) == [(100, 0), (77 + 20 * 2 + 20 * 4, 0)]
    await chat.record(chat.event(*both, tokens=40, input_tokens=20, output_tokens=20, cost=50))
    assert await chat.levels(*both) == [(100, 0), (197, 0)]
    assert await reported(chat) == {
        "gpt-4o": Amounts(100, 70, 30, 2, 127), "": Amounts(cost=70),
    }  # fmt: skip
    await chat.record(chat.event(*both, tokens=40, input_tokens=40, cost=80))
    assert await chat.levels(*both) == [(140, 0), (207, 0)]
    assert (await reported(chat)).keys() == {"gpt-4o"}


# -- reports --------------------------------------------------------------------------------------


async def test_reports_show_what_a_summary_said_until_deltas_say_more_of_it(chat: World) -> None:
    await chat.record(chat.summary(MONTHLY, tokens=100))
    (row,) = await chat.usage("user")
    assert (row.model, row.workflow, row.agent, row.plugin) == ("", "support", "", "")
    assert row.used == Amounts(100)
    await chat.record(chat.event(MONTHLY, tokens=30))
    for user in (None, "user"):
        assert await reported(chat, user) == {"": Amounts(70), "gpt-4o": Amounts(30, requests=1)}
    await chat.record(chat.event(MONTHLY, tokens=80))
    for user in (None, "user"):
        assert await reported(chat, user) == {"gpt-4o": Amounts(110, requests=2)}


async def test_the_latest_hours_are_filled_first(chat: World) -> None:
    for tokens in (10, 30, 60):
        await chat.record(chat.summary(MONTHLY, tokens=tokens))
        chat.clock.advance(hours=1)
    await chat.record(chat.event(MONTHLY, tokens=45))
    rows = await chat.usage("user", START)
    shown = [(row.hour % 24, row.model, row.used.tokens) for row in rows]
    assert shown == [(12, "", 10), (13, "", 5), (15, "gpt-4o", 45)]


async def test_reports_add_up_to_the_session_however_many_hours_it_ran(chat: World) -> None:
    for hour in range(1, 41):
        await chat.record(chat.summary(MONTHLY, tokens=hour * 10))
        chat.clock.advance(hours=1)
    for filled in range(1, 6):
        await chat.record(chat.event(MONTHLY, tokens=77))
        rows = await chat.usage("user", START)
        assert sum(row.used.tokens for row in rows) == 400
        assert await chat.level(MONTHLY) == (400, 0)
        own = sum(row.used.tokens for row in rows if row.model)
        # Fifteen hours are told apart; what came before them stays where it is.
        assert own == min(77 * filled, 150)
    await chat.record(chat.event(MONTHLY, tokens=77))
    assert await chat.level(MONTHLY) == (462, 0)
    assert sum(row.used.tokens for row in await chat.usage("user", START)) == 462


# -- commits --------------------------------------------------------------------------------------


async def test_a_commit_is_a_delta_of_its_checks_session(chat: World) -> None:
    name = await chat.held(MONTHLY, PER_MODEL, tokens=100)
    await chat.commit(name, 60)
    await chat.record(chat.summary(MONTHLY, tokens=80))
    assert await chat.levels(MONTHLY, PER_MODEL) == [(80, 0), (60, 0)]
    name = await chat.held(MONTHLY, PER_MODEL, tokens=100)
    await chat.commit(name, 50)
    assert await chat.levels(MONTHLY, PER_MODEL) == [(110, 0), (110, 0)]
    assert await reported(chat) == {"gpt-4o": Amounts(110, requests=2)}


async def test_a_hold_is_not_told_of_its_session(chat: World) -> None:
    name = await chat.held(MONTHLY, tokens=100)
    await chat.record(chat.summary(MONTHLY, tokens=80))
    assert await chat.level(MONTHLY) == (80, 100)
    await chat.release(name)
    assert await chat.level(MONTHLY) == (80, 0)
    await chat.record(chat.summary(MONTHLY, tokens=90))
    assert await chat.level(MONTHLY) == (90, 0)


async def test_of_each_commit_only_the_difference_is_a_delta(chat: World) -> None:
    limits = MONTHLY, PER_MODEL, REQUESTS
    await chat.record(chat.summary(MONTHLY, tokens=100))
    name = await chat.held(*limits, tokens=200)
    for total in (30, 30, 80):
        await chat.commit(name, total, final=False)
        await chat.commit(name, total, final=False)
        # What a summary has counted is held no more, or it would stand there twice.
        assert await chat.levels(*limits) == [(100, 200 - total), (total, 200 - total), (1, 0)]
    await chat.commit(name, 150)
    await chat.commit(name, 150)
    assert await chat.levels(*limits) == [(150, 0), (150, 0), (1, 0)]
    await chat.record(chat.summary(MONTHLY, tokens=160))
    assert await chat.level(MONTHLY) == (160, 0)
    assert await reported(chat) == {"gpt-4o": Amounts(150, requests=1), "": Amounts(10)}


async def test_an_event_that_draws_a_hold_down_is_a_delta_once(chat: World) -> None:
    await chat.record(chat.summary(MONTHLY, tokens=100))
    name = await chat.held(MONTHLY, PER_MODEL, tokens=200)
    event = chat.event(MONTHLY, PER_MODEL, tokens=70, reservation_id=name)
    await chat.record(event, event)
    assert await chat.levels(MONTHLY, PER_MODEL) == [(100, 130), (70, 130)]
    await chat.commit(name, 90)
    assert await chat.levels(MONTHLY, PER_MODEL) == [(100, 0), (90, 0)]
    await chat.record(chat.event(MONTHLY, tokens=30))
    assert await chat.level(MONTHLY) == (120, 0)


async def test_an_event_without_a_session_is_of_that_of_its_hold(world: World) -> None:
    chat = in_chat(world)
    name = await chat.held(MONTHLY, tokens=200)
    await world.record(world.event(MONTHLY, tokens=70, reservation_id=name))
    await chat.record(chat.summary(MONTHLY, tokens=100))
    assert await chat.level(MONTHLY) == (100, 130)


async def test_an_event_after_the_final_commit_is_part_of_it(chat: World) -> None:
    name = await chat.held(MONTHLY, tokens=100)
    await chat.commit(name, 60)
    await chat.record(chat.event(MONTHLY, tokens=60, reservation_id=name))
    await chat.record(chat.summary(MONTHLY, tokens=100))
    await chat.record(chat.event(MONTHLY, tokens=60))
    assert await chat.level(MONTHLY) == (120, 0)


async def test_what_an_extension_holds_is_of_the_same_session(chat: World) -> None:
    await chat.record(chat.summary(HOURLY, tokens=60))
    chat.clock.advance(minutes=59, seconds=30)
    name = await chat.held(HOURLY, tokens=30)
    chat.clock.advance(seconds=40)
    await chat.extend(name, HOURLY, tokens=40)
    assert await chat.level(HOURLY) == (0, 40)
    await chat.commit(name, 50, final=False)
    assert await chat.level(HOURLY) == (0, 20)
    await chat.commit(name, 75)
    assert await chat.level(HOURLY) == (15, 0)


async def test_a_late_commit_fills_what_a_summary_said(chat: World) -> None:
    name = await chat.held(MONTHLY, tokens=100)
    chat.clock.advance(minutes=2)
    await chat.record(chat.summary(MONTHLY, tokens=80))
    settled = await chat.commit(name, 90)
    assert settled.state is ReservationState.COMMITTED
    assert await chat.level(MONTHLY) == (90, 0)


async def test_a_late_commit_takes_back_what_expiry_charged_and_fills(charging: World) -> None:
    chat = in_chat(charging)
    name = await chat.held(MONTHLY, PER_MODEL, tokens=100)
    chat.clock.advance(minutes=2)
    await chat.record(chat.summary(MONTHLY, tokens=80))
    # What expiry guesses is of no session until somebody says better.
    assert await chat.levels(MONTHLY, PER_MODEL) == [(180, 0), (100, 0)]
    await chat.commit(name, 50, final=False)
    assert await chat.levels(MONTHLY, PER_MODEL) == [(80, 0), (50, 0)]
    await chat.commit(name, 90)
    assert await chat.levels(MONTHLY, PER_MODEL) == [(90, 0), (90, 0)]
    assert await reported(chat) == {"gpt-4o": Amounts(90, requests=1)}


async def test_an_event_after_expiry_that_charged_fills_too(charging: World) -> None:
    chat = in_chat(charging)
    name = await chat.held(MONTHLY, tokens=100)
    chat.clock.advance(minutes=2)
    await chat.record(chat.summary(MONTHLY, tokens=80))
    await chat.record(chat.event(MONTHLY, tokens=30, reservation_id=name))
    assert await chat.level(MONTHLY) == (80, 0)
    await chat.record(chat.event(MONTHLY, tokens=60))
    assert await chat.level(MONTHLY) == (90, 0)


async def test_parts_that_a_commit_does_not_tell_are_not_counted_twice(chat: World) -> None:
    """What was held of them is charged, and a summary that knows them adds only what is more."""
    limits = MONTHLY, INPUT
    name = await chat.held(*limits, tokens=100, input_tokens=70)
    await chat.commit(name, 90, input_tokens=UNTOLD, output_tokens=UNTOLD, cost=UNTOLD)
    assert await chat.levels(*limits) == [(90, 0), (70, 0)]
    await chat.record(chat.summary(*limits, tokens=90, input_tokens=75, output_tokens=15))
    assert await chat.levels(*limits) == [(90, 0), (75, 0)]
    name = await chat.held(*limits, tokens=100, input_tokens=70)
    await chat.commit(name, 90, input_tokens=UNTOLD, output_tokens=UNTOLD, cost=UNTOLD)
    assert await chat.levels(*limits) == [(180, 0), (140, 0)]
    # In the reports stands what was told.
    assert await reported(chat) == {"gpt-4o": Amounts(180, requests=2), "": Amounts(0, 5, 15)}


async def test_a_withdrawn_request_leaves_its_session_alone(chat: World) -> None:
    name = await chat.held(MONTHLY, tokens=100)
    await chat.withdraw(name)
    await chat.record(chat.summary(MONTHLY, tokens=80))
    assert await chat.level(MONTHLY) == (80, 0)


async def test_grants_pay_for_what_a_summary_adds_and_not_for_what_it_has_counted(
    chat: World,
) -> None:
    tight = limit(50, Fixed.BILLING_MONTH, name="tight")
    await chat.grant(100, "gift")
    await chat.record(chat.summary(tight, tokens=80))
    assert (await chat.level(tight), await chat.balance("gift")) == ((50, 0), (30, 0, 70))
    name = await chat.held(tight, tokens=40)
    assert (await chat.level(tight), await chat.balance("gift")) == ((50, 0), (30, 40, 30))
    await chat.commit(name, 60)
    assert (await chat.level(tight), await chat.balance("gift")) == ((50, 0), (30, 0, 70))
    await chat.record(chat.event(tight, tokens=30))
    assert (await chat.level(tight), await chat.balance("gift")) == ((50, 0), (40, 0, 60))
