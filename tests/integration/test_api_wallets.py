"""A balance that is kept elsewhere: told, held against, shown, never changed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidecar.errors import ConfigurationError
from tests.in_process import application
from tests.integration.test_webhooks import SECRET, receiver
from tests.listening import until
from tests.priced import PRICES, WALLET_POLICY
from tests.processes import redis_server

WHO = {"app_id": "a", "user_id": "u"}
START = datetime(2026, 5, 5, tzinfo=UTC)


def written(tmp_path: Path, policy: str = WALLET_POLICY) -> tuple[Path, Path]:
    """A directory of policies and a price file."""
    folder, prices = tmp_path / "policies", tmp_path / "prices.yaml"
    folder.mkdir(exist_ok=True)
    (folder / "policy.yaml").write_text(policy)
    prices.write_text(PRICES)
    return folder, prices


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    folder, prices = written(tmp_path)
    async with application(folder, sidecar_prices=prices) as client:
        yield client


def told(balance: int, at: datetime | None = None) -> dict[str, object]:
    as_of = (at or datetime.now(UTC)).isoformat()
    return {"userId": "u", "appId": "a", "balance": balance, "currency": "USD", "asOf": as_of}


async def tell(
    client: httpx.AsyncClient, balance: int, *, at: datetime | None = None
) -> dict[str, Any]:
    answer = await client.post("/api/internal/wallet/sync", json=told(balance, at))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def check(client: httpx.AsyncClient, tokens: int = 0, **asked: object) -> httpx.Response:
    body = WHO | {"estimated_tokens": tokens} | asked
    return await client.post("/v1/check", json=body)


async def hold(client: httpx.AsyncClient, tokens: int) -> str:
    answer = (await check(client, tokens, reserve=True)).json()
    return f"/v1/reservations/{answer['reservation']['id']}"


async def spend(client: httpx.AsyncClient, tokens: int) -> None:
    path = await hold(client, tokens)
    assert (await client.post(f"{path}/commit", json={"total_tokens": tokens})).is_success


async def wallet(client: httpx.AsyncClient) -> Any:
    return (await client.get("/v1/entitlements", params=WHO)).json()["wallet"]


async def test_who_has_no_balance_is_told_to_fill_it_up(client: httpx.AsyncClient) -> None:
    answer = await check(client)
    body = answer.json()

    assert answer.status_code == 402
    assert body["title"] == "The balance is too low"
    assert body["detail"] == "No balance is known of this wallet."
    assert [(it["code"], it["id"]) for it in body["reasons"]] == [
        ("insufficient_balance", "wallet")
    ]
    assert {"type": "top_up", "limit": "wallet", "url": None} in body["remedies"]
    assert {"type": "upgrade", "plan": "flat", "url": None} in body["remedies"]
    assert (body["retryable"], body["reservation"]) == (False, None)
    assert "Retry-After" not in answer.headers


async def test_the_top_up_carries_the_operators_address(tmp_path: Path) -> None:
    folder, prices = written(tmp_path)
    url = "https://shop/{user_id}?for={limit}"
    async with application(folder, sidecar_prices=prices, sidecar_top_up_url=url) as client:
        remedies = (await check(client)).json()["remedies"]
    assert remedies[1] == {"type": "top_up", "limit": "wallet", "url": "https://shop/u?for=wallet"}


async def test_a_balance_is_spent_by_what_runs_and_never_changed(
    client: httpx.AsyncClient,
) -> None:
    synced = await tell(client, 10_000)
    assert (synced["status"], synced["available"], synced["warnings"]) == ("synced", 10_000, [])
    await spend(client, 3_000)
    await hold(client, 2_000)

    found = await wallet(client)
    assert (found["balance"], found["spent"], found["held"]) == (10_000, 3_000, 2_000)
    assert (found["available"], found["currency"]) == (5_000, "USD")
    refused = await check(client, 5_001)
    assert refused.status_code == 402
    assert refused.json()["detail"] == (
        "The balance has 5,000 micro-units left of 10,000, 2,000 of the rest reserved, "
        "5,001 asked for."
    )
    assert (await check(client, 4_000)).json()["effect"] == "allow"


async def test_a_model_costs_what_its_price_says(client: httpx.AsyncClient) -> None:
    await tell(client, 300_000)
    asked = {"estimate": {"input_tokens": 0, "output_tokens": 1_000}, "model": "dear"}
    answer = (await client.post("/v1/check", json=WHO | asked)).json()
    (limit,) = answer["limits"]
    assert (limit["id"], limit["meter"], limit["requested"]) == ("wallet", "cost", 300_000)


async def test_use_that_is_only_reported_is_held_against_the_balance(
    client: httpx.AsyncClient,
) -> None:
    await tell(client, 10_000)
    event = WHO | {"event_id": "e", "total_tokens": 4_000}
    assert (await client.post("/v1/usage", json=event)).status_code == 202
    assert (await wallet(client))["available"] == 6_000


async def test_a_top_up_makes_the_next_check_pass(client: httpx.AsyncClient) -> None:
    await tell(client, 0)
    assert (await check(client)).status_code == 402
    await tell(client, 5_000)
    assert (await check(client)).status_code == 200


async def test_the_same_balance_again_and_an_older_one_change_nothing(
    client: httpx.AsyncClient,
) -> None:
    now = datetime.now(UTC)
    await tell(client, 10_000, at=now)
    await spend(client, 4_000)
    assert (await tell(client, 10_000, at=now))["status"] == "duplicate"
    stale = await tell(client, 99_000, at=now - timedelta(seconds=1))
    assert (stale["status"], stale["balance"], stale["available"]) == ("stale", 10_000, 6_000)


async def test_names_with_underscores_are_taken_too(client: httpx.AsyncClient) -> None:
    body = WHO | {"balance": 7, "currency": "USD", "as_of": time.time(), "wallet_id": "w-7"}
    answer = (await client.post("/api/internal/wallet/sync", json=body)).json()
    assert (answer["wallet_id"], answer["balance"]) == ("w-7", 7)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"currency": "EUR"}, "currency"),
        ({"currency": None}, "currency"),
        ({"balance": 1.5}, "balance"),
        ({"balance": 10.0}, "balance"),
        ({"balance": "10"}, "balance"),
        ({"balance": True}, "balance"),
        ({"balance": None}, "balance"),
        ({"balance": 2**53}, "balance"),
        ({"balance": -(2**53)}, "balance"),
        ({"userId": ""}, "userId"),
        ({"appId": None}, "appId"),
        ({"asOf": None}, "asOf"),
        ({"asOf": "soon"}, "asOf"),
        ({"asOf": "2999-01-01T00:00:00Z"}, "asOf"),
    ],
)
async def test_a_wrong_balance_is_422_names_the_field_and_changes_nothing(
    changed: dict[str, object], field: str, client: httpx.AsyncClient
) -> None:
    answer = await client.post("/api/internal/wallet/sync", json=told(5) | changed)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await wallet(client))["balance"] is None


async def test_a_balance_is_refused_where_nothing_has_a_price() -> None:
    async with application() as client:
        answer = await client.post("/api/internal/wallet/sync", json=told(5))
    assert answer.status_code == 422
    assert "SIDECAR_PRICES" in answer.json()["errors"][0]["message"]


async def test_an_overdrawn_wallet_is_shown_as_it_is(client: httpx.AsyncClient) -> None:
    assert (await tell(client, -500))["balance"] == -500
    answer = (await check(client)).json()
    (limit,) = answer["limits"]
    assert (limit["limit"], limit["remaining"]) == (-500, 0)
    assert answer["effect"] == "deny"


async def test_whose_plan_has_no_wallet_pays_nothing(client: httpx.AsyncClient) -> None:
    state = {"userId": "u", "appId": "a", "plan": "flat", "status": "active"}
    await client.post("/api/internal/subscription/sync", json=state)
    synced = await tell(client, 10)
    assert (synced["available"], synced["warnings"]) == (None, ["the plan 'flat' has no wallet"])
    assert (await check(client, 1_000)).json()["limits"] == []
    assert await wallet(client) is None


async def test_many_at_once_spend_no_more_than_there_is(client: httpx.AsyncClient) -> None:
    await tell(client, 10_000)
    answers = await asyncio.gather(*(check(client, 900, reserve=True) for _ in range(40)))
    assert sum(answer.status_code == 200 for answer in answers) == 11
    assert (await wallet(client))["available"] == 100


async def test_a_run_that_lives_on_holds_what_its_balance_still_pays(
    client: httpx.AsyncClient,
) -> None:
    await tell(client, 10_000)
    path = await hold(client, 6_000)
    more = {"ttl_s": 60, "estimate": {"input_tokens": 4_001, "output_tokens": 0}}
    assert (await client.post(f"{path}/extend", json=more)).status_code == 402
    assert (await client.post(f"{path}/extend", json={"ttl_s": 60})).status_code == 200
    more["estimate"] = {"input_tokens": 4_000, "output_tokens": 0}
    assert (await client.post(f"{path}/extend", json=more)).status_code == 200
    assert (await wallet(client))["available"] == 0


@pytest.mark.parametrize(
    ("mode", "effect", "would_deny", "codes"),
    [
        ("enforce", "deny", [], ["insufficient_balance"]),
        ("advisory", "warn", ["wallet"], ["insufficient_balance"]),
        ("off", "allow", [], []),
    ],
)
async def test_a_mode_is_taken_as_for_any_limit(
    mode: str, effect: str, would_deny: list[str], codes: list[str], tmp_path: Path
) -> None:
    policy = WALLET_POLICY.replace("mode: enforce", f"mode: {mode}")
    folder, prices = written(tmp_path, policy)
    async with application(folder, sidecar_prices=prices) as client:
        await tell(client, 100)
        body = (await check(client, 150)).json()
        assert (body["effect"], body["would_deny"]) == (effect, would_deny)
        assert [reason["code"] for reason in body["reasons"]] == codes
        if effect != "deny":
            await spend(client, 150)
            found = await wallet(client)
            assert (found["spent"], found["available"]) == (150, 0)


async def test_a_wallet_that_is_not_required_only_warns(tmp_path: Path) -> None:
    policy = WALLET_POLICY.replace("require: true", "require: false")
    folder, prices = written(tmp_path, policy)
    async with application(folder, sidecar_prices=prices) as client:
        assert (await check(client)).json()["effect"] == "allow"
        await tell(client, 0)
        body = (await check(client)).json()
    assert (body["effect"], body["would_deny"]) == ("warn", ["wallet"])


RULES = """
rules:
  - id: keep-some
    when: has(wallet.available) && wallet.available < wallet_floor
    effect: deny
    on_error: deny
    message: Fill up first.
  - id: rich
    when: has(wallet.balance) && wallet.balance >= 50000
    effect: warn
    message: So much money.
  - id: none
    when: "!has(wallet.balance)"
    effect: warn
    message: No wallet.
