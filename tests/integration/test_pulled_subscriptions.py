"""Subscriptions that nobody pushed are asked for, once for all who wait, and remembered."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sidecar.adapters.pulled.answers import Memory
from sidecar.adapters.pulled.source import BillingSide
from sidecar.adapters.pulled.subscriptions import PulledSubscriptions
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.subscriptions import SqliteSubscriptions
from sidecar.adapters.web import Web
from sidecar.domain.request import Subject
from sidecar.domain.subscription import Status, Subscription
from sidecar.errors import SubscriptionsUnavailable
from tests.in_process import application
from tests.listening import listening
from tests.processes import free_port

ANN = Subject("acme", "a/n n")
PRO = {
    "scope": "app", "appId": "acme", "active": True, "status": "active", "plan": "pro",
    "currentPeriodEnd": "2026-12-01T00:00:00Z", "cancelAtPeriodEnd": True,
}  # fmt: skip


@dataclass
class Hands:
    """A clock that is moved by hand."""

    seconds: float = 1_000.0

    def now(self) -> datetime:
        return datetime(2026, 5, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class Billing:
    """The billing side: tells what it is made to tell, and remembers who asked."""

    tell: Callable[[], Awaitable[httpx.Response]]
    asked: list[httpx.Request] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return await self.tell()


def telling(body: object, status: int = 200) -> Callable[[], Awaitable[httpx.Response]]:
    async def tell() -> httpx.Response:
        return httpx.Response(status, json=body)

    return tell


@dataclass
class World:
    """Users without pushed states, a billing side, a clock."""

    billing: Billing
    hands: Hands
    pushed: SqliteSubscriptions
    found: PulledSubscriptions

    async def find(self, subject: Subject = ANN) -> Subscription:
        return await self.found.find(subject, since=time.monotonic())


@pytest.fixture
async def world() -> AsyncIterator[World]:
    billing, hands = Billing(telling(PRO)), Hands()
    web = Web(transport=httpx.MockTransport(billing))
    source = BillingSide(web, "http://billing/status?app={app_id}&user={user_id}", "key-1")
    database = Database(None)
    database.open()
    pushed = SqliteSubscriptions(database)
    memory = Memory(fresh_s=60, stale_s=3_600, wait_s=5, rest_s=5, capacity=3)
    found = PulledSubscriptions(pushed, source, hands, memory, hands.monotonic)
    async with web:
        yield World(billing, hands, pushed, found)
    database.close()


async def test_the_billing_side_is_asked_once_for_all_who_wait(world: World) -> None:
    states = await asyncio.gather(*(world.find() for _ in range(50)))

    assert len(world.billing.asked) == 1
    request = world.billing.asked[0]
    assert str(request.url) == "http://billing/status?app=acme&user=a%2Fn%20n"
    assert request.headers["x-mozaiks-app-key"] == "key-1"
    assert request.headers["x-correlation-id"]
    assert {(state.plan, state.status) for state in states} == {("pro", Status.ACTIVE)}
    assert states[0].period_end == datetime(2026, 12, 1, tzinfo=UTC)
    assert states[0].cancel_at_period_end


async def test_a_pushed_state_comes_first_and_nobody_is_asked(world: World) -> None:
    state = Subscription("a/n n", "acme", plan="free", status=Status.CANCELED)
    await world.pushed.sync(state, since=time.monotonic())

    assert (await world.find()).plan == "free"
    assert world.billing.asked == []


async def test_an_answer_is_remembered_then_given_once_more_while_a_new_one_is_had(
    world: World,
) -> None:
    await world.find()
    world.billing.tell = telling(PRO | {"plan": "team"})
    world.hands.seconds += 59

    assert (await world.find()).plan == "pro"
    assert len(world.billing.asked) == 1

    world.hands.seconds += 1
    assert (await world.find()).plan == "pro"
    await settled()
    assert (await world.find()).plan == "team"
    assert len(world.billing.asked) == 2


async def settled() -> None:
    """Wait until nothing else is under way."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others)


async def test_an_old_answer_is_better_than_none_until_it_is_too_old(world: World) -> None:
    await world.find()
    world.billing.tell = telling({}, 500)
    for _ in range(3):
        world.hands.seconds += 1_000
        assert (await world.find()).plan == "pro"
        await settled()

    world.hands.seconds += 1_000
    with pytest.raises(SubscriptionsUnavailable):
        await world.find()


