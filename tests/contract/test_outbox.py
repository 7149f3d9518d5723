"""What waits for the control plane, as every store keeps it."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.domain.event_log import Keeping, Settled
from sidecar.errors import OutboxFull
from tests.contract.logged import LEASE, Logged, beside, ids_of, logged
from tests.contract.stores import ManualClock, limit

POSTED = Keeping(most_waiting=10)
KEPT = Keeping(timedelta(days=35))
BOTH = Keeping(timedelta(days=35), most_waiting=10)


@pytest.fixture(params=["sqlite", "redis", "fake_redis", "cluster"])
def url(request: pytest.FixtureRequest) -> str | None:
    """Where a store is, None for a file of SQLite."""
    if request.param == "sqlite":
        return None
    found: object = request.getfixturevalue(f"{request.param}_url")
    return str(found)


@pytest.fixture(params=[POSTED, BOTH], ids=["posted", "posted and kept"])
async def store(
    url: str | None, request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Logged]:
    """One that posts events, empty."""
    async with logged(url, tmp_path / "s.db", clock, request.param) as found:
        yield found


async def test_events_wait_in_the_order_in_which_they_were_counted(store: Logged) -> None:
    await store.report("a", "b")
    await store.report("c")
    await store.report("x", app="other")

    assert await store.waiting() == (4, 0)
    assert sorted(await store.due()) == ["app", "other"]
    assert await store.deliver() == ["a", "b", "c"]
    assert await store.deliver(app="other") == ["x"]
    assert await store.waiting() == (0, 0)
    assert await store.deliver() == []


async def test_an_event_that_comes_again_waits_once(store: Logged) -> None:
    await store.report("a", "b", "a")
    tally = await store.report("b", "c")

    assert (tally.accepted, tally.duplicates) == (1, 1)
    assert await store.deliver() == ["a", "b", "c"]


async def test_what_nobody_reported_is_counted_and_not_posted(store: Logged) -> None:
    of = limit(100)
    await store.world().use(of, tokens=7)

    assert await store.world().level(of) == (7, 0)
    assert await store.waiting() == (0, 0)


async def test_a_commit_is_no_event(store: Logged) -> None:
    of = limit(100)
    world = store.world()
    held = await world.held(of, tokens=10)
    await world.commit(held, tokens=9)

    assert await world.level(of) == (9, 0)
    assert await store.waiting() == (0, 0)


async def test_of_two_who_deliver_one_has_an_app_until_it_lets_go(store: Logged) -> None:
    await store.report("a", "b", "c")

    assert await store.taken("me", most=2) == ["a", "b"]
    assert await store.taken("you") == []
    await store.settle(Settled(["nothing-of-mine"]), "you")
    assert await store.taken("me", most=1) == ["a"]
    await store.settle(Settled(), "me")
    assert await store.taken("you") == ["a", "b", "c"]


async def test_what_a_dead_one_has_taken_another_gets_after_a_while(store: Logged) -> None:
    await store.report("a", "b")
    taken = await store.take("dead")
    store.clock.advance(milliseconds=LEASE / timedelta(milliseconds=1) - 1)
    assert await store.taken("heir") == []
    store.clock.advance(milliseconds=1)

    assert await store.taken("heir") == ["a", "b"]
    assert taken is not None
    # It was not dead after all: what it says now is not heard.
    await store.settle(Settled([event.place for event in taken.events]), "dead")
    assert await store.waiting() == (2, 0)


async def test_who_goes_on_keeps_what_it_has(store: Logged) -> None:
    await store.report("a", "b")
    taken = await store.take("me", most=1)
    assert taken is not None
    store.clock.advance(seconds=10)
    await store.settle(Settled([taken.events[0].place]), let_go=False)
    store.clock.advance(seconds=14)

    assert await store.taken("you") == []
    assert await store.taken("me") == ["b"]


async def test_what_was_not_taken_waits_its_time_and_all_behind_it(store: Logged) -> None:
    await store.report("a", "b")
    for tries in range(3):
        taken = await store.take()
        assert taken is not None
        assert (ids_of(taken.events), taken.tries) == (["a", "b"], tries)
        await store.settle(Settled(again_in=timedelta(seconds=30), fault="it answered 500"))
        store.clock.advance(milliseconds=29_999)
        assert await store.take() is None
        store.clock.advance(milliseconds=1)

    assert await store.due() == ["app"]
    [line] = await store.outbox.lines(10, since=time.monotonic())
    assert (line.tries, line.fault, line.again_at) == (3, "it answered 500", None)


async def test_after_one_that_was_delivered_trying_begins_anew(store: Logged) -> None:
    await store.report("a", "b")
    await store.take()
    await store.settle(Settled(again_in=timedelta(seconds=1), fault="it answered 500"))
    store.clock.advance(seconds=1)
    taken = await store.take()
    assert taken is not None
    first = taken.events[0].place
    await store.settle(Settled([first], again_in=timedelta(seconds=1), fault="it answered 502"))
    store.clock.advance(seconds=1)

    taken = await store.take()
    assert taken is not None
    assert (ids_of(taken.events), taken.tries) == (["b"], 1)


async def test_what_was_refused_is_set_aside_and_shown_and_the_next_goes_on(
    store: Logged,
) -> None:
    await store.report("a", "b")
    store.clock.advance(seconds=2)
    place = await store.refuse(418)

    assert await store.waiting() == (1, 1)
    assert await store.deliver() == ["b"]
    [refused] = await store.outbox.set_aside(10, since=time.monotonic())
    assert ids_of([refused.event]) == ["a"]
    assert (refused.event.place, refused.status) == (place, 418)
    assert refused.at - refused.event.received_at == timedelta(seconds=2)
    [line] = await store.outbox.lines(10, since=time.monotonic())
    assert (line.backlog.waiting, line.backlog.set_aside, line.first) == (0, 1, None)


async def test_what_was_refused_is_tried_again_before_the_others(store: Logged) -> None:
    await store.report("a", "b", "c")
    places = [await store.refuse() for _ in range(2)]
    for place in (*places, places[0]):
        assert await store.outbox.retry("app", place, since=time.monotonic())

    assert await store.waiting() == (3, 0)
    assert await store.outbox.set_aside(10, since=time.monotonic()) == []
    assert await store.deliver(most=1) == ["a"]
    await store.refuse(422)
    assert await store.waiting() == (1, 1)
    assert await store.deliver() == ["c"]
    assert not await store.outbox.retry("app", places[0], since=time.monotonic())


async def test_what_was_refused_can_be_dropped(store: Logged) -> None:
    await store.report("a", "b")
    place = await store.refuse()

    assert await store.outbox.drop("app", place, since=time.monotonic())
    assert not await store.outbox.drop("app", place, since=time.monotonic())
    assert await store.waiting() == (1, 0)
    assert await store.deliver() == ["b"]


async def test_the_first_that_waits_can_be_tried_at_once_or_dropped_and_no_other(
    store: Logged,
) -> None:
    await store.report("a", "b", "c")
    taken = await store.take()
    assert taken is not None
    first, second, _ = (event.place for event in taken.events)
    await store.settle(Settled(again_in=timedelta(minutes=5), fault="it answered 500"))

    since = time.monotonic()
    assert not await store.outbox.retry("app", second, since=since)
    assert not await store.outbox.drop("app", second, since=since)
    assert not await store.outbox.drop("other", first, since=since)
    assert await store.outbox.retry("app", first, since=since)
    assert await store.taken() == ["a", "b", "c"]
    assert await store.outbox.drop("app", first, since=since)
    await store.settle(Settled([first]))
    assert await store.waiting() == (2, 0)
    assert await store.deliver() == ["b", "c"]


async def test_behind_a_first_that_was_dropped_the_next_is_tried_at_once(store: Logged) -> None:
    await store.report("a", "b")
    taken = await store.take()
    assert taken is not None
    await store.settle(Settled(again_in=timedelta(minutes=5), fault="it answered 500"))
    assert await store.take() is None

    place = taken.events[0].place
    assert await store.outbox.drop("app", place, since=time.monotonic())
    assert await store.due() == ["app"]
    taken = await store.take()
    assert taken is not None
    assert (ids_of(taken.events), taken.tries) == (["b"], 0)


@pytest.mark.parametrize("place", ["", "1", "x", "9-9", "-1", "1-x", "9" * 30, "1 2"])
async def test_of_a_place_that_is_none_nothing_becomes(place: str, store: Logged) -> None:
    since = time.monotonic()
    assert not await store.outbox.retry("app", place, since=since)
    assert not await store.outbox.drop("app", place, since=since)


async def test_when_as_many_wait_as_may_nothing_more_is_counted(store: Logged) -> None:
    of = limit(1_000)
    await store.report(*"abcdefgh")
    events = [store.event(name, of) for name in "ijk"]
    with pytest.raises(OutboxFull):
        await store.meter.record("app", events, since=time.monotonic())
    assert await store.world().level(of) == (0, 0)
    assert (await store.report("i", "j")).accepted == 2
    with pytest.raises(OutboxFull):
        await store.report("k")

    # What is not reported by anybody takes no room, and is counted.
    await store.world().use(of, tokens=1)
    assert await store.deliver(most=1) == ["a"]
    assert (await store.report("k")).accepted == 1


async def test_what_was_refused_takes_room_too(store: Logged) -> None:
    await store.report(*"abcdefghij")
    place = await store.refuse()
    with pytest.raises(OutboxFull):
        await store.report("k")
    await store.outbox.drop("app", place, since=time.monotonic())

    assert (await store.report("k")).accepted == 1


async def test_of_all_apps_together_no_more_wait_than_may(store: Logged) -> None:
    await store.report(*"abcdefghij")
    await store.waiting()
    with pytest.raises(OutboxFull):
        await store.report("x", app="other")
    await store.deliver()
    await store.waiting()

    assert (await store.report("x", app="other")).accepted == 1


async def test_the_lag_is_the_age_of_the_first_that_waits(store: Logged) -> None:
    assert (await store.outbox.backlog(since=time.monotonic())).oldest_at is None
    await store.report("a")
    first_at = store.clock.now
    store.clock.advance(seconds=90)
    await store.report("x", app="other")

    backlog = await store.outbox.backlog(since=time.monotonic())
    assert (backlog.oldest_at, backlog.lag_s(store.clock.now)) == (first_at, 90)
    await store.deliver()
    backlog = await store.outbox.backlog(since=time.monotonic())
    assert (backlog.waiting, backlog.lag_s(store.clock.now)) == (1, 0)


async def test_what_was_only_kept_is_not_posted_later(
    url: str | None, tmp_path: Path, clock: ManualClock
) -> None:
    async with logged(url, tmp_path / "s.db", clock, KEPT) as only_keeping:
        await only_keeping.report("a")
        posting = beside(only_keeping, BOTH)
        await posting.report("b")
        await only_keeping.report("c")
        await posting.report("d")

        assert await posting.waiting() == (2, 0)
        assert await posting.deliver() == ["b", "d"]
        assert ids_of((await posting.page("app")).events) == ["a", "b", "c", "d"]


async def test_what_is_too_old_goes_also_where_something_always_waits(
    url: str | None, tmp_path: Path, clock: ManualClock
) -> None:
    keeping = Keeping(timedelta(days=35), most_waiting=1_000)
    async with logged(url, tmp_path / "s.db", clock, keeping) as store:
        await store.report("last")
        for day in range(60):
            await store.report(*(f"{day} {number}" for number in range(40)))
            await store.deliver(most=40)
            clock.advance(days=1)

        page = await store.page("app", most=5_000)
        assert len(page.events) <= 36 * 40 + 200
        assert ids_of(page.events)[-1] == "59 39"
        assert await store.waiting() == (1, 0)
        assert await store.deliver() == ["59 39"]


async def test_who_waits_is_not_forgotten_when_the_clock_is_set_back(store: Logged) -> None:
    await store.report("a")
    await store.take("dead")
    store.clock.advance(days=-1)
    assert await store.due() == ["app"]
    assert await store.taken("heir") == ["a"]
    await store.settle(Settled(again_in=timedelta(minutes=5), fault="it answered 500"), "heir")
    store.clock.advance(days=-1)

    assert await store.taken("heir") == ["a"]


async def test_many_who_report_at_once_leave_no_gap(store: Logged) -> None:
    apps = ("app", "other")
    await asyncio.gather(
        *(store.report(f"{app}{number}", app=app) for number in range(5) for app in apps)
    )

    for app in apps:
        assert sorted(await store.deliver(app)) == [f"{app}{number}" for number in range(5)]


async def test_nothing_is_written_where_nothing_is_kept_or_posted(
    url: str | None, tmp_path: Path, clock: ManualClock
) -> None:
    async with logged(url, tmp_path / "s.db", clock, Keeping()) as store:
        await store.report("a")

        assert await store.waiting() == (0, 0)
        assert await store.outbox.due(10, everywhere=True, since=time.monotonic()) == []
        keeping = beside(store, KEPT)
        assert (await keeping.page("app")).events == []
