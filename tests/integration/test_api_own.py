"""What a user is shown: what is its own, whatever else is asked."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.in_process import application
from tests.issuing import identity_provider, token
from tests.processes import ROOT, redis_server

KEYS: dict[str, Any] = {
    "sidecar_runtime_keys": "run-1", "internal_api_keys": "int-1", "sidecar_read_keys": "read-1",
}  # fmt: skip
RUNTIME = {"Authorization": "Bearer run-1"}
INTERNAL = {"X-Internal-API-Key": "int-1"}
PRICES: dict[str, Any] = {"sidecar_prices": ROOT / "policies/prices/example.yaml"}


@pytest.fixture(params=["sqlite", "redis"])
async def client(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """Ann and Bob of one app have used something, on either store."""
    shop = {
        "sidecar_upgrade_url": "https://shop.example/{app_id}/{user_id}/{plan}",
        "sidecar_top_up_url": "https://shop.example/{user_id}/more/{limit}",
    }
    settings: dict[str, Any] = {**KEYS, **PRICES, **shop, "sidecar_store_timeout_ms": 5_000}
    if request.param == "redis":
        with redis_server(tmp_path) as server:
            async with application(sidecar_store=server.url, **settings) as found:
                await use(found)
                yield found
    else:
        async with application(**settings) as found:
            await use(found)
            yield found


async def use(client: httpx.AsyncClient) -> None:
    """Ann used 300 tokens in two workflows, and Bob 5,000 of a model that only he has."""
    events = [
        {"user_id": "ann", "workflow_name": "support", "model_name": "gpt-4o", "total_tokens": 100},
        {"user_id": "ann", "workflow_name": "search", "model_name": "gpt-4o", "total_tokens": 200},
        {"user_id": "bob", "workflow_name": "secret", "model_name": "bobs-model",
         "total_tokens": 5_000},
    ]  # fmt: skip
    for number, event in enumerate(events):
        body = {"app_id": "acme", "event_id": f"e-{number}", **event}
        assert (await client.post("/v1/usage", json=body, headers=RUNTIME)).status_code == 202
    subscribed = {
        "userId": "ann", "appId": "acme", "plan": "free", "status": "active",
        "stripeSubscriptionId": "sub_secret", "metadata": {"risk": "watch her"},
    }  # fmt: skip
    synced = await client.post("/api/internal/subscription/sync", json=subscribed, headers=INTERNAL)
    assert synced.status_code == 200


async def let_in(client: httpx.AsyncClient, user_id: str, **more: object) -> dict[str, str]:
    """The headers of a user's browser."""
    body = {"app_id": "acme", "user_id": user_id, **more}
    given = await client.post("/v1/portal-tokens", json=body, headers=RUNTIME)
    assert given.status_code == 201, given.text
    return {"Authorization": f"Bearer {given.json()['token']}"}


async def test_a_user_sees_what_it_used_and_nothing_of_anybody_else(
    client: httpx.AsyncClient,
) -> None:
    ann, bob = await let_in(client, "ann"), await let_in(client, "bob")
    asked = {"group_by": "workflow,model", "granularity": "day"}
    hers = await client.get("/v1/me/usage", params=asked, headers=ann)
    his = await client.get("/v1/me/usage", params=asked, headers=bob)

    used = {(row["workflow"], row["model"]): row["total_tokens"] for row in hers.json()["series"]}
    assert used == {("support", "gpt-4o"): 100, ("search", "gpt-4o"): 200}
    assert hers.json()["totals"]["total_tokens"] == 300
    assert hers.json()["totals"]["estimated_cost"] is not None
    assert (hers.json()["app_id"], hers.json()["user_id"]) == ("acme", "ann")
    assert "bob" not in hers.text
    assert his.json()["totals"]["total_tokens"] == 5_000
    assert "ann" not in his.text


async def test_it_is_what_a_reader_would_be_shown_of_that_user(client: httpx.AsyncClient) -> None:
    asked = {"group_by": "model", "granularity": "day"}
    own = await client.get("/v1/me/usage", params=asked, headers=await let_in(client, "ann"))
    whose = {"app_id": "acme", "user_id": "ann"}
    read = await client.get(
        "/v1/usage", params=asked | whose, headers={"Authorization": "Bearer read-1"}
    )

    assert own.json() == read.json()