"""


async def test_a_rule_reads_the_balance_and_what_is_left_of_it(tmp_path: Path) -> None:
    rules = RULES.replace("wallet_floor", "2000")
    folder, prices = written(tmp_path, WALLET_POLICY + rules)
    async with application(folder, sidecar_prices=prices) as client:
        nothing = (await check(client)).json()
        assert [it["id"] for it in nothing["reasons"]] == ["wallet", "none"]
        await tell(client, 50_000)
        body = (await check(client, reserve=True)).json()
        assert [it["id"] for it in body["reasons"]] == ["rich"]
        await spend(client, 48_001)
        body = (await check(client, 1, reserve=True)).json()
        assert [it["id"] for it in body["reasons"]] == ["keep-some", "rich"]
        assert (await wallet(client))["held"] == 0


async def test_why_a_balance_refuses_is_explained(client: httpx.AsyncClient) -> None:
    await tell(client, 1_000)
    body = WHO | {"estimated_tokens": 1_500}
    told_why = (await client.post("/v1/explain", json=body)).json()
    (limit,) = told_why["explanation"]["limits"]
    assert (limit["id"], limit["does"], limit["maximum"]) == ("wallet", "denies", 1_000)
    assert limit["why"] == "0 used + 1,500 asked > 1,000"
    assert limit["place"].endswith("policy.yaml:8")

    rich = body | {"given": {"wallet": {"balance": 1_500}}}
    assert (await client.post("/v1/explain", json=rich)).json()["decision"]["effect"] == "warn"
    spent = body | {"given": {"wallet": {"balance": 1_500}, "used": {"wallet": 1}}}
    assert (await client.post("/v1/explain", json=spent)).json()["decision"]["effect"] == "deny"
    wrong = body | {"given": {"wallet": {"balance": 1_500, "balanse": 1}}}
    fault = (await client.post("/v1/explain", json=wrong)).json()["errors"][0]
    assert fault["message"] == "unknown field; did you mean 'balance'?"


async def test_a_refusal_is_recorded_with_its_balance(client: httpx.AsyncClient) -> None:
    await tell(client, 1_000, at=START)
    refused = (await check(client, 1_500)).json()
    recorded = (await client.get(f"/v1/decisions/{refused['decision_id']}")).json()
    assert recorded["wallet"] == {"balance": 1_000, "as_of": "2026-05-05T00:00:00Z"}
    (limit,) = recorded["explanation"]["limits"]
    assert limit["does"] == "denies"


async def test_a_low_balance_is_told_once_for_each_that_is_told(tmp_path: Path) -> None:
    folder, prices = written(tmp_path)
    async with AsyncExitStack() as stack:
        hook = await stack.enter_async_context(receiver())
        client = await stack.enter_async_context(
            application(
                folder,
                sidecar_prices=prices,
                sidecar_webhook_url=hook.url,
                sidecar_webhook_secret=SECRET,
            )
        )
        await tell(client, 10_000)
        await spend(client, 8_000)
        for _ in range(3):
            body = (await check(client, 1_001)).json()
            assert (body["effect"], body["reasons"][0]["code"]) == ("warn", "quota_warning")
        await until(lambda: len(hook.taken) == 1)
        await tell(client, 900)
        await until(lambda: len(hook.taken) == 2)
        assert (await check(client, 2_000)).status_code == 402
        await tell(client, 50_000)
        assert (await check(client, 1)).json()["effect"] == "allow"
        await spend(client, 49_500)
        assert (await check(client, 1)).json()["effect"] == "warn"
        await until(lambda: len(hook.taken) == 3)
        messages = hook.messages()
    assert {message["type"] for message in messages} == {"entitlement.balance_low"}
    assert [message["data"]["balance"] for message in messages] == [10_000, 900, 50_000]
    first = messages[0]["data"]
    assert (first["user_id"], first["currency"], first["plan"]) == ("u", "USD", "payg")
    assert (first["limit"]["id"], first["limit"]["remaining"]) == ("wallet", 2_000)


async def test_a_large_request_that_is_refused_makes_no_balance_low(tmp_path: Path) -> None:
    folder, prices = written(tmp_path)
    async with AsyncExitStack() as stack:
        hook = await stack.enter_async_context(receiver())
        client = await stack.enter_async_context(
            application(
                folder,
                sidecar_prices=prices,
                sidecar_webhook_url=hook.url,
                sidecar_webhook_secret=SECRET,
            )
        )
        await tell(client, 10_000)
        assert (await check(client, 20_000)).status_code == 402
        await tell(client, 999)
        await until(lambda: len(hook.taken) == 1)
        assert hook.messages()[0]["data"]["balance"] == 999


async def test_two_replicas_on_one_redis_spend_one_balance(tmp_path: Path) -> None:
    folder, prices = written(tmp_path)
    with redis_server(tmp_path) as server:
        given = {"sidecar_prices": prices, "sidecar_store": server.url}
        given["sidecar_store_timeout_ms"] = 5_000
        async with application(folder, **given) as one, application(folder, **given) as other:
            await tell(one, 10_000)
            answers = await asyncio.gather(
                *(check(at, 900, reserve=True) for at in (one, other) for _ in range(20))
            )
            assert sum(answer.status_code == 200 for answer in answers) == 11
            await tell(other, 50_000)

            deadline = time.monotonic() + 1.0
            while (await check(one, 30_000)).status_code != 200:
                assert time.monotonic() < deadline, "the other replica does not see it"
                await asyncio.sleep(0.01)


async def test_leases_hold_nothing_of_a_balance_in_advance(tmp_path: Path) -> None:
    folder, prices = written(tmp_path)
    with redis_server(tmp_path) as server:
        given = {"sidecar_prices": prices, "sidecar_store": server.url, "sidecar_leases": True}
        async with application(folder, sidecar_store_timeout_ms=5_000, **given) as client:
            await tell(client, 10_000_000)
            for _ in range(5):
                await asyncio.gather(*(check(client, 1, reserve=True) for _ in range(60)))
            assert (await wallet(client))["held"] == 300


async def test_a_balance_in_another_currency_than_prices_are_in_now_pays_nothing(
    tmp_path: Path,
) -> None:
    policy = WALLET_POLICY.replace("plan: payg}", "plan: payg, failure_mode: closed}")
    folder, prices = written(tmp_path, policy)
    given = {"sidecar_prices": prices, "sidecar_store": f"sqlite:///{tmp_path}/s.db"}
    async with application(folder, **given) as client:
        await tell(client, 10_000)
        assert (await check(client, 10)).status_code == 200
    prices.write_text(PRICES.replace("USD", "JPY"))
    async with application(folder, **given) as client:
        answer = await check(client, 10)
        assert (answer.status_code, answer.json()["title"]) == (503, "The balance cannot be read")
        body = told(10_000) | {"currency": "JPY"}
        assert (await client.post("/api/internal/wallet/sync", json=body)).status_code == 200
        assert (await check(client, 10)).status_code == 200


async def test_a_wallet_without_prices_does_not_start(tmp_path: Path) -> None:
    folder, _ = written(tmp_path)
    with pytest.raises(
        ConfigurationError, match=r"(?s)E4.*no balance would be spent.*SIDECAR_PRICES"
    ):
        async with application(folder):
            raise AssertionError("it started")
