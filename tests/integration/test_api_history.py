"""What was pushed is told to whoever looks after users; what holds follows the clock alone."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidecar.adapters.clock import SystemClock
from tests.in_process import application
from tests.processes import redis_server

WHO = {"app_id": "a", "user_id": "u"}
ASK = WHO | {"plugin": "pro_tool"}
SYNC = "/api/internal/subscription/sync"
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


@pytest.fixture(params=["sqlite", "redis"])
async def server(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """The platform's policies over each store, empty."""
    if request.param == "sqlite":
        async with application() as client:
            yield client
        return
    with redis_server(tmp_path) as redis:
        at_ease = 5_000
        async with application(sidecar_store=redis.url, sidecar_store_timeout_ms=at_ease) as client:
            yield client


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets the clock."""

    def move(now: datetime) -> None:
        monkeypatch.setattr(SystemClock, "now", lambda _: now)

    return move


async def push(client: httpx.AsyncClient, **state: object) -> dict[str, Any]:
    whole = {"userId": "u", "appId": "a", "plan": "pro", "status": "active"} | state
    answer = await client.post(SYNC, json=whole)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def decided(client: httpx.AsyncClient) -> tuple[str, str, str]:
    """The effect, the plan and the code of the first reason."""
    answer = (await client.post("/v1/check", json=ASK)).json()
    reasons = [reason["code"] for reason in answer["reasons"]]
    return answer["effect"], answer["plan"], reasons[0] if reasons else ""


PRO = ("allow", "pro", "")
FREE = ("deny", "free", "plugin_not_in_plan")


@pytest.mark.parametrize(
    ("state", "ends"),
    [
        ({"status": "trialing", "trialEndDate": (NOW + 14 * DAY).isoformat()}, NOW + 14 * DAY),
        (
            {"cancelAtPeriodEnd": True, "currentPeriodEnd": (NOW + 30 * DAY).isoformat()},
            NOW + 30 * DAY,
        ),
        (
            {"cancelAtPeriodEnd": True, "nextBillingDate": (NOW + 9 * DAY).isoformat()},
            NOW + 9 * DAY,
        ),
    ],
    ids=["trial", "period", "billing date"],
)
async def test_a_trial_and_what_was_cancelled_end_by_the_clock_without_a_push(
    state: dict[str, object], ends: datetime, server: httpx.AsyncClient, at: Any
) -> None:
    await push(server, **state)
    assert await decided(server) == PRO
    at(ends - timedelta(microseconds=1))
    assert await decided(server) == PRO
    at(ends)
    assert await decided(server) == FREE
    shown = (await server.get("/v1/entitlements", params=WHO)).json()
    assert (shown["plan"], shown["subscription"]["plan"]) == ("free", "pro")
    at(ends - DAY)
    assert await decided(server) == PRO


async def test_a_date_that_is_past_ends_nothing_else(server: httpx.AsyncClient, at: Any) -> None:
    dates = dict.fromkeys(
        ("currentPeriodEnd", "nextBillingDate", "trialEndDate"), (NOW + DAY).isoformat()
    )
    await push(server, **dates)
    at(NOW + 300 * DAY)
    assert await decided(server) == PRO


async def test_the_history_tells_what_was_pushed_in_the_order_in_which_it_held(
    server: httpx.AsyncClient,
) -> None:
    days = {name: (NOW - (9 - day) * DAY).isoformat() for day, name in enumerate("abcd")}
    await push(server, plan="free", eventId="e-1", updatedAt=days["a"])
    await push(server, status="past_due", eventId="e-3", updatedAt=days["c"])
    late = await push(server, status="trialing", eventId="e-2", updatedAt=days["b"])
    again = await push(server, status="past_due", eventId="e-3", updatedAt=days["d"])
    for _ in range(2):
        # Without an id it is known by what it says.
        await push(server, plan="free", updatedAt=days["d"])

    told = (await server.get("/v1/subscriptions/a/u", params={"history": "true"})).json()

    assert (late["status"], again["status"]) == ("stale", "duplicate")
    assert [
        (change["plan"], change["status"], change["event_id"]) for change in told["history"]
    ] == [
        ("free", "active", "e-1"),
        ("pro", "trialing", "e-2"),
        ("pro", "past_due", "e-3"),
        ("free", "active", None),
    ]
    held = [datetime.fromisoformat(change["updated_at"]) for change in told["history"]]
    assert [each.isoformat() for each in held] == list(days.values())
    plain = (await server.get("/v1/subscriptions/a/u")).json()
    assert plain == {name: of for name, of in told.items() if name != "history"}


async def test_the_history_has_an_end(server: httpx.AsyncClient) -> None:
    for number in range(140):
        began = (NOW - timedelta(minutes=200 - number)).isoformat()
        await push(server, plan=f"p-{number}", eventId=f"e-{number}", updatedAt=began)
    told = (await server.get("/v1/subscriptions/a/u", params={"history": "true"})).json()
    # The first of all is kept: with it the present status began.
    numbers = [0, *range(13, 140)]
    assert [change["event_id"] for change in told["history"]] == [f"e-{each}" for each in numbers]


async def test_of_whom_nothing_was_said_there_is_no_history(server: httpx.AsyncClient) -> None:
    told = (await server.get("/v1/subscriptions/a/u", params={"history": "true"})).json()
    assert (told["status"], told["history"]) == ("none", [])


async def test_what_is_neither_yes_nor_no_is_refused(server: httpx.AsyncClient) -> None:
    for odd in ("", "1", "yes", "TRUE"):
        answer = await server.get("/v1/subscriptions/a/u", params={"history": odd})
        assert answer.status_code == 422
