"""Secrets are planted wherever there are some, everything goes wrong, and nothing tells them.

Searched are the log with every logger at its most talkative, every answer with its headers, the
record of decisions, tracebacks, and what every object of ours says of itself.
"""

import base64
import gc
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from sidecar.adapters.payments.gateway import GatewayPayments
from sidecar.api.endpoint import Call
from sidecar.bootstrap.server import create_app
from sidecar.settings import Settings
from tests.listening import listening
from tests.processes import ROOT, free_port, redis_server

HOOK = base64.b64encode(b"planted-webhook-secret-0123456789").decode()
PLANTED = {
    "runtime key": "planted-runtime-key",
    "runtime key, the one before": "planted-older-runtime-key",
    "internal key": "planted-internal-key",
    "read key": "planted-read-key",
    "wrong key": "planted-wrong-key",
    "app key": "planted-app-key",
    "control plane key": "planted-control-plane-key",
    "control plane password": "planted-control-plane-password",
    "store password": "planted-store-password",
    "webhook secret": HOOK,
    "webhook secret, decoded": "planted-webhook-secret",
    "portal secret": "planted-portal-secret-0123456789",
    "token of a user": "eyJhbGciOi.planted-user-token.c2ln",
    "hidden attribute": "planted-attribute",
    "hidden metadata": "planted-metadata",
}
RUNTIME = {"Authorization": f"Bearer {PLANTED['runtime key']}"}
INTERNAL = {"X-Internal-API-Key": PLANTED["internal key"]}
READ = {"Authorization": f"Bearer {PLANTED['read key']}"}
USER = INTERNAL | {"Authorization": f"Bearer {PLANTED['token of a user']}"}
BROWSER = {"Authorization": f"Bearer {PLANTED['token of a user']}"}
WRONG = {"Authorization": f"Bearer {PLANTED['wrong key']}"}
WHO = {"app_id": "a", "user_id": "u"}
ASK = {
    "app_id": "a",
    "user_id": "u",
    "plugin": "pro_tool",
    "attributes": {"api_key": PLANTED["hidden attribute"]},
}
SYNC = {
    "userId": "u",
    "plan": "free",
    "status": "active",
    "metadata": {"secret": PLANTED["hidden metadata"]},
}


_FRAMING = ("content-length", "transfer-encoding", "connection", "host", "content-encoding")


async def _hostile(request: Request) -> JSONResponse:
    """Another server that says back all it was told, and fails."""
    told = {name: request.headers[name] for name in request.headers if name not in _FRAMING}
    return JSONResponse({"error": told, "body": (await request.body()).decode()}, 500, headers=told)


@asynccontextmanager
async def hostile() -> AsyncIterator[str]:
    routes = [Route("/{path:path}", _hostile, methods=["GET", "POST"])]
    async with listening(Starlette(routes=routes)) as url:
        yield url


