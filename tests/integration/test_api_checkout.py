"""Where a user goes to buy a plan, with the platform's gateway and without one."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sidecar.settings import Settings
from tests.in_process import application
from tests.listening import listening
from tests.processes import free_port

BUY = {"app_id": "acme", "user_id": "ann", "plan": "pro"}
WHO = {"app_id": "acme", "user_id": "ann"}
KEYS = {"sidecar_runtime_keys": "run-1"}
PAGE = {"checkoutUrl": "https://pay.example/s/1", "sessionId": "cs_1"}


@dataclass
class Gateway:
    """The platform's gateway: remembers what it was asked, answers what it is told to."""

    answer: Callable[[], Response] = lambda: JSONResponse(PAGE)
    asked: list[tuple[str, dict[str, str], object]] = field(default_factory=list)
    url: str = ""

    async def take(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.asked.append((request.url.path, dict(request.headers), body))
        return self.answer()


@asynccontextmanager
async def gateway(answer: Callable[[], Response] | None = None) -> AsyncIterator[Gateway]:
    """A gateway that listens."""
    found = Gateway() if answer is None else Gateway(answer)
    app = Starlette(routes=[Route("/{path:path}", found.take, methods=["POST"])])
    async with listening(app) as found.url:
        yield found


async def test_the_gateway_gives_the_page_and_gets_the_users_own_authorization() -> None:
    headers = {
        "X-Internal-API-Key": "run-1",
        "Authorization": "Bearer a.users.token",
        "X-Correlation-ID": "corr-1",
    }
    async with (
        gateway() as platform,
        application(
            mozaiks_gateway_url=platform.url, mozaiks_app_key="app-key-1", **KEYS
        ) as client,
    ):
        bought = await client.post("/v1/checkout", json=BUY, headers=headers)
        cancelled = await client.post("/v1/checkout/cancel", json=WHO, headers=headers)

    assert bought.json() == PAGE
    assert cancelled.status_code == 202
    (path, sent, body), (cancel_path, _, cancel_body) = platform.asked
    assert path == "/api/mozaiks/pay/checkout"
    assert body == {
        "scope": "app", "appId": "acme", "plan": "pro", "metadata": {"userId": "ann"},
    }  # fmt: skip
    assert sent["authorization"] == "Bearer a.users.token"
    assert sent["x-mozaiks-app-key"] == "app-key-1"
    assert sent["x-correlation-id"] == "corr-1"
    assert cancel_path == "/api/mozaiks/pay/cancel"
    assert cancel_body == {"scope": "app", "appId": "acme", "metadata": {"userId": "ann"}}


async def test_the_key_that_lets_the_caller_in_stays_here() -> None:
    async with (
        gateway() as platform,
        application(mozaiks_gateway_url=platform.url, **KEYS) as client,
    ):
        for headers in (
            {"Authorization": "Bearer run-1"},
            {"Authorization": "Bearer run-1", "X-Internal-API-Key": "run-1"},
        ):
            answer = await client.post("/v1/checkout", json=BUY, headers=headers)
            assert answer.status_code == 200

    assert len(platform.asked) == 2
    for _, sent, _ in platform.asked:
        assert "run-1" not in str(sent)
        assert "x-mozaiks-app-key" not in sent


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (lambda: JSONResponse({}, 403), 502, "payments_refused"),
        (lambda: JSONResponse({}, 404), 502, "payments_refused"),
        (lambda: JSONResponse({}, 500), 503, "payments_unavailable"),
        (lambda: JSONResponse({}, 429), 503, "payments_unavailable"),
        (lambda: JSONResponse({"checkoutUrl": 5}), 503, "payments_unavailable"),
        (lambda: Response("no JSON"), 503, "payments_unavailable"),
        (lambda: Response(b" " * (1 << 21)), 503, "payments_unavailable"),
        (
            lambda: Response(status_code=302, headers={"location": "/x"}),
            503,
            "payments_unavailable",
        ),
    ],
)
async def test_what_the_gateway_cannot_do_is_told_as_its_own_fault(
    answer: Callable[[], Response], status: int, code: str
) -> None:
    async with (
        gateway(answer) as platform,
        application(mozaiks_gateway_url=platform.url) as client,
    ):
        found = await client.post("/v1/checkout", json=BUY)

    assert found.status_code == status
    assert found.json()["type"].endswith(code)
    assert len(platform.asked) == 1


async def test_headers_are_handed_on_byte_for_byte() -> None:
    headers = {
        b"X-Internal-API-Key": b"run-1",
        b"Authorization": b"Bearer caf\xe9",
        b"X-Correlation-ID": b"\xe9",
    }
    async with (
        gateway() as platform,
        application(mozaiks_gateway_url=platform.url, **KEYS) as client,
    ):
        bought = await client.post("/v1/checkout", json=BUY, headers=headers)

    assert bought.status_code == 200
    sent = platform.asked[0][1]
    assert (sent["authorization"], sent["x-correlation-id"]) == ("Bearer caf\xe9", "\xe9")


async def test_a_key_that_cannot_be_a_header_is_not_told_to_callers() -> None:
    async with (
        gateway() as platform,
        application(
            mozaiks_gateway_url=platform.url, mozaiks_app_key="app-key-1\n", **KEYS
        ) as client,
    ):
        failed = await client.post(
            "/v1/checkout", json=BUY, headers={"X-Internal-API-Key": "run-1"}
        )

    assert failed.status_code == 503
    assert "app-key-1" not in failed.text


async def test_a_gateway_that_is_away_is_a_503_that_says_when_to_try_again() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    async with application(mozaiks_gateway_url=nobody) as client:
        answer = await client.post("/v1/checkout", json=BUY)

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"


async def test_without_a_gateway_users_are_sent_to_the_operators_page() -> None:
    page = "https://shop.example/{plan}?user={user_id}&app={app_id}"
    async with application(sidecar_upgrade_url=page) as client:
        answer = await client.post("/v1/checkout", json=BUY | {"user_id": "a b"})

    assert answer.json() == {
        "checkoutUrl": "https://shop.example/pro?user=a%20b&app=acme",
        "sessionId": None,
    }


async def test_where_nothing_is_sold_a_word_says_so() -> None:
    async with application() as client:
        bought = await client.post("/v1/checkout", json=BUY)
        cancelled = await client.post("/v1/checkout/cancel", json=WHO)

    assert bought.json()["checkoutUrl"] == "self_hosted_mode"
    assert cancelled.json() == {"status": "requested"}


async def test_a_plan_that_no_policy_knows_cannot_be_bought() -> None:
    async with application() as client:
        answer = await client.post("/v1/checkout", json=BUY | {"plan": "gold"})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"field": "plan", "message": "no policy knows the plan 'gold'"}
    ]


async def test_a_misspelt_field_is_told_with_the_one_that_was_meant() -> None:
    async with application() as client:
        bought = await client.post("/v1/checkout", json=BUY | {"plna": "pro"})
        cancelled = await client.post("/v1/checkout/cancel", json=WHO | {"usr_id": "ann"})

    assert "did you mean 'plan'?" in bought.json()["detail"]
    assert "did you mean 'user_id'?" in cancelled.json()["detail"]


@pytest.mark.parametrize("url", ["gateway.example", "ftp://x", "https://host/path", "https://h?q"])
def test_an_address_that_is_no_gateway_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ValueError, match="mozaiks_gateway_url"):
        Settings(mozaiks_gateway_url=url)
