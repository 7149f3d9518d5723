"""Sessions over HTTP: deltas, commits and summaries come to what was used."""

import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.in_process import application
from tests.processes import RedisServer, redis_server

POLICY = """
apiVersion: sidecar/v1
kind: Policy
metadata: {name: test}
mode: enforce
defaults: {plan: free}
plans:
  free:
    plugins: ["*"]
    limits:
      - {id: monthly, meter: tokens, max: 100000, window: month}
      - {id: a-chat, meter: tokens, max: 100000, window: lifetime, per: [app, user, session]}
      - {id: input, meter: input_tokens, max: 100000, window: month}
      - {id: a-model, meter: tokens, max: 100000, window: month, per: [app, user, model]}
      - {id: large, meter: tokens, max: 100000, window: month, when: request.estimated_tokens >= 0}
      - {id: spend, meter: cost, max: 100000, window: month}
      - {id: requests, meter: requests, max: 1000, window: month}
"""
PRICES = """
apiVersion: sidecar/v1
kind: Prices
currency: USD
models:
  gpt-4o: {input: 1, output: 1}
default: {input: 2, output: 2}
"""
CHAT = {"app_id": "a", "user_id": "u", "chat_id": "chat_9", "workflow_name": "support"}
CHECK = {"app_id": "a", "user_id": "u", "session_id": "chat_9", "model": "gpt-4o"}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with policies and prices."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "policy.yaml").write_text(POLICY)
    (tmp_path / "prices.yaml").write_text(PRICES)
    return tmp_path


