"""A client that behaves: one request after the other on a connection that it keeps."""

import asyncio
import json
import time
from dataclasses import dataclass
from typing import Any, Self

import httpx

PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Self:
        """The address in a URL."""
        parts = httpx.URL(url)
        return cls(parts.host, parts.port or 80)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer, and how long it took in seconds."""

    status: int
    body: bytes
    took_s: float
    is_last: bool = False
    """Whether the server asked for another connection."""

    def json(self) -> dict[str, Any]:
        """What it says."""
        told: dict[str, Any] = json.loads(self.body)
        return told


def request(path: str, body: object = None) -> bytes:
    """One request as it goes over the wire: a POST if it has a body."""
    if body is None:
        return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    text = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(text)}\r\n\r\n"
    return head.encode() + text


class Caller:
    """Asks one server, over a connection that is opened when it is needed."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, asked: bytes) -> Answer:
        """The answer to a request.

        Raises:
            OSError, EOFError, TimeoutError: there was none.
        """
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_S):
            if self._writer is None:
                await self._open()
            assert self._writer is not None
            assert self._reader is not None
            try:
                self._writer.write(asked)
                head = await self._reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
                body = await self._reader.readexactly(int(length))
            except (OSError, EOFError):
                self.close()
                raise
        is_last = b"connection: close" in head.lower()
        if is_last:
            self.close()
        return Answer(int(head[9:12]), body, time.monotonic() - began, is_last)

    async def _open(self) -> None:
        host, port = self._address.host, self._address.port
        self._reader, self._writer = await asyncio.open_connection(host, port)

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None
