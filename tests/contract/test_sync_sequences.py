"""Whatever is pushed in whatever order, every store comes to what the definition says.

The definition is written down here once more, without a thought of how it is stored: of all that
was pushed for a user, in an app or in all, the latest by its own account holds; of two with the
same account the one that came later; an event that is known changes nothing.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

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
from sidecar.ports import Subscriptions
from tests.contract.stores import PATIENCE_S, redis_connection
from tests.contract.test_subscriptions import MONDAY, since

_RUNS = itertools.count(1_000)
USERS, APPS = ("ann", "bob"), ("", "app", "other")


@dataclass(frozen=True, slots=True)
class Push:
    """What the billing side says.

    Attributes:
        day: when it says that this began; None for when it comes, after all that came before.
        event: its id, empty for none.
    """

    user: str
    app: str
    status: Status
    plan: str
    day: int | None = None
    event: str = ""

    def state(self, arrives: datetime) -> Subscription:
        at = arrives if self.day is None else MONDAY + timedelta(days=self.day)
        return Subscription(
            user_id=self.user,
            app_id=self.app,
            plan=self.plan,
            status=self.status,
            event_id=self.event,
            updated_at=at,
            is_dated=self.day is not None,
        )


@dataclass
class Model:
    """What must come of it, by user and app."""

    told: dict[tuple[str, str], list[Subscription]] = field(default_factory=dict)

    def push(self, state: Subscription) -> SyncOutcome:
        """Note a state, and say what it does."""
        told = self.told.setdefault((state.user_id, state.app_id), [])
        if state.event_id and any(each.event_id == state.event_id for each in told):
            return SyncOutcome.DUPLICATE
        latest = max((each.updated_at for each in told), default=state.updated_at)
        if not state.is_dated:
            state = replace(state, updated_at=max(latest, state.updated_at), is_dated=True)
        told.append(state)
        return SyncOutcome.STALE if state.updated_at < latest else SyncOutcome.SYNCED

    def state(self, subject: Subject) -> Subscription:
        """What holds for a user in an app."""
        user = subject.user_id
        for app in (subject.app_id, ""):
            if (user, app) in self.told:
                return self.latest(user, app)
        return never_synced(subject)

    def latest(self, user: str, app: str) -> Subscription:
        """What holds by what was pushed for exactly these."""
        in_order = sorted(self.told[user, app], key=lambda state: state.updated_at)
        history = [
            Change(each.updated_at, each.status, each.plan, each.event_id) for each in in_order
        ]
        return replace(in_order[-1], history=tuple(dict.fromkeys(history)))


PUSHES = st.builds(
    Push,
    user=st.sampled_from(USERS),
    app=st.sampled_from(APPS),
    status=st.sampled_from([each for each in Status if each is not Status.NONE]),
    plan=st.sampled_from(["free", "pro", "team"]),
    day=st.none() | st.integers(-3, 3),
    event=st.just("") | st.integers(1, 6).map(lambda number: f"e-{number}"),
)
ARRIVALS = st.lists(st.tuples(PUSHES, st.integers(-1, 2)), min_size=1, max_size=25)
"""Pushes, and days after which each comes, by clocks that differ."""


@pytest.fixture
async def stores(redis_url: str, cluster_url: str) -> AsyncIterator[list[Subscriptions]]:
    """Every store, empty, and one that is remembered."""
    async with AsyncExitStack() as stack:
        database = Database(None, timeout_s=PATIENCE_S)
        database.open()
        stack.callback(database.close)
        one, several = [
            RedisSubscriptions(await stack.enter_async_context(redis_connection(url)))
            for url in (redis_url, cluster_url)
        ]
        sqlite = SqliteSubscriptions(database)
        yield [sqlite, one, CachedSubscriptions(several)]


async def follow(
    stores: Sequence[Subscriptions], arrivals: Iterable[tuple[Push, int]], run: str
) -> dict[tuple[str, str], Subscription]:
    """Let the same pushes come to each, and hold each to the model after every one.

    Args:
        arrivals: each with the days that pass before it comes, by the clock of whoever takes it.
        run: in each the users are others.
    """
    model, now = Model(), MONDAY
    held: dict[tuple[str, str], Subscription] = {}
    for push, days in arrivals:
        now += timedelta(days=days)
        state = replace(push.state(now), user_id=f"{push.user} {run}")
        outcome = model.push(state)
        stored = model.latest(state.user_id, state.app_id)
        told = await asyncio.gather(*(each.sync(state, since=since()) for each in stores))
        assert told == [(outcome, stored)] * len(stores)
        for user, app in itertools.product(USERS, APPS[1:]):
            subject = Subject(app, f"{user} {run}")
            expected = held[user, app] = model.state(subject)
            found = await asyncio.gather(*(each.find(subject, since=since()) for each in stores))
            assert found == [expected] * len(stores)
    return held


LIVES = [
    [
        Push("bob", "app", Status.TRIALING, "pro", 0, "e-0"),
        Push("bob", "app", Status.ACTIVE, "pro", 1, "e-1"),
        Push("bob", "app", Status.PAST_DUE, "pro", 2, "e-2"),
        Push("bob", "app", Status.PAST_DUE, "pro", 3, "e-3"),
        Push("bob", "app", Status.CANCELED, "free", 4, "e-4"),
    ],
    # In the app and in all, with ids and without, and an id that means something else elsewhere.
    [
        Push("bob", "", Status.ACTIVE, "team", 3, "e-0"),
        Push("bob", "app", Status.ACTIVE, "pro", 1, "e-0"),
        Push("bob", "", Status.CANCELED, "free", 1),
        Push("bob", "app", Status.PAST_DUE, "pro", 2),
        Push("ann", "other", Status.ACTIVE, "pro", 0, "e-1"),
    ],
]


@pytest.mark.parametrize("pushes", LIVES, ids=["one app", "several"])
async def test_five_pushes_come_to_the_same_in_all_their_orders_with_duplicates(
    pushes: list[Push], stores: list[Subscriptions]
) -> None:
    ends = set()
    for number, order in enumerate(itertools.permutations(pushes)):
        twice = [*order, order[number % 5], order[(number + 2) % 5]]
        held = await follow(stores, [(push, 0) for push in twice], f"{number}")
        ends.add(repr([replace(held[whose], user_id="") for whose in sorted(held)]))
    assert number == 119
    assert len(ends) == 1


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@example(
    arrivals=[
        (Push("bob", "app", Status.ACTIVE, "pro", 1, "e-1"), 0),
        (Push("bob", "", Status.ACTIVE, "team", 2, "e-1"), 0),
        (Push("bob", "app", Status.ACTIVE, "free", 1), 0),
        (Push("bob", "app", Status.ACTIVE, "free", 1), 0),
        (Push("bob", "app", Status.PAST_DUE, "pro"), 1),
        (Push("bob", "app", Status.PAUSED, "team"), -1),
    ]
)
@given(arrivals=ARRIVALS)
async def test_any_sequence_of_pushes_comes_to_what_the_definition_says(
    arrivals: list[tuple[Push, int]], stores: list[Subscriptions]
) -> None:
    await follow(stores, arrivals, f"{next(_RUNS)}")
