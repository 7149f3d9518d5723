"""What callers of the API see where checks are answered in memory."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.in_process import application
from tests.processes import RedisServer, redis_server

POLICY = """\
apiVersion: sidecar/v1
kind: Policy
metadata: {name: plenty}
mode: enforce
defaults: {plan: all}
plans:
  all:
    name: All
    plugins: ["*"]
    limits:
      - {id: monthly, meter: tokens, max: 1000000, window: month, per: [app, user]}
rules:
  - id: contrary
    match: {plans: [all]}
    when: has(request.attributes.bound) && limits.monthly.reserved < int(request.attributes.bound)
    effect: deny
    on_error: deny
    message: Nobody else holds enough.
"""
CHECK = {"app_id": "a", "user_id": "u", "estimated_tokens": 10, "reserve": True}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


@pytest.fixture
async def client(redis: RedisServer, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "plenty.yaml").write_text(POLICY)
    async with application(
        tmp_path / "policies",
        sidecar_store=redis.url,
        sidecar_store_timeout_ms=5_000,
        sidecar_leases=True,
    ) as client:
        yield client


async def check(client: httpx.AsyncClient, **more: object) -> httpx.Response:
    return await client.post("/v1/check", json=CHECK | more)


async def held(client: httpx.AsyncClient) -> int:
    """Units that are reserved, those in advance among them."""
    told: dict[str, Any] = (await check(client, reserve=False)).json()
    return int(told["limits"][0]["reserved"])


async def test_a_request_that_a_rule_refuses_after_all_holds_nothing(
    client: httpx.AsyncClient,
) -> None:
    """What is held in advance was still there when the rule was asked first."""
    checks, refusals = 0, 0
    deadline = time.monotonic() + 20.0
    while refusals < 5:
        assert time.monotonic() < deadline
        allowed = await check(client)
        checks += 1
        if "~" in allowed.json()["reservation"]["id"]:
            bound = await held(client)
            if bound > 10 * checks:
                refused = await check(client, attributes={"bound": bound})
                refusals += 1
                assert refused.status_code == 402
    while await held(client) != 10 * checks:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_an_answer_out_of_memory_looks_like_any_other(client: httpx.AsyncClient) -> None:
    first = await check(client)
    last = first
    while "~" not in last.json()["reservation"]["id"]:
        last = await check(client)
    one, other = first.json(), last.json()
    assert other.keys() == one.keys()
    assert other["limits"][0].keys() == one["limits"][0].keys()
    assert other["reservation"]["granted"] == {"tokens": 10}
    more = {"input_tokens": 5, "output_tokens": 0}
    path = f"/v1/reservations/{other['reservation']['id']}"
    extended = await client.post(f"{path}/extend", json={"ttl_s": 90, "estimate": more})
    assert extended.json()["reservation"]["granted"] == {"tokens": 15}
    event = {
        "event_id": "e", "app_id": "a", "user_id": "u", "model_name": "m", "prompt_tokens": 3,
        "completion_tokens": 4, "reservation_id": other["reservation"]["id"],
    }  # fmt: skip
    assert (await client.post("/v1/usage", json=[event])).json()["accepted"] == 1
    settled = await client.post(f"{path}/commit", json={"total_tokens": 12})
    assert settled.json()["limits"][0]["used"] == 12
