"""Does a subscription's plan hold, and what does a pushed state do to the one before?"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from sidecar.domain.request import Subject
from sidecar.domain.subscription import (
    HISTORY_LENGTH,
    Standing,
    Status,
    Subscription,
    SyncOutcome,
    Terms,
    merge,
    never_synced,
    standing,
)

MONDAY = datetime(2026, 5, 4, tzinfo=UTC)
DAY = timedelta(days=1)
GRACE = Terms(grace={Status.PAST_DUE: 3 * DAY})


def state(
    status: Status = Status.ACTIVE,
    *,
    at: datetime = MONDAY,
    plan: str = "pro",
    event_id: str = "",
) -> Subscription:
    return Subscription("bob", plan=plan, status=status, updated_at=at, event_id=event_id)


def after(*pushes: Subscription) -> Subscription:
    stored: Subscription | None = None
    for pushed in pushes:
        _, stored = merge(stored, pushed)
    assert stored is not None
    return stored


def test_what_says_no_time_replaces_what_came_before_by_a_clock_that_is_ahead() -> None:
    ahead = replace(state(plan="pro", at=MONDAY + timedelta(seconds=9)), is_dated=False)
    later = replace(state(plan="free"), is_dated=False)
    stored = after(ahead, later)
    assert (stored.plan, stored.updated_at, stored.is_dated) == ("free", ahead.updated_at, True)
    assert [change.plan for change in stored.history] == ["pro", "free"]
    assert merge(stored, state(plan="old"))[0] is SyncOutcome.STALE


@pytest.mark.parametrize("status", Status)
def test_only_active_and_trialing_hold_where_nothing_else_is_said(status: Status) -> None:
    holds = status in {Status.ACTIVE, Status.TRIALING}
    expected = Standing.HOLDS if holds else Standing.INACTIVE
    assert standing(after(state(status)), Terms(), MONDAY) is expected


@pytest.mark.parametrize("status", Status)
def test_a_policy_may_let_any_status_hold(status: Status) -> None:
    assert standing(state(status), Terms(active=frozenset({status})), MONDAY) is Standing.HOLDS


def test_a_user_who_was_never_synced_has_status_none() -> None:
    subscription = never_synced(Subject("acme", "bob"))
    assert subscription.status is Status.NONE
    assert standing(subscription, Terms(), MONDAY) is Standing.INACTIVE


@pytest.mark.parametrize(
    ("elapsed", "expected"),
    [
        (timedelta(0), Standing.GRACE),
        (3 * DAY - timedelta(microseconds=1), Standing.GRACE),
        (3 * DAY, Standing.EXPIRED),
        (300 * DAY, Standing.EXPIRED),
    ],
)
def test_grace_is_counted_from_the_start_of_the_status(
    elapsed: timedelta, expected: Standing
) -> None:
    late = after(state(), state(Status.PAST_DUE, at=MONDAY + DAY))
    assert standing(late, GRACE, MONDAY + DAY + elapsed) is expected


def test_repeating_a_status_does_not_begin_its_grace_anew() -> None:
    pushes = [state(Status.PAST_DUE, at=MONDAY + days * DAY) for days in range(4)]
    late = after(state(at=MONDAY - DAY), *pushes)
    assert late.updated_at == MONDAY + 3 * DAY
    assert late.status_since == MONDAY
    assert standing(late, GRACE, MONDAY + 3 * DAY) is Standing.EXPIRED


def test_a_payment_in_between_begins_a_new_grace() -> None:
    late = after(
        state(Status.PAST_DUE, at=MONDAY),
        state(Status.ACTIVE, at=MONDAY + DAY),
        state(Status.PAST_DUE, at=MONDAY + 2 * DAY),
    )
    assert standing(late, GRACE, MONDAY + 4 * DAY) is Standing.GRACE


def test_a_start_of_grace_that_arrives_late_counts() -> None:
    late = after(
        state(Status.PAST_DUE, at=MONDAY + 2 * DAY),
        state(Status.PAST_DUE, at=MONDAY),
    )
    assert late.status_since == MONDAY
    assert standing(late, GRACE, MONDAY + 3 * DAY) is Standing.EXPIRED


def test_a_status_in_grace_that_is_active_too_simply_holds() -> None:
    terms = replace(GRACE, active=frozenset({Status.PAST_DUE}))
    assert standing(state(Status.PAST_DUE), terms, MONDAY + 9 * DAY) is Standing.HOLDS


def test_a_trial_ends_at_its_end() -> None:
    trial = replace(state(Status.TRIALING), trial_end=MONDAY + DAY)
    assert standing(trial, Terms(), MONDAY + DAY - timedelta(seconds=1)) is Standing.HOLDS
    assert standing(trial, Terms(), MONDAY + DAY) is Standing.EXPIRED


def test_a_trial_without_an_end_lasts_as_long_as_the_policy_says() -> None:
    terms = Terms(trial_length=14 * DAY)
    trial = state(Status.TRIALING)
    assert standing(trial, terms, MONDAY + 13 * DAY) is Standing.HOLDS
    assert standing(trial, terms, MONDAY + 14 * DAY) is Standing.EXPIRED
    assert standing(trial, Terms(), MONDAY + 9999 * DAY) is Standing.HOLDS


def test_the_end_that_was_synced_beats_the_length_in_the_policy() -> None:
    trial = replace(state(Status.TRIALING), trial_end=MONDAY + 30 * DAY)
    terms = Terms(trial_length=14 * DAY)
    assert standing(trial, terms, MONDAY + 20 * DAY) is Standing.HOLDS


def test_the_end_of_a_trial_says_nothing_once_it_is_paid() -> None:
    paid = replace(state(), trial_end=MONDAY)
    assert standing(paid, Terms(), MONDAY + DAY) is Standing.HOLDS


def test_a_cancellation_takes_effect_at_the_end_of_the_period() -> None:
    leaving = replace(state(), period_end=MONDAY + DAY, cancel_at_period_end=True)
    assert standing(leaving, Terms(), MONDAY) is Standing.HOLDS
    assert standing(leaving, Terms(), MONDAY + DAY) is Standing.EXPIRED


def test_a_cancellation_without_a_period_ends_on_the_next_billing_date() -> None:
    leaving = replace(state(), next_billing_date=MONDAY + DAY, cancel_at_period_end=True)
    assert standing(leaving, Terms(), MONDAY + DAY) is Standing.EXPIRED
    undated = replace(state(), cancel_at_period_end=True)
    assert standing(undated, Terms(), MONDAY + 9999 * DAY) is Standing.HOLDS


def test_a_past_period_alone_ends_nothing() -> None:
    renewed_late = replace(state(), period_end=MONDAY, next_billing_date=MONDAY)
    assert standing(renewed_late, Terms(), MONDAY + 99 * DAY) is Standing.HOLDS


def test_a_state_from_the_last_year_that_there_is_can_be_judged() -> None:
    far = datetime.max.replace(tzinfo=UTC)
    terms = Terms(grace={Status.PAST_DUE: DAY}, trial_length=DAY)
    assert standing(state(Status.PAST_DUE, at=far), terms, MONDAY) is Standing.GRACE
    assert standing(state(Status.TRIALING, at=far), terms, MONDAY) is Standing.HOLDS


def test_a_push_replaces_the_whole_state() -> None:
    rich = replace(state(), trial_end=MONDAY, metadata={"seats": 3})
    outcome, stored = merge(after(rich), state(plan="free", at=MONDAY + DAY))
    assert outcome is SyncOutcome.SYNCED
    assert (stored.plan, stored.trial_end, dict(stored.metadata)) == ("free", None, {})


def test_the_same_event_again_has_no_effect() -> None:
    stored = after(state(event_id="e1"), state(Status.PAUSED, at=MONDAY + DAY, event_id="e2"))
    again = merge(stored, state(event_id="e1", at=MONDAY + 2 * DAY))
    assert again == (SyncOutcome.DUPLICATE, stored)


def test_an_older_state_is_stale_and_changes_nothing_but_the_history() -> None:
    outcome, stored = merge(after(state(at=MONDAY + DAY)), state(Status.CANCELED))
    assert outcome is SyncOutcome.STALE
    assert stored.status is Status.ACTIVE
    assert len(stored.history) == 2


def test_of_two_states_of_one_instant_the_later_arrival_holds() -> None:
    assert after(state(), state(Status.CANCELED)).status is Status.CANCELED


def test_whatever_the_order_of_arrival_the_same_state_stands_in_the_end() -> None:
    pushes = [
        state(Status.TRIALING, at=MONDAY, event_id="a"),
        state(Status.ACTIVE, at=MONDAY + DAY, event_id="b"),
        state(Status.PAST_DUE, at=MONDAY + 2 * DAY, event_id="c"),
        state(Status.PAST_DUE, at=MONDAY + 3 * DAY, event_id="d"),
    ]
    outcomes = [after(*order) for order in permutations(pushes)]
    assert all(outcome == outcomes[0] for outcome in outcomes)
    assert outcomes[0].status_since == MONDAY + 2 * DAY


def test_the_history_is_bounded() -> None:
    pushes = [state(at=MONDAY + days * DAY) for days in range(HISTORY_LENGTH + 10)]
    assert len(after(*pushes).history) == HISTORY_LENGTH


def test_a_status_repeated_without_end_keeps_its_beginning() -> None:
    pushes = [state(Status.PAST_DUE, at=MONDAY + hours * DAY / 24) for hours in range(500)]
    late = after(state(at=MONDAY - DAY), *pushes)
    assert late.status_since == MONDAY
    assert standing(late, GRACE, MONDAY + 3 * DAY) is Standing.EXPIRED


def test_a_trial_repeated_without_end_is_counted_from_its_first_day() -> None:
    pushes = [state(Status.TRIALING, at=MONDAY + days * DAY) for days in range(300)]
    assert standing(after(*pushes), Terms(trial_length=14 * DAY), MONDAY + 14 * DAY) is (
        Standing.EXPIRED
    )


def test_where_the_status_changed_since_the_oldest_change_goes_first() -> None:
    pushes = [
        state(status, at=MONDAY + (2 * days + half) * DAY)
        for days in range(HISTORY_LENGTH)
        for half, status in enumerate((Status.ACTIVE, Status.PAST_DUE))
    ]
    assert [change.updated_at for change in after(*pushes).history] == [
        push.updated_at for push in pushes[-HISTORY_LENGTH:]
    ]


@pytest.mark.parametrize("repeated", [Status.ACTIVE, Status.PAST_DUE])
def test_an_event_is_known_again_after_a_hundred_others(repeated: Status) -> None:
    restless = [
        state(status, at=MONDAY + (days + half / 2) * DAY)
        for days in range(-HISTORY_LENGTH, 0)
        for half, status in enumerate((Status.ACTIVE, Status.PAST_DUE))
    ]
    events = [state(repeated, at=MONDAY + days * DAY, event_id=f"e{days}") for days in range(101)]
    stored = after(*restless, *events)
    again = state(Status.CANCELED, at=MONDAY + 999 * DAY, event_id="e0")
    assert merge(stored, again) == (SyncOutcome.DUPLICATE, stored)


@pytest.mark.parametrize(
    ("cycle", "months"),
    [("", 1), ("monthly", 1), ("Yearly", 12), ("annual", 12), ("quarterly", 3), ("weird", 1)],
)
def test_the_billing_cycle_gives_the_length_of_a_period(cycle: str, months: int) -> None:
    assert replace(state(), billing_cycle=cycle).cycle.months == months


# -- since when the plan is held -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("pushes", "days"),
    [
        ([state()], 0),
        ([state(), state(Status.PAST_DUE, at=MONDAY + DAY)], 0),
        ([state(Status.TRIALING), state(at=MONDAY + DAY)], 0),
        ([state(plan="free"), state(at=MONDAY + DAY)], 1),
        ([state(), state(Status.CANCELED, at=MONDAY + DAY), state(at=MONDAY + 2 * DAY)], 2),
        ([state(), state(Status.PAUSED, at=MONDAY + DAY)], None),
        ([state(at=MONDAY + DAY), state(at=MONDAY)], 0),
    ],
)
def test_a_plan_is_held_since_it_could_last_not_be_used(
    pushes: list[Subscription], days: int | None
) -> None:
    held_since = after(*pushes).held_since
    assert held_since == (None if days is None else MONDAY + days * DAY)


def test_whoever_was_never_synced_holds_no_plan() -> None:
    assert never_synced(Subject("acme", "bob")).held_since is None
