"""How does an answer leave? One that is there in one piece, by one write.

uvicorn writes the head when it is given it, and looks at each name and value by itself. Here the
head waits for the body, as ASGI would have it, and all is looked at together. Whatever is not as
usual goes uvicorn's way: what streams, what is paused, a header that is not known here.
"""

from collections.abc import Awaitable
from typing import Any, Final

from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

_END: Final = b"\r\n"
_CLOSING: Final = b"connection: close\r\n"
_NAMES: Final = {
    name: name + b": "
    for name in (
        b"cache-control", b"content-length", b"content-type", b"date", b"ratelimit",
        b"ratelimit-policy", b"retry-after", b"www-authenticate", b"x-request-id",
    )
}  # fmt: skip
_NOT_IN_HEADS: Final = bytes([*range(9), *range(10, 32), 127])
"""Characters that would begin another header, or are in none."""


class WholeAnswers:
    """An application on one request, whose answer is written at once if it can be."""

    __slots__ = ("_app", "_cycle", "_head")

    def __init__(self, app: ASGI3Application, cycle: RequestResponseCycle) -> None:
        self._app = app
        self._cycle = cycle
        self._head: Any = None

    def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, _: ASGISendCallable
    ) -> Awaitable[None]:
        """Answer the request."""
        return self._app(scope, receive, self._send)

    async def _send(self, message: Any) -> None:
        head, self._head = self._head, None
        if head is None and message["type"] == "http.response.start":
            self._head = message
        elif head is None:
            await self._cycle.send(message)
        elif not self._is_written(head, message):
            await self._cycle.send(head)
            await self._cycle.send(message)

    def _is_written(self, head: Any, message: Any) -> bool:
        cycle = self._cycle
        if (
            message["type"] != "http.response.body"
            or message.get("more_body")
            or cycle.response_started
            or cycle.disconnected
            or cycle.flow.write_paused
            or cycle.access_log
            or cycle.scope["method"] == "HEAD"
        ):
            return False
        body = message.get("body", b"")
        written = _written(head, cycle, body)
        if written is None:
            return False
        cycle.response_started = True
        cycle.waiting_for_100_continue = False
        cycle.transport.write(written)
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
        return True


def _written(head: Any, cycle: RequestResponseCycle, body: bytes) -> bytes | None:
    """The whole answer, None if anything about it is unusual."""
    lines, length = [STATUS_LINE[head["status"]]], b""
    for headers in (cycle.default_headers, head["headers"]):
        for name, value in headers:
            known = _NAMES.get(name)
            if known is None:
                return None
            if name == b"content-length":
                if length:
                    return None
                length = value
            lines += known, value, _END
    if length != b"%d" % len(body):
        return None
    ends = len(lines) // 3 + 1
    told = b"".join(lines)
    # Nothing but the ends of its lines may stand in a head that would end one.
    if len(told.translate(None, _NOT_IN_HEADS)) != len(told) - 2 * ends:
        return None
    return told + (_END if cycle.keep_alive else _CLOSING + _END) + body