@pytest.fixture(params=["sqlite", "redis"])
async def client(request: pytest.FixtureRequest, files: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The application on each store."""
    settings: dict[str, object] = {
        "sidecar_prices": files / "prices.yaml", "sidecar_events_kept": "1d",
    }  # fmt: skip
    if request.param == "sqlite":
        store = f"sqlite:///{files / 's.db'}"
        async with application(files / "policies", sidecar_store=store, **settings) as client:
            yield client
    else:
        with redis_server(files) as server:
            settings |= {"sidecar_store": server.url, "sidecar_store_timeout_ms": 5_000}
            async with application(files / "policies", **settings) as client:
                yield client


def delta(name: str, received: int, sent: int, **more: object) -> dict[str, object]:
    return CHAT | {
        "event_id": name, "model_name": "gpt-4o", "agent_name": "planner",
        "prompt_tokens": received, "completion_tokens": sent,
    } | more  # fmt: skip


def summary(name: str, received: int, sent: int, **more: object) -> dict[str, object]:
    return CHAT | {
        "event_id": name, "event_ts": datetime.now(UTC).isoformat(),
        "prompt_tokens": received, "completion_tokens": sent, "total_tokens": received + sent,
    } | more  # fmt: skip


async def tell(client: httpx.AsyncClient, event: dict[str, object]) -> tuple[int, int]:
    """(accepted, duplicates)."""
    path = "/v1/usage" if "model_name" in event else "/v1/usage/summary"
    answer = await client.post(path, json=event)
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert body["rejected"] == []
    return body["accepted"], body["duplicates"]


async def used(client: httpx.AsyncClient) -> dict[str, int]:
    """What each limit has used."""
    told: dict[str, Any] = (await client.post("/v1/check", json=CHECK)).json()
    return {each["id"]: each["used"] for each in told["limits"]}


@pytest.mark.parametrize("seed", range(4))
async def test_the_counter_equals_the_last_summary_whatever_came_when_and_how_often(
    client: httpx.AsyncClient, seed: int
) -> None:
    deltas = [delta(f"d-{number}", 10 * number, number) for number in range(1, 11)]
    first, last = summary("s-1", 280, 28), summary("s-2", 600, 60)
    told = [*deltas[:7], first, first, *deltas[7:], last]
    told += told
    random.Random(seed).shuffle(told)

    tallies = [await tell(client, event) for event in told]

    assert sum(accepted for accepted, _ in tallies) == 12
    assert sum(duplicates for _, duplicates in tallies) == 26 - 12
    counted = await used(client)
    assert (counted["monthly"], counted["a-chat"], counted["input"]) == (660, 660, 600)
    assert (counted["a-model"], counted["large"], counted["requests"]) == (605, 605, 10)
    report = (await client.get("/v1/usage?app_id=a&user_id=u&group_by=model,agent")).json()
    assert report["totals"] == {
        "input_tokens": 600, "output_tokens": 60, "total_tokens": 660, "requests": 10,
        "estimated_cost": counted["spend"],
    }  # fmt: skip
    rows = {row["model"]: row["total_tokens"] for row in report["series"]}
    assert rows == {"gpt-4o": 605, "": 55}


async def test_a_commit_counts_in_its_checks_session(client: httpx.AsyncClient) -> None:
    check = CHECK | {"reserve": True, "estimate": {"input_tokens": 400, "output_tokens": 100}}
    held = (await client.post("/v1/check", json=check)).json()["reservation"]["id"]
    await tell(client, summary("s-1", 250, 50))
    total = {"input_tokens": 280, "output_tokens": 70}
    settled = await client.post(f"/v1/reservations/{held}/commit", json=total)
    assert [each["used"] for each in settled.json()["limits"]] == [350, 350, 280, 350, 350, 600, 1]
    await tell(client, summary("s-2", 280, 80))
    assert (await used(client))["monthly"] == 360


async def test_what_a_summary_adds_costs_what_an_unknown_model_costs(
    client: httpx.AsyncClient,
) -> None:
    await tell(client, delta("d-1", 60, 40))
    assert (await used(client))["spend"] == 100
    await tell(client, summary("s-1", 70, 45))
    assert (await used(client))["spend"] == 130


async def test_a_summary_is_exported_as_what_it_is(client: httpx.AsyncClient) -> None:
    await tell(client, delta("d-1", 60, 40))
    await tell(client, summary("s-1", 70, 40))
    await tell(client, summary("s-1", 70, 40))
    answer = await client.get("/v1/usage/export?app_id=a")
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [(line["kind"], line["event_id"]) for line in lines] == [
        ("delta", "d-1"), ("summary", "s-1"),
    ]  # fmt: skip
    told = lines[1]
    assert told["total_tokens"] == 110
    assert told.keys() == {"received_at", "kind"} | summary("s-1", 0, 0).keys()


async def test_a_cloud_event_may_carry_a_summary(client: httpx.AsyncClient) -> None:
    event = {"specversion": "1.0", "source": "/runtime", "subject": "u"}
    told = CHAT | {"prompt_tokens": 60, "completion_tokens": 40}
    of_type = [
        event | {"id": "1", "type": "chat.usage_delta", "data": told},
        event | {"id": "2", "type": "chat.usage_summary", "data": told | {"prompt_tokens": 70}},
    ]
    batch = {"Content-Type": "application/cloudevents-batch+json"}
    answer = await client.post("/v1/usage", content=json.dumps(of_type), headers=batch)
    assert answer.json()["accepted"] == 2
    assert (await used(client))["monthly"] == 110


async def test_a_summary_without_an_id_is_known_by_its_body(client: httpx.AsyncClient) -> None:
    bare = {"app_id": "a", "user_id": "u", "chat_id": "c", "prompt_tokens": 5}
    assert (await client.post("/v1/usage/summary", json=bare)).json()["accepted"] == 1
    assert (await client.post("/v1/usage/summary", json=bare)).json()["duplicates"] == 1
    assert (await client.post("/v1/usage", json=bare)).json()["accepted"] == 1
    assert (await used(client))["monthly"] == 5


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"chat_id": ""}, "chat_id"),
        ({"chat_id": None}, "chat_id"),
        ({"user_id": None}, "user_id"),
        ({"total_tokens": -1}, "total_tokens"),
        ({"total_tokens": 2**53}, "total_tokens"),
        ({"prompt_tokens": 2**53 - 1}, "body"),
        ({"model_name": "gpt-4o"}, "model_name"),
        ({"promt_tokens": 1}, "promt_tokens"),
        ({"event_ts": "yesterday"}, "event_ts"),
        ({"event_ts": (datetime.now(UTC) - timedelta(days=8)).isoformat()}, "event_ts"),
        ({"event_ts": (datetime.now(UTC) + timedelta(days=1)).isoformat()}, "event_ts"),
    ],
)
async def test_a_wrong_summary_is_422_and_counts_nothing(
    client: httpx.AsyncClient, wrong: dict[str, object], field: str
) -> None:
    answer = await client.post("/v1/usage/summary", json=summary("s-1", 5, 5) | wrong)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert (await used(client))["monthly"] == 0


@pytest.mark.parametrize("body", [[], [summary("s", 1, 1)], {"events": []}, "text", 1])
async def test_one_summary_is_told_at_a_time(client: httpx.AsyncClient, body: object) -> None:
    assert (await client.post("/v1/usage/summary", json=body)).status_code == 422


@pytest.mark.parametrize("has_spool", [False, True])
async def test_a_summary_that_comes_while_the_store_is_away_is_refused_or_counted_later(
    files: Path, has_spool: bool
) -> None:
    server = RedisServer(files)
    server.start()
    settings = {
        "sidecar_store": server.url,
        "sidecar_prices": files / "prices.yaml",
        "sidecar_spool": files / "spool" if has_spool else None,
    }
    try:
        async with application(files / "policies", **settings) as client:
            server.stop()
            told = await client.post("/v1/usage/summary", json=summary("s-1", 9, 9))
            assert told.status_code == (202 if has_spool else 503)
            server.start()
            deadline = datetime.now(UTC) + timedelta(seconds=30)
            while not has_spool and told.status_code == 503:
                assert datetime.now(UTC) < deadline
                told = await client.post("/v1/usage/summary", json=summary("s-1", 9, 9))
            while (await used(client)).get("monthly") != 18:
                assert datetime.now(UTC) < deadline
            assert (await used(client))["requests"] == 0
    finally:
        server.stop()
