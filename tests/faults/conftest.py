"""A server, a proxy before it, and ways to it: direct, with time, with hardly any."""

import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from tests.contract.stores import PATIENCE_S, ManualClock, World
from tests.faults.callers import meter_at, soon
from tests.faults.proxy import FaultProxy
from tests.faults.server import redis_node, url_of
from tests.processes import RedisNode

HASTY_S: Final = 0.15


@pytest.fixture
def node(tmp_path: Path) -> Iterator[RedisNode]:
    with redis_node(tmp_path) as node:
        yield node


@pytest.fixture
def proxy(node: RedisNode) -> Iterator[FaultProxy]:
    with FaultProxy(url_of(node)) as proxy:
        yield proxy


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def direct(node: RedisNode, clock: ManualClock) -> AsyncIterator[World]:
    """A way that nothing happens on."""
    async with meter_at(url_of(node), clock, PATIENCE_S) as meter:
        yield World(meter, clock)


@pytest.fixture
async def patient(proxy: FaultProxy, direct: World) -> AsyncIterator[World]:
    """Through the proxy, with time; everything is connected already."""
    async with meter_at(proxy.url, direct.clock, PATIENCE_S) as meter:
        await meter.ping(since=time.monotonic())
        yield replace(direct, meter=meter)


@pytest.fixture
async def hasty(proxy: FaultProxy, direct: World) -> AsyncIterator[World]:
    """Through the proxy, with as little time as a request has."""
    async with meter_at(proxy.url, direct.clock, HASTY_S) as meter:
        await soon(lambda: meter.ping(since=time.monotonic()))
        yield replace(direct, meter=meter)
