"""Who may call what: the table of roles, key by key."""

from typing import Any

import httpx
import pytest

from tests.in_process import application

KEYS = {
    "sidecar_runtime_keys": "run-1, run-2",
    "internal_api_keys": "int-1",
    "sidecar_read_keys": "read-1",
}
WHO = {"app_id": "a", "user_id": "u"}
SYNC = {"userId": "u", "plan": "pro", "status": "active"}
RUNTIME_PATHS = [
    ("POST", "/v1/check", WHO),
    ("POST", "/v1/checks", {"checks": [WHO]}),
    ("POST", "/v1/usage", WHO),
    ("POST", "/v1/usage/summary", WHO | {"chat_id": "c"}),
    ("POST", "/v1/reservations/res_YQ.x/commit", {"total_tokens": 1}),
    ("POST", "/v1/reservations/res_YQ.x/release", {}),
    ("POST", "/v1/reservations/res_YQ.x/extend", {}),
    ("POST", "/v1/checkout", WHO | {"plan": "pro"}),
    ("POST", "/v1/checkout/cancel", WHO),
    ("POST", "/v1/portal-tokens", WHO),
    ("POST", "/access/v1/evaluation", {}),
    ("POST", "/access/v1/evaluations", {}),
]
READ_PATHS = [
    ("POST", "/v1/explain", WHO),
    ("GET", "/v1/entitlements?app_id=a&user_id=u", None),
    ("GET", "/v1/subscriptions/a/u", None),
]
GRANT = {"grantId": "g", "userId": "u", "appId": "a", "meter": "tokens", "amount": 1}
WALLET = {
    "userId": "u", "appId": "a", "balance": 1, "currency": "USD", "asOf": "2026-05-05T00:00:00Z",
}  # fmt: skip
MANIFEST = {"version": "1.0", "app_id": "a", "plan": {"id": "pro"}}
REPORT_PATHS = [
    ("GET", "/v1/subscriptions/a/u?history=true", None),
    ("GET", "/v1/usage?app_id=a", None),
    ("GET", "/v1/usage/periods?app_id=a", None),
    ("GET", "/v1/status", None),
    ("GET", "/v1/usage/export", None),
    ("GET", "/dashboard", None),
    ("GET", "/dashboard/app?app_id=a", None),
    ("GET", "/dashboard/app.csv?app_id=a&table=closest", None),
]
INTERNAL_PATHS = [
    ("POST", "/api/internal/subscription/sync", SYNC),
    ("POST", "/api/internal/grants/sync", GRANT),
    ("POST", "/api/internal/wallet/sync", WALLET),
    ("POST", "/api/v1/entitlements/a/sync", MANIFEST),
    ("GET", "/v1/outbox", None),
    ("POST", "/v1/outbox/evt_YQ.1/retry", {}),
    ("POST", "/v1/outbox/evt_YQ.1/drop", {}),
]
TABLE = [
    *[(call, {"run-1", "run-2", "int-1"}) for call in RUNTIME_PATHS],
    *[(call, {"run-1", "run-2", "int-1", "read-1"}) for call in READ_PATHS],
    *[(call, {"int-1", "read-1"}) for call in REPORT_PATHS],
    *[(call, {"int-1"}) for call in INTERNAL_PATHS],
]


async def call(
    client: httpx.AsyncClient, request: tuple[str, str, object], headers: dict[str, str]
) -> int:
    method, path, body = request
    content = {} if body is None else {"json": body}
    return (await client.request(method, path, headers=headers, **content)).status_code  # type: ignore[arg-type] # json or nothing


def named(value: object) -> str:
    """The same in every process: keys of a set have no order of their own."""
    return ",".join(sorted(map(str, value))) if isinstance(value, set) else str(value)[:60]


