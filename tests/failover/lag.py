"""A way between a master and its replica on which everything takes its time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_READ_AT_ONCE = 1_048_576


@dataclass(slots=True)
class Lag:
    """Passes bytes on to a port, each so late.

    Attributes:
        port: where it listens.
    """

    upstream: int
    late_s: float
    port: int = 0
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def is_used(self) -> bool:
        """Whether anybody is connected."""
        return any(not writer.transport.is_closing() for writer in self._writers)

    def cut(self) -> None:
        """Let whatever is under way never arrive."""
        for writer in self._writers:
            writer.transport.abort()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Lag"]:
        """Pass bytes on until the end."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            there, to_there = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.transport.abort()
            return
        self._writers.append(to_there)
        for source, target in ((reader, to_there), (there, writer)):
            self._tasks.append(asyncio.create_task(self._pass_on(source, target)))

    async def _pass_on(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await source.read(_READ_AT_ONCE):
                # Bytes behind each other do not overtake each other: all are equally late.
                loop.call_later(self.late_s, _write, target, data)
        except OSError:
            pass
        loop.call_later(self.late_s, target.transport.abort)


def _write(target: asyncio.StreamWriter, data: bytes) -> None:
    if not target.transport.is_closing():
        target.write(data)
