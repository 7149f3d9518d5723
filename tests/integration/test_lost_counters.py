"""Is it noticed when Redis has lost what it had counted?"""

import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sidecar.adapters.redis.epochs import Epochs
from sidecar.adapters.redis.meter import RedisMeter
from sidecar.domain.event_log import Keeping
from sidecar.domain.request import Amounts, Subject
from tests.contract.logged import ids_of, logged
from tests.contract.stores import ManualClock, World, limit, redis_connection
from tests.processes import RedisServer, redis_server

MONTHLY = limit(1_000, name="monthly")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of this test's own, to be emptied."""
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
async def world(server: RedisServer) -> AsyncIterator[World]:
    async with redis_connection(server.url) as connection:
        yield World(RedisMeter(connection))


async def is_lost(world: World) -> bool:
    """What a read says of the app's counters."""
    charges = world.charges(world.request(Amounts(1)), [MONTHLY])
    subject = Subject(world.app, world.user)
    return (await world.meter.read(subject, charges, since=time.monotonic())).counters_lost


async def test_nothing_is_lost_of_an_app_that_nobody_has_used(world: World) -> None:
    assert not await is_lost(world)
    await world.held(MONTHLY, tokens=10)
    assert not await is_lost(world)


async def test_a_flushed_server_is_noticed_by_the_first_call_and_told_of_once(
    world: World, server: RedisServer
) -> None:
    await world.held(MONTHLY, tokens=10)
    server.command("FLUSHALL")
    with capture_logs() as logs:
        assert (await world.reserve(MONTHLY, tokens=10)).counters_lost
        assert await is_lost(world)
    assert [(log["event"], log["app_id"]) for log in logs] == [("counters_lost", "app")]


async def test_each_app_is_noticed_for_itself(world: World, server: RedisServer) -> None:
    other = world.of("other")
    await world.held(MONTHLY, tokens=10)
    server.command("FLUSHALL")
    assert not await is_lost(other)
    assert await is_lost(world)


async def test_a_commit_after_the_loss_is_enough_to_notice_it(
    world: World, server: RedisServer
) -> None:
    name = await world.held(MONTHLY, tokens=10)
    server.command("FLUSHALL")
    with pytest.raises(Exception, match="no reservation"):
        await world.commit(name, 10)
    assert await is_lost(world)


async def test_another_replica_notices_though_the_first_has_begun_to_count_anew(
    world: World, server: RedisServer
) -> None:
    async with redis_connection(server.url) as connection:
        other = World(RedisMeter(connection))
        await world.held(MONTHLY, tokens=10)
        assert not await is_lost(other)
        server.command("FLUSHALL")
        await world.reserve(MONTHLY, tokens=10)
        assert await is_lost(other)


def test_a_loss_is_told_for_an_hour_and_counted_for_ever() -> None:
    seconds = 0.0
    epochs = Epochs(lambda: seconds)
    for epoch in ("", "1", "1", "2"):
        epochs.see("app", epoch)
    assert epochs.is_lost("app")
    seconds = 3_601.0
    assert not epochs.is_lost("app")
    assert epochs.losses == 1


def test_an_app_that_is_lost_twice_is_lost_twice() -> None:
    epochs = Epochs(lambda: 0.0)
    for epoch in ("1", "", "", "2", "3"):
        epochs.see("app", epoch)
    assert epochs.losses == 2


async def test_events_of_an_app_are_found_at_once_in_an_emptied_store(
    server: RedisServer, tmp_path: Path
) -> None:
    keeping = Keeping(timedelta(days=1), most_waiting=100)
    async with logged(server.url, tmp_path, ManualClock(), keeping) as store:
        await store.report("before")
        server.command("FLUSHALL")
        # A check may be the first to notice.
        await store.world().level(MONTHLY)
        await store.report("after")
        store.clock.advance(seconds=3)

        assert ids_of((await store.page()).events) == ["after"]
        assert list(await store.due()) == ["app"]
