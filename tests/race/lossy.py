"""A proxy that passes commands on to Redis, and now and then drops what came back."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import hiredis

from tests.processes import RedisServer


class Losses:
    """Which replies are lost, and how many were.

    Args:
        share: of all replies.
    """

    def __init__(self, share: float, seed: int) -> None:
        self._share = share
        self._random = random.Random(seed)
        self.replies = 0
        self.lost = 0

    def are_due(self, replies: int) -> bool:
        """Whether one of so many replies is lost; what comes after it on its way is too."""
        self.replies += replies
        if any(self._random.random() < self._share for _ in range(replies)):
            self.lost += 1
            return True
        return False


def losing_replies(
    server: RedisServer, losses: Losses
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Serve one connection; a lost reply was applied, and takes the connection with it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(server.socket)

        async def pass_on() -> None:
            while data := await reader.read(1_048_576):
                to_server.write(data)

        commands = asyncio.create_task(pass_on())
        parser = hiredis.Reader()
        try:
            while data := await from_server.read(1_048_576):
                parser.feed(data)
                replies = 0
                while parser.gets() is not False:
                    replies += 1
                if losses.are_due(replies):
                    break
                writer.write(data)
        finally:
            commands.cancel()
            to_server.transport.abort()
            writer.transport.abort()

    return serve
