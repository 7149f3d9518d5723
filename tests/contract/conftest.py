"""A store of each technology, empty for every test."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from sidecar.domain.usage import OnExpiry
from sidecar.ports import Meter
from tests.contract.stores import ManualClock, World, fake_redis, redis_meter, sqlite_meter
from tests.processes import redis_cluster, redis_server

Opened = Callable[[OnExpiry], AbstractAsyncContextManager[Meter]]


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


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Cluster of three masters."""
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster.url


@pytest.fixture
def clock() -> ManualClock:
    """Noon of a Tuesday in May, until it is moved."""
    return ManualClock()


@pytest.fixture(params=["sqlite", "redis", "fakeredis", "cluster"])
def opened(request: pytest.FixtureRequest, clock: ManualClock, tmp_path: Path) -> Opened:
    """How a meter over each store is had, empty."""

    def over(on_expiry: OnExpiry) -> AbstractAsyncContextManager[Meter]:
        match request.param:
            case "sqlite":
                return sqlite_meter(tmp_path / "s.db", clock, on_expiry)
            case "redis":
                url = request.getfixturevalue("redis_url")
            case "cluster":
                url = request.getfixturevalue("cluster_url")
            case _:
                url = request.getfixturevalue("fake_redis_url")
        return redis_meter(url, clock, on_expiry)

    return over


@pytest.fixture
async def meter(opened: Opened) -> AsyncIterator[Meter]:
    """A meter over each store, empty."""
    async with opened(OnExpiry.RELEASE) as meter:
        yield meter


@pytest.fixture
def world(meter: Meter, clock: ManualClock) -> World:
    """One user of one app."""
    return World(meter, clock)


@pytest.fixture
async def charging(opened: Opened, clock: ManualClock) -> AsyncIterator[World]:
    """The same where what expires counts as used."""
    async with opened(OnExpiry.CHARGE) as meter:
        yield World(meter, clock)
