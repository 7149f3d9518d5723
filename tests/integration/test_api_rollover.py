"""A plan's rollover as the outside sees it: in limits, entitlements and what explains."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.in_process import application

WHO = {"app_id": "a", "user_id": "u"}
NAME = "pro-month"
POLICY = """
apiVersion: sidecar/v1
kind: Policy
metadata: {name: test}
mode: enforce
plans:
  pro:
    plugins: ["*"]
    limits:
      - {id: pro-month, meter: tokens, max: 1000, window: billing_month, rollover: {max: 400}}
"""


async def bill(client: httpx.AsyncClient, start: datetime, **more: str) -> None:
    """Let the billing side say when the present period began."""
    pushed = {
        "userId": "u", "appId": "a", "plan": "pro", "status": "active",
        "currentPeriodStart": start.isoformat(),
        "currentPeriodEnd": (start + timedelta(days=30)).isoformat(), **more,
    }  # fmt: skip
    answer = await client.post("/api/internal/subscription/sync", json=pushed)
    assert answer.json()["status"] == "synced"


async def check(client: httpx.AsyncClient, tokens: int) -> dict[str, Any]:
    body = WHO | {"estimated_tokens": tokens, "reserve": True}
    answer: dict[str, Any] = (await client.post("/v1/check", json=body)).json()
    return answer


async def test_what_is_left_of_a_period_can_be_used_in_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    now = datetime.now(UTC)
    async with application(tmp_path) as client:
        await bill(client, now - timedelta(days=10))
        await client.post("/v1/usage", json=WHO | {"total_tokens": 700})
        assert (await check(client, 301))["effect"] == "deny"

        await bill(client, now - timedelta(seconds=1))
        assert (await check(client, 1_301))["effect"] == "deny"
        allowed = await check(client, 1_300)
        shown = (await client.get("/v1/entitlements", params=WHO)).json()
        explained = (await client.post("/v1/explain", json=WHO)).json()

    assert (allowed["effect"], allowed["limits"][0]["granted"]) == ("allow", 300)
    (grant,) = (each for each in shown["grants"] if not each["revoked"])
    assert (grant["limit"], grant["reason"], grant["amount"]) == (NAME, "rollover", 300)
    assert explained["explanation"]["limits"][0]["rollover"] == 400


async def test_a_candidate_that_is_only_looked_at_grants_nothing(tmp_path: Path) -> None:
    """Or what it says would change what is answered today."""
    live, candidate = tmp_path / "live", tmp_path / "candidate"
    calendar = POLICY.replace("billing_month, rollover: {max: 400}", "month")
    for folder, text in ((live, calendar), (candidate, POLICY)):
        folder.mkdir()
        (folder / "policy.yaml").write_text(text)
    long_ago = datetime.now(UTC) - timedelta(days=40)
    async with application(live, sidecar_shadow_policies=candidate) as client:
        await bill(client, long_ago, updatedAt=long_ago.isoformat())
        await client.post("/v1/usage", json=WHO | {"total_tokens": 700})
        await bill(client, datetime.now(UTC))
        async with asyncio.timeout(10):
            while (await compared(client)) < 1:
                assert (await check(client, 301))["effect"] == "deny"
        shown = (await client.get("/v1/entitlements", params=WHO)).json()

    assert shown["grants"] == []


async def compared(client: httpx.AsyncClient) -> int:
    """How many decisions the candidate was asked for."""
    shadow = (await client.get("/v1/policies")).json()["shadow"]
    found: int = shadow["comparison"]["compared"] if shadow["comparison"] else 0
    return found
