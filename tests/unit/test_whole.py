"""Answers of one piece leave by one write, and say what uvicorn's own way would say."""

import asyncio
import contextlib
import logging
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from sidecar.cli.whole import WholeAnswers

DATE = (b"date", b"Mon, 04 May 2026 21:30:00 GMT")
JSON = [(b"content-length", b"2"), (b"content-type", b"application/json")]
BODY = {"type": "http.response.body", "body": b"{}"}


class Taken(asyncio.Transport):
    """Keeps what is written, each piece by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []
        self.is_closed = False

    def write(self, data: Any) -> None:
        """Keep one."""
        self.pieces.append(bytes(data))

    def close(self) -> None:
        """Note it."""
        self.is_closed = True

    def is_closing(self) -> bool:
        """Whether it was noted."""
        return self.is_closed


class Asked:
    """A request without a body, on a connection that keeps what is answered."""

    def __init__(self, method: str = "POST", *, keep_alive: bool = True) -> None:
        self.transport = Taken()
        self.completed = 0
        self.flow = FlowControl(self.transport)
        self.cycle = RequestResponseCycle(
            scope={"method": method},  # type: ignore[typeddict-item] # all that is read
            transport=self.transport,
            flow=self.flow,
            logger=logging.getLogger("uvicorn.error"),
            access_logger=logging.getLogger("uvicorn.access"),
            access_log=False,
            default_headers=[DATE],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=self._complete,
        )

    def _complete(self) -> None:
        self.completed += 1

    @property
    def answer(self) -> bytes:
        """All that was written."""
        return b"".join(self.transport.pieces)

    async def tell(self, *messages: dict[str, Any], is_whole: bool = True) -> "Asked":
        """Answer with these messages, here or uvicorn's way."""

        async def app(scope: object, receive: object, send: Any) -> None:
            for message in messages:
                await send(message)

        whole: Any = WholeAnswers(app, self.cycle) if is_whole else app
        await self.cycle.run_asgi(whole)
        return self


def head(*headers: tuple[bytes, bytes], status: int = 200) -> dict[str, Any]:
    """The first message of an answer."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


async def test_an_answer_of_one_piece_is_written_at_once() -> None:
    asked = await Asked().tell(head(*JSON), BODY)

    assert asked.transport.pieces == [
        b"HTTP/1.1 200 OK\r\n"
        b"date: Mon, 04 May 2026 21:30:00 GMT\r\n"
        b"content-length: 2\r\ncontent-type: application/json\r\n\r\n{}"
    ]
    assert asked.completed == 1
    assert asked.cycle.response_complete
    assert not asked.transport.is_closed


async def test_a_connection_that_ends_is_closed_after_its_answer() -> None:
    asked = await Asked(keep_alive=False).tell(head(*JSON), BODY)

    assert len(asked.transport.pieces) == 1
    assert asked.answer.endswith(b"\r\nconnection: close\r\n\r\n{}")
    assert asked.transport.is_closed


values = st.text("abc ä\t\r\n\0", max_size=6).map(str.encode)
headers = st.lists(
    st.tuples(
        st.sampled_from(
            [b"content-type", b"ratelimit", b"Content-Type", b"x-other", b"connection", b"x y"]
        ),
        values | st.just(b"close"),
    ),
    max_size=3,
)
lengths = st.sampled_from([(), (b"0",), (b"2",), (b"2", b"2"), (b"3",), (b"02",), (b"1", b"2")])


@given(
    st.sampled_from(["GET", "POST", "HEAD"]),
    st.booleans(),
    st.sampled_from([200, 202, 204, 304, 402, 500]),
    lengths,
    headers,
    st.lists(st.sampled_from([b"", b"{}", b"{", b"}"]), min_size=1, max_size=3),
)
@example("GET", False, 200, (b"1", b"2"), [], [b"{}"])
def test_it_says_what_uvicorn_says(
    method: str,
    keep_alive: bool,
    status: int,
    lengths: tuple[bytes, ...],
    headers: list[tuple[bytes, bytes]],
    pieces: list[bytes],
) -> None:
    told = [(b"content-length", length) for length in lengths]
    messages = [head(*told, *headers, status=status)]
    for left, piece in zip(reversed(range(len(pieces))), pieces, strict=True):
        messages.append({"type": "http.response.body", "body": piece, "more_body": left > 0})

    async def told_by(*, is_whole: bool) -> tuple[bytes, bool, bool, int]:
        asked = Asked(method, keep_alive=keep_alive)
        # What is wrong with an answer uvicorn cannot always say.
        with contextlib.suppress(RuntimeError):
            await asked.tell(*messages, is_whole=is_whole)
        return (
            asked.answer, asked.transport.is_closed, asked.cycle.response_complete, asked.completed,
        )  # fmt: skip

    assert asyncio.run(told_by(is_whole=True)) == asyncio.run(told_by(is_whole=False))


@pytest.mark.parametrize("given", [[], [head(*JSON)]], ids=["nothing", "a head alone"])
async def test_what_was_not_begun_is_answered_with_500(given: list[dict[str, Any]]) -> None:
    asked = await Asked().tell(*given)

    assert asked.answer.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert asked.answer.count(b"HTTP/1.1") == 1


async def test_nothing_is_written_for_a_client_that_went_away() -> None:
    asked = Asked()
    asked.cycle.disconnected = True
    await asked.tell(head(*JSON), BODY)

    assert asked.answer == b""


async def test_an_answer_waits_for_a_client_that_reads_slowly() -> None:
    asked = Asked()
    asked.flow.pause_writing()
    told = asyncio.create_task(asked.tell(head(*JSON), BODY))
    await asyncio.sleep(0)
    assert asked.answer == b""

    asked.flow.resume_writing()
    await told
    assert asked.answer.endswith(b"\r\n\r\n{}")
