"""A refusal is answered before the application is called."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from sidecar.client import AsyncEntitlements, Caller, EntitlementMiddleware
from sidecar.client.guard import caller
from sidecar.client.middleware import App, Message, Scope
from tests.processes import Sidecar


def who(scope: Scope) -> Caller | None:
    """The user of a header; without one the request is nobody's business."""
    headers = dict(scope["headers"])
    user = headers.get(b"x-user", b"").decode()
    return Caller(user, {"plugin": scope["path"].strip("/")}) if user else None


async def chat(request: Request) -> PlainTextResponse:
    decision = getattr(request.state, "entitlement", None)
    name = caller().user_id if decision else "nobody"
    return PlainTextResponse(f"{name} has {decision and decision.plan}")


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


def application() -> Starlette:
    return Starlette(routes=[Route("/{plugin}", chat), WebSocketRoute("/{plugin}", talk)])


@pytest.fixture
async def entitlements(sidecar: Sidecar) -> AsyncIterator[AsyncEntitlements]:
    async with AsyncEntitlements(sidecar.url, key="runtime-key", app_id="acme") as made:
        yield made


async def ask(app: App, path: str, user: str | None) -> httpx.Response:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://app",
    ) as client:
        return await client.get(path, headers={"x-user": user} if user else {})


async def test_who_may_is_let_through_and_known_inside(entitlements: AsyncEntitlements) -> None:
    app = EntitlementMiddleware(application(), entitlements, who)

    answer = await ask(app, "/basic_chat", "ann")

    assert (answer.status_code, answer.text) == (200, "ann has free")


async def test_who_may_not_is_answered_with_the_sidecars_own_problem(
    entitlements: AsyncEntitlements,
) -> None:
    async def never(*_: object) -> None:
        raise AssertionError("the application was called")

    answer = await ask(EntitlementMiddleware(never, entitlements, who), "/admin_all", "ann")

    assert answer.status_code == 402
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    problem = answer.json()
    assert problem["reasons"][0]["code"] == "plugin_not_in_plan"
    assert problem["remedies"][0]["url"] == "https://pay.example/acme/ann/pro"


async def test_what_is_nobodys_passes_unasked(entitlements: AsyncEntitlements) -> None:
    answer = await ask(EntitlementMiddleware(application(), entitlements, who), "/admin_all", None)

    assert answer.text == "nobody has None"


async def test_who_it_is_may_take_a_while_to_find_out(entitlements: AsyncEntitlements) -> None:
    async def find(scope: Scope) -> Caller | None:
        return who(scope)

    answer = await ask(EntitlementMiddleware(application(), entitlements, find), "/admin_x", "ann")

    assert answer.status_code == 402


async def test_while_the_sidecar_is_away_a_closed_one_answers_503() -> None:
    async with AsyncEntitlements(
        "http://127.0.0.1:1", app_id="acme", on_failure="closed"
    ) as entitlements:
        app = EntitlementMiddleware(application(), entitlements, who)
        answer = await ask(app, "/basic_chat", "ann")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["title"] == "Entitlements are unknown"


async def test_a_websocket_is_closed_before_it_is_accepted(
    entitlements: AsyncEntitlements,
) -> None:
    app = EntitlementMiddleware(application(), entitlements, who)

    async def connect(path: str) -> list[Message]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": path, "headers": [(b"x-user", b"ann")]}
        await app(scope, receive, send)
        return sent

    assert [each["type"] for each in await connect("/basic_chat")] == [
        "websocket.accept", "websocket.send", "websocket.close",
    ]  # fmt: skip
    (refused,) = await connect("/admin_all")
    assert (refused["type"], refused["code"]) == ("websocket.close", 1008)
    assert "upgrade to pro" in refused["reason"]
