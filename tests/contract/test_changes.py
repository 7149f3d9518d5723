"""What one replica is told, every other knows within a second, and does not ask for meanwhile."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from sidecar.adapters.cached import CachedManifests, CachedSubscriptions
from sidecar.adapters.changes import MANIFEST, SUBSCRIPTION, Changes
from sidecar.adapters.sqlite.changes import SqliteChanges, announce
from sidecar.adapters.sqlite.database import Database
from sidecar.domain.manifest import Budget, Manifest
from sidecar.domain.request import MeterKind, Subject
from sidecar.domain.windows import Fixed
from tests.contract.replicas import (
    SEEN_S,
    Replica,
    on_redis,
    on_sqlite,
    replicas,
    until,
)
from tests.contract.stores import PATIENCE_S, redis_connection
from tests.contract.test_manifests import Shelf as ManifestShelf
from tests.contract.test_subscriptions import BOB, Seconds, Shelf, pushed, since

Open = Callable[[], AbstractAsyncContextManager[Replica]]


@pytest.fixture(params=["sqlite", "redis", "cluster"])
async def open_one(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    """Another replica on one store, which is empty."""
    if request.param == "sqlite":
        yield partial(on_sqlite, tmp_path / "s.db")
        return
    url = request.getfixturevalue(f"{request.param}_url")
    async with redis_connection(url):
        yield partial(on_redis, url)


async def test_what_one_is_told_the_others_know_within_a_second(open_one: Open) -> None:
    async with replicas(open_one, 3) as (one, *others):
        for number in range(8):
            plan, app = f"plan-{number}", ("app" if number % 2 else "")
            state = pushed(plan, day=number, user=f"user-{number // 2}", app=app)
            user = state.user_id
            for other in others:
                await other.plan(user)
            await one.subscriptions.sync(state, since=since())
            for other in others:
                await until(lambda: _is(other.plan(user), plan), SEEN_S)  # noqa: B023 # awaited at once


async def test_a_manifest_is_known_to_the_others_within_a_second(open_one: Open) -> None:
    async with replicas(open_one) as (one, other):
        assert await other.tier() is None
        for number in range(4):
            tier = f"tier-{number}"
            await one.manifests.sync(Manifest("app", f"{number}", tier=tier), since=since())
            await until(lambda: _is(other.tier(), tier), SEEN_S)  # noqa: B023 # awaited at once
        assert await other.tier("another") is None


async def test_what_nobody_has_changed_is_not_asked_for_again(open_one: Open) -> None:
    async with replicas(open_one) as (one, other):
        await one.subscriptions.sync(pushed("pro"), since=since())
        await until(lambda: _is(other.plan(), "pro"))
        await other.plan("ann")
        before, ends = other.counted.asked, time.monotonic() + 1.2
        # Three times as long as it would be believed by itself, and others change meanwhile.
        while time.monotonic() < ends:
            assert await other.plan() == "pro"
            await one.subscriptions.sync(pushed("free", user="carl"), since=since())
            await asyncio.sleep(0.05)
        # Once more where it had asked before it heard of the first push.
        assert other.counted.asked <= before + 1


async def test_odd_names_are_announced_as_they_are(open_one: Open) -> None:
    names = ["a}b", "a:b", "*", "%20", "a b", "名前", "a\nb", "x" * 256]
    async with replicas(open_one) as (one, other):
        for name in names:
            await other.plan(name)
            await one.subscriptions.sync(pushed("pro", user=name), since=since())
            await until(lambda: _is(other.plan(name), "pro"), SEEN_S)  # noqa: B023 # awaited at once


async def test_a_replica_that_comes_later_knows_what_was_pushed_before(open_one: Open) -> None:
    async with replicas(open_one, 1) as (one,):
        for number in range(30):
            await one.subscriptions.sync(pushed(f"plan-{number}", day=number), since=since())
        async with replicas(open_one, 1) as (late,):
            assert await late.plan() == "plan-29"
            await one.subscriptions.sync(pushed("last", day=40), since=since())
            await until(lambda: _is(late.plan(), "last"), SEEN_S)


async def test_whoever_was_away_for_long_forgets_all(tmp_path: Path) -> None:
    """No more is written down than a thousand changes, however many there were."""
    database = Database(tmp_path / "s.db", timeout_s=PATIENCE_S)
    database.open()
    try:
        changes, told = SqliteChanges(database), list[str | None]()
        changes.tell(SUBSCRIPTION, told.append)

        async def announced(*keys: str) -> None:
            def work(connection: sqlite3.Connection) -> None:
                for key in keys:
                    announce(connection, SUBSCRIPTION, key)

            await database.run(work, since=since())
            await changes._look(since())

        await announced("before")
        assert told == [None]
        await announced("a", "b")
        await announced()
        assert told[1:] == ["a", "b"]
        await announced(*map(str, range(1_000)))
        assert told[3:] == [*map(str, range(1_000))]
        await announced(*map(str, range(1_001)))
        assert told[1_003:] == [None]
        await announced("c")
        assert told[1_004:] == ["c"]
        assert changes.losses == 1
        count = "SELECT COUNT(*) FROM change"
        rows = await database.run(lambda each: each.execute(count).fetchone(), since=since())
        assert rows == (1_000,)
    finally:
        database.close()


async def test_many_pushes_at_once_are_all_seen(open_one: Open) -> None:
    users = [f"user-{number}" for number in range(60)]
    async with replicas(open_one) as (one, other):
        for user in users:
            await other.plan(user)
        syncs = (one.subscriptions.sync(pushed("pro", user=user), since=since()) for user in users)
        await asyncio.gather(*syncs)

        async def all_seen() -> bool:
            return all([await other.plan(user) == "pro" for user in users])

        await until(all_seen, SEEN_S)


async def _is(told: object, expected: str) -> bool:
    return bool(await told == expected)  # type: ignore[misc] # a coroutine of a text


# -- what is remembered ----------------------------------------------------------------------


@dataclass
class Told:
    """A memory of subscriptions, its clock, and changes that are told by hand."""

    shelf: Shelf
    clock: Seconds
    changes: Changes
    cached: CachedSubscriptions

    async def ask(self, user: str = "bob", app: str = "app") -> str:
        return (await self.cached.find(Subject(app, user), since=since())).plan


@pytest.fixture
def told() -> Told:
    shelf, clock, changes = Shelf(), Seconds(), Changes()
    cached = CachedSubscriptions(shelf, changes, capacity=100, monotonic=clock)
    return Told(shelf, clock, changes, cached)


async def test_while_changes_are_heard_of_an_entry_is_believed_for_ten_seconds(told: Told) -> None:
    await told.ask()
    told.shelf.states["bob"] = pushed("unheard-of")
    for _ in range(19):
        told.clock.at += 0.5
        told.changes.sure_until = told.clock.at + 0.5
        assert await told.ask() == ""
    told.clock.at += 0.5
    told.changes.sure_until = told.clock.at + 0.5
    assert await told.ask() == "unheard-of"
    assert told.shelf.asked == 2


async def test_when_changes_are_not_heard_of_an_old_entry_is_not_believed(told: Told) -> None:
    told.changes.sure_until = told.clock.at + 3
    await told.ask()
    told.shelf.states["bob"] = pushed("unheard-of")
    told.clock.at += 2.999
    assert await told.ask() == ""
    told.clock.at += 0.001
    assert await told.ask() == "unheard-of"
    told.clock.at += 0.499
    await told.ask()
    assert told.shelf.asked == 2
    told.clock.at += 0.001
    await told.ask()
    assert told.shelf.asked == 3


async def test_a_change_makes_old_what_belongs_to_it_and_nothing_else(told: Told) -> None:
    told.changes.sure_until = float("inf")
    for user, app in (("bob", "app"), ("bob", "other"), ("ann", "app")):
        await told.ask(user, app)
    told.changes.note(SUBSCRIPTION, "bob")
    told.changes.note(MANIFEST, "ann")
    for user, app in (("bob", "app"), ("bob", "other"), ("ann", "app")):
        await told.ask(user, app)
    assert told.shelf.asked == 5


async def test_when_changes_were_missed_nothing_is_believed(told: Told) -> None:
    told.changes.sure_until = float("inf")
    for number in range(10):
        await told.ask(f"user-{number}")
    told.changes.note_loss()
    for number in range(10):
        await told.ask(f"user-{number}")
    assert told.shelf.asked == 20


async def test_an_answer_that_a_change_has_overtaken_is_given_but_not_kept(told: Told) -> None:
    told.changes.sure_until = float("inf")
    for forget in (partial(told.changes.note, SUBSCRIPTION, "bob"), told.changes.note_loss):
        told.shelf.gate.clear()
        told.shelf.was_asked.clear()
        before = told.shelf.asked
        early = asyncio.create_task(told.ask())
        await told.shelf.was_asked.wait()
        told.shelf.states["bob"] = pushed("by-another-process")
        forget()
        told.shelf.gate.set()
        assert await early == ""
        assert await told.ask() == "by-another-process"
        assert told.shelf.asked == before + 2
        told.shelf.states.clear()
        forget()


async def test_a_change_for_others_lets_an_answer_under_way_be_kept(told: Told) -> None:
    told.changes.sure_until = float("inf")
    told.shelf.gate.clear()
    early = asyncio.create_task(told.ask())
    await told.shelf.was_asked.wait()
    told.changes.note(SUBSCRIPTION, "ann")
    told.shelf.gate.set()
    await early
    await told.ask()
    assert told.shelf.asked == 1


async def test_long_histories_take_the_place_of_several(told: Told) -> None:
    state = pushed("pro")
    for number in range(300):
        told.shelf.states[f"user-{number}"] = replace(
            state, metadata=dict.fromkeys(map(str, range(80)))
        )
        await told.ask(f"user-{number}")
    assert len(told.cached._entries) == 100 // 11
    told.changes.note_loss()
    for number in range(300):
        await told.ask(f"other-{number}")
    assert len(told.cached._entries) == len(told.cached._belonging) == 100


async def test_whoever_hears_of_changes_knows_that_there_are_no_manifests() -> None:
    shelf, clock, changes = ManifestShelf(), Seconds(), Changes()
    changes.sure_until = float("inf")
    cached = CachedManifests(shelf, changes, monotonic=clock)
    for number in range(9):
        assert await cached.find(f"app-{number}", since=since()) is None
        clock.at += 1
    assert shelf.asked == ["any?"]
    shelf.states["app-1"] = Manifest("app-1", "1")
    changes.note(MANIFEST, "app-1")
    assert await cached.find("app-1", since=since()) == Manifest("app-1", "1")
    assert await cached.find("app-2", since=since()) is None


async def test_what_time_changes_is_asked_for_as_often_as_ever() -> None:
    """What is left of a period is carried into the next one when that begins."""
    rolling = Budget("b", MeterKind.TOKENS, 10, Fixed.MONTH, rollover=True)
    shelf, clock, changes = (
        ManifestShelf({"app": Manifest("app", "1", budgets=(rolling,))}),
        Seconds(),
        Changes(),
    )
    changes.sure_until = float("inf")
    cached = CachedManifests(shelf, changes, monotonic=clock)
    for _ in range(3):
        await cached.find("app", since=since())
        clock.at += 0.5
    assert shelf.asked == ["any?", "app", "app", "app"]


async def test_a_subject_without_a_push_is_remembered_too(told: Told) -> None:
    told.changes.sure_until = float("inf")
    for _ in range(3):
        await told.cached.find(BOB, since=since())
    assert told.shelf.asked == 1
