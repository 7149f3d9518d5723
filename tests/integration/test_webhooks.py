"""Notices that leave the house: signed, told once, tried until they are taken."""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.notices import SqliteNotices
from sidecar.adapters.web import Web
from sidecar.adapters.webhooks.delivery import SCHEDULE, Deliveries
from sidecar.adapters.webhooks.signing import Signer
from sidecar.domain.notices import Message
from sidecar.errors import ConfigurationError
from tests.in_process import application
from tests.listening import listening, until

SECRET = "whsec_c2VjcmV0LW9mLXRoaXMtdGVzdC0wMDAx"
OTHER = "whsec_c2VjcmV0LW9mLXRoaXMtdGVzdC0wMDAy"
START = datetime(2026, 5, 5, tzinfo=UTC)


@dataclass
class Receiver:
    """Takes messages, and answers what it is told to."""

    answer: Callable[[], Response] = lambda: Response(status_code=204)
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    async def take(self, request: Request) -> Response:
        self.taken.append((dict(request.headers), await request.body()))
        return self.answer()

    def messages(self, secret: str = SECRET) -> list[dict[str, Any]]:
        """What came, each verified by the standard's own package."""
        return [Webhook(secret).verify(body, headers) for headers, body in self.taken]


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    async with listening(Starlette(routes=[Route("/", found.take, methods=["POST"])])) as url:
        found.url = url + "/"
        yield found


async def check(client: httpx.AsyncClient, user_id: str, tokens: int) -> int:
    asked = {"app_id": "acme", "user_id": user_id, "estimated_tokens": tokens}
    return (await client.post("/v1/check", json=asked)).status_code


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    (tmp_path / "policy.yaml").write_text(
        """
apiVersion: sidecar/v1
kind: Policy
metadata: {name: warned}
mode: enforce
defaults: {plan: free}
plans:
  free:
    plugins: ["*"]
    limits:
      - {id: monthly, meter: tokens, max: 1000, window: billing_month, warn_at: 0.8}
"""
    )
    return tmp_path


async def test_a_limit_tells_of_its_warning_and_of_its_end_once_for_each_user(
    policies: Path,
) -> None:
    async with (
        receiver() as platform,
        application(
            policies, sidecar_webhook_url=platform.url, sidecar_webhook_secret=SECRET
        ) as client,
    ):
        for user_id in ("ann", "bob"):
            assert await check(client, user_id, 100) == 200
            for _ in range(5):
                assert await check(client, user_id, 850) == 200
                assert await check(client, user_id, 1_001) == 402
        await until(lambda: len(platform.taken) == 4)
        await asyncio.sleep(0)

    told = sorted(platform.messages(), key=lambda each: (each["data"]["user_id"], each["type"]))
    assert [
        (each["type"], each["data"]["user_id"], each["data"]["threshold"]) for each in told
    ] == [
        ("entitlement.limit_reached", "ann", 1.0),
        ("entitlement.threshold_reached", "ann", 0.8),
        ("entitlement.limit_reached", "bob", 1.0),
        ("entitlement.threshold_reached", "bob", 0.8),
    ]
    assert told[0]["data"]["limit"]["id"] == "monthly"
    assert told[0]["data"]["decision_id"].startswith("dec_")
    assert len({headers["webhook-id"] for headers, _ in platform.taken}) == 4


