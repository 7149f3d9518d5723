"""Which request is it, and how was it answered? Known around the whole application."""

from collections.abc import Iterable, Mapping, Sequence
from time import monotonic

import structlog
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sidecar.api.endpoint import echo_request_id
from sidecar.api.often import Often
from sidecar.api.problem import of_status
from sidecar.logs import DECISION, REQUEST, Asked
from sidecar.ports.watching import Requests, Traces

_access = structlog.get_logger("sidecar.access")
_log = structlog.get_logger("sidecar.api")


class Observed:
    """An application whose answers are told to whoever wants to hear of them.

    What is asked all the time is answered from here; for anything else the table is searched. A
    defect is answered here too, and then goes on to the server, which closes the connection.

    Args:
        app: searches the table.
        often: what need not be searched for.
        paths: of the table, by what answers there.
        listeners: hear of each answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        often: Often,
        paths: Mapping[object, str],
        listeners: Sequence[Requests],
    ) -> None:
        self._app = app
        self._often = often
        self._paths = paths
        self._listeners = tuple(listeners)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, asked = monotonic(), Asked(scope["headers"])
        REQUEST.set(asked)
        DECISION.set("")
        way = self._often.way(scope)
        if way is None:
            await self._search(scope, receive, send, asked, began)
            return
        path, endpoint = way
        try:
            response = await endpoint.answer(scope, receive)
        except ClientDisconnect:
            return
        except Exception as error:
            await self._give(_unexpected(scope, error), path, scope, send, asked, began)
            raise
        await self._give(response, path, scope, send, asked, began)

    async def _give(
        self, response: Response, path: str, scope: Scope, send: Send, asked: Asked, began: float
    ) -> None:
        status, headers = response.status_code, response.raw_headers
        if asked.is_named_here:
            headers.append(_named(asked))
        try:
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": response.body})
        finally:
            self._tell(scope, path, status, began)

    async def _search(
        self, scope: Scope, receive: Receive, send: Send, asked: Asked, began: float
    ) -> None:
        status = 0

        async def note_and_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if asked.is_named_here:
                    message["headers"].append(_named(asked))
            await send(message)

        try:
            await self._app(scope, receive, note_and_send)
        except Exception as error:
            answer = _unexpected(scope, error)
            if not status:
                await answer(scope, receive, note_and_send)
            status = 500
            raise
        finally:
            # Who went away before there was an answer got none.
            if status:
                self._tell(scope, self._paths.get(scope.get("endpoint"), ""), status, began)

    def _tell(self, scope: Scope, path: str, status: int, began: float) -> None:
        method, seconds = scope["method"], monotonic() - began
        for listener in self._listeners:
            listener.answered(method, path, status, seconds)


def _named(asked: Asked) -> tuple[bytes, bytes]:
    """For an answer: a line of the log bears the name, so whoever asked can say which."""
    return b"x-request-id", asked.id.encode()


def _unexpected(scope: Scope, error: Exception) -> Response:
    _log.error("unexpected", path=scope["path"], exc_info=error)
    response = of_status(500)
    echo_request_id(dict(scope["headers"]), response)
    return response


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
        _access.info("request", method=method, path=path, status=status, took_ms=took_ms)


def paths_of(routes: Iterable[BaseRoute]) -> dict[object, str]:
    """The paths of a table, by what answers there."""
    found = [route for route in routes if isinstance(route, Route)]
    return {route.endpoint: route.path.replace(":path", "") for route in found}
