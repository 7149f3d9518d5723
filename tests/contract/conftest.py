"""A store of each technology, empty for every test."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from sidecar.ports import Meter
from tests.contract.stores import ManualClock, World, fake_redis, redis_meter, sqlite_meter
from tests.processes import redis_server


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real redis-server."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(scope="session")
def fake_redis_url() -> Iterator[str]:
    """The address of fakeredis: what runs where no redis-server is installed."""
    with fake_redis() as url:
        yield url


@pytest.fixture
def clock() -> ManualClock:
    """Noon of a Tuesday in May, until it is moved."""
    return ManualClock()


@pytest.fixture(params=["sqlite", "redis", "fakeredis"])
async def meter(
    request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path
) -> AsyncIterator[Meter]:
    """A meter over each store, empty."""
    async with AsyncExitStack() as stack:
        match request.param:
            case "sqlite":
                yield await stack.enter_async_context(sqlite_meter(tmp_path / "s.db", clock))
            case "redis":
                url = request.getfixturevalue("redis_url")
                yield await stack.enter_async_context(redis_meter(url, clock))
            case _:
                url = request.getfixturevalue("fake_redis_url")
                yield await stack.enter_async_context(redis_meter(url, clock))


@pytest.fixture
def world(meter: Meter, clock: ManualClock) -> World:
    """One user of one app."""
    return World(meter, clock)
