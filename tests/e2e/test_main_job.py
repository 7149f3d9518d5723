"""The main job with the platform's policies, on each store, through a real process."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.processes import Sidecar

# The billing day lies ten days ahead, so that no run of this test meets the turn of a month.
BILLING_DAY = (datetime.now(UTC) + timedelta(days=10)).replace(microsecond=0)
FREE = {
    "userId": "u1",
    "appId": "a1",
    "plan": "free",
    "status": "active",
    "nextBillingDate": BILLING_DAY.isoformat(),
}
WHO = {"app_id": "a1", "user_id": "u1"}


def check(sidecar: Sidecar, **asked: object) -> httpx.Response:
    return sidecar.client.post("/v1/check", json=WHO | asked)


def spread_usage(total: int, prefix: str) -> list[dict[str, Any]]:
    """Events over the earlier hours of the billing month."""
    start, count, step = datetime.now(UTC) - timedelta(days=6), 19, timedelta(hours=7)
    return [
        {
            **WHO,
            "event_id": f"{prefix}-{index}",
            "event_ts": (start + step * index).isoformat(),
            "workflow_name": "support_bot",
            "model_name": "gpt-4o",
            "prompt_tokens": total // count - 100,
            "completion_tokens": 100,
        }
        for index in range(count)
    ]


def test_a_user_lives_through_the_month_and_upgrades(store: str, tmp_path: Path) -> None:
    with Sidecar(store=store, cwd=tmp_path) as sidecar:
        synced = sidecar.client.post("/api/internal/subscription/sync", json=FREE)
        assert synced.json()["status"] == "synced"

        allowed = check(sidecar, plugin="basic_search")
        assert (allowed.status_code, allowed.json()["effect"]) == (200, "allow")

        refused = check(sidecar, plugin="pro_tool")
        assert refused.status_code == 402
        assert refused.headers["content-type"] == "application/problem+json"
        assert [reason["code"] for reason in refused.json()["reasons"]] == ["plugin_not_in_plan"]
        assert refused.json()["remedies"] == [{"type": "upgrade", "plan": "pro", "url": None}]

        events = spread_usage(9_500, "e")
        first = sidecar.client.post("/v1/usage", json=events)
        again = sidecar.client.post("/v1/usage", json={"events": events})
        assert first.json() == {"accepted": 19, "duplicates": 0, "rejected": []}
        assert again.json() == {"accepted": 0, "duplicates": 19, "rejected": []}

        exceeded = check(sidecar, plugin="basic_search", estimated_tokens=600)
        body = exceeded.json()
        month = body["limits"][0]
        assert exceeded.status_code == 402
        assert body["reasons"][0]["code"] == "quota_exceeded"
        assert (month["used"], month["remaining"], month["requested"]) == (9_500, 500, 600)
        assert month["resets_at"] == BILLING_DAY.strftime("%Y-%m-%dT%H:%M:%SZ")
        assert exceeded.headers["ratelimit"].startswith('"free-tokens-per-month";r=500;t=')

        sidecar.client.post("/api/internal/subscription/sync", json=FREE | {"plan": "pro"})
        upgraded = check(sidecar, plugin="basic_search", estimated_tokens=600).json()
        assert upgraded["effect"] == "allow"
        assert (upgraded["plan"], upgraded["limits"][0]["used"]) == ("pro", 9_500)
        assert check(sidecar, plugin="pro_tool").json()["effect"] == "allow"

    lenient = {"MOZAIKS_ENFORCE_QUOTAS": "false"}
    with Sidecar(store=store, cwd=tmp_path, env=lenient) as sidecar:
        sidecar.client.post("/api/internal/subscription/sync", json=FREE)
        warned = check(sidecar, plugin="pro_tool", estimated_tokens=600)
        assert (warned.status_code, warned.json()["effect"]) == (200, "warn")
        assert warned.json()["would_deny"] == ["free.plugins", "free-tokens-per-month"]
        assert any("lets nothing be harsher than a warning" in line for line in sidecar.banner)


def test_exactly_as_many_racing_reservations_pass_as_there_is_room_for(
    store: str, tmp_path: Path
) -> None:
    with Sidecar(store=store, cwd=tmp_path) as sidecar:
        sidecar.client.post("/api/internal/subscription/sync", json=FREE | {"plan": "pro"})
        used = {**WHO, "event_id": "before", "total_tokens": 95_000}
        sidecar.client.post("/v1/usage", json=used)

        for _ in range(2):
            answers = asyncio.run(reserve_at_once(sidecar.url, 100, 100))
            held = [answer for answer in answers if answer["allowed"]]
            assert len(held) == 50
            assert all(answer["status"] == 402 for answer in answers if not answer["allowed"])
            full = check(sidecar).json()["limits"][0]
            assert (full["reserved"], full["remaining"]) == (5_000, 0)

            for answer in held:
                path = f"/v1/reservations/{answer['reservation']['id']}/release"
                assert sidecar.client.post(path).json()["reservation"]["state"] == "released"
            empty = check(sidecar).json()["limits"][0]
            assert (empty["used"], empty["reserved"], empty["remaining"]) == (95_000, 0, 5_000)


async def reserve_at_once(url: str, callers: int, tokens: int) -> list[dict[str, Any]]:
    limits = httpx.Limits(max_connections=callers)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:
        body = WHO | {"estimated_tokens": tokens, "reserve": True}
        answers = await asyncio.gather(
            *(client.post("/v1/check", json=body) for _ in range(callers))
        )
    return [answer.json() for answer in answers]


def test_every_acknowledged_event_survives_a_kill_in_the_middle_of_a_load(tmp_path: Path) -> None:
    sidecar = Sidecar(store="sqlite:///./data/sidecar.db", cwd=tmp_path)
    sidecar.start()
    sidecar.client.post("/api/internal/subscription/sync", json=FREE | {"plan": "pro"})

    acknowledged = asyncio.run(send_until_killed(sidecar))
    sidecar.start()
    try:
        counted = check(sidecar).json()["limits"][0]["used"]
        # What was not acknowledged may or may not have been counted: sending it again settles it.
        events = [usage_of_one_token(index) for index in range(EVENTS)]
        for start in range(0, EVENTS, 500):
            sidecar.client.post("/v1/usage", json=events[start : start + 500])
        settled = check(sidecar).json()["limits"][0]["used"]
    finally:
        sidecar.stop()

    assert 0 < len(acknowledged) < EVENTS
    assert len(acknowledged) <= counted <= EVENTS
    assert settled == EVENTS


EVENTS = 3_000
KILLED_AFTER = 400


def usage_of_one_token(index: int) -> dict[str, Any]:
    return {**WHO, "event_id": f"one-{index}", "total_tokens": 1}


async def send_until_killed(sidecar: Sidecar) -> set[int]:
    acknowledged: set[int] = set()
    waiting = iter(range(EVENTS))

    async def send(client: httpx.AsyncClient) -> None:
        for index in waiting:
            try:
                answer = await client.post("/v1/usage", json=usage_of_one_token(index))
            except httpx.TransportError:
                return
            assert answer.json() == {"accepted": 1, "duplicates": 0, "rejected": []}
            acknowledged.add(index)
            if len(acknowledged) == KILLED_AFTER:
                sidecar.kill()

    async with httpx.AsyncClient(base_url=sidecar.url, timeout=30) as client:
        await asyncio.gather(*(send(client) for _ in range(16)))
    return acknowledged
