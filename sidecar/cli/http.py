"""What does the server bear of its clients? So many connections, heads so large, and so slow.

uvicorn's HTTP has no bound to how long a head is or takes, and none to how long an answer waits
for whoever asked. Here each connection has one timer that looks at most once in `Bounds.client_s`
whether something is overdue: a request pays a few assignments for it, where uvicorn sets and unsets
a timer for the next one.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import httptools
from uvicorn import Config
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from sidecar.api.problem import of_status
from sidecar.bootstrap.ending import ENDING, Ending
from sidecar.cli.whole import WholeAnswers

HEAD_LIMIT: Final = 64 * 1024
_PIECE: Final = 16 * 1024
_KEEP_ALIVE_S: Final = 75
_RETRY: Final = {"Retry-After": "1"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What clients may take up.

    Attributes:
        client_s: for sending one request whole, and for taking what is waiting for them.
        connections: open at the same time in one process.
        keep_alive_s: between a response and the next request.
    """

    client_s: float = 10.0
    connections: int = 10_000
    keep_alive_s: int = _KEEP_ALIVE_S


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's HTTP, with bounds to the size of a head, to patience and to connections.

    The parser keeps a request line, headers and trailers until they are complete, however long
    they are. A body has the endpoint's bound.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: Bounds = Bounds(),
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = bounds
        self._ending: Ending | None = app_state.get(ENDING)
        self._unread = 0
        """Bytes since the last that were body, or the end of a request."""
        self._is_offered_more = False
        self._receiving_since: float | None = None
        self._writing_since: float | None = None
        self._idle_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._answering: RequestResponseCycle | None = None

    # -- the connection ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin to wait for a request, if there is room for another connection."""
        super().connection_made(transport)
        self._receiving_since = self.loop.time()
        self._timer = self.loop.call_at(self._next_look(self._receiving_since), self._look)
        if len(self.connections) > self._bounds.connections and not self._make_room():
            self.end(503, _RETRY)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        # Of requests that came in one go uvicorn tells the last one alone.
        self.pipeline.clear()
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def _make_room(self) -> bool:
        """Close connections that nobody is being answered on, those that wait longest first."""
        waiting = [
            each for each in self.connections
            if isinstance(each, BoundedHttp) and each is not self and each.is_waiting
        ]  # fmt: skip
        waiting.sort(key=BoundedHttp._order)
        # Several together: a flood of connections may not search all of them each time.
        for each in waiting[: 1 + len(waiting) // 20]:
            self.connections.discard(each)
            each.end(503, _RETRY)
        return bool(waiting)

    @property
    def is_waiting(self) -> bool:
        """Whether the client's next word is awaited, and nobody works for it."""
        return self._is_idle and not self.transport.is_closing()

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete  # type: ignore[redundant-expr] # None before the first request

    def _order(self) -> tuple[bool, float]:
        """Half a request goes before none."""
        if self._receiving_since is not None:
            return False, self._receiving_since
        return True, self._idle_since or 0.0

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, WholeAnswers(app, cycle))

    def on_response_complete(self) -> None:
        """Answer the next request, if it is there; uvicorn would set a timer for it otherwise."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self._idle_since = self.loop.time()

    # -- time -------------------------------------------------------------------------------

    def pause_writing(self) -> None:
        """Note since when nobody takes what was answered."""
        self._writing_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Note that it was taken."""
        self._writing_since = None
        super().resume_writing()

    def _look(self) -> None:
        """Give up on a client that is overdue, else look again when it can be."""
        bound, now = self._bounds.client_s, self.loop.time()
        since, writing_since = self._receiving_since, self._writing_since
        if self.transport.is_closing() or _is_over(writing_since, now - bound):
            self.transport.abort()
            return
        if _is_over(since, now - bound):
            self.end(408)
            since = None
        if self._idle_since is None and since is None and self._is_idle:
            # It was answered before all of it had come.
            self._idle_since = now
        elif _is_over(self._idle_since, now - self._bounds.keep_alive_s):
            self.transport.close()
            return
        owed = [each for each in (since, writing_since) if each is not None]
        self._timer = self.loop.call_at(self._next_look(min(owed, default=now)), self._look)

    def _next_look(self, since: float) -> float:
        """When the first may be overdue of all that could begin from now on, or has begun."""
        due = since + self._bounds.client_s
        begun = self.loop.time() if self._idle_since is None else self._idle_since
        return min(due, begun + self._bounds.keep_alive_s)

    # -- what comes in ----------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse piece by piece, and give up on a head that does not end."""
        self._idle_since = None
        if self._receiving_since is None:
            self._receiving_since = self.loop.time()
        for start in range(0, len(data), _PIECE):
            if self.transport.is_closing():
                return
            self._parse(data[start : start + _PIECE])
            if self._unread > HEAD_LIMIT and not self.transport.is_closing():
                self.end(431)

    def _parse(self, piece: bytes) -> None:
        while piece:
            self._unread += len(piece)
            try:
                self.parser.feed_data(piece)
            except httptools.HttpParserUpgrade as offered:
                piece = self._head_without_offer() + piece[offered.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self._is_offered_more, self._unread = False, 0
            except httptools.HttpParserError:
                self.end(400)
                return
            else:
                return

    def on_message_begin(self) -> None:
        """Note since when a request is on its way that came in one go with the one before."""
        if self._receiving_since is None:
            self._receiving_since = self.loop.time()
        super().on_message_begin()

    def _head_without_offer(self) -> bytes:
        """What was read of a request, as if its client could speak nothing else than HTTP/1.1.

        Java's client offers to go on in another protocol (`Upgrade: h2c`) and sends its body all
        the same; the parser takes that for the other protocol.
        """
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [name + b": " + value for name, value in self.headers if name != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def on_headers_complete(self) -> None:
        """Begin to answer; a server that ends answers nothing more on this connection."""
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            self._is_offered_more = True
            return
        super().on_headers_complete()
        if self._ending is not None and self._ending.is_begun:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """Begin to count anew: a body is not kept here."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Begin to count anew: the next request may follow."""
        if self._is_offered_more:
            return
        self._unread = 0
        self._receiving_since = None
        super().on_message_complete()

    # -- giving up --------------------------------------------------------------------------

    def end(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        """Say why, where that can be said, and close."""
        if self._is_idle:
            if self._is_told_why(status):
                self._write(status, headers)
        elif self.pipeline:
            # Others stand in front, which are answered before anything is said of this one.
            self.cycle.disconnected = True
            self.flow.pause_reading()
            return
        elif self.cycle.more_body and not self.cycle.response_started:
            self._write(status, headers)
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        elif not self.cycle.more_body:
            # Whoever asked before is answered yet, and nothing stands in between.
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            return
        self.transport.close()

    def _is_told_why(self, status: int) -> bool:
        """Whether the client has said anything: else what it reads answers its next request."""
        if status == 503 and self.cycle is None:
            return True
        return status not in (408, 503) or self._unread > 0

    def _write(self, status: int, headers: Mapping[str, str] | None) -> None:
        answer = of_status(status, {**(headers or {}), "Connection": "close"})
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode()]
        lines += [name + b": " + value for name, value in answer.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))


def _is_over(since: float | None, until: float) -> bool:
    return since is not None and since <= until
