"""How does an ASGI application refuse before it has begun?"""

import inspect
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from sidecar.client.answers import Decision
from sidecar.client.entitlements import AsyncEntitlements
from sidecar.client.guard import Caller, acting_for

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Who = Callable[[Scope], Caller | Awaitable[Caller | None] | None]

_POLICY_VIOLATION = 1008


class EntitlementMiddleware:
    """Asks before each request; a refusal is answered here, and the application never called.

    The answer is the sidecar's own: its status and its problem as JSON. A
    WebSocket is closed before it is accepted. Otherwise the decision stands in the request's
    state as `entitlement`, and the application runs within `acting_for` the caller.

    Args:
        who: for whom a request is, from its scope; None lets it pass unasked. May be a coroutine
            function.
    """

    def __init__(self, app: App, entitlements: AsyncEntitlements, who: Who) -> None:
        self._app = app
        self._entitlements = entitlements
        self._who = who

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it.

        Raises:
            InvalidQuestion: the sidecar does not understand what `who` says.
        """
        caller = await self._caller_of(scope) if scope["type"] in ("http", "websocket") else None
        if caller is None:
            await self._app(scope, receive, send)
            return
        decision = await self._entitlements.check(caller.user_id, **caller.asked)
        if not decision.allowed:
            await _refuse(scope["type"], decision, send)
            return
        scope.setdefault("state", {})["entitlement"] = decision
        with acting_for(caller.user_id, **caller.asked):
            await self._app(scope, receive, send)

    async def _caller_of(self, scope: Scope) -> Caller | None:
        said = self._who(scope)
        return await said if inspect.isawaitable(said) else said


async def _refuse(kind: str, decision: Decision, send: Send) -> None:
    if kind == "websocket":
        reason = decision.advice.encode()[:123].decode(errors="ignore")
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": reason})
        return
    body = json.dumps(decision.body).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
    ]
    if decision.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % decision.retry_after_s))
    await send({"type": "http.response.start", "status": decision.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
