"""Units beside the plan's: pushed, drawn after the allowance, given back, shown, taken back."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.in_process import application
from tests.integration.test_api_bad_input import assert_problem

WHO = {"app_id": "a", "user_id": "u"}
MONTH = "free-tokens-per-month"
TOP_UP = {"grantId": "g-1", "userId": "u", "appId": "a", "meter": "tokens", "amount": 300}
POLICY = """
apiVersion: sidecar/v1
kind: Policy
metadata: {name: test}
mode: enforce
defaults: {plan: free}
plans:
  free:
    plugins: ["*"]
    tokens_per_month: 1000
    limits:
      - {id: daily, meter: tokens, max: 5000, window: day}
      - {id: at-once, meter: concurrency, max: 10}
"""


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A plan of a thousand tokens a month."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    url = "https://shop.example/{app_id}/{user_id}?for={limit}"
    async with application(tmp_path, sidecar_top_up_url=url) as client:
        yield client


async def push(client: httpx.AsyncClient, **changed: object) -> dict[str, Any]:
    answer = await client.post("/api/internal/grants/sync", json=TOP_UP | changed)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def ask(client: httpx.AsyncClient, tokens: int = 0, **asked: object) -> dict[str, Any]:
    body = WHO | {"estimated_tokens": tokens} | asked
    answer: dict[str, Any] = (await client.post("/v1/check", json=body)).json()
    return answer


async def use(client: httpx.AsyncClient, tokens: int) -> None:
    answer = await client.post("/v1/usage", json=[WHO | {"total_tokens": tokens}])
    assert answer.json()["accepted"] == 1


def month(answer: dict[str, Any]) -> tuple[int, int, int, int]:
    """(granted, used, reserved, remaining) of the monthly limit."""
    (found,) = [limit for limit in answer["limits"] if limit["id"] == MONTH]
    return found["granted"], found["used"], found["reserved"], found["remaining"]


async def grants(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    """What the entitlements list."""
    listed: list[dict[str, Any]]
    listed = (await client.get("/v1/entitlements", params=WHO)).json()["grants"]
    return listed


async def test_a_top_up_makes_the_very_next_check_pass(client: httpx.AsyncClient) -> None:
    await use(client, 1_000)
    refused = await ask(client, 100)

    pushed = await push(client)
    allowed = await ask(client, 100)

    assert (refused["effect"], month(refused)) == ("deny", (0, 1_000, 0, 0))
    assert (pushed["status"], pushed["left"]) == ("synced", 300)
    assert (allowed["effect"], month(allowed)) == ("allow", (300, 1_000, 0, 300))


async def test_a_refusal_says_where_to_top_up(client: httpx.AsyncClient) -> None:
    await use(client, 1_000)

    remedies = (await ask(client, 100))["remedies"]

    assert [remedy["type"] for remedy in remedies] == ["top_up", "wait"]
    assert remedies[0] == {
        "type": "top_up",
        "limit": MONTH,
        "url": f"https://shop.example/a/u?for={MONTH}",
    }


async def test_a_refusal_tells_what_grants_have_left(client: httpx.AsyncClient) -> None:
    await use(client, 1_000)
    await push(client)

    refused = await ask(client, 301)

    assert refused["detail"] == (
        "The plan allows 1,000 tokens this billing month and grants have 300 left; "
        "1,000 used, 301 asked for."
    )


async def test_granted_goes_down_as_it_is_drawn_after_the_allowance(
    client: httpx.AsyncClient,
) -> None:
    await push(client)
    await use(client, 900)
    before = await ask(client)

    held = await ask(client, 250, reserve=True)
    during = await ask(client)
    path = f"/v1/reservations/{held['reservation']['id']}/commit"
    done = (await client.post(path, json={"total_tokens": 200})).json()
    listed = await grants(client)

    assert month(before) == (300, 900, 0, 400)
    assert held["reservation"]["granted"] == {"tokens": 250}
    # 100 tokens of the allowance and 150 of the grant are held, then 100 of each are used.
    assert month(during) == (150, 900, 100, 150)
    assert month(done) == (200, 1_000, 0, 200)
    assert [(one["used"], one["held"], one["left"]) for one in listed] == [(100, 0, 200)]


async def test_a_release_gives_back_to_the_grant(client: httpx.AsyncClient) -> None:
    await push(client)
    await use(client, 1_000)
    held = await ask(client, 300, reserve=True)
    refused = await ask(client, 1)

    released = await client.post(f"/v1/reservations/{held['reservation']['id']}/release")

    assert refused["effect"] == "deny"
    assert month(released.json()) == (300, 1_000, 0, 300)


async def test_the_grant_that_expires_first_is_drawn_first(client: httpx.AsyncClient) -> None:
    soon, late = (datetime.now(UTC) + timedelta(days=days) for days in (1, 30))
    await push(client, grantId="never")
    await push(client, grantId="late", expiresAt=late.isoformat())
    await push(client, grantId="soon", expiresAt=soon.isoformat())

    await use(client, 1_350)

    left = [(one["id"], one["left"]) for one in await grants(client)]
    assert left == [("soon", 0), ("late", 250), ("never", 300)]


async def test_a_grant_for_a_limit_is_drawn_by_that_limit_alone(client: httpx.AsyncClient) -> None:
    await push(client, meter=None, limit="daily")

    limits = {one["id"]: one["granted"] for one in (await ask(client))["limits"]}

    assert limits == {MONTH: 0, "daily": 300, "at-once": 0}


async def test_every_answer_shows_what_is_granted(client: httpx.AsyncClient) -> None:
    await push(client)

    held = await ask(client, 10, reserve=True)
    path = f"/v1/reservations/{held['reservation']['id']}"
    answers = [
        held,
        (await client.post(f"{path}/extend", json={"estimate": {"input_tokens": 1}})).json(),
        (await client.post(f"{path}/commit", json={"total_tokens": 5, "final": False})).json(),
        (await client.post(f"{path}/commit", json={"total_tokens": 5})).json(),
        (await client.get("/v1/entitlements", params=WHO)).json(),
        *(await client.post("/v1/checks", json={"checks": [WHO]})).json()["decisions"],
    ]

    assert [month(answer)[0] for answer in answers] == [300] * 6
    assert all("granted" in limit for answer in answers for limit in answer["limits"])


async def test_the_answer_to_a_push_says_all_of_the_grant(client: httpx.AsyncClient) -> None:
    pushed = await push(
        client,
        effectiveAt="2026-01-01T00:00:00Z",
        expiresAt="2099-01-01",
        reason="order 7",
        unknown="ignored",
    )

    assert pushed == {
        "status": "synced", "grant_id": "g-1", "app_id": "a", "user_id": "u", "limit": None,
        "meter": "tokens", "amount": 300, "used": 0, "held": 0, "left": 300, "revoked": False,
        "effective_at": "2026-01-01T00:00:00Z", "expires_at": "2099-01-01T00:00:00Z",
        "reason": "order 7", "warnings": [],
    }  # fmt: skip
    (listed,) = await grants(client)
    assert listed == {
        "id": "g-1",
        **{
            name: value
            for name, value in pushed.items()
            if name not in ("status", "grant_id", "app_id", "user_id", "warnings")
        },
    }


async def test_snake_case_is_the_same_as_camel_case(client: httpx.AsyncClient) -> None:
    await push(client, effectiveAt="2026-01-01T00:00:00Z", expiresAt="2099-01-01T00:00:00Z")
    body = {
        "grant_id": "g-1", "user_id": "u", "app_id": "a", "meter": "tokens", "amount": 300,
        "effective_at": "2026-01-01T00:00:00Z", "expires_at": "2099-01-01T00:00:00Z",
    }  # fmt: skip

    again = await client.post("/api/internal/grants/sync", json=body)

    assert again.json()["status"] == "duplicate"


async def test_a_grant_counts_from_its_arrival_on_where_nothing_else_is_said(
    client: httpx.AsyncClient,
) -> None:
    before = datetime.now(UTC)

    pushed = await push(client)

    effective = datetime.fromisoformat(pushed["effective_at"])
    assert before - timedelta(milliseconds=1) <= effective <= datetime.now(UTC)
    assert pushed["expires_at"] is None


@pytest.mark.parametrize(
    "moment",
    [{"effectiveAt": "2098-01-01T00:00:00Z"}, {"expiresAt": "2020-01-01T00:00:00Z"}],
)
async def test_a_grant_that_is_not_in_effect_is_listed_and_not_drawn(
    moment: dict[str, object], client: httpx.AsyncClient
) -> None:
    await push(client, **moment)

    assert month(await ask(client))[0] == 0
    assert [one["amount"] for one in await grants(client)] == [300]


async def test_a_repeated_push_adds_nothing_whatever_was_drawn_meanwhile(
    client: httpx.AsyncClient,
) -> None:
    await push(client)
    await use(client, 1_100)

    again = await push(client, reason="sent twice")

    assert (again["status"], again["used"], again["left"]) == ("duplicate", 100, 200)
    assert month(await ask(client))[0] == 200


async def test_an_amount_of_nothing_takes_back_what_is_left(client: httpx.AsyncClient) -> None:
    await push(client)
    await use(client, 1_100)

    revoked = await push(client, amount=0)
    again = await push(client, amount=0)
    late = await push(client)

    assert [one["status"] for one in (revoked, again, late)] == [
        "revoked", "duplicate", "duplicate",
    ]  # fmt: skip
    assert (late["used"], late["left"], late["revoked"]) == (100, 0, True)
    assert month(await ask(client)) == (0, 1_000, 0, 0)


async def test_a_revocation_that_comes_before_its_grant_is_kept(client: httpx.AsyncClient) -> None:
    early = await push(client, amount=0)
    late = await push(client)

    assert [one["status"] for one in (early, late)] == ["revoked", "duplicate"]
    assert month(await ask(client))[0] == 0


@pytest.mark.parametrize(
    "changed",
    [{"amount": 301}, {"meter": "requests"}, {"meter": None, "limit": MONTH},
     {"expiresAt": "2099-01-01T00:00:00Z"}],
)  # fmt: skip
async def test_an_id_with_other_content_is_409_and_changes_nothing(
    changed: dict[str, object], client: httpx.AsyncClient
) -> None:
    await push(client)

    answer = await client.post("/api/internal/grants/sync", json=TOP_UP | changed)

    problem = assert_problem(answer, 409, "grant_conflict")
    assert "'g-1' came before with other content" in problem["detail"]
    assert [(one["amount"], one["meter"]) for one in await grants(client)] == [(300, "tokens")]


async def test_the_same_id_of_another_user_is_another_grant(client: httpx.AsyncClient) -> None:
    first, second = await push(client), await push(client, userId="v", amount=7)

    assert (first["status"], second["status"]) == ("synced", "synced")
    assert [one["amount"] for one in await grants(client)] == [300]


@pytest.mark.parametrize(
    ("changed", "warnings"),
    [
        ({}, []),
        ({"meter": None, "limit": "daily"}, []),
        ({"meter": None, "limit": "dayly"}, ["no policy knows a limit 'dayly' that draws grants"]),
        ({"meter": None, "limit": "at-once"},
         ["no policy knows a limit 'at-once' that draws grants"]),
        ({"meter": "cost"}, ["nothing costs anything without SIDECAR_PRICES"]),
    ],
)  # fmt: skip
async def test_a_grant_that_nobody_draws_is_kept_with_a_warning(
    changed: dict[str, object], warnings: list[str], client: httpx.AsyncClient
) -> None:
    pushed = await push(client, **changed)

    assert (pushed["status"], pushed["warnings"]) == ("synced", warnings)


_PER_APP = "needed: a grant is drawn per app, so it names both userId and appId"


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({"grantId": ...}, "grantId", "Field required"),
        ({"grantId": ""}, "grantId", "at least 1 character"),
        ({"grantId": "g" * 257}, "grantId", "at most 256"),
        ({"userId": ...}, "userId", _PER_APP),
        ({"userId": ""}, "userId", _PER_APP),
        ({"appId": ...}, "appId", _PER_APP),
        ({"appId": None}, "appId", _PER_APP),
        ({"appId": 7}, "appId", "valid string"),
        ({"appId": "a" * 257}, "appId", "at most 256"),
        ({"amount": ...}, "amount", "Field required"),
        ({"amount": -1}, "amount", "greater than or equal to 0"),
        ({"amount": 2**53}, "amount", "less than or equal to 9007199254740991"),
        ({"amount": 1.5}, "amount", "valid integer"),
        ({"amount": "5"}, "amount", "valid integer"),
        ({"amount": True}, "amount", "valid integer"),
        ({"meter": ...}, "limit", "give limit or meter"),
        ({"meter": None}, "limit", "give limit or meter"),
        ({"limit": MONTH}, "limit", "give limit or meter"),
        ({"meter": "concurrency"}, "meter", "'tokens'"),
        ({"meter": "token"}, "meter", "'tokens'"),
        ({"meter": None, "limit": "l" * 257}, "limit", "at most 256"),
        ({"effectiveAt": "soon"}, "effectiveAt", "ISO 8601"),
        ({"expiresAt": "9999-12-31T23:59:59Z"}, "expiresAt", "outside 1970 to 9000"),
        ({"effectiveAt": "2026-01-02", "expiresAt": "2026-01-02"}, "expiresAt",
         "not after effectiveAt"),
        ({"reason": "r" * 257}, "reason", "at most 256"),
    ],
)  # fmt: skip
async def test_a_wrong_grant_is_422_names_the_field_and_changes_nothing(
    changed: dict[str, object], field: str, message: str, client: httpx.AsyncClient
) -> None:
    body = {name: value for name, value in (TOP_UP | changed).items() if value is not ...}

    answer = await client.post("/api/internal/grants/sync", json=body)

    problem = assert_problem(answer, 422, "invalid_body")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert message in problem["errors"][0]["message"]
    assert await grants(client) == []
