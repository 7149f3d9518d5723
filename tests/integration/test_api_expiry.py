"""What an expired reservation leaves behind: nothing, or what it held, as the setting says."""

import asyncio
import time
from typing import Any

import httpx

from tests.in_process import application

WHO = {"app_id": "a", "user_id": "u"}
PATIENCE_S = 20.0


async def month(client: httpx.AsyncClient) -> tuple[int, int]:
    """(used, reserved) of the monthly tokens."""
    limit = (await client.post("/v1/check", json=WHO)).json()["limits"][0]
    return limit["used"], limit["reserved"]


async def expired(client: httpx.AsyncClient) -> str:
    """A reservation of 100 tokens that has just expired."""
    body = WHO | {"estimated_tokens": 100, "reserve": True, "ttl_s": 1}
    answer: dict[str, Any] = (await client.post("/v1/check", json=body)).json()
    assert await month(client) == (0, 100)
    deadline = time.monotonic() + PATIENCE_S
    while (await month(client))[1]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    return f"/v1/reservations/{answer['reservation']['id']}/commit"


async def test_what_expires_is_given_back_and_a_late_commit_charges() -> None:
    async with application() as client:
        path = await expired(client)
        before = await month(client)
        late = await client.post(path, json={"total_tokens": 30})

        assert before == (0, 0)
        assert late.status_code == 200
        assert await month(client) == (30, 0)


async def test_what_expires_is_charged_until_a_late_commit_says_better() -> None:
    async with application(sidecar_on_expiry="charge") as client:
        path = await expired(client)
        before = await month(client)
        late = await client.post(path, json={"total_tokens": 30})

        assert before == (100, 0)
        assert late.status_code == 200
        assert await month(client) == (30, 0)