async def test_a_password_in_the_address_is_in_no_log(
    policies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with receiver() as platform:
        address = platform.url.replace("http://", "http://us:pass-word-1@")
        async with application(
            policies, sidecar_webhook_url=address, sidecar_webhook_secret=SECRET
        ) as client:
            await check(client, "ann", 1_000_000)
            await until(lambda: bool(platform.taken))
    logged = capsys.readouterr().err
    assert "decision" in logged
    assert "pass-word-1" not in logged
    assert "HTTP Request" not in logged


async def test_for_a_receiver_that_is_gone_nothing_is_kept(policies: Path, tmp_path: Path) -> None:
    store = tmp_path / "s.db"
    async with (
        receiver() as platform,
        application(
            policies,
            sidecar_webhook_url=platform.url,
            sidecar_webhook_secret=SECRET,
            sidecar_store=f"sqlite:///{store}",
        ) as client,
    ):
        platform.answer = lambda: Response(status_code=410)
        assert await check(client, "ann", 1_001) == 402
        with closing(sqlite3.connect(store)) as file:
            await until(lambda: len(platform.taken) == 1 and waiting(file) == 0)
            assert await check(client, "bob", 1_001) == 402
    with closing(sqlite3.connect(store)) as file:
        assert waiting(file) == 0
    assert len(platform.taken) == 1


def waiting(file: sqlite3.Connection) -> int:
    return int(file.execute("SELECT count(*) FROM notice").fetchone()[0])


async def test_policies_that_are_refused_are_told_of(policies: Path) -> None:
    async with (
        receiver() as platform,
        application(
            policies, sidecar_webhook_url=platform.url, sidecar_webhook_secret=SECRET
        ) as client,
    ):
        in_force = (await client.get("/v1/policies")).json()["revision"]
        (policies / "policy.yaml").write_text("plans: [")
        assert (await client.post("/v1/policies/reload")).status_code == 422
        await until(lambda: len(platform.taken) == 1)

    [told] = platform.messages()
    assert told["type"] == "policy.rejected"
    assert told["data"]["in_force"] == in_force
    assert "policy.yaml:1" in told["data"]["message"]


def test_only_who_knows_the_secret_can_have_sent_it() -> None:
    body = '{"type":"x"}'
    headers = dict(Signer(SECRET).headers("msg_1", datetime.now(UTC), body))

    assert Webhook(SECRET).verify(body, headers) == {"type": "x"}
    for wrong_body, wrong_headers in (
        (body + " ", headers),
        (body, headers | {"webhook-id": "msg_2"}),
        (body, headers | {"webhook-timestamp": "1"}),
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(wrong_body, wrong_headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(body, headers)


def test_while_a_secret_is_replaced_both_are_good() -> None:
    headers = dict(Signer(f"{SECRET}, {OTHER}").headers("msg_1", datetime.now(UTC), "{}"))

    assert Webhook(SECRET).verify("{}", headers) == Webhook(OTHER).verify("{}", headers) == {}


@pytest.mark.parametrize("secret", ["", ",", "c2VjcmV0", "whsec_", "whsec_c2hvcnQ=", "whsec_!"])
def test_what_is_no_secret_is_refused_at_the_start(secret: str) -> None:
    with pytest.raises(ConfigurationError, match="SIDECAR_WEBHOOK_SECRET"):
        Signer(secret)


@dataclass
class Hands:
    """A clock that is moved by hand."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class World:
    """One message that waits, its receiver, and a clock."""

    clock: Hands
    platform: Receiver
    deliveries: Deliveries

    async def sent(self, after: timedelta) -> int:
        """How many messages are sent when so much time has passed."""
        self.clock.at += after
        return await self.deliveries.send_due()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    database, clock = Database(None), Hands()
    database.open()
    notices = SqliteNotices(database)
    hour = START + timedelta(hours=1)
    await notices.add(Message("msg_1", "{}"), "once", START, hour, since=time.monotonic())
    async with receiver() as platform, Web() as web:
        yield World(clock, platform, Deliveries(notices, web, Signer(SECRET), platform.url, clock))
    database.close()


async def test_a_message_is_tried_on_the_schedule_of_the_standard_and_then_given_up(
    world: World,
) -> None:
    world.platform.answer = lambda: Response(status_code=500)
    assert await world.sent(timedelta()) == 1
    for pause in SCHEDULE:
        assert await world.sent(pause * 0.99) == 0
        assert await world.sent(pause * 0.12) == 1

    assert await world.sent(timedelta(days=30)) == 0
    assert len(world.platform.taken) == len(SCHEDULE) + 1
    assert {headers["webhook-id"] for headers, _ in world.platform.taken} == {"msg_1"}


async def test_a_receiver_may_ask_for_more_time(world: World) -> None:
    world.platform.answer = lambda: Response(status_code=429, headers={"retry-after": "3600"})
    await world.sent(timedelta())

    assert await world.sent(timedelta(minutes=59)) == 0
    assert await world.sent(timedelta(minutes=2)) == 1


async def test_what_is_taken_is_not_sent_again(world: World) -> None:
    assert await world.sent(timedelta()) == 1
    assert await world.sent(timedelta(days=30)) == 0
    assert len(world.platform.taken) == 1


async def test_a_receiver_that_is_gone_is_left_in_peace(world: World) -> None:
    world.platform.answer = lambda: Response(status_code=410)
    assert await world.sent(timedelta()) == 1

    assert world.deliveries.is_disabled
    assert await world.sent(timedelta(days=1)) == 0


async def test_a_message_whose_sender_died_is_sent_by_another(world: World) -> None:
    async def nobody_answers(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError("never")

    notices = world.deliveries._notices
    async with Web(transport=httpx.MockTransport(nobody_answers)) as dead:
        first = Deliveries(notices, dead, Signer(SECRET), world.platform.url, world.clock)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await first.send_due()

    assert await world.sent(timedelta(seconds=59)) == 0
    assert await world.sent(timedelta(seconds=2)) == 1
    assert json.loads(world.platform.taken[0][1]) == {}
