"""Other servers over HTTP: bounded in time and in size, never redirected, nothing sent twice."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import TYPE_CHECKING, Self

import orjson

from sidecar.errors import Unavailable
from sidecar.sparing import without

if TYPE_CHECKING:
    import httpx

MOST_BYTES = 1 << 20
"""Of an answer that is read."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What another server said; `body` is None where it was no JSON."""

    status: int
    headers: Mapping[str, str]
    body: object

    @property
    def is_success(self) -> bool:
        """Whether it was done."""
        return 200 <= self.status < 300

    def retry_after_s(self, now: datetime) -> float | None:
        """How long it asks to wait: seconds, or until a date; None where it does not say."""
        asked = self.headers.get("retry-after", "").strip()
        if asked.isdecimal():
            return float(asked[:9])
        try:
            at = parsedate_to_datetime(asked)
        except ValueError:
            return None
        return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds())


class Web:
    """A client of other servers, which is imported when there is something to ask.

    Most servers ask nobody, and need neither its memory nor its time at the start.

    Args:
        timeout_s: for the whole exchange, however slowly the answer trickles in.
        transport: where requests go, by default over the network.
        along: headers that go with each request, unless it has its own.
    """

    def __init__(
        self,
        timeout_s: float = 10.0,
        transport: "httpx.AsyncBaseTransport | None" = None,
        along: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self._timeout_s = timeout_s
        self._along = along
        self._transport = transport
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        """Nothing is opened before it is needed."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what is open."""
        if self._client is not None:
            await self._client.aclose()

    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: object = None,
        text: str | None = None,
    ) -> Answer:
        """What a server answers, whatever the status.

        Args:
            body: is sent as JSON, `text` as it is; one of the two, or none.

        Raises:
            Unavailable: no whole answer came in time, or one that is too long.
        """
        # In a thread, so that others are answered meanwhile.
        client = self._client or self._keep(await asyncio.to_thread(self._made))
        import httpx

        # Unpacked, a small answer may be a thousand times as large.
        sent = {"Accept-Encoding": "identity", **self._along(), **(headers or {})}
        if body is not None:
            text = json.dumps(body)
            sent["Content-Type"] = "application/json"
        try:
            host = httpx.URL(url).host
        except httpx.InvalidURL as error:
            raise Unavailable(f"nobody can be asked there: {error}") from error
        # What came in as a header goes out as the same bytes.
        raw = [(name.encode(), value.encode("latin-1", "replace")) for name, value in sent.items()]
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                client.stream(method, url, headers=raw, content=text) as response,
            ):
                answered = await _whole(response)
        except TimeoutError as error:
            raise Unavailable(f"{host} did not answer within {self._timeout_s:g} s") from error
        except httpx.LocalProtocolError:
            # The error quotes the header, which may be a key.
            raise Unavailable(f"{host} cannot be asked: a header has wrong characters") from None
        except httpx.HTTPError as error:
            raise Unavailable(f"{host} cannot be asked: {error!r}") from error
        return Answer(response.status_code, response.headers, _json(answered))

    def _keep(self, made: "httpx.AsyncClient") -> "httpx.AsyncClient":
        # Of several that were made at the same time one is used, and nothing is open in the others.
        if self._client is None:
            self._client = made
        return self._client

    def _made(self) -> "httpx.AsyncClient":
        # With its command line it would import all that paints a terminal.
        with without("rich", "pygments"):
            import httpx

        # What the environment says of proxies is the operator's word.
        return httpx.AsyncClient(
            timeout=self._timeout_s, transport=self._transport, follow_redirects=False
        )


async def _whole(response: "httpx.Response") -> bytes:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise Unavailable(f"{response.url.host} answered in an encoding that nobody asked for")
    text = b""
    async for chunk in response.aiter_bytes():
        text += chunk
        if len(text) > MOST_BYTES:
            raise Unavailable(f"{response.url.host} answered more than {MOST_BYTES:,} bytes")
    return text


def _json(text: bytes) -> object:
    try:
        return orjson.loads(text)
    except ValueError:
        return None
