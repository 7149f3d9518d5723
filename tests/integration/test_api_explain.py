"""`POST /v1/explain` says what a check would, and why; nothing of it is counted or recorded."""

from typing import Any

import httpx
import pytest

from tests.in_process import application
from tests.integration.test_api_bad_input import assert_problem
from tests.processes import ROOT

WHO = {"app_id": "a", "user_id": "u"}


def place_of(text: str, *, column: bool = True) -> str:
    """Where a text first stands in the policy."""
    file = ROOT / "policies/platform/policy.yaml"
    before = file.read_text().partition(text)[0].split("\n")
    return f"{file}:{len(before)}" + (f":{len(before[-1]) + 1}" if column else "")


async def explain(client: httpx.AsyncClient, **body: object) -> dict[str, Any]:
    answer = await client.post("/v1/explain", json=WHO | body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_the_decision_is_the_one_of_a_check_but_for_its_id(client: httpx.AsyncClient) -> None:
    asked: dict[str, Any] = {"plugin": "admin_users", "estimated_tokens": 20_000}

    explained = (await explain(client, **asked))["decision"]
    checked = (await client.post("/v1/check", json=WHO | asked)).json()

    assert checked["status"] == explained["status"] == 402
    own = {"decision_id", "instance", "limits"}
    assert {name: value for name, value in explained.items() if name not in own} == {
        name: value for name, value in checked.items() if name not in own
    }
    assert explained["decision_id"].startswith("exp_")


async def test_nothing_is_counted_held_or_recorded(client: httpx.AsyncClient) -> None:
    for _ in range(3):
        explained = await explain(
            client, estimated_tokens=900, reserve=True, request_id="r", ttl_s=60
        )
        assert explained["decision"]["reservation"] is None

    entitlements = (await client.get("/v1/entitlements", params=WHO)).json()
    assert {(limit["used"], limit["reserved"]) for limit in entitlements["limits"]} == {(0, 0)}
    checked = await client.post(
        "/v1/check", json=WHO | {"estimated_tokens": 5, "reserve": True, "request_id": "r"}
    )
    assert checked.status_code == 200
    recorded = (await client.get("/v1/decisions", params=WHO)).json()["decisions"]
    assert not any(each["decision_id"].startswith("exp_") for each in recorded)


async def test_counters_are_those_of_the_store(client: httpx.AsyncClient) -> None:
    await client.post("/v1/usage", json=WHO | {"total_tokens": 700})

    explained = await explain(client, estimated_tokens=100)

    month = explained["explanation"]["limits"][0]
    assert month["id"] == "free-tokens-per-month"
    assert (month["numbers"]["used"], month["why"]) == (700, "700 used + 100 asked ≤ 10,000")
    assert month["place"] == place_of("tokens_per_month: 10000", column=False)


async def test_what_is_given_comes_in_the_place_of_what_is(client: httpx.AsyncClient) -> None:
    await client.post("/v1/usage", json=WHO | {"total_tokens": 700})
    pro = {"plan": "pro", "status": "past_due", "status_since": "2026-05-01T00:00:00Z"}
    counters = {"pro-tokens-per-month": 99_000}

    given = {
        "subscription": pro,
        "used": counters,
        "reserved": {"pro-tokens-per-month": 900},
        "granted": {"pro-tokens-per-month": 50},
        "now": "2026-05-03T12:00:00Z",
    }
    explained = (await explain(client, estimated_tokens=200, given=given))["explanation"]

    assert explained["at"] == "2026-05-03T12:00:00Z"
    assert explained["plan"]["source"] == "grace"
    month = explained["limits"][0]
    assert month["why"] == "99,000 used + 900 reserved + 200 asked > 100,000 + 50 granted"
    assert month["numbers"]["resets_at"] == "2026-06-01T00:00:00Z"
    assert month["does"] == "denies"


async def test_at_another_instant_what_is_not_given_is_0(client: httpx.AsyncClient) -> None:
    await client.post("/v1/usage", json=WHO | {"total_tokens": 700})

    given = {"used": {"free-burst": 5}, "now": "2026-05-03T12:00:00Z"}
    month, burst = (await explain(client, given=given))["explanation"]["limits"]

    assert (month["numbers"]["used"], burst["numbers"]["used"]) == (0, 5)


async def test_a_counter_that_is_not_given_stays_as_it_is(client: httpx.AsyncClient) -> None:
    await client.post("/v1/usage", json=WHO | {"total_tokens": 700})

    given = {"used": {"free-burst": 5}}
    month, burst = (await explain(client, given=given))["explanation"]["limits"]

    assert (month["numbers"]["used"], burst["numbers"]["used"]) == (700, 5)


async def test_a_trace_tells_each_part_with_its_line_and_column(client: httpx.AsyncClient) -> None:
    asked = {"estimated_tokens": 9_000, "model": "gpt-4o"}

    plain = (await explain(client, **asked))["explanation"]["rules"][0]["expressions"]
    traced = (await explain(client, **asked, trace=True))["explanation"]["rules"][0]["expressions"]

    assert (plain[0]["value"], plain[0]["steps"]) == ("true", [])
    steps = {step["text"]: (step["value"], step["place"]) for step in traced[0]["steps"]}
    value, place = steps["request.estimated_tokens > 8000"]
    assert value == "true"
    assert place == place_of("request.estimated_tokens > 8000")
    assert steps["request.model"][0] == '"gpt-4o"'


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"tracing": True}, "tracing", "unknown field; did you mean 'trace'?"),
        ({"trace": "yes"}, "trace", "Input should be a valid boolean"),
        ({"given": {"use": {}}}, "given.use", "unknown field; did you mean 'used'?"),
        ({"given": {"used": {"free-burst": -1}}}, "given.used.free-burst", "Input should be"),
        (
            {"given": {"used": {"free-brust": 1}}},
            "given.used.free-brust",
            "the plan 'free' has no such limit; it has free-tokens-per-month, free-burst",
        ),
        (
            {"given": {"subscription": {"plan": "gold"}, "used": {"x": 1}}},
            "given.used.x",
            "no plan is in force, so there are no limits",
        ),
        (
            {"given": {"subscription": {"plan": "pro", "state": "active"}}},
            "given.subscription.state",
            "unknown field; did you mean 'status'?",
        ),
        (
            {"given": {"subscription": {"plan": "pro", "status": "happy"}}},
            "given.subscription.status",
            "Input should be 'active', 'trialing'",
        ),
        ({"given": {"now": "tomorrow"}}, "given.now", "not a date and time in ISO 8601"),
        ({"estimate": {"tokens": 1}}, "estimate.tokens", "unknown field; did you mean"),
    ],
)
async def test_a_wrong_field_is_422_and_named(
    body: dict[str, Any], field: str, message: str, client: httpx.AsyncClient
) -> None:
    problem = assert_problem(await client.post("/v1/explain", json=WHO | body), 422, "invalid_body")

    (error,) = problem["errors"]
    assert error["field"] == field
    assert error["message"].startswith(message)


async def test_a_store_that_does_not_answer_is_explained_as_well() -> None:
    async with application(sidecar_store="redis://127.0.0.1:1/0") as client:
        answer = await client.post("/v1/explain", json=WHO)

    explained = answer.json()["explanation"]
    assert answer.status_code == 200
    assert explained["plan"]["source"] == "unavailable"
    assert explained["plan"]["does"] == "denies"


async def test_with_a_given_subscription_the_counters_alone_are_missing() -> None:
    async with application(sidecar_store="redis://127.0.0.1:1/0") as client:
        body = WHO | {"given": {"subscription": {"plan": "free"}}}
        explained = (await client.post("/v1/explain", json=body)).json()["explanation"]

    assert explained["counters"] is False
    assert explained["missing"] == "denies"
    assert explained["limits"][0]["numbers"] is None
    assert "failure_mode closed" in explained["limits"][0]["why"]
