"""How long a connection is kept between requests, on a clock that is turned by hand."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from sidecar.cli.http import BoundedHttp, Bounds

ASK = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
OK = b"HTTP/1.1 200 OK\r\n"


class Timer:
    """Something that is to happen at a time."""

    def __init__(self, at: float, do: Callable[[], None]) -> None:
        self.at, self.do, self.is_cancelled = at, do, False

    def cancel(self) -> None:
        """Let it not happen."""
        self.is_cancelled = True


class TurnedLoop:
    """The running loop, whose time passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        """Now."""
        return self.now

    def call_at(self, at: float, do: Callable[[], None]) -> Timer:
        """Do it then."""
        self.timers.append(Timer(at, do))
        return self.timers[-1]

    def create_task(self, of: Any) -> asyncio.Task[None]:
        """On the loop that runs."""
        return asyncio.get_running_loop().create_task(of)

    def turn(self, seconds: float) -> None:
        """Let time pass, and what is due happen in its order."""
        until = self.now + seconds
        while due := [each for each in self.timers if not each.is_cancelled and each.at <= until]:
            first = min(due, key=lambda each: each.at)
            self.timers.remove(first)
            self.now = max(self.now, first.at)
            first.do()
        self.now = until


class Line(asyncio.Transport):
    """A connection that keeps what is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_closed = False

    def write(self, data: Any) -> None:
        """Keep it."""
        self.written += data

    def close(self) -> None:
        """Note it."""
        self.is_closed = True

    def is_closing(self) -> bool:
        """Whether it was noted."""
        return self.is_closed

    def pause_reading(self) -> None:
        """Nothing comes by itself."""

    def resume_reading(self) -> None:
        """As before."""


async def answer(_: object, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
    """Answer without waiting for the body."""
    headers = [(b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


class Connected:
    """A client of the server."""

    def __init__(self, bounds: Bounds) -> None:
        config = uvicorn.Config(answer, ws="none", lifespan="off", log_config=None)
        self.loop, self.line = TurnedLoop(), Line()
        given: Any = self.loop
        self.server = BoundedHttp(config, ServerState(), {}, given, bounds=bounds)
        self.server.connection_made(self.line)

    async def send(self, data: bytes) -> None:
        """Send, and let what can be answered be."""
        self.server.data_received(data)
        while self.server.tasks:  # noqa: ASYNC110  its own tasks are waited for
            await asyncio.sleep(0)


@pytest.mark.parametrize("bounds", [Bounds(), Bounds(client_s=200)], ids=["usual", "patient"])
async def test_a_connection_is_kept_for_a_while_after_an_answer(bounds: Bounds) -> None:
    client = Connected(bounds)
    client.loop.turn(7)
    for _ in range(3):
        await client.send(ASK)
        client.loop.turn(bounds.keep_alive_s - 1)
    assert client.line.written.count(OK) == 3
    assert not client.line.is_closed

    client.loop.turn(1)
    assert client.line.is_closed
    assert client.line.written.count(b"HTTP/1.1") == 3


async def test_half_a_request_is_waited_for_as_long_as_a_client_may_take() -> None:
    client = Connected(Bounds())
    await client.send(ASK)
    client.loop.turn(74)
    await client.send(ASK[:20])
    client.loop.turn(9)
    assert not client.line.is_closed

    client.loop.turn(1)
    assert client.line.is_closed
    assert b"408 Request Timeout" in client.line.written


async def test_a_connection_whose_request_was_answered_too_soon_is_not_kept_for_ever() -> None:
    client = Connected(Bounds())
    await client.send(ASK[:-1])
    await client.send(ASK[-1:])
    assert client.line.written.count(OK) == 1
    client.loop.turn(74)
    assert not client.line.is_closed

    client.loop.turn(12)
    assert client.line.is_closed


async def test_requests_that_come_together_are_answered_in_turn() -> None:
    client = Connected(Bounds())
    await client.send(ASK * 5)

    assert client.line.written.count(OK) == 5
    client.loop.turn(74)
    assert not client.line.is_closed
    client.loop.turn(1)
    assert client.line.is_closed
