"""What the billing side said, as every store remembers it."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.adapters.cached import CachedSubscriptions
from sidecar.adapters.redis.subscriptions import RedisSubscriptions
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.subscriptions import SqliteSubscriptions
from sidecar.domain.request import Subject
from sidecar.domain.subscription import (
    Change,
    Status,
    Subscription,
    SyncOutcome,
    never_synced,
)
from sidecar.errors import SubscriptionsUnavailable
from sidecar.ports import Subscriptions
from tests.contract.stores import PATIENCE_S, redis_connection

BOB = Subject("app", "bob")
MONDAY = datetime(2026, 5, 4, tzinfo=UTC)
STRANGE = ["a}b", "a:b", "*", "%", "a b", "名前", "a\nb", "x" * 256]


def since() -> float:
    return time.monotonic()


def pushed(
    plan: str,
    *,
    day: int = 0,
    app: str = "app",
    user: str = "bob",
    event: str = "",
    status: Status = Status.ACTIVE,
) -> Subscription:
    """A state that begins some days after a Monday."""
    return Subscription(
        user_id=user,
        app_id=app,
        plan=plan,
        status=status,
        event_id=event,
        updated_at=MONDAY + timedelta(days=day),
    )


@pytest.fixture(params=["sqlite", "redis", "cached redis", "cached sqlite"])
async def subscriptions(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Subscriptions]:
    """Subscriptions over each store, empty."""
    async with AsyncExitStack() as stack:
        store: Subscriptions
        if request.param.endswith("redis"):
            url = request.getfixturevalue("redis_url")
            store = RedisSubscriptions(await stack.enter_async_context(redis_connection(url)))
        else:
            database = Database(tmp_path / "s.db", timeout_s=PATIENCE_S)
            database.open()
            stack.callback(database.close)
            store = SqliteSubscriptions(database)
        yield CachedSubscriptions(store) if request.param.startswith("cached") else store


async def test_a_user_who_was_never_synced_has_no_subscription(
    subscriptions: Subscriptions,
) -> None:
    found = await subscriptions.find(BOB, since=since())
    assert found == never_synced(BOB)
    assert found.status is Status.NONE


async def test_what_was_pushed_is_found_whole(subscriptions: Subscriptions) -> None:
    state = Subscription(
        user_id="bob",
        app_id="app",
        plan="pro",
        status=Status.PAST_DUE,
        billing_cycle="yearly",
        next_billing_date=MONDAY,
        trial_end=MONDAY + timedelta(microseconds=1),
        period_start=MONDAY - timedelta(days=3),
        period_end=MONDAY + timedelta(days=3),
        cancel_at_period_end=True,
        external_id="sub_1",
        metadata={"seats": 3, "tags": ["a", None, {"ü": 1.5}]},
        event_id="evt_1",
        updated_at=MONDAY,
    )
    outcome, stored = await subscriptions.sync(state, since=since())
    assert outcome is SyncOutcome.SYNCED
    assert stored == replace(state, history=(Change(MONDAY, Status.PAST_DUE, "pro", "evt_1"),))
    assert await subscriptions.find(BOB, since=since()) == stored


async def test_the_state_for_an_app_beats_the_one_for_all_apps(
    subscriptions: Subscriptions,
) -> None:
    await subscriptions.sync(pushed("general", app="", day=5), since=since())
    assert (await subscriptions.find(BOB, since=since())).plan == "general"
    await subscriptions.sync(pushed("own", day=1), since=since())
    assert (await subscriptions.find(BOB, since=since())).plan == "own"
    other = await subscriptions.find(Subject("other", "bob"), since=since())
    assert other.plan == "general"


async def test_one_users_state_is_nobody_elses(subscriptions: Subscriptions) -> None:
    for number, name in enumerate(STRANGE):
        await subscriptions.sync(pushed(f"of-user-{number}", user=name), since=since())
        await subscriptions.sync(pushed(f"of-app-{number}", app=name), since=since())
        await subscriptions.sync(pushed(f"of-all-{number}", app="", user=name), since=since())
    for number, name in enumerate(STRANGE):
        for subject, plan in (
            (Subject("app", name), f"of-user-{number}"),
            (Subject(name, "bob"), f"of-app-{number}"),
            (Subject("elsewhere", name), f"of-all-{number}"),
        ):
            assert (await subscriptions.find(subject, since=since())).plan == plan


async def test_a_push_replaces_the_whole_state(subscriptions: Subscriptions) -> None:
    first = replace(pushed("pro"), period_end=MONDAY, metadata={"seats": 3})
    await subscriptions.sync(first, since=since())
    await subscriptions.sync(pushed("free", day=1), since=since())
    found = await subscriptions.find(BOB, since=since())
    assert (found.plan, found.period_end, found.metadata) == ("free", None, {})


async def test_the_same_event_again_has_no_effect(subscriptions: Subscriptions) -> None:
    _, stored = await subscriptions.sync(pushed("pro", event="e-1"), since=since())
    again = pushed("changed", day=9, event="e-1")
    assert await subscriptions.sync(again, since=since()) == (SyncOutcome.DUPLICATE, stored)
    assert await subscriptions.find(BOB, since=since()) == stored


async def test_a_stale_push_changes_only_the_history(subscriptions: Subscriptions) -> None:
    await subscriptions.sync(pushed("new", day=5, event="e-2"), since=since())
    outcome, stored = await subscriptions.sync(
        pushed("old", day=1, event="e-1", status=Status.PAST_DUE), since=since()
    )
    assert outcome is SyncOutcome.STALE
    assert (stored.plan, stored.status) == ("new", Status.ACTIVE)
    assert [change.plan for change in stored.history] == ["old", "new"]
    assert await subscriptions.find(BOB, since=since()) == stored
    late_again = pushed("old", day=1, event="e-1")
    assert (await subscriptions.sync(late_again, since=since()))[0] is SyncOutcome.DUPLICATE


async def test_pushes_come_to_the_same_state_in_any_order(subscriptions: Subscriptions) -> None:
    """Some of them twice."""
    statuses = [Status.TRIALING, Status.ACTIVE, Status.PAST_DUE, Status.PAST_DUE, Status.ACTIVE]
    pushes = [
        pushed(f"plan-{day}", day=day, event=f"e-{day}", status=status)
        for day, status in enumerate(statuses)
    ]
    outcomes = set()
    for number, order in enumerate(itertools.permutations(pushes)):
        user = f"user-{number}"
        for push in (*order, order[0], order[2]):
            _, stored = await subscriptions.sync(replace(push, user_id=user), since=since())
        assert stored.plan == "plan-4"
        assert len(stored.history) == 5
        outcomes.add(repr(replace(stored, user_id="")))
    assert len(outcomes) == 1


async def test_pushes_at_the_same_time_lose_nothing(subscriptions: Subscriptions) -> None:
    pushes = [pushed(f"plan-{day}", day=day, event=f"e-{day}") for day in range(12)]
    await asyncio.gather(*(subscriptions.sync(push, since=since()) for push in pushes))
    found = await subscriptions.find(BOB, since=since())
    assert found.plan == "plan-11"
    assert [change.event_id for change in found.history] == [f"e-{day}" for day in range(12)]


async def test_a_push_is_seen_at_once_by_whoever_looked_before(
    subscriptions: Subscriptions,
) -> None:
    for day in range(5):
        await subscriptions.find(BOB, since=since())
        await subscriptions.find(Subject("other", "bob"), since=since())
        await subscriptions.sync(pushed(f"plan-{day}", day=day, app=""), since=since())
        for app in ("app", "other"):
            found = await subscriptions.find(Subject(app, "bob"), since=since())
            assert found.plan == f"plan-{day}"


# -- the cache -------------------------------------------------------------------------------


@dataclass
class Shelf:
    """A store in memory that answers when it is told to, and knows how often it was asked."""

    states: dict[str, Subscription] = field(default_factory=dict)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    was_asked: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    breaks: bool = False

    def __post_init__(self) -> None:
        self.gate.set()

    async def find(self, subject: Subject, *, since: float) -> Subscription:
        self.asked += 1
        self.was_asked.set()
        found = self.states.get(subject.user_id) or never_synced(subject)
        await self.gate.wait()
        if self.breaks:
            raise SubscriptionsUnavailable("the shelf has fallen")
        return found

    async def sync(self, pushed: Subscription, *, since: float) -> tuple[SyncOutcome, Subscription]:
        self.states[pushed.user_id] = pushed
        await asyncio.sleep(0)
        if self.breaks:
            raise SubscriptionsUnavailable("the shelf has fallen")
        return SyncOutcome.SYNCED, pushed


@dataclass
class Seconds:
    """A monotonic clock that moves when told."""

    at: float = 1_000.0

    def __call__(self) -> float:
        return self.at


async def test_a_cached_state_is_believed_for_its_time_and_no_longer() -> None:
    shelf, clock = Shelf(), Seconds()
    cached = CachedSubscriptions(shelf, lifetime_s=0.5, monotonic=clock)
    for _ in range(3):
        await cached.find(BOB, since=since())
    assert shelf.asked == 1
    shelf.states["bob"] = pushed("by-another-process")
    clock.at += 0.499
    assert (await cached.find(BOB, since=since())).plan == ""
    clock.at += 0.001
    assert (await cached.find(BOB, since=since())).plan == "by-another-process"
    assert shelf.asked == 2


async def test_many_who_ask_at_once_ask_once() -> None:
    shelf = Shelf()
    shelf.gate.clear()
    cached = CachedSubscriptions(shelf)
    waiting = [asyncio.ensure_future(cached.find(BOB, since=since())) for _ in range(100)]
    await asyncio.sleep(0)
    shelf.gate.set()
    assert {found.status for found in await asyncio.gather(*waiting)} == {Status.NONE}
    assert shelf.asked == 1


async def test_one_caller_that_goes_away_does_not_take_the_others_answer() -> None:
    shelf = Shelf()
    shelf.gate.clear()
    cached = CachedSubscriptions(shelf)
    first = asyncio.ensure_future(cached.find(BOB, since=since()))
    second = asyncio.ensure_future(cached.find(BOB, since=since()))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    shelf.gate.set()
    assert (await second).status is Status.NONE
    assert shelf.asked == 1


async def test_a_failure_is_told_to_all_and_not_remembered() -> None:
    shelf = Shelf(breaks=True)
    cached = CachedSubscriptions(shelf)
    asked = [cached.find(BOB, since=since()) for _ in range(3)]
    failures = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(failure, SubscriptionsUnavailable) for failure in failures)
    shelf.breaks = False
    assert (await cached.find(BOB, since=since())).status is Status.NONE


async def test_an_answer_that_a_push_has_overtaken_is_not_kept() -> None:
    shelf = Shelf()
    shelf.gate.clear()
    cached = CachedSubscriptions(shelf)
    early = asyncio.ensure_future(cached.find(BOB, since=since()))
    await shelf.was_asked.wait()
    shelf.was_asked.clear()
    await cached.sync(pushed("pro"), since=since())
    late = asyncio.ensure_future(cached.find(BOB, since=since()))
    await shelf.was_asked.wait()
    shelf.gate.set()
    assert ((await early).plan, (await late).plan) == ("", "pro")
    assert (await cached.find(BOB, since=since())).plan == "pro"


async def test_a_push_of_which_nothing_is_known_is_forgotten_too() -> None:
    """It may have been stored all the same."""
    shelf = Shelf()
    cached = CachedSubscriptions(shelf)
    await cached.find(BOB, since=since())
    shelf.breaks = True
    with pytest.raises(SubscriptionsUnavailable):
        await cached.sync(pushed("pro"), since=since())
    shelf.breaks = False
    assert (await cached.find(BOB, since=since())).plan == "pro"


async def test_a_cache_keeps_no_more_than_its_capacity_and_the_oldest_goes_first() -> None:
    shelf = Shelf()
    cached = CachedSubscriptions(shelf, capacity=10, monotonic=Seconds())
    for number in range(15):
        await cached.find(Subject("app", f"user-{number}"), since=since())
    assert shelf.asked == 15
    await cached.find(Subject("app", "user-5"), since=since())
    assert shelf.asked == 15
    await cached.find(Subject("app", "user-4"), since=since())
    assert shelf.asked == 16
    assert len(cached._entries) == 10


async def test_a_cache_keeps_only_whom_somebody_asked_for_of_late() -> None:
    shelf, clock = Shelf(), Seconds()
    cached = CachedSubscriptions(shelf, lifetime_s=0.5, monotonic=clock)
    for number in range(100):
        await cached.find(Subject("app", f"user-{number}"), since=since())
    clock.at += 6
    await cached.find(BOB, since=since())
    assert len(cached._entries) == 101
    clock.at += 6
    await cached.find(Subject("other", "bob"), since=since())
    assert list(cached._entries) == [("app", "bob"), ("other", "bob")]


async def test_the_tenant_plays_no_part_in_what_is_cached() -> None:
    shelf = Shelf()
    cached = CachedSubscriptions(shelf, monotonic=Seconds())
    for number in range(100):
        await cached.find(Subject("app", "bob", f"tenant-{number}"), since=since())
    assert shelf.asked == len(cached._entries) == 1
