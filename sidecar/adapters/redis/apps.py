"""Which apps are in Redis? A list beside their keys, which nobody has to search for them."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from sidecar.adapters.redis.connection import RedisConnection
from sidecar.adapters.redis.event_log import texts
from sidecar.adapters.redis.keys import KNOWN_APPS
from sidecar.errors import Unavailable

_MOST: Final = 10_000
_COMING: Final = 1_000


class RedisApps:
    """Apps by when a server first met them; each server tells of each app once.

    Whatever counts tells of an app that is new to it. It is written beside the requests, and what
    cannot be written is told with the next one.
    """

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._coming: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    def meet(self, app_id: str) -> None:
        """Note that something was counted for an app; never waits."""
        if len(self._coming) < _COMING:
            self._coming[app_id] = time.time_ns() // 1_000_000
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._tell())

    async def latest(self, most: int, *, since: float) -> Sequence[str]:
        """Some of them, the newest first."""
        found = await self._connection.command("ZREVRANGE", KNOWN_APPS, 0, most - 1, since=since)
        return texts(found)

    async def close(self) -> None:
        """Tell what is still to be told."""
        if self._task is not None:
            await self._task

    async def _tell(self) -> None:
        while self._coming:
            told = dict(self._coming)
            words = [word for app_id, at in told.items() for word in (at, app_id)]
            since = time.monotonic()
            try:
                await self._connection.command("ZADD", KNOWN_APPS, *words, since=since)
                last = -_MOST - 1
                await self._connection.command("ZREMRANGEBYRANK", KNOWN_APPS, 0, last, since=since)
            except Unavailable:
                return
            for app_id in told:
                self._coming.pop(app_id, None)
