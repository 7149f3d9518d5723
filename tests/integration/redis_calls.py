"""A small script, and calls of it over a connection of ours."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sidecar.adapters.redis.connection import RedisConnection, Script, StoreUnavailable

PATIENT_S: Final = 10.0
HASTY_S: Final = 0.05

ADD: Final = Script("add.lua", folder=Path(__file__).parent)


@asynccontextmanager
async def connected(url: str, timeout_s: float = PATIENT_S) -> AsyncIterator[RedisConnection]:
    """A connection that knows the small script."""
    connection = RedisConnection(url, timeout_s=timeout_s, scripts=(ADD,))
    try:
        yield connection
    finally:
        await connection.close()


async def add(connection: RedisConnection, *keys: str, by: int = 1) -> list[int]:
    """The numbers as they are after they became more."""
    word = f"{keys[0]} {time.monotonic_ns()}"
    reply = await connection.run(ADD, keys, (by, word), since=time.monotonic())
    assert isinstance(reply, list)
    # A reply that was another's has another word.
    assert reply.pop() == word
    return reply


async def asked(connection: RedisConnection, *command: str | int) -> object:
    """The reply of a command."""
    return await connection.command(*command, since=time.monotonic())


async def soon(attempt: Callable[[], Awaitable[object]]) -> None:
    """Try until it succeeds, because other processes need a moment."""
    deadline = time.monotonic() + PATIENT_S
    while True:
        try:
            await attempt()
            return
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.01)
