"""Which request is it, and how was it answered? Known around the whole application."""

from collections.abc import Iterable, Mapping, Sequence
from time import monotonic

import structlog
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidecar.logs import DECISION, REQUEST, Asked
from sidecar.ports.watching import Requests, Traces

_log = structlog.get_logger("sidecar.access")


class Observed:
    """An application whose answers are told to whoever wants to hear of them.

    Args:
        paths: of the table, by what answers there.
        listeners: hear of each answer.
    """

    def __init__(
        self, app: ASGIApp, paths: Mapping[object, str], listeners: Sequence[Requests]
    ) -> None:
        self._app = app
        self._paths = paths
        self._listeners = tuple(listeners)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Asked(scope["headers"])
        REQUEST.set(asked)
        DECISION.set("")
        began, status = monotonic(), 0

        async def note_and_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if asked.is_named_here:
                    # A line of the log bears it: whoever asked can say which.
                    message["headers"].append((b"x-request-id", asked.id.encode()))
            await send(message)

        try:
            await self._app(scope, receive, note_and_send)
        except Exception:
            # The answer to a defect is given further out.
            status = 500
            raise
        finally:
            # Who went away before there was an answer got none.
            if status:
                route = self._paths.get(scope.get("endpoint"), "")
                seconds = monotonic() - began
                for listener in self._listeners:
                    listener.answered(scope["method"], route, status, seconds)


class Traced:
    """An application whose requests are traced, in the trace that they came with."""

    def __init__(self, app: ASGIApp, traces: Traces) -> None:
        self._app = app
        self._traces = traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._traces.request(scope["method"], scope["path"], scope["headers"]):
            await self._app(scope, receive, send)


class AccessLog:
    """A line for each request; its path is as the README has it, without whom it is about."""

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Write one."""
        path, took_ms = route or "(no such path)", round(seconds * 1000, 3)
        _log.info("request", method=method, path=path, status=status, took_ms=took_ms)


def paths_of(routes: Iterable[BaseRoute]) -> dict[object, str]:
    """The paths of a table, by what answers there."""
    found = [route for route in routes if isinstance(route, Route)]
    return {route.endpoint: route.path.replace(":path", "") for route in found}
