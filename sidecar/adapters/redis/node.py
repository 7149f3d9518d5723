"""Is there a channel to this server, and who makes it?"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from sidecar.adapters.redis.channel import Channel, StoreUnavailable
from sidecar.adapters.redis.dial import Unreachable

_log = structlog.get_logger("sidecar.redis")

_YOUNG_S: Final = 0.5


class Watched:
    """Something that may be lost and come back; each is said once.

    Args:
        name: for the log.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_lost = False

    def note_loss(self, cause: object) -> None:
        """Say that no answer can be had."""
        if not self.is_lost:
            # What follows from it is seen in the answers.
            self.is_lost = True
            _log.warning("redis_lost", server=self.name, cause=str(cause))

    def note_return(self) -> None:
        """Say that there are answers again."""
        if self.is_lost:
            self.is_lost = False
            _log.info("redis_back", server=self.name)


class Node(Watched):
    """A server, or whichever has its place; connected to when asked, by one for all who wait.

    Args:
        name: for the log.
        dial: makes a channel.
        spacing_s: how long after one attempt the next begins at the earliest.
    """

    def __init__(
        self, name: str, dial: Callable[[], Awaitable[Channel]], *, spacing_s: float = 0.0
    ) -> None:
        super().__init__(name)
        self.channel: Channel | None = None
        self._dial = dial
        self._spacing_s = spacing_s
        self._dialled_s = float("-inf")
        self._connecting: asyncio.Task[Channel] | None = None
        self._is_given_up = False
        self._fault = "Redis could not be reached in time"

    async def connected(self, deadline: float) -> Channel:
        """An open channel.

        Raises:
            Unreachable: there is none to be had.
            StoreUnavailable: not in time.
        """
        if self.channel is not None and self.channel.is_open:
            return self.channel
        if self._connecting is None or self._connecting.done():
            self._connecting = asyncio.create_task(self._connect())
            # Whoever still waits is told of a failure; if nobody does, nobody need complain.
            self._connecting.add_done_callback(lambda task: task.cancelled() or task.exception())
        remaining = deadline - time.monotonic()
        try:
            # One connects for all; whoever gives up does not take the others' chance.
            return await asyncio.wait_for(asyncio.shield(self._connecting), max(remaining, 0.001))
        except TimeoutError:
            raise StoreUnavailable(self._fault) from None

    def leave(self) -> None:
        """Drop a channel to what may be no master any more, unless it was only just made."""
        if self.channel is not None and self.channel.age_s > _YOUNG_S:
            self.channel.close()

    def note_loss(self, cause: object) -> None:
        """Say that no answer can be had, unless another has its place."""
        if not self._is_given_up:
            super().note_loss(cause)

    def give_up(self) -> None:
        """Drop the connection for good: another has this server's place."""
        self._is_given_up = True
        if self.channel is not None:
            self.channel.close()
        self.note_return()

    async def close(self) -> None:
        """Close the connection, or stop making it."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        if self.channel is not None:
            self.channel.close()

    async def _connect(self) -> Channel:
        await asyncio.sleep(self._dialled_s + self._spacing_s - time.monotonic())
        self._dialled_s = time.monotonic()
        try:
            self.channel = await self._dial()
        except Unreachable as error:
            # Whoever comes before the next attempt is told why there is one.
            self._fault = str(error)
            raise
        if self._is_given_up:
            self.channel.close()
            raise Unreachable("another has the place of this server")
        return self.channel
