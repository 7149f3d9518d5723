"""Checks that are sent when it is their time, whether or not those before them were answered."""

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

MOST_CONNECTIONS: Final = 500
_PATIENCE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, in seconds of the monotonic clock.

    Attributes:
        due_s: when it was to be asked.
        revision: of the set that it says to be of.
        limit, message: what the first and the last file of that set say.
    """

    due_s: float
    at_s: float
    revision: str
    limit: int
    message: str

    @property
    def took_s(self) -> float:
        """How long whoever asked had to wait."""
        return self.at_s - self.due_s


@dataclass(slots=True)
class Load:
    """An open loop of checks over kept-alive connections.

    Attributes:
        failed: why, of each that was not answered.
        asked: how many were sent.
    """

    host: str
    port: int
    body: bytes
    rate: float
    answers: list[Answer] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    asked: int = 0
    connections: int = 0
    _idle: deque["_Connection"] = field(default_factory=deque)
    _due: deque[float] = field(default_factory=deque)
    _ended: bool = False

    async def run(self) -> None:
        """Ask until told to end, then wait for what is still to be answered."""
        for _ in range(8):
            await self._open()
        begin_s = time.monotonic()
        while not self._ended:
            now_s = time.monotonic()
            while begin_s + self.asked / self.rate <= now_s:
                self._due.append(begin_s + self.asked / self.rate)
                self.asked += 1
            self._send()
            if self._due and self.connections < MOST_CONNECTIONS:
                await self._open()
            await asyncio.sleep(0.001)
        end_s = time.monotonic() + _PATIENCE_S
        while len(self.answers) + len(self.failed) < self.asked and time.monotonic() < end_s:
            self._send()
            await asyncio.sleep(0.01)
        missing = self.asked - len(self.answers) - len(self.failed)
        self.failed += ["was not answered"] * missing
        for connection in self._idle:
            connection.close()

    def end(self) -> None:
        """Send no more."""
        self._ended = True

    async def _open(self) -> None:
        self.connections += 1
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: _Connection(self), self.host, self.port)
        except OSError as error:
            self.connections -= 1
            if self._due:
                self._due.popleft()
                self.failed.append(f"no connection: {error}")

    def _send(self) -> None:
        while self._due and self._idle:
            self._idle.popleft().ask(self._due.popleft())

    def _answered(self, connection: "_Connection", due_s: float, head: bytes, body: bytes) -> None:
        status, told = int(head[9:12]), json.loads(body)
        if status == HTTPStatus.OK and told["limits"]:
            bound, reasons = told["limits"][0]["limit"], told["reasons"]
            message = " ".join(reason["message"] for reason in reasons)
            revision = told["policy"]["revision"]
            self.answers.append(Answer(due_s, time.monotonic(), revision, bound, message))
        else:
            self.failed.append(f"{status}: {body.decode()}")
        self._idle.append(connection)
        self._send()

    def _lost(self, connection: "_Connection", due_s: float | None) -> None:
        self.connections -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        if due_s is not None:
            self.failed.append("the connection was cut off")


class _Connection(asyncio.Protocol):
    """One kept-alive connection, with at most one check under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._due_s: float | None = None
        self._received = b""
        self._request = (
            b"POST /v1/check HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(load.body)
        ) + load.body

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._load._idle.append(self)

    def ask(self, due_s: float) -> None:
        """Send the check that was due at an instant."""
        self._due_s = due_s
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end:
            return
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if len(body) < int(length) or self._due_s is None:
            return
        due_s, self._due_s, self._received = self._due_s, None, b""
        self._load._answered(self, due_s, head, body)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load._lost(self, self._due_s)

    def close(self) -> None:
        """Hang up."""
        self._transport.close()
