"""Limits on cost: estimated before the run, charged after it, by what each model costs."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidecar.errors import ConfigurationError
from tests.in_process import application
from tests.priced import COST_POLICY

WHO = {"app_id": "a", "user_id": "u"}
PRICES = """
apiVersion: sidecar/v1
kind: Prices
currency: USD
models:
  dear: {input: 100, output: 300}
  cheap: {input: 0.5, output: 1.5}
default: {input: 10, output: 10}
"""


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A plan of one dollar a month."""
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "policy.yaml").write_text(COST_POLICY)
    (tmp_path / "prices.yaml").write_text(PRICES)
    async with application(folder, sidecar_prices=tmp_path / "prices.yaml") as client:
        yield client


def tokens(given: int, made: int) -> dict[str, Any]:
    return {"estimate": {"input_tokens": given, "output_tokens": made}}


async def ask(client: httpx.AsyncClient, **asked: object) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.post("/v1/check", json=WHO | asked)).json()
    return answer


async def hold(client: httpx.AsyncClient, **asked: object) -> str:
    answer = await ask(client, reserve=True, **asked)
    return f"/v1/reservations/{answer['reservation']['id']}"


async def spent(client: httpx.AsyncClient) -> tuple[int, int]:
    """Micro-dollars used and reserved."""
    limit = (await ask(client))["limits"][0]
    return limit["used"], limit["reserved"]


@pytest.mark.parametrize(
    ("asked", "cost"),
    [
        (tokens(1_000, 1_000) | {"model": "dear"}, 400_000),
        (tokens(1_000, 1_000) | {"model": "cheap"}, 2_000),
        (tokens(1, 0) | {"model": "cheap"}, 1),
        (tokens(1_000, 1_000) | {"model": "unheard-of"}, 20_000),
        (tokens(1_000, 1_000), 20_000),
        ({"estimated_tokens": 1_000, "model": "dear"}, 300_000),
        ({"model": "dear"}, 0),
    ],
)
async def test_a_check_asks_for_what_its_model_costs(
    asked: dict[str, Any], cost: int, client: httpx.AsyncClient
) -> None:
    assert (await ask(client, **asked))["limits"][0]["requested"] == cost


async def test_a_run_that_is_too_dear_is_refused_and_a_cheaper_model_is_not(
    client: httpx.AsyncClient,
) -> None:
    refused = await ask(client, model="dear", **tokens(1_001, 3_000))
    allowed = await ask(client, model="cheap", **tokens(1_001, 3_000))

    assert (refused["effect"], allowed["effect"]) == ("deny", "allow")
    assert refused["detail"] == (
        "The plan allows 1,000,000 micro-units of cost this billing month; "
        "this request alone asks for 1,000,100, so it can never fit, however long one waits."
    )


async def test_a_hold_is_held_at_its_models_rates_and_charged_at_them(
    client: httpx.AsyncClient,
) -> None:
    path = await hold(client, model="dear", **tokens(1_000, 1_000))
    held = await spent(client)

    await client.post(f"{path}/commit", json={"input_tokens": 500, "output_tokens": 100})

    assert held == (0, 400_000)
    assert await spent(client) == (80_000, 0)


async def test_a_commit_that_names_a_model_is_charged_at_that_ones_rates(
    client: httpx.AsyncClient,
) -> None:
    path = await hold(client, model="dear", **tokens(1_000, 1_000))

    body = {"input_tokens": 1_000, "output_tokens": 1_000, "model": "cheap"}
    await client.post(f"{path}/commit", json=body)

    assert await spent(client) == (2_000, 0)


async def test_a_commit_that_knows_only_the_total_is_charged_the_dearer_rate(
    client: httpx.AsyncClient,
) -> None:
    path = await hold(client, model="dear", **tokens(1_000, 1_000))

    await client.post(f"{path}/commit", json={"total_tokens": 1_000, "model": "dear"})

    assert await spent(client) == (300_000, 0)


async def test_an_extension_holds_what_the_further_tokens_cost(client: httpx.AsyncClient) -> None:
    path = await hold(client, model="dear", **tokens(1_000, 1_000))

    more = await client.post(f"{path}/extend", json=tokens(1_000, 0))
    too_much = await client.post(f"{path}/extend", json=tokens(0, 2_000))

    assert (more.status_code, too_much.status_code) == (200, 402)
    assert await spent(client) == (0, 500_000)


async def test_an_event_costs_what_its_model_costs(client: httpx.AsyncClient) -> None:
    event = WHO | {"prompt_tokens": 1_000, "completion_tokens": 1_000, "model_name": "dear"}
    answer = await client.post("/v1/usage", json=[event, WHO | {"total_tokens": 1_000}])

    assert answer.json()["accepted"] == 2
    assert await spent(client) == (410_000, 0)


async def test_a_top_up_of_cost_lets_more_be_spent(client: httpx.AsyncClient) -> None:
    event = WHO | {"prompt_tokens": 10_000, "model_name": "dear"}
    await client.post("/v1/usage", json=[event])
    refused = await ask(client, model="cheap", **tokens(1_000, 0))
    grant = {"grantId": "g", "userId": "u", "appId": "a", "meter": "cost", "amount": 500}

    pushed = await client.post("/api/internal/grants/sync", json=grant)
    allowed = await ask(client, model="cheap", **tokens(1_000, 0))
    dearer = await ask(client, model="cheap", **tokens(1_001, 0))

    assert pushed.json()["warnings"] == []
    effects = [answer["effect"] for answer in (refused, allowed, dearer)]
    assert effects == ["deny", "allow", "deny"]


async def test_the_same_request_is_known_again_at_other_prices(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "policy.yaml").write_text(COST_POLICY)
    (tmp_path / "prices.yaml").write_text(PRICES)
    settings = {
        "sidecar_prices": tmp_path / "prices.yaml",
        "sidecar_store": f"sqlite:///{tmp_path}/store.db",
    }
    asked = {"model": "dear", "reserve": True, "request_id": "r"} | tokens(1_000, 0)
    async with application(folder, **settings) as client:
        first = await ask(client, **asked)
    (tmp_path / "prices.yaml").write_text(PRICES.replace("100", "200"))
    async with application(folder, **settings) as client:
        again = await ask(client, **asked)

    assert again["reservation"] == first["reservation"]


async def test_a_commit_comes_again_at_other_prices(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "policy.yaml").write_text(COST_POLICY)
    (tmp_path / "prices.yaml").write_text(PRICES)
    settings = {
        "sidecar_prices": tmp_path / "prices.yaml",
        "sidecar_store": f"sqlite:///{tmp_path}/store.db",
    }
    used = {"input_tokens": 10, "output_tokens": 10, "model": "cheap"}
    async with application(folder, **settings) as client:
        run = await hold(client, **tokens(100, 100), model="dear")
        first = await client.post(f"{run}/commit", json=used)
    (tmp_path / "prices.yaml").write_text(PRICES.replace("0.5", "5"))
    async with application(folder, **settings) as client:
        again = await client.post(f"{run}/commit", json=used)
        more = await client.post(f"{run}/commit", json=used | {"input_tokens": 11})

    assert (again.status_code, again.json()) == (200, first.json())
    assert more.status_code == 409


async def test_without_prices_a_limit_on_cost_does_not_load(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(COST_POLICY)

    with pytest.raises(ConfigurationError, match="name a price file as SIDECAR_PRICES"):
        async with application(tmp_path):
            pass