@pytest.mark.parametrize(("request_", "allowed"), TABLE, ids=named)
async def test_each_path_takes_the_keys_of_its_roles_and_no_others(
    request_: tuple[str, str, object], allowed: set[str]
) -> None:
    async with application(**KEYS) as client:
        for key in ("run-1", "run-2", "int-1", "read-1"):
            status = await call(client, request_, {"Authorization": f"Bearer {key}"})
            assert (status == 403) is (key not in allowed)
            assert status != 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic run-1"},
        {"Authorization": "run-1"},
        {"X-Internal-API-Key": ""},
        {"X-Internal-API-Key": "wrong", "Authorization": "Bearer run-1"},
        {"Authorization": "Bearer run-1, run-2"},
    ],
)
async def test_a_wrong_key_is_401_and_says_how_to_give_a_right_one(
    headers: dict[str, str],
) -> None:
    async with application(**KEYS) as client:
        answer = await client.post("/v1/check", json=WHO, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


async def test_either_header_carries_a_key() -> None:
    async with application(**KEYS) as client:
        for headers in ({"X-Internal-API-Key": "run-2"}, {"Authorization": "bearer run-2"}):
            assert (await client.post("/v1/check", json=WHO, headers=headers)).status_code == 200


async def test_a_refused_sync_changes_nothing() -> None:
    async with application(**KEYS) as client:
        reader = {"Authorization": "Bearer read-1"}
        refused = await client.post("/api/internal/subscription/sync", json=SYNC, headers=reader)
        state = await client.get("/v1/subscriptions/a/u", headers=reader)

    assert refused.status_code == 403
    assert state.json()["status"] == "none"


async def test_health_and_metrics_need_no_key() -> None:
    async with application(**KEYS) as client:
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json()["status"] == "ready"


async def test_without_any_key_everybody_may_do_everything() -> None:
    async with application() as client:
        assert (await client.post("/v1/check", json=WHO)).status_code == 200
        synced = await client.post("/api/internal/subscription/sync", json=SYNC)
        assert synced.status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 200),
        ("http://127.0.0.1:8377", 200),
        ("https://[::1]", 200),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("http://127.0.0.1.evil.example", 403),
        ("http://evil.example:8377", 403),
        ("null", 403),
        ("", 403),
    ],
)
async def test_without_any_key_no_page_of_another_site_may_do_anything(
    origin: str, status: int
) -> None:
    async with application() as client:
        path, headers = "/api/internal/subscription/sync", {"Origin": origin}

        answer = await client.post(path, json=SYNC, headers=headers)

        assert answer.status_code == status


async def test_with_a_key_it_plays_no_part_where_a_page_is_from() -> None:
    async with application(**KEYS) as client:
        headers = {"Origin": "https://app.example", "Authorization": "Bearer run-1"}

        answer = await client.post("/v1/check", json=WHO, headers=headers)

        assert answer.status_code == 200


async def test_users_themselves_may_ask_through_whatever_page_where_there_are_keys() -> None:
    async with application(**KEYS) as client:
        token = await client.post(
            "/v1/portal-tokens", json=WHO, headers={"Authorization": "Bearer run-1"}
        )
        brought = {"Authorization": f"Bearer {token.json()['token']}"}

        answer = await client.get(
            "/v1/me/entitlements", headers=brought | {"Origin": "https://app.example"}
        )

        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LocalHost:8377", 200),
        ("127.0.0.1:8377", 200),
        ("127.1.2.3", 200),
        ("[::1]:8377", 200),
        ("evil.example", 403),
        ("evil.example:8377", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost:8377.evil.example", 403),
        ("localhost@evil.example", 403),
        ("192.0.2.7", 403),
        ("", 403),
    ],
)
async def test_without_any_key_the_server_answers_to_names_of_this_machine_alone(
    host: str, status: int
) -> None:
    async with application() as client:
        named = {"Host": host}
        for _ in range(2):
            told = await client.get("/v1/entitlements?app_id=a&user_id=u", headers=named)
            page = await client.get("/dashboard", headers=named)
            changed = await client.post("/api/internal/subscription/sync", json=SYNC, headers=named)

            assert {told.status_code, page.status_code, changed.status_code} == {status}
        # Another caller's name plays no part.
        assert (await client.post("/v1/check", json=WHO)).status_code == 200


async def test_a_refusal_of_a_name_says_where_to_add_it() -> None:
    async with application() as client:
        answer = await client.post("/v1/check", json=WHO, headers={"Host": "usage.internal"})

        assert answer.json()["detail"] == (
            "Without any key this server answers to localhost and loopback addresses, not to "
            "'usage.internal'. Add the name to SIDECAR_HOSTS, or configure a key."
        )


async def test_health_and_metrics_are_told_whatever_the_server_is_called() -> None:
    async with application() as client:
        for path in ("/healthz", "/readyz", "/metrics"):
            answer = await client.get(path, headers={"Host": "10.1.2.3:8377"})
            assert answer.status_code == 200


@pytest.mark.parametrize(
    "settings",
    [
        {"sidecar_hosts": "other, Usage.Internal"},
        {"sidecar_hosts": "*"},
        {"sidecar_insecure": True},
        KEYS,
    ],
    ids=named,
)
async def test_other_names_are_taken_where_they_are_set_or_everybody_is_let_in(
    settings: dict[str, Any],
) -> None:
    async with application(**settings) as client:
        headers = {"Host": "usage.internal:8377", "Authorization": "Bearer run-1"}

        assert (await client.post("/v1/check", json=WHO, headers=headers)).status_code == 200


async def test_hosts_that_are_set_hold_where_everybody_is_let_in_too() -> None:
    async with application(sidecar_insecure=True, sidecar_hosts="sidecar") as client:
        called = [
            await client.post("/v1/check", json=WHO, headers={"Host": host})
            for host in ("sidecar:8377", "localhost:8377", "evil.example:8377")
        ]

        assert [answer.status_code for answer in called] == [200, 200, 403]
