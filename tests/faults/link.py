"""One connection through the proxy: what comes in at one end goes out at the other, or does not."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from tests.faults.messages import Messages
from tests.faults.weather import Weather

Work = Coroutine[None, None, None]

_READ_AT_ONCE: Final = 1_048_576
_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""Of SO_LINGER: whoever is at the other end sees a reset, not an end."""


@dataclass(frozen=True, slots=True)
class _Way:
    """One direction.

    Attributes:
        under_way: messages, and when they are due; None is the end of all.
    """

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    under_way: asyncio.Queue[tuple[float, list[bytes]] | None] = field(
        default_factory=asyncio.Queue
    )

    def put(self, messages: list[bytes], late_ms: float) -> None:
        """Let messages begin their way."""
        if messages:
            due = asyncio.get_running_loop().time() + late_ms / 1000
            self.under_way.put_nowait((due, messages))


class Link:
    """A caller's connection, and the one to the server that belongs to it.

    Whatever comes in waits in a queue until it is due, so that faults meet messages in the
    order in which they were sent.
    """

    def __init__(self, weather: Weather) -> None:
        self._weather = weather
        self._to_caller: asyncio.StreamWriter | None = None
        self._to_server: asyncio.StreamWriter | None = None
        self._asked: deque[bytes] = deque()
        self._is_hole = False
        self._is_mute = False
        self._is_left = False
        self._is_over = asyncio.Event()

    async def run(self, caller: socket.socket, upstream: str) -> None:
        """Pass messages on until one end goes away.

        Args:
            caller: the connected socket.
            upstream: address of the server.
        """
        try:
            async with asyncio.TaskGroup() as group:
                works = await self._works(caller, upstream)
                tasks = [group.create_task(work) for work in works]
                await self._is_over.wait()
                for task in tasks:
                    task.cancel()
        except* OSError:
            # Nobody is behind this door, or somebody went through it in a hurry.
            pass
        finally:
            for writer in (self._to_caller, self._to_server):
                if writer is not None:
                    writer.transport.abort()

    def end(self) -> None:
        """Close both ends."""
        self._is_over.set()

    def reset(self) -> None:
        """Close both ends as if the machine had gone."""
        self._weather.seen.reset += 1
        if self._to_caller is not None:
            caller: socket.socket = self._to_caller.get_extra_info("socket")
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.end()

    def forsake(self) -> None:
        """Close the server's end alone; the caller is not told."""
        self._is_hole = True
        if self._to_server is not None:
            self._to_server.transport.abort()

    async def _works(self, caller: socket.socket, upstream: str) -> tuple[Work, ...]:
        from_caller, self._to_caller = await asyncio.open_connection(
            sock=caller, limit=_READ_AT_ONCE
        )
        if self._weather.faults.swallows:
            self._is_hole = True
            return (self._swallow(from_caller),)
        from_server, self._to_server = await _dial(upstream)
        forth = _Way(from_caller, self._to_server)
        back = _Way(from_server, self._to_caller)
        return (
            self._take_commands(forth), self._send(forth),
            self._take_replies(back), self._answer(back),
        )  # fmt: skip

    async def _swallow(self, from_caller: asyncio.StreamReader) -> None:
        commands = Messages()
        while data := await from_caller.read(_READ_AT_ONCE):
            count = len(commands.feed(data))
            self._weather.seen.commands += count
            self._weather.seen.swallowed += count
        self.end()

    async def _take_commands(self, way: _Way) -> None:
        messages = Messages()
        while data := await way.reader.read(_READ_AT_ONCE):
            commands = messages.feed(data)
            self._weather.seen.commands += len(commands)
            self._asked.extend(commands)
            way.put(commands, self._weather.faults.commands_late_ms)
        way.under_way.put_nowait(None)

    async def _send(self, way: _Way) -> None:
        async for commands in self._due(way):
            await self._write(way, commands)
        self._is_left = True
        if self._is_hole:
            self.end()
        else:
            # What the caller had sent before is still done; then the server closes its end.
            way.writer.write_eof()

    async def _take_replies(self, way: _Way) -> None:
        messages = Messages()
        while data := await way.reader.read(_READ_AT_ONCE):
            replies = messages.feed(data)
            self._weather.seen.replies += len(replies)
            way.put(replies, self._weather.faults.replies_late_ms)
        way.under_way.put_nowait(None)

    async def _answer(self, way: _Way) -> None:
        async for replies in self._due(way):
            if self._is_mute or self._is_hole:
                self._weather.seen.swallowed += len(replies)
                continue
            heard = self._heard_of(replies)
            await self._write(way, replies[:heard])
            if heard == len(replies):
                continue
            self._weather.seen.dropped += 1
            self._weather.seen.swallowed += len(replies) - heard - 1
            if not self._weather.faults.drop_silently:
                self.reset()
                return
            self._is_mute = True
        if self._is_left or not self._is_hole:
            self.end()

    def _heard_of(self, replies: list[bytes]) -> int:
        """How many replies are heard before one is lost."""
        for heard in range(len(replies)):
            # What nobody asked for is a message to a subscriber.
            command = self._asked.popleft() if self._asked else b""
            if self._weather.drops(command):
                return heard
        return len(replies)

    async def _due(self, way: _Way) -> AsyncIterator[list[bytes]]:
        """Messages when their time has come, until there will be no more."""
        while (item := await way.under_way.get()) is not None:
            due, messages = item
            late = due - asyncio.get_running_loop().time()
            if late > 0:
                await asyncio.sleep(late)
            await self._weather.flow.wait()
            if self._weather.faults.swallows:
                self._is_hole = True
            yield messages

    async def _write(self, way: _Way, messages: list[bytes]) -> None:
        if self._is_hole:
            self._weather.seen.swallowed += len(messages)
            return
        faults, data = self._weather.faults, b"".join(messages)
        size = faults.drip_bytes or len(data)
        for start in range(0, len(data), max(size, 1)):
            if way.writer.transport.is_closing():
                return
            way.writer.write(data[start : start + size])
            if faults.drip_bytes:
                await asyncio.sleep(faults.drip_ms / 1000)


async def _dial(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    where = urlsplit(address)
    if where.scheme == "unix":
        return await asyncio.open_unix_connection(where.path, limit=_READ_AT_ONCE)
    return await asyncio.open_connection(where.hostname, where.port, limit=_READ_AT_ONCE)
