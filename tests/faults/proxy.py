"""What can go wrong on the way to Redis, made to go wrong while a test looks on."""

import asyncio
import socket
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

from tests.faults.link import Link
from tests.faults.weather import Faults, Seen, Weather

T = TypeVar("T")

_PATIENCE_S: Final = 20.0
_BACKLOG: Final = 1_024


class FaultProxy:
    """Stands between callers and one Redis, in a thread of its own.

    Args:
        upstream: `unix://` or `redis://` of the server; it may go away and come back.
        at: where to listen, as an address of the same form; port 0 is any that is free. Only
            on TCP can a connection be reset in earnest.
        seed: of the lots by which replies are lost.
    """

    def __init__(self, upstream: str, at: str = "redis://127.0.0.1:0", *, seed: int = 1) -> None:
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy")
        self._weather = Weather(seed)
        self._listener: socket.socket | None = None
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._complaints: list[str] = []
        self._loop.set_exception_handler(lambda _, context: self._complaints.append(str(context)))
        self.url = at

    def __enter__(self) -> Self:
        self._thread.start()
        self.heal()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_S)
        self._loop.close()
        assert not self._complaints, self._complaints

    @property
    def seen(self) -> Seen:
        """What it saw and did so far."""
        return self._weather.seen

    def inject(self, faults: Faults) -> None:
        """Let these faults happen from now on, and no others."""
        self._do(self._apply(faults))

    def heal(self) -> None:
        """Let everything pass; what was lost stays lost."""
        self.inject(Faults())

    def reset(self) -> None:
        """Cut every connection, with whatever is under way on it."""
        self._do(self._cut())

    def half_open(self) -> None:
        """Let the server's end of every connection go without telling the callers."""
        self._do(self._forsake())

    def _do(self, action: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(action, self._loop).result(_PATIENCE_S)

    async def _apply(self, faults: Faults) -> None:
        self._weather.faults = faults
        if faults.stalls:
            self._weather.flow.clear()
        else:
            self._weather.flow.set()
        if faults.refuses:
            self._shut()
        elif self._listener is None:
            self._listener = self._listen()
            self._loop.add_reader(self._listener, self._accept)

    def _listen(self) -> socket.socket:
        where = urlsplit(self.url)
        if where.scheme == "unix":
            # A name that was used before cannot be bound again.
            Path(where.path).unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX)
            listener.bind(where.path)
            listener.listen(_BACKLOG)
        else:
            assert where.hostname is not None
            listener = socket.create_server((where.hostname, where.port or 0), backlog=_BACKLOG)
            # Whoever was refused must find the same door again.
            self.url = f"redis://{where.hostname}:{listener.getsockname()[1]}"
        listener.setblocking(False)
        return listener

    def _shut(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None

    def _accept(self) -> None:
        # By hand, because asyncio's servers forget a caller who comes while they close.
        assert self._listener is not None
        caller, _ = self._listener.accept()
        self.seen.connections += 1
        self.seen.live += 1
        self._links.add(link := Link(self._weather))
        self._tasks.add(task := self._loop.create_task(self._serve(link, caller)))
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, link: Link, caller: socket.socket) -> None:
        try:
            await link.run(caller, self._upstream)
        finally:
            self.seen.live -= 1
            self._links.remove(link)

    async def _cut(self) -> None:
        for link in self._links:
            link.reset()
        await self._all_gone()

    async def _forsake(self) -> None:
        for link in self._links:
            link.forsake()

    async def _close(self) -> None:
        self._shut()
        for link in self._links:
            link.end()
        await self._all_gone()

    async def _all_gone(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks)