async def test_a_user_sees_its_plan_what_is_left_and_where_there_is_more(
    client: httpx.AsyncClient,
) -> None:
    own = await client.get("/v1/me/entitlements", headers=await let_in(client, "ann"))
    body = own.json()
    month = next(each for each in body["limits"] if each["window"] == "billing_month")

    assert (body["plan"], body["subscription"]["status"]) == ("free", "active")
    assert (month["limit"], month["used"], month["remaining"]) == (10_000, 300, 9_700)
    assert body["remedies"] == [
        {"type": "upgrade", "plan": "pro", "url": "https://shop.example/acme/ann/pro"},
        {"type": "top_up", "limit": month["id"],
         "url": f"https://shop.example/ann/more/{month['id']}"},
    ]  # fmt: skip
    assert own.headers["cache-control"] == "no-store"


async def test_what_the_billing_side_notes_for_itself_is_not_shown(
    client: httpx.AsyncClient,
) -> None:
    own = await client.get("/v1/me/entitlements", headers=await let_in(client, "ann"))

    assert "watch her" not in own.text
    assert "sub_secret" not in own.text


async def test_a_limit_that_users_share_tells_none_of_them_what_the_others_used(
    client: httpx.AsyncClient,
) -> None:
    manifest = {
        "version": "1.0", "app_id": "acme", "plan": {"id": "free"},
        "token_budget": {
            "period": "monthly",
            "total_tokens": {"limit": 777_777, "used": 0, "enforcement": "hard"}
        },
    }  # fmt: skip
    synced = await client.post("/api/v1/entitlements/acme/sync", json=manifest, headers=INTERNAL)
    own = await client.get("/v1/me/entitlements", headers=await let_in(client, "ann"))
    read = await client.get(
        "/v1/entitlements", params={"app_id": "acme", "user_id": "ann"}, headers=RUNTIME
    )

    assert synced.status_code == 200, synced.text
    assert "777777" in read.text
    assert "777777" not in own.text
    assert all("user" in limit["per"] for limit in own.json()["limits"])


@pytest.mark.parametrize("path", ["/v1/me/usage", "/v1/me/entitlements"])
@pytest.mark.parametrize("name", ["user_id", "app_id", "tenant_id", "userId", "sub", "token"])
async def test_no_parameter_names_somebody_else(
    path: str, name: str, client: httpx.AsyncClient
) -> None:
    answer = await client.get(path, params={name: "bob"}, headers=await let_in(client, "ann"))

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [name]


@pytest.mark.parametrize("path", ["/v1/me/usage", "/v1/me/entitlements"])
async def test_a_key_is_no_user(path: str, client: httpx.AsyncClient) -> None:
    for key in ("run-1", "int-1", "read-1"):
        for headers in ({"Authorization": f"Bearer {key}"}, {"X-Internal-API-Key": key}):
            answer = await client.get(path, headers=headers)
            assert answer.status_code == 403
            assert answer.json()["title"] == "A key is no user"
    with_both = await let_in(client, "ann") | INTERNAL
    assert (await client.get(path, headers=with_both)).status_code == 403


async def test_a_token_of_a_user_opens_nothing_else(client: httpx.AsyncClient) -> None:
    ann, who = await let_in(client, "ann"), {"app_id": "acme", "user_id": "ann"}
    for path in ("/v1/entitlements", "/v1/usage", "/v1/decisions", "/v1/status"):
        assert (await client.get(path, params=who, headers=ann)).status_code == 401
    for path in ("/v1/check", "/v1/portal-tokens"):
        assert (await client.post(path, json=who, headers=ann)).status_code == 401


async def test_a_token_says_until_when_it_holds_and_where_the_page_is() -> None:
    async with application(sidecar_portal_url="https://usage.acme.example/portal") as client:
        before = datetime.now(UTC).replace(microsecond=0)
        body = {"app_id": "acme", "user_id": "ann", "ttl_s": 60}
        given = (await client.post("/v1/portal-tokens", json=body)).json()
        expires_at = datetime.fromisoformat(given["expires_at"])

    assert given["url"] == f"https://usage.acme.example/portal#token={given['token']}"
    assert timedelta(seconds=60) <= expires_at - before <= timedelta(seconds=80)
    assert len(given["token"]) < 320


async def test_a_token_without_a_page_that_browsers_reach_is_told_once_in_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with application() as client:
        for _ in range(2):
            body = {"app_id": "acme", "user_id": "ann"}
            given = (await client.post("/v1/portal-tokens", json=body)).json()

    assert given["url"] == f"/portal#token={given['token']}"
    assert capsys.readouterr().err.count("portal_url_unset") == 1


