"""How does a question travel? Over TCP or a unix socket, with a key, for a bounded time."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from sidecar.client.asking import Ask, Reply
from sidecar.client.faults import Lost

_WENT: Final = "the sidecar went away while this waited for its turn"

IsHopeless = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Address:
    """Where the sidecar is, and how to speak to it.

    Args:
        url: `http://host:port`, or `unix:///path/of/the.sock`.
        key: of the runtime, None where the sidecar asks for none.
        timeout_s: how long one attempt may take.

    Raises:
        ValueError: the URL is none.
    """

    url: str
    key: str | None = field(repr=False)
    timeout_s: float

    def __post_init__(self) -> None:
        try:
            is_one = bool(httpx.URL(self.base_url).host)
        except httpx.InvalidURL:
            is_one = False
        if not is_one or not self.url.startswith(("http://", "https://", "unix:///")):
            raise ValueError(
                f"{self.url!r} is no address; write http://127.0.0.1:8377 or unix:///run/sidecar.sock"
            )

    @property
    def base_url(self) -> str:
        """What stands before a path; over a unix socket, any host will do."""
        return "http://sidecar" if self.socket else self.url

    @property
    def socket(self) -> str | None:
        """The path of a unix socket."""
        return self.url.removeprefix("unix://") if self.url.startswith("unix:///") else None

    @property
    def options(self) -> Mapping[str, Any]:
        """Of a client of httpx."""
        return {
            "base_url": self.base_url,
            "headers": {"Authorization": f"Bearer {self.key}"} if self.key else {},
            "timeout": self.timeout_s,
            # What is asked of the sidecar goes to the sidecar, whatever the environment says.
            "trust_env": False,
        }


class AsyncWire:
    """Connections of one event loop.

    Args:
        most: of them; whoever comes beyond waits here, because httpx searches its own queue for
            each request.
        is_hopeless: whether to give up when one's turn has come.
    """

    def __init__(self, to: Address, most: int, is_hopeless: IsHopeless) -> None:
        transport = httpx.AsyncHTTPTransport(uds=to.socket, limits=_limits(most))
        self._http = httpx.AsyncClient(transport=transport, **to.options)
        self._turns = asyncio.Semaphore(most)
        self._is_hopeless = is_hopeless

    async def exchange(self, ask: Ask) -> Reply:
        """What comes back.

        Raises:
            Lost: nothing, in time.
        """
        waits = self._turns.locked()
        async with self._turns:
            if waits and self._is_hopeless():
                raise Lost(_WENT)
            try:
                return _read(await self._http.request(**_sent(ask)))
            except httpx.RequestError as error:
                raise _lost(error) from error

    async def close(self) -> None:
        """Close them."""
        await self._http.aclose()


class Wire:
    """Connections that threads share; see `AsyncWire`."""

    def __init__(self, to: Address, most: int, is_hopeless: IsHopeless) -> None:
        transport = httpx.HTTPTransport(uds=to.socket, limits=_limits(most))
        self._http = httpx.Client(transport=transport, **to.options)
        self._turns = threading.Semaphore(most)
        self._is_hopeless = is_hopeless

    def exchange(self, ask: Ask) -> Reply:
        """What comes back.

        Raises:
            Lost: nothing, in time.
        """
        if waits := not self._turns.acquire(blocking=False):
            self._turns.acquire()
        try:
            if waits and self._is_hopeless():
                raise Lost(_WENT)
            return _read(self._http.request(**_sent(ask)))
        except httpx.RequestError as error:
            raise _lost(error) from error
        finally:
            self._turns.release()

    def close(self) -> None:
        """Close them."""
        self._http.close()


def _limits(most: int) -> httpx.Limits:
    return httpx.Limits(max_connections=most, max_keepalive_connections=most)


def _sent(ask: Ask) -> dict[str, Any]:
    told: dict[str, Any] = {"method": ask.method, "url": ask.path}
    if ask.query:
        told["params"] = ask.query
    if ask.body is not None:
        told["json"] = ask.body
    return told


def _read(response: httpx.Response) -> Reply:
    try:
        body = response.json()
    except ValueError:
        body = None
    waits = response.headers.get("Retry-After", "")
    return Reply(
        response.status_code,
        body if isinstance(body, dict) else None,
        int(waits) if waits.isdigit() else None,
        response.headers.get("Date", ""),
    )


def _lost(error: httpx.RequestError) -> Lost:
    return Lost(f"{type(error).__name__} {error}".strip())
