"""The page that shows users what is theirs, as a browser asks for it."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidecar.api.portal.titles import title_of
from tests.in_process import application
from tests.processes import ROOT

PRICES: dict[str, Any] = {"sidecar_prices": ROOT / "policies/prices/example.yaml"}
FILES = ("base.css", "icon.svg", "portal.css", "portal.js")


async def let_in(client: httpx.AsyncClient, user_id: str) -> dict[str, str]:
    given = await client.post("/v1/portal-tokens", json={"app_id": "acme", "user_id": user_id})
    return {"Authorization": f"Bearer {given.json()['token']}"}


async def view(client: httpx.AsyncClient, user_id: str, **query: str) -> str:
    answer = await client.get("/portal/view", params=query, headers=await let_in(client, user_id))
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_the_page_is_the_same_for_everybody_and_asks_nothing_of_anywhere_else(
    client: httpx.AsyncClient,
) -> None:
    page = await client.get("/portal")
    with_token = await client.get("/portal", headers=await let_in(client, "ann"))
    asked = re.findall(r'(?:src|href)="([^#"]+)"', page.text)

    assert page.text == with_token.text
    assert {each.removeprefix("portal/") for each in asked} <= set(FILES)
    assert not re.search(r"<script>|<style|style=|\son\w+=", page.text)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("told", "policy"),
    [
        ("", "frame-ancestors 'none'"),
        ("self, https://app.example.com", "frame-ancestors 'self' https://app.example.com"),
    ],
)
async def test_only_pages_that_are_named_may_frame_it(told: str, policy: str) -> None:
    async with application(sidecar_portal_ancestors=told) as client:
        page = await client.get("/portal")

    rules = page.headers["content-security-policy"].split("; ")
    assert policy in rules
    assert "default-src 'none'" in rules
    assert "script-src 'self'" in rules
    assert "unsafe" not in page.headers["content-security-policy"]


async def test_it_has_the_files_that_it_is_made_with_and_no_others(
    client: httpx.AsyncClient,
) -> None:
    for name in FILES:
        file = await client.get(f"/portal/{name}")
        assert file.status_code == 200
        assert file.headers["x-content-type-options"] == "nosniff"
        assert "http" not in re.sub(r"http://www.w3.org/\d+/svg", "", file.text)
    for name in ("portal.html", "view.html", "page.py", "..%2fown.py", "files", "dashboard.js"):
        assert (await client.get(f"/portal/{name}")).status_code == 404


async def test_what_users_called_things_is_shown_as_text(client: httpx.AsyncClient) -> None:
    names = {"workflow_name": "<script>alert(1)</script>", "model_name": "a\"b'c&<i>"}
    event = {"app_id": "acme", "user_id": "ann", "total_tokens": 5, **names}
    await client.post("/v1/usage", json=event)
    shown = await view(client, "ann")

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script" not in shown
    assert "<i>" not in shown


async def test_it_is_made_of_what_is_the_users_own() -> None:
    async with application(**PRICES) as client:
        for user, tokens in (("ann", 1_234), ("bob", 98_765)):
            event = {"app_id": "acme", "user_id": user, "total_tokens": tokens, "model": None}
            names = {"workflow_name": f"{user}s-flow", "model_name": "gpt-4o"}
            del event["model"]
            await client.post("/v1/usage", json=event | names)
        shown = await view(client, "ann")

    assert "1,234" in shown
    assert "anns-flow" in shown
    assert "USD" in shown
    assert "bob" not in shown
    assert "98,765" not in shown


async def test_without_prices_there_is_no_word_of_costs(client: httpx.AsyncClient) -> None:
    await client.post("/v1/usage", json={"app_id": "acme", "user_id": "ann", "total_tokens": 5})

    assert "cost" not in (await view(client, "ann")).lower()


async def test_a_balance_and_the_end_of_a_subscription_are_shown(tmp_path: Path) -> None:
    policy = """\
apiVersion: sidecar/v1
kind: Policy
metadata: {name: prepaid}
mode: enforce
defaults: {plan: prepaid}
plans:
  prepaid:
    {name: Prepaid, plugins: ["*"], wallet: {require: true, low: 9}, tokens_per_month: null}
"""
    (tmp_path / "policy.yaml").write_text(policy)
    async with application(tmp_path, **PRICES) as client:
        wallet = {"userId": "ann", "appId": "acme", "balance": 2_500_000, "currency": "USD",
                  "asOf": "2026-05-05T00:00:00Z"}  # fmt: skip
        assert (await client.post("/api/internal/wallet/sync", json=wallet)).status_code == 200
        ending = {"userId": "ann", "appId": "acme", "plan": "prepaid", "status": "trialing",
                  "trialEndDate": "2031-02-03T00:00:00Z"}  # fmt: skip
        await client.post("/api/internal/subscription/sync", json=ending)
        shown = await view(client, "ann")

    assert "Your balance" in shown
    assert "2.50 USD" in shown
    assert re.search(r'trial until <time datetime="2031-02-03', shown)
    assert "used, without a bound" in shown
    assert "Cost in all" not in shown


@pytest.mark.parametrize("days", ["", "8", "365", "30 "])
async def test_a_time_that_is_not_offered_is_422(days: str, client: httpx.AsyncClient) -> None:
    answer = await client.get(
        "/portal/view", params={"days": days}, headers=await let_in(client, "ann")
    )
    assert answer.status_code == 422


async def test_the_view_tells_nobody_without_a_token(client: httpx.AsyncClient) -> None:
    assert (await client.get("/portal/view")).status_code == 401
    assert (await client.get("/portal/view?user_id=ann")).status_code == 401


@pytest.mark.parametrize(
    ("meter", "window", "title"),
    [
        ("tokens", "billing_month", "Tokens per billing month"),
        ("input_tokens", "1m", "Input tokens per minute"),
        ("requests", "5h", "Requests per 5 hours"),
        ("concurrency", "lifetime", "Requests at the same time"),
        ("cost", "lifetime", "Cost in all"),
    ],
)
def test_a_limit_is_called_by_what_it_counts(meter: str, window: str, title: str) -> None:
    assert title_of({"meter": meter, "window": window}) == title
