"""`GET /v1/usage/periods`: what an invoice is made from, as an invoice job sees it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from sidecar.api.auth import Keys
from sidecar.api.endpoint import Endpoint
from sidecar.api.periods import Periods
from sidecar.domain.windows import BillingCycle, Fixed
from tests.contract.stores import At, ManualClock, World, limit, sqlite_meter, statements_of
from tests.described import hold_to_document
from tests.in_process import application
from tests.integration.test_api_bad_input import assert_problem

PATH = "/v1/usage/periods"
MONTHLY = limit(100, Fixed.BILLING_MONTH, name="monthly")
MAY = datetime(2026, 5, 31, tzinfo=UTC)


class Billing:
    """A world whose periods can be asked for."""

    def __init__(self, world: World, client: httpx.AsyncClient) -> None:
        self.world = world
        self.client = client

    async def asked(self, **query: str) -> dict[str, Any]:
        answer = await self.client.get(PATH, params={"app_id": "app"} | query)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def only(self) -> dict[str, Any]:
        (line,) = (await self.asked(user_id="user"))["periods"]
        found: dict[str, Any] = line
        return found


@pytest.fixture
async def billing() -> AsyncIterator[Billing]:
    clock = ManualClock()
    async with sqlite_meter(None, clock) as meter:
        periods = Periods(statements_of(meter), At(clock), timedelta(hours=72))
        app = Starlette(routes=[Route(PATH, Endpoint(periods.show, Keys(), ()))])
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://localhost",
            event_hooks={"response": [hold_to_document]},
        ) as client:
            yield Billing(World(meter, clock), client)


async def test_a_closed_period_stays_as_it_is_and_what_comes_later_stands_beside_it(
    billing: Billing,
) -> None:
    world = billing.world
    await world.grant(20)
    await world.use(MONTHLY, tokens=95)
    await world.use(MONTHLY, tokens=15)
    assert (await billing.only())["state"] == "open"
    world.clock.set(datetime(2026, 6, 3, tzinfo=UTC))
    await world.use(MONTHLY, tokens=5, at=MAY)
    settling = await billing.only()
    assert (settling["state"], settling["closes_at"]) == ("settling", "2026-06-04T00:00:00Z")
    world.clock.set(datetime(2026, 6, 4, tzinfo=UTC))
    closed = await billing.only()
    assert (closed["state"], closed["used"], closed["granted"], closed["overage"]) == (
        "closed", 100, 15, 0,
    )  # fmt: skip
    world.clock.set(datetime(2026, 6, 5, 3, 20, tzinfo=UTC))
    await world.use(MONTHLY, tokens=12, at=MAY)
    later = await billing.only()
    adjustment = {"at": "2026-06-05T03:00:00Z", "used": 7, "granted": 5, "overage": 7}
    assert later == closed | {"adjustments": [adjustment]}


async def test_an_invoice_job_walks_through_the_closed_periods_of_all_users(
    billing: Billing,
) -> None:
    world = billing.world
    users = [f"user-{number}" for number in range(7)]
    for month in (4, 5, 6):
        world.clock.set(datetime(2026, month, 20, tzinfo=UTC))
        for user in users:
            await world.of("app", user).use(MONTHLY, tokens=month)
    found, cursor = [], dict[str, str]()
    while True:
        page = await billing.asked(
            state="closed", **{"from": "2026-05-01T00:00:00Z", "limit": "4"} | cursor
        )
        found += [(line["user_id"], line["start"], line["used"]) for line in page["periods"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert found == [(user, "2026-05-01T00:00:00Z", 5) for user in users]


@pytest.mark.parametrize(
    ("query", "starts"),
    [
        ({}, [4, 5, 6]),
        ({"state": "open"}, [6]),
        ({"state": "closed"}, [4, 5]),
        ({"from": "2026-05-01T00:00:00Z"}, [5, 6]),
        ({"to": "2026-05-01T00:00:00Z"}, [4]),
        ({"from": "2026-04-30T00:00:00Z", "to": "2026-05-02T00:00:00Z"}, [4, 5]),
    ],
)
async def test_lines_can_be_left_out(
    billing: Billing, query: dict[str, str], starts: list[int]
) -> None:
    for month in (4, 5, 6):
        billing.world.clock.set(datetime(2026, month, 20, tzinfo=UTC))
        await billing.world.use(MONTHLY, tokens=month)
    lines = (await billing.asked(**query))["periods"]
    assert [datetime.fromisoformat(line["start"]).month for line in lines] == starts


async def test_what_an_invoice_should_not_be_made_of_unread_is_warned_of(billing: Billing) -> None:
    monthly = limit(100, Fixed.BILLING_MONTH, name="monthly")
    await billing.world.use(monthly, tokens=5)
    assert [it["code"] for it in (await billing.only())["warnings"]] == ["counted_later"]
    now = billing.world.clock.now
    moved = replace(billing.world, cycle=BillingCycle(start=now, anchor=now))
    billing.world.clock.advance(hours=2)
    await moved.use(monthly, tokens=5)
    await moved.use(monthly, tokens=5, at=billing.world.clock.now - timedelta(days=1))
    lines = (await billing.asked())["periods"]
    assert [(it["start"][:10], [each["code"] for each in it["warnings"]]) for it in lines] == [
        ("2026-04-05", ["overlaps", "counted_later"]),
        ("2026-05-01", ["ended_early", "counted_later"]),
        ("2026-05-05", []),
    ]


async def test_what_users_share_has_no_user(billing: Billing) -> None:
    pool = limit(10, Fixed.MONTH, name="pool", per=[])
    await billing.world.use(pool, tokens=13)
    (line,) = (await billing.asked())["periods"]
    assert (line["user_id"], line["overage"], line["dimensions"]) == (None, 3, {})
    assert (await billing.asked(user_id="user"))["periods"] == []


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": "nonsense"},
        {"cursor": "WzEsMl0"},
        {"cursor": "WyJcdWQ4MDAiLCAiYSIsIDFd"},
        {"state": "over"},
        {"limit": "0"},
        {"limit": "501"},
        {"from": "yesterday"},
        {"app_id": ""},
        {"usr_id": "u"},
    ],
)
async def test_a_wrong_question_names_the_field(billing: Billing, query: dict[str, str]) -> None:
    answer = await billing.client.get(PATH, params={"app_id": "app"} | query)
    assert_problem(answer, 422, "invalid_body")
    assert next(iter(query)) in answer.json()["detail"]


async def test_the_server_answers_with_what_it_has_counted() -> None:
    async with application(sidecar_settle="2d") as client:
        event = {"app_id": "a", "user_id": "u", "total_tokens": 12_000}
        assert (await client.post("/v1/usage", json=event)).status_code == 202
        answer = await client.get(PATH, params={"app_id": "a", "user_id": "u"})
    (line,) = answer.json()["periods"]
    assert (line["used"], line["state"]) == (12_000, "open")
    end = datetime.fromisoformat(line["end"])
    assert datetime.fromisoformat(line["closes_at"]) == end + timedelta(days=2)
