"""How large may the head of a request be, before it is complete?"""

from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sidecar.api.problem import of_status

HEAD_LIMIT: Final = 64 * 1024
_PIECE: Final = 16 * 1024


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's HTTP, with a bound to what it keeps of a request line, headers and trailers.

    The parser keeps these until they are complete, however long they are. A body has the
    endpoint's bound.
    """

    _unread = 0
    """Bytes since the last that were body, or the end of a request."""

    def data_received(self, data: bytes) -> None:
        """Parse piece by piece, and give up on a head that does not end."""
        for start in range(0, len(data), _PIECE):
            if self.transport.is_closing():
                return
            piece = data[start : start + _PIECE]
            self._unread += len(piece)
            super().data_received(piece)
            if self._unread > HEAD_LIMIT and not self.transport.is_closing():
                self._refuse()

    def on_body(self, body: bytes) -> None:
        """Begin to count anew: a body is not kept here."""
        self._unread = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Begin to count anew: the next request may follow."""
        self._unread = 0
        super().on_message_complete()

    def _refuse(self) -> None:
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr] # None before the first request
            answer = of_status(431, {"Connection": "close"})
            lines = [b"HTTP/1.1 431 Request Header Fields Too Large"]
            lines += [name + b": " + value for name, value in answer.raw_headers]
            self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        # Into the middle of another request's answer nothing can be written.
        self.transport.close()
