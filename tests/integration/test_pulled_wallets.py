"""Balances that nobody pushed are asked for, held against at once, and shared by all processes."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sidecar.adapters.pulled.answers import Memory
from sidecar.adapters.pulled.wallet_source import WalletSide
from sidecar.adapters.pulled.wallets import PulledWallets
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.wallets import SqliteWallets
from sidecar.adapters.web import Web
from sidecar.domain.request import Subject
from sidecar.domain.wallet import Wallet
from sidecar.errors import Unavailable
from tests.in_process import application
from tests.integration.test_api_wallets import check, spend, tell, wallet, written
from tests.integration.test_pulled_subscriptions import Billing, Hands, settled, telling
from tests.listening import listening
from tests.priced import WALLET_POLICY
from tests.processes import free_port

ANN = Subject("acme", "a/n n")
MEMORY = Memory(fresh_s=10, stale_s=3_600, wait_s=5, rest_s=5)


@dataclass
class Wall:
    """A clock whose hands are moved, while the store waits by the true time."""

    hands: Hands

    def now(self) -> datetime:
        return self.hands.now()

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class World:
    """Users without pushed balances, somebody who keeps them, a clock."""

    keeper: Billing
    hands: Hands
    stored: SqliteWallets
    source: WalletSide
    found: PulledWallets

    async def find(self) -> Wallet:
        return await self.found.find(ANN, since=time.monotonic())

    def beside(self) -> PulledWallets:
        """Another process on the same store, which remembers nothing yet."""
        return PulledWallets(
            self.stored, self.source, Wall(self.hands), MEMORY, self.hands.monotonic
        )


@pytest.fixture
async def world() -> AsyncIterator[World]:
    keeper, hands = Billing(telling({"walletId": "w-1", "balance": 500})), Hands()
    web = Web(transport=httpx.MockTransport(keeper))
    source = WalletSide(web, "http://keeper/{app_id}?user={user_id}", "key-1", lambda: "USD")
    database = Database(None)
    database.open()
    stored = SqliteWallets(database)
    found = PulledWallets(stored, source, Wall(hands), MEMORY, hands.monotonic)
    async with web:
        yield World(keeper, hands, stored, source, found)
    database.close()


async def test_whoever_keeps_the_balance_is_asked_once_for_all_who_wait(world: World) -> None:
    found = await asyncio.gather(*(world.find() for _ in range(50)))

    assert len(world.keeper.asked) == 1
    request = world.keeper.asked[0]
    assert str(request.url) == "http://keeper/acme?user=a%2Fn%20n"
    assert request.headers["x-mozaiks-app-key"] == "key-1"
    assert request.headers["x-correlation-id"]
    told = Wallet("acme", "a/n n", 500, "USD", world.hands.now(), 0, "w-1", is_pulled=True)
    assert set(found) == {told}


async def test_a_balance_is_of_the_time_when_it_was_asked_for(world: World) -> None:
    """What is counted while the answer is on its way is held against it."""
    asked_at = world.hands.now()

    async def slowly() -> httpx.Response:
        world.hands.seconds += 3
        return httpx.Response(200, json={"balance": 500})

    world.keeper.tell = slowly
    assert (await world.find()).as_of == asked_at


async def test_a_balance_is_asked_for_again_after_a_while(world: World) -> None:
    await world.find()
    world.keeper.tell = telling({"balance": 900})
    assert (await world.find()).balance == 500
    world.hands.seconds += 10

    assert (await world.find()).balance == 500
    await settled()
    assert (await world.find()).balance == 900
    assert len(world.keeper.asked) == 2


async def test_a_pushed_balance_comes_first_and_nobody_is_asked(world: World) -> None:
    pushed = Wallet("acme", "a/n n", 7, "USD", world.hands.now())
    await world.found.sync(pushed, since=time.monotonic())

    assert (await world.find()).balance == 7
    assert world.keeper.asked == []


async def test_a_push_ends_the_asking(world: World) -> None:
    await world.find()
    world.hands.seconds += 1
    pushed = Wallet("acme", "a/n n", 7, "USD", world.hands.now())
    await world.found.sync(pushed, since=time.monotonic())
    world.hands.seconds += 60

    assert (await world.find()).balance == 7
    assert len(world.keeper.asked) == 1


async def test_an_old_balance_is_better_than_none(world: World) -> None:
    await world.find()
    world.keeper.tell = telling({"detail": "down"}, 503)
    world.hands.seconds += 60
    await world.find()
    await settled()

    assert (await world.find()).balance == 500


async def test_a_process_that_begins_anew_knows_what_was_told_before(world: World) -> None:
    await world.find()
    world.keeper.tell = telling({"detail": "down"}, 503)

    assert (await world.beside().find(ANN, since=time.monotonic())).balance == 500


async def test_a_balance_of_yesterday_is_none(world: World) -> None:
    await world.find()
    world.keeper.tell = telling({"detail": "down"}, 503)
    world.hands.seconds += 3_600
    await settled()

    with pytest.raises(Unavailable):
        await world.beside().find(ANN, since=time.monotonic())


async def test_whoever_has_no_wallet_there_has_none(world: World) -> None:
    world.keeper.tell = telling({"detail": "unknown"}, 404)

    assert (await world.find()).balance is None
    assert (await world.find()).balance is None
    assert len(world.keeper.asked) == 1


@pytest.mark.parametrize(
    "told",
    [
        {},
        [],
        {"balance": "500"},
        {"balance": 5.0},
        {"balance": True},
        {"balance": None},
        {"balance": 2**53},
        {"balance": 500, "currency": "EUR"},
    ],
)
async def test_what_is_no_balance_is_as_good_as_no_answer(told: object, world: World) -> None:
    world.keeper.tell = telling(told)
    with pytest.raises(Unavailable):
        await world.find()


async def test_a_newer_balance_of_another_process_is_taken(world: World) -> None:
    other = world.beside()
    await other.find(ANN, since=time.monotonic())
    world.hands.seconds += 5
    world.keeper.tell = telling({"balance": 900})
    assert (await world.find()).balance == 900

    assert (await other.find(ANN, since=time.monotonic())).balance == 900


@dataclass
class Keeper:
    """Keeps one balance, and tells it over the network."""

    balance: int = 10_000
    asked: list[str] = field(default_factory=list)

    async def tell(self, request: Request) -> Response:
        self.asked.append(request.method)
        return JSONResponse(
            {"walletId": f"w-{request.path_params['user']}", "balance": self.balance}
        )


async def test_a_server_spends_what_another_one_tells(tmp_path: Path) -> None:
    folder, prices = written(tmp_path)
    keeper = Keeper()
    methods = ["GET", "POST", "PUT", "PATCH", "DELETE"]
    routes = [Route("/wallets/{app}/{user}", keeper.tell, methods=methods)]
    async with listening(Starlette(routes=routes)) as url:
        address = f"{url}/wallets/{{app_id}}/{{user_id}}"
        async with application(folder, sidecar_prices=prices, wallet_api_url=address) as client:
            await spend(client, 4_000)
            assert (await check(client, 6_001)).status_code == 402
            found = await wallet(client)
            assert (found["wallet_id"], found["available"]) == ("w-u", 6_000)

            pushed = await tell(client, 50, at=datetime.now(UTC) + timedelta(seconds=1))
            assert (pushed["status"], (await wallet(client))["balance"]) == ("synced", 50)
    # Nobody was told to change it.
    assert set(keeper.asked) == {"GET"}


@pytest.mark.parametrize(
    ("failure_mode", "require", "status", "codes"),
    [
        ("open", "true", 200, []),
        ("closed", "true", 503, ["store_unavailable"]),
        ("local", "true", 503, ["store_unavailable"]),
        ("closed", "false", 200, []),
    ],
)
async def test_a_balance_that_cannot_be_had_is_what_the_failure_mode_says(
    failure_mode: str, require: str, status: int, codes: list[str], tmp_path: Path
) -> None:
    policy = WALLET_POLICY.replace("plan: payg}", f"plan: payg, failure_mode: {failure_mode}}}")
    folder, prices = written(tmp_path, policy.replace("require: true", f"require: {require}"))
    nowhere = f"http://127.0.0.1:{free_port()}/{{user_id}}"
    async with application(folder, sidecar_prices=prices, wallet_api_url=nowhere) as client:
        answer = await check(client, 5)
        body = answer.json()
    assert (answer.status_code, body["degraded"]) == (status, True)
    assert [(reason["code"], reason["id"]) for reason in body["reasons"]] == [
        (code, "wallet") for code in codes
    ]
    assert body["limits"][0]["limit"] is None
    if codes:
        assert body["title"] == "The balance cannot be read"
        assert (body["retryable"], body["remedies"]) == (True, [])


async def test_what_runs_without_a_known_balance_is_held_against_the_next_one(
    tmp_path: Path,
) -> None:
    folder, prices = written(tmp_path)
    nowhere = f"http://127.0.0.1:{free_port()}/{{user_id}}"
    async with application(folder, sidecar_prices=prices, wallet_api_url=nowhere) as client:
        before = datetime.now(UTC)
        await spend(client, 300)
        assert (await tell(client, 1_000, at=before))["available"] == 700
