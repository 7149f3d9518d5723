"""What the platform says of a whole app, and what its users may do then."""

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.in_process import application
from tests.integration.test_api_bad_input import assert_problem
from tests.processes import redis_server

APP = "app_abc123"
SYNC = f"/api/v1/entitlements/{APP}/sync"
POLICY = """
apiVersion: sidecar/v1
kind: Policy
metadata: {name: test}
mode: enforce
defaults: {plan: free}
plans:
  free:
    name: Free
    plugins: ["basic_*"]
    features: {code_execution: true}
    limits:
      - {id: mine, meter: tokens, max: 5000000, window: month}
  starter_monthly:
    name: Starter
    extends: free
    plugins: {allow: ["*"], deny: ["admin_*"]}
    features: {"*": true}
"""
MANIFEST: dict[str, Any] = {
    "version": "1.0",
    "app_id": APP,
    "tenant_id": "tenant_xyz",
    "plan": {
        "id": "starter_monthly",
        "name": "Starter",
        "tier": "starter",
        "billing_period": "monthly",
        "expires_at": None,
    },
    "token_budget": {
        "period": "monthly",
        "total_tokens": {"limit": 1_000_000, "used": 0, "enforcement": "soft"},
        "per_model_limits": {
            "gpt-4": {"limit": 100_000, "used": 0, "enforcement": "hard"},
            "gpt-3.5-turbo": {"limit": 900_000, "enforcement": "warn"},
        },
        "rollover": False,
        "burst_allowance": 10,
    },
    "features": {"streaming": True, "code_execution": False},
    "rate_limits": {"requests_per_minute": 60, "concurrent_workflows": 5},
    "plugins": {
        "allowed": [],
        "blocked": ["scraper", "crypto_*"],
        "per_plugin_limits": {"web_search": {"calls_per_period": 2, "period": "daily"}},
    },
}
WARNED = ("warn", 200)
ALLOWED = ("allow", 200)
TABLE: list[tuple[str, dict[str, Any], dict[str, Any], tuple[str, int], list[str]]] = [
    # what it is, what was used before, what is asked, effect and status, ids of the reasons
    ("little of anything", {}, {"estimated_tokens": 500}, ALLOWED, []),
    ("just below the budget", {"any": 999_000}, {"estimated_tokens": 999}, ALLOWED, []),
    ("the whole budget", {"any": 999_000}, {"estimated_tokens": 1_000}, WARNED, ["tokens"]),
    ("the whole burst", {"any": 1_099_000}, {"estimated_tokens": 1_000}, WARNED, ["tokens"]),
    ("beyond the burst, softly", {"any": 1_099_000}, {"estimated_tokens": 1_001}, WARNED,
     ["tokens"]),
    ("little of a model", {}, {"model": "gpt-4", "estimated_tokens": 500}, ALLOWED, []),
    ("the whole of a model", {"gpt-4": 99_000}, {"model": "gpt-4", "estimated_tokens": 1_000},
     WARNED, ["model-gpt-4"]),
    ("the burst of a model", {"gpt-4": 109_000}, {"model": "gpt-4", "estimated_tokens": 1_000},
     WARNED, ["model-gpt-4"]),
    ("beyond the burst of a model", {"gpt-4": 109_000},
     {"model": "gpt-4", "estimated_tokens": 1_001}, ("deny", 402), ["model-gpt-4"]),
    ("another model then", {"gpt-4": 110_000}, {"model": "gpt-4o", "estimated_tokens": 1_000},
     ALLOWED, []),
    ("a model that only warns", {"gpt-3.5-turbo": 950_000},
     {"model": "gpt-3.5-turbo", "estimated_tokens": 1_000}, WARNED, ["model-gpt-3.5-turbo"]),
    ("both at once", {"gpt-4": 110_000, "any": 990_000},
     {"model": "gpt-4", "estimated_tokens": 1}, ("deny", 402), ["model-gpt-4", "tokens"]),
    ("the sixtieth request of a minute", {"requests": 59}, {}, ALLOWED, []),
    ("one more", {"requests": 60}, {}, ("deny", 429), ["requests-per-minute"]),
    ("the fifth at once", {"running": 4}, {"reserve": True}, ALLOWED, []),
    ("the sixth at once", {"running": 5}, {"reserve": True}, ("deny", 429), ["concurrency"]),
    ("a blocked plugin", {}, {"plugin": "scraper"}, ("deny", 402), ["starter_monthly.plugins"]),
    ("a plugin that the plan denies", {}, {"plugin": "admin_users"}, ("deny", 402),
     ["starter_monthly.plugins"]),
    ("a plugin that was called too often", {"plugin": 2}, {"plugin": "web_search"},
     ("deny", 402), ["plugin-web_search"]),
    ("a feature that is switched off", {}, {"feature": "code_execution"}, ("deny", 402),
     ["starter_monthly.features"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The address of a real redis-server."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture(params=["sqlite", "redis"])
async def client(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """Two plans over each store, empty."""
    store = "sqlite://"
    if request.param == "redis":
        store = request.getfixturevalue("redis_url")
    (tmp_path / "policy.yaml").write_text(POLICY)
    settings: dict[str, Any] = {"sidecar_store": store, "sidecar_store_timeout_ms": 5_000}
    async with application(tmp_path, **settings) as client:
        yield client


def manifest(**parts: Any) -> dict[str, Any]:
    return copy.deepcopy(MANIFEST) | parts


async def push(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(f"/api/v1/entitlements/{body['app_id']}/sync", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def check(
    client: httpx.AsyncClient, app: str = APP, user: str = "ann", **asked: Any
) -> dict[str, Any]:
    answer = await client.post("/v1/check", json={"app_id": app, "user_id": user, **asked})
    assert answer.status_code == answer.json()["status"]
    return dict(answer.json())


async def use(client: httpx.AsyncClient, app: str = APP, user: str = "eve", **used: Any) -> None:
    answer = await client.post("/v1/usage", json={"app_id": app, "user_id": user, **used})
    assert answer.json()["accepted"] == 1, answer.text


async def limits(client: httpx.AsyncClient, app: str = APP) -> dict[str, dict[str, Any]]:
    answer = await client.get("/v1/entitlements", params={"app_id": app, "user_id": "ann"})
    return {limit["id"]: limit for limit in answer.json()["limits"]}


async def bring_about(client: httpx.AsyncClient, app: str, before: dict[str, Any]) -> None:
    """Use what others are to have used, told a request at a time where requests count."""
    for what, amount in before.items():
        match what:
            case "any":
                await use(client, app, total_tokens=amount)
            case "requests":
                for _ in range(amount):
                    await use(client, app, total_tokens=0, event_id=f"{app}-{_}")
            case "running":
                for number in range(amount):
                    await check(client, app, f"user-{number}", reserve=True)
            case "plugin":
                for number in range(amount):
                    await use(client, app, plugin="web_search", event_id=f"{app}-{number}")
            case model:
                await use(client, app, model_name=model, total_tokens=amount)


async def test_the_platforms_manifest_gives_the_answers_of_the_table(
    client: httpx.AsyncClient,
) -> None:
    assert len(TABLE) == 20
    answers = []
    for number, (name, before, asked, _, _) in enumerate(TABLE):
        app = f"app-{number}"
        synced = await push(client, manifest(app_id=app))
        assert (synced["status"], synced["warnings"]) == ("synced", [])
        await bring_about(client, app, before)
        answer = await check(client, app, **asked)
        ids = [reason["id"].removeprefix("manifest-") for reason in answer["reasons"]]
        answers.append((name, (answer["effect"], answer["status"]), ids))

    assert answers == [(name, said, ids) for name, _, _, said, ids in TABLE]