@pytest.mark.parametrize(
    "more", [{"ttl_s": 3_601}, {"ttl_s": 0}, {"ttl_s": "60"}, {"user_id": ""}, {"role": "read"}]
)
async def test_a_token_is_for_one_user_and_an_hour_at_most(more: dict[str, object]) -> None:
    async with application() as client:
        body = {"app_id": "acme", "user_id": "ann"} | more
        assert (await client.post("/v1/portal-tokens", json=body)).status_code == 422


async def test_names_of_any_characters_are_whose_they_are() -> None:
    async with application() as client:
        names = ["bob:user=ann", "ann\u0000", "ann ", "Ann", "änn", "ann#", "💡", "u" * 256]
        for name in names:
            answer = await client.get("/v1/me/usage", headers=await let_in(client, name))
            assert answer.json()["user_id"] == name


async def test_a_token_is_taken_by_every_replica_and_as_long_as_its_key_is_listed() -> None:
    body = {"app_id": "acme", "user_id": "ann"}

    async def statuses(token: str, **settings: Any) -> int:
        async with application(**settings) as client:
            headers = {"Authorization": f"Bearer {token}"}
            return (await client.get("/v1/me/usage", headers=headers)).status_code

    async def given(headers: dict[str, str], **settings: Any) -> str:
        async with application(**settings) as client:
            answer = await client.post("/v1/portal-tokens", json=body, headers=headers)
            return str(answer.json()["token"])

    by_internal = await given(RUNTIME, **KEYS)
    by_runtime = await given({"Authorization": "Bearer a"}, sidecar_runtime_keys="a,b")
    secret, other = "s" * 32, "t" * 32
    by_secret = await given(RUNTIME, **KEYS, sidecar_portal_secret=f"{secret},{other}")
    by_nothing = await given({})

    assert await statuses(by_internal, **KEYS) == 200
    assert await statuses(by_internal, internal_api_keys="int-2,int-1") == 200
    assert await statuses(by_internal, internal_api_keys="int-2") == 401
    assert await statuses(by_internal, **KEYS, sidecar_portal_secret=secret) == 401
    assert await statuses(by_runtime, sidecar_runtime_keys="b,a") == 200
    assert await statuses(by_runtime, sidecar_runtime_keys="b") == 401
    assert await statuses(by_secret, **KEYS, sidecar_portal_secret=f"{other},{secret}") == 200
    assert await statuses(by_secret, **KEYS, sidecar_portal_secret=other) == 401
    assert await statuses(by_secret, **KEYS) == 401
    assert await statuses(by_nothing) == 401


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [("rsa-1", "RS256"), ("rsa-1", "PS256"), ("ec-1", "ES256"), ("ed-1", "EdDSA")],
)
async def test_users_may_come_with_the_tokens_of_the_app(key: str, algorithm: str) -> None:
    async with (
        identity_provider("rsa-1", "ec-1", "ed-1") as provider,
        application(**KEYS, **provider.settings) as client,
    ):
        brought = {"Authorization": f"Bearer {token(key, algorithm)}"}
        own = await client.get("/v1/me/usage", headers=brought)
        portal = await client.get("/v1/me/usage", headers=await let_in(client, "bob"))

    assert (own.status_code, own.json()["app_id"], own.json()["user_id"]) == (200, "acme", "ann")
    assert portal.json()["user_id"] == "bob"


async def test_who_is_meant_stands_under_the_names_that_are_set() -> None:
    names: dict[str, Any] = {
        "sidecar_jwt_app_claim": "https://acme.example/app", "sidecar_jwt_user_claim": "uid",
        "sidecar_jwt_tenant_claim": "org", "sidecar_jwt_audience": "other, acme-web",
    }  # fmt: skip
    told: dict[str, Any] = {"https://acme.example/app": "shop", "uid": "u-7", "org": "t-1"}
    async with (
        identity_provider() as provider,
        application(**(provider.settings | names)) as client,
    ):
        brought = {"Authorization": f"Bearer {token(**told)}"}
        own = await client.get("/v1/me/usage", headers=brought)
        without = {"Authorization": f"Bearer {token()}"}
        refused = await client.get("/v1/me/usage", headers=without)

    assert (own.json()["app_id"], own.json()["user_id"]) == ("shop", "u-7")
    assert refused.status_code == 401