@pytest.fixture
def talkative() -> Iterator[None]:
    """What is set at its most talkative here is as it was afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    for name in logging.root.manager.loggerDict:
        logging.getLogger(name).setLevel(logging.NOTSET)


def let_all_talk() -> None:
    for name in ("", *logging.root.manager.loggerDict):
        logging.getLogger(name).setLevel(logging.DEBUG)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))


def settings(store: str, other: str, folder: Path) -> Settings:
    return Settings.model_validate(
        {
            "sidecar_policies": ROOT / "policies/platform",
            "sidecar_store": store,
            "sidecar_store_timeout_ms": 500,
            "sidecar_runtime_keys": f"{PLANTED['runtime key']},"
            f"{PLANTED['runtime key, the one before']}",
            "internal_api_keys": PLANTED["internal key"],
            "sidecar_read_keys": PLANTED["read key"],
            "sidecar_portal_secret": PLANTED["portal secret"],
            "mozaiks_app_key": PLANTED["app key"],
            "mozaiks_gateway_url": other,
            "subscription_api_url": f"{other}/{{app_id}}/{{user_id}}",
            "sidecar_webhook_url": f"{other}/hook",
            "sidecar_webhook_secret": f"whsec_{HOOK}",
            "control_plane_usage_ingest_enabled": True,
            "control_plane_usage_ingest_url": other.replace(
                "://", f"://us:{PLANTED['control plane password']}@"
            ),
            "control_plane_usage_ingest_key": PLANTED["control plane key"],
            "sidecar_decision_log": folder / "log",
        }
    )


CALLS = [
    *[
        ("POST", path, ASK, headers)
        for path in ("/v1/check", "/v1/explain", "/access/v1/evaluation")
        for headers in (RUNTIME, WRONG, READ, {})
    ],
    ("POST", "/api/internal/subscription/sync", SYNC, INTERNAL),
    ("POST", "/api/internal/subscription/sync", SYNC, RUNTIME),
    ("POST", "/v1/check", ASK, RUNTIME),
    ("POST", "/v1/checkout", {"app_id": "a", "user_id": "u", "plan": "pro"}, USER),
    ("POST", "/v1/checkout/cancel", {"app_id": "a", "user_id": "u"}, USER),
    ("POST", "/v1/usage", {"app_id": "a", "user_id": "u", "total_tokens": 5}, RUNTIME),
    ("POST", "/v1/policies/reload", {}, INTERNAL),
    *[
        ("GET", path, None, headers)
        for path in ("/v1/me/usage", "/v1/me/entitlements", "/portal/view")
        for headers in (BROWSER, RUNTIME, READ, WRONG)
    ],
    *[
        ("GET", path, None, headers)
        for path in (
            "/v1/entitlements?app_id=a&user_id=u", "/v1/decisions", "/v1/policies", "/v1/status",
            "/v1/subscriptions/a/u", "/v1/usage?app_id=a", "/readyz", "/healthz", "/metrics",
            "/nowhere", "/v1/outbox", "/v1/usage/export",
        )
        for headers in (RUNTIME, INTERNAL, READ, WRONG)
    ],
]  # fmt: skip


def told_by(answer: httpx.Response) -> str:
    return f"{answer.headers.raw!r} {answer.text}"


def told_by_objects() -> Iterator[str]:
    """What every living object of ours says of itself."""
    for each in gc.get_objects():
        if type(each).__module__.startswith("sidecar"):
            yield f"{type(each).__qualname__}: {each!r}"


def assert_untold(where: str, said: str) -> None:
    for name, secret in PLANTED.items():
        at = said.find(secret)
        assert at < 0, f"{where} tells the {name}: …{said[max(0, at - 200) : at + 80]}…"


def assert_shown_to_whoever_may(said: str) -> str:
    """An answer to whoever may see metadata and attributes may show them; nothing else."""
    for name in ("hidden metadata", "hidden attribute"):
        said = said.replace(PLANTED[name], "")
    return said


async def ask_as_a_user(client: httpx.AsyncClient) -> str:
    """A token that holds, with which everything of its user was asked for."""
    given = await client.post("/v1/portal-tokens", json=WHO, headers=RUNTIME)
    token = str(given.json()["token"])
    mine = ("/v1/me/usage", "/v1/me/entitlements", "/portal/view")
    for path in (*mine, *(f"{each}?token={token}" for each in mine), f"/portal?token={token}"):
        await client.get(path, headers={"Authorization": f"Bearer {token}"})
    await client.get("/v1/usage?app_id=a", headers={"Authorization": f"Bearer {token}"})
    return token


async def plant(store: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], str]:
    """What was answered while everything else went wrong; objects are looked at on the way.

    A user's token that holds stands beside it.
    """
    answers = []
    async with hostile() as other:
        app = create_app(settings(store, other, folder), "json")
        let_all_talk()
        async with app.router.lifespan_context(app):
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://sidecar") as client:
                for method, path, body, headers in CALLS:
                    answer = await client.request(method, path, json=body, headers=headers)
                    answers.append(told_by(answer))
                token = await ask_as_a_user(client)
                for said in told_by_objects():
                    assert_untold("an object", said)
                    assert token not in said

                def crash(self: GatewayPayments, *_: object, **__: object) -> None:
                    raise RuntimeError("a defect")

                monkeypatch.setattr(GatewayPayments, "checkout", crash)
                body = {"app_id": "a", "user_id": "u", "plan": "pro"}
                crashed = await client.post("/v1/checkout", json=body, headers=USER)
                assert crashed.status_code == 500
                answers.append(told_by(crashed))
    return answers, token


async def test_nothing_tells_a_secret_while_the_store_answers(
    tmp_path: Path,
    talkative: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "redis").mkdir()
    with redis_server(tmp_path / "redis") as server:
        server.command("CONFIG", "SET", "requirepass", PLANTED["store password"])
        store = f"unix://:{PLANTED['store password']}@{server.socket}"
        answers, token = await plant(store, tmp_path, monkeypatch)

    written = "".join(file.read_text() for file in (tmp_path / "log").iterdir())
    log = "".join(capfd.readouterr())
    assert len(written.splitlines()) >= 2
    assert "Traceback" in log
    assert "a defect" in log
    for said in answers:
        assert_untold("an answer", assert_shown_to_whoever_may(said))
    assert_untold("the record of decisions", written)
    assert_untold("the log", log)
    assert token not in log + written


async def test_nothing_tells_a_secret_while_the_store_is_gone(
    tmp_path: Path,
    talkative: None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    store = f"redis://user:{PLANTED['store password']}@127.0.0.1:{free_port()}/0"
    answers, token = await plant(store, tmp_path, monkeypatch)

    for said in answers:
        assert_untold("an answer", assert_shown_to_whoever_may(said))
    written = "".join(file.read_text() for file in (tmp_path / "log").iterdir())
    assert_untold("the record of decisions", written)
    log = "".join(capfd.readouterr())
    assert_untold("the log", log)
    assert token not in log + written


def test_what_lives_for_one_request_tells_no_secret_either(tmp_path: Path) -> None:
    headers = {b"authorization": RUNTIME["Authorization"].encode()}
    call = Call({}, {}, b'{"attributes": {"api_key": "planted-attribute"}}', headers)

    assert_untold("a call", repr(call))
    given = settings("redis://:planted-store-password@h/0", "http://127.0.0.1:1", tmp_path)
    assert_untold("settings", f"{given!r} {given}")