async def test_a_billing_side_that_fails_is_left_in_peace_for_a_while(world: World) -> None:
    world.billing.tell = telling({}, 503)
    for _ in range(20):
        with pytest.raises(SubscriptionsUnavailable):
            await world.find()
    assert len(world.billing.asked) == 1

    world.hands.seconds += 5
    world.billing.tell = telling(PRO)
    assert (await world.find()).plan == "pro"


async def test_a_check_does_not_wait_for_an_answer_that_does_not_come(world: World) -> None:
    come = asyncio.Event()

    async def late() -> httpx.Response:
        await come.wait()
        return httpx.Response(200, json=PRO)

    world.billing.tell = late
    world.found._answers._memory = Memory(wait_s=0.01)
    with pytest.raises(SubscriptionsUnavailable):
        await world.find()

    come.set()
    await settled()
    assert (await world.find()).plan == "pro"
    assert len(world.billing.asked) == 1


async def test_whoever_is_unknown_there_has_no_subscription(world: World) -> None:
    world.billing.tell = telling({"detail": "unknown"}, 404)

    assert (await world.find()).status is Status.NONE
    assert (await world.find()).status is Status.NONE
    assert len(world.billing.asked) == 1


async def test_grace_is_counted_from_when_a_status_was_first_told(world: World) -> None:
    world.billing.tell = telling(PRO | {"status": "past_due"})
    first = await world.find()
    world.hands.seconds += 3_000
    await world.find()
    await settled()
    later = await world.find()

    assert len(world.billing.asked) == 2
    assert later.status_since == first.status_since


async def test_only_so_many_users_are_remembered(world: World) -> None:
    for number in range(5):
        await world.find(Subject("acme", f"user-{number}"))
    assert len(world.found._answers._entries) == 3

    await world.find(Subject("acme", "user-4"))
    await world.find(Subject("acme", "user-0"))
    assert len(world.billing.asked) == 6


@pytest.mark.parametrize(
    ("told", "status"),
    [({"active": True, "plan": "pro"}, Status.ACTIVE), ({"active": False}, Status.INACTIVE)],
)
async def test_a_state_without_a_status_is_active_or_not(
    told: dict[str, object], status: Status, world: World
) -> None:
    world.billing.tell = telling(told)

    assert (await world.find()).status is status


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"status": "gold"},
        {"status": 5},
        [],
        PRO | {"currentPeriodEnd": "tomorrow"},
        PRO | {"plan": "p" * 257},
    ],
)
async def test_what_is_no_state_is_as_none(told: object, world: World) -> None:
    world.billing.tell = telling(told)

    with pytest.raises(SubscriptionsUnavailable):
        await world.find()


async def test_a_paying_users_plan_holds_though_nobody_pushed_it() -> None:
    async def status(request: Request) -> Response:
        if request.query_params["user"] == "nobody":
            return JSONResponse({}, 404)
        return JSONResponse(PRO)

    asked = {"app_id": "acme", "user_id": "ann", "plugin": "any_plugin"}
    app = Starlette(routes=[Route("/status", status)])
    async with (
        listening(app) as url,
        application(subscription_api_url=url + "/status?user={user_id}") as client,
    ):
        paying = await client.post("/v1/check", json=asked)
        free = await client.post("/v1/check", json=asked | {"user_id": "nobody"})
        stored = await client.get("/v1/subscriptions/acme/ann")
        push = {"userId": "ann", "appId": "acme", "plan": "free", "status": "active"}
        await client.post("/api/internal/subscription/sync", json=push)
        pushed = await client.post("/v1/check", json=asked)

    assert (paying.status_code, paying.json()["plan"]) == (200, "pro")
    assert (free.status_code, free.json()["plan"]) == (402, "free")
    assert stored.json()["plan"] == "pro"
    assert pushed.json()["plan"] == "free"


async def test_a_billing_side_that_is_away_is_judged_by_the_failure_mode() -> None:
    nobody = f"http://127.0.0.1:{free_port()}/{{user_id}}"
    async with application(subscription_api_url=nobody) as client:
        answer = await client.post("/v1/check", json={"app_id": "acme", "user_id": "ann"})

    assert answer.status_code == 503
    assert answer.json()["reasons"][0]["code"] == "subscription_unavailable"
