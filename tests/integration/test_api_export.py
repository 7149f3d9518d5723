"""Accepted events, through the whole application."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.in_process import application
from tests.processes import RedisServer, redis_server

NDJSON = "application/x-ndjson"


async def export(client: httpx.AsyncClient, **asked: Any) -> httpx.Response:
    return await client.get("/v1/usage/export", params=asked)


def lines_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == NDJSON
    return [json.loads(line) for line in answer.text.splitlines()]


async def report(client: httpx.AsyncClient, *names: str, app: str = "acme") -> None:
    events = [{"event_id": name, "app_id": app, "user_id": "ann"} for name in names]
    assert (await client.post("/v1/usage", json=events)).status_code == 202


async def test_every_accepted_event_is_a_line_once() -> None:
    async with application() as client:
        await report(client, "a", "b", "a")
        await report(client, "x", app="other")
        await report(client, "b")
        both, one = await export(client), await export(client, app_id="acme")

    assert [line["event_id"] for line in lines_of(both)] == ["a", "b", "x"]
    [first, _] = lines_of(one)
    assert list(first)[:3] == ["received_at", "kind", "event_id"]
    assert first | {"received_at": "", "event_ts": ""} == {
        "received_at": "", "kind": "delta", "event_id": "a", "event_ts": "", "chat_id": None,
        "app_id": "acme", "user_id": "ann", "workflow_name": None, "agent_name": None,
        "model_name": None, "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0,
    }  # fmt: skip
    assert one.headers["x-has-more"] == "false"


async def test_a_commit_is_no_line_and_a_wrong_event_neither() -> None:
    who = {"app_id": "acme", "user_id": "ann"}
    async with application() as client:
        checked = await client.post("/v1/check", json=who | {"reserve": True})
        name = checked.json()["reservation"]["id"]
        await client.post(f"/v1/reservations/{name}/commit", json={"total_tokens": 3})
        await client.post("/v1/usage", json=[who | {"prompt_tokens": -1}])
        drawn = who | {"event_id": "late", "reservation_id": name}
        await client.post("/v1/usage", json=drawn)
        answer = await export(client)

    [line] = lines_of(answer)
    assert (line["event_id"], line["reservation_id"]) == ("late", name)


async def test_a_cursor_goes_on_where_the_last_page_ended() -> None:
    async with application() as client:
        await report(client, *"abcde")
        found, cursor = [], ""
        for expected in ("true", "true", "false"):
            page = await export(client, limit=2, cursor=cursor)
            assert page.headers["x-has-more"] == expected
            found += [line["event_id"] for line in lines_of(page)]
            cursor = page.headers["x-next-cursor"]
        nothing = await export(client, cursor=cursor)
        await report(client, "f")
        more = await export(client, cursor=nothing.headers["x-next-cursor"])

    assert "".join(found) == "abcde"
    assert lines_of(nothing) == []
    assert [line["event_id"] for line in lines_of(more)] == ["f"]


async def test_from_and_to_are_about_when_an_event_was_received() -> None:
    now = datetime.now(UTC)
    hour_ago, soon = (now - timedelta(hours=1)).isoformat(), (now + timedelta(hours=1)).isoformat()
    async with application() as client:
        late = {"app_id": "a", "user_id": "u", "event_ts": (now - timedelta(days=3)).isoformat()}
        await client.post("/v1/usage", json=late)
        within = await export(client, **{"from": hour_ago, "to": soon})
        before = await export(client, to=hour_ago)
        after = await export(client, **{"from": soon})

    assert [len(lines_of(each)) for each in (within, before, after)] == [1, 0, 0]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"limit": 0}, "limit"), ({"limit": 5_001}, "limit"), ({"from": "yesterday"}, "from"),
        ({"app_id": ""}, "app_id"), ({"form": "x"}, "form"), ({"cursor": "x" * 16_385}, "cursor"),
    ],
)  # fmt: skip
async def test_a_wrong_parameter_is_named(asked: dict[str, Any], field: str) -> None:
    async with application() as client:
        answer = await export(client, **asked)

    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


async def test_a_cursor_of_another_question_is_refused() -> None:
    async with application() as client:
        await report(client, "a")
        cursor = (await export(client, app_id="acme")).headers["x-next-cursor"]
        answers = [
            await export(client, app_id="other", cursor=cursor),
            await export(client, cursor=cursor),
            await export(client, cursor="nonsense"),
        ]

    assert [answer.status_code for answer in answers] == [422] * 3
    assert answers[0].json()["type"].endswith(":unknown_cursor")


async def test_a_cursor_of_the_longest_app_comes_back() -> None:
    app = "\N{GRINNING FACE}" * 256
    async with application() as client:
        await report(client, "a", app=app)
        page = await export(client, app_id=app)
        cursor = page.headers["x-next-cursor"]
        again = await export(client, app_id=app, cursor=cursor)

    assert lines_of(again) == []


async def test_where_nothing_is_kept_that_is_said() -> None:
    async with application(sidecar_events_kept="0") as client:
        await report(client, "a")
        answer = await export(client)

    assert answer.status_code == 409
    assert "SIDECAR_EVENTS_KEPT" in answer.json()["detail"]


@pytest.fixture
def redis(tmp_path: Any) -> Any:
    with redis_server(tmp_path) as server:
        yield server


async def test_redis_keeps_none_unless_it_is_told_to(redis: RedisServer) -> None:
    patience: dict[str, Any] = {"sidecar_store_timeout_ms": 20_000}
    async with application(sidecar_store=redis.url, **patience) as client:
        await report(client, "a")
        assert (await export(client)).status_code == 409
    async with application(
        sidecar_store=redis.url, sidecar_events_kept="12h", **patience
    ) as client:
        await report(client, "b")
        answer = await export(client, app_id="acme")

    assert [line["event_id"] for line in lines_of(answer)] == ["b"]


async def test_an_app_with_the_longest_name_can_be_gone_on_with_on_redis(
    redis: RedisServer,
) -> None:
    app = "\N{GRINNING FACE}\x01" * 128
    async with application(
        sidecar_store=redis.url, sidecar_events_kept="1d", sidecar_store_timeout_ms=20_000
    ) as client:
        await report(client, "a", "b", app=app)
        page = await export(client, app_id=app, limit=1)
        more = await export(client, app_id=app, cursor=page.headers["x-next-cursor"])

    assert [line["event_id"] for line in lines_of(page) + lines_of(more)] == ["a", "b"]
