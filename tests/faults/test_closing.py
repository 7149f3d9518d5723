"""A connection that is closed stays closed."""

import asyncio
import time

from sidecar.adapters.redis.connection import RedisConnection
from sidecar.adapters.redis.meter import SCRIPTS
from tests.contract.stores import PATIENCE_S
from tests.faults.proxy import FaultProxy
from tests.faults.server import callers_of
from tests.faults.weather import Faults
from tests.processes import RedisNode, await_that


async def test_a_connection_that_is_closed_under_its_callers_is_not_made_again(
    node: RedisNode, proxy: FaultProxy
) -> None:
    before = callers_of(node)
    connection = RedisConnection(proxy.url, timeout_s=PATIENCE_S, scripts=SCRIPTS)
    await connection.command("PING", since=time.monotonic())
    proxy.inject(Faults(stalls=True))
    calls = [
        asyncio.create_task(connection.command("PING", since=time.monotonic())) for _ in range(5)
    ]
    await asyncio.sleep(0)
    await connection.close()
    proxy.heal()
    await asyncio.gather(*calls, return_exceptions=True)
    assert proxy.seen.connections == 1
    await_that(lambda: callers_of(node) == before, "the server has no caller left")
