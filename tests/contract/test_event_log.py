"""Accepted events to be exported, as every store keeps them."""

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.domain.event_log import Keeping
from sidecar.errors import NothingKept, UnknownCursor
from tests.contract.logged import Logged, beside, ids_of, logged
from tests.contract.stores import ManualClock

KEPT = Keeping(timedelta(days=35))


@pytest.fixture(params=["sqlite", "redis", "fake_redis", "cluster"])
async def store(
    request: pytest.FixtureRequest, tmp_path: Path, clock: ManualClock
) -> AsyncIterator[Logged]:
    """One that keeps events, empty."""
    url = None if request.param == "sqlite" else request.getfixturevalue(f"{request.param}_url")
    async with logged(url, tmp_path / "s.db", clock, KEPT) as found:
        yield found


async def settled(store: Logged) -> None:
    """Let pass what clocks of servers may be apart."""
    store.clock.advance(seconds=3)


async def exported(store: Logged, app: str = "", most: int = 3) -> list[str]:
    """All events, page by page."""
    found: list[str] = []
    cursor, has_more = "", True
    while has_more:
        page = await store.page(app, cursor, most)
        assert len(page.events) <= most
        found += ids_of(page.events)
        cursor, has_more = page.cursor, page.has_more
    return found


async def test_events_of_an_app_are_told_page_by_page_in_their_order(store: Logged) -> None:
    for number in range(10):
        await store.report(f"e{number}")
        await store.report(f"x{number}", app="other")
        store.clock.advance(seconds=number % 2)

    assert await exported(store, "app") == [f"e{number}" for number in range(10)]
    assert await exported(store, "nobody") == []


async def test_events_of_all_apps_are_told_each_once_and_each_app_in_its_order(
    store: Logged,
) -> None:
    apps = ["a", "b", "b c", "ü{x}", "z"]
    for number in range(7):
        for app in apps:
            await store.report(f"{app} {number}", app=app)
    await settled(store)

    for most in (1, 3, 7, 8, 1_000):
        found = await exported(store, most=most)
        assert len(found) == len(set(found)) == 35
        for app in apps:
            of_app = [each for each in found if each.rpartition(" ")[0] == app]
            assert of_app == [f"{app} {number}" for number in range(7)]


@pytest.mark.parametrize("app", ["", "app2"])
async def test_a_cursor_that_is_gone_on_with_while_events_come_loses_and_doubles_none(
    app: str, store: Logged
) -> None:
    sent: list[str] = []

    async def send() -> None:
        for number in range(60):
            name = f"app{number % 5}"
            await store.report(f"{name}-{number}", app=name)
            if app in ("", name):
                sent.append(f"{name}-{number}")
            store.clock.advance(milliseconds=500)

    async def read(found: list[str]) -> None:
        cursor, is_done = "", False
        while True:
            is_last = is_done or sending.done()
            page = await store.page(app, cursor, 4)
            found += ids_of(page.events)
            cursor = page.cursor
            if is_done and not page.has_more:
                return
            if is_last and not is_done:
                await settled(store)
                is_done = True
            await asyncio.sleep(0)

    sending = asyncio.create_task(send())
    found: list[str] = []
    await read(found)

    assert len(found) == len(sent)
    assert sorted(found) == sorted(sent)


async def test_only_what_was_received_in_a_time_is_told(store: Logged) -> None:
    times = []
    for number in range(5):
        times.append(store.clock.now)
        await store.report(f"e{number}")
        await store.report(f"x{number}", app="other")
        store.clock.advance(minutes=1)

    page = await store.page("app", begin=times[1], end=times[4])
    assert ids_of(page.events) == ["e1", "e2", "e3"]
    page = await store.page(begin=times[3], end=times[4])
    assert sorted(ids_of(page.events)) == ["e3", "x3"]
    after = store.clock.now
    assert (await store.page("app", begin=after)).events == []
    one = await store.page("app", begin=times[2], most=1)
    two = await store.page("app", one.cursor, most=1, begin=times[2])
    assert ids_of((*one.events, *two.events)) == ["e2", "e3"]


async def test_an_event_says_when_it_came_also_where_the_clock_was_set_back(
    store: Logged,
) -> None:
    await store.report("a")
    at = store.clock.now
    store.clock.advance(hours=-1)
    await store.report("b")
    store.clock.advance(hours=1, seconds=1)
    await store.report("c")

    page = await store.page("app")
    assert ids_of(page.events) == ["a", "b", "c"]
    assert [event.received_at - at for event in page.events] == [
        timedelta(), timedelta(), timedelta(seconds=1),
    ]  # fmt: skip


async def test_what_is_too_old_goes_as_new_ones_come(store: Logged) -> None:
    for number in range(300):
        await store.report(f"old{number}")
    store.clock.advance(days=36)
    for number in range(200):
        await store.report(f"new{number}")

    # Redis lets a few stand that share a node of its stream with newer ones.
    found = await exported(store, "app", 1_000)
    assert found[-200:] == [f"new{number}" for number in range(200)]
    assert len(found) <= 300


async def test_where_nothing_is_kept_nothing_can_be_asked_for(store: Logged) -> None:
    with pytest.raises(NothingKept):
        await beside(store, Keeping()).page("app")
    with pytest.raises(NothingKept):
        await beside(store, Keeping(most_waiting=5)).page()


@pytest.mark.parametrize(
    "cursor",
    [
        "x", "é", "W10", base64.urlsafe_b64encode(b'["app","other","1-1"]').decode(),
        base64.urlsafe_b64encode(b'["app","app","1 + COUNT"]').decode(),
        base64.urlsafe_b64encode(b'["log","app",-1]').decode(),
        base64.urlsafe_b64encode(b'["log","other",1]').decode(),
        base64.urlsafe_b64encode(b'["log","app",99999999999999999999]').decode(),
        base64.urlsafe_b64encode(b'["log","app","1"]').decode(),
        base64.urlsafe_b64encode(b'["all",99999999999999999999,1,"",""]').decode(),
    ],
)  # fmt: skip
async def test_a_cursor_that_was_not_given_is_refused(cursor: str, store: Logged) -> None:
    with pytest.raises(UnknownCursor):
        await store.page("app", cursor)


async def test_the_log_says_at_once_what_an_app_has_and_of_all_a_moment_later(
    store: Logged,
) -> None:
    await store.report("a")
    assert ids_of((await store.page("app")).events) == ["a"]
    await settled(store)

    page = await store.page()
    assert (ids_of(page.events), page.has_more) == (["a"], False)
