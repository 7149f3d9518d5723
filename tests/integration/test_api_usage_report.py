"""`GET /v1/usage`: what was used, hour by hour or day by day, and by what."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.in_process import application
from tests.integration.test_api_bad_input import assert_problem
from tests.processes import ROOT

HOUR = timedelta(hours=1)
NOTHING = {
    "input_tokens": 0, "output_tokens": 0, "total_tokens": 0, "requests": 0,
    "estimated_cost": None,
}  # fmt: skip


def this_hour() -> datetime:
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def written(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


async def report(client: httpx.AsyncClient, **asked: str) -> dict[str, Any]:
    answer = await client.get("/v1/usage", params={"app_id": "a"} | asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body: dict[str, Any] = answer.json()
    return body


async def use(
    client: httpx.AsyncClient, tokens: int, *, at: datetime, user: str = "u", **more: object
) -> None:
    event = {"app_id": "a", "user_id": user, "event_ts": written(at), "prompt_tokens": tokens}
    answer = await client.post("/v1/usage", json=[event | more])
    assert answer.json()["accepted"] == 1, answer.text


async def test_use_is_told_in_the_hour_in_which_it_was(client: httpx.AsyncClient) -> None:
    now = this_hour()
    await use(client, 5, at=now - HOUR)
    await use(client, 7, at=now - 3 * HOUR, completion_tokens=2)
    await use(client, 1, at=now - 3 * HOUR, total_tokens=4, event_id="e")

    body = await report(client, user_id="u")

    assert body["series"] == [
        {
            "start": written(now - 3 * HOUR), "input_tokens": 8, "output_tokens": 2,
            "total_tokens": 13, "requests": 2, "estimated_cost": None,
        },
        {
            "start": written(now - HOUR), "input_tokens": 5, "output_tokens": 0,
            "total_tokens": 5, "requests": 1, "estimated_cost": None,
        },
    ]  # fmt: skip
    assert body["totals"] == NOTHING | {
        "input_tokens": 13, "output_tokens": 2, "total_tokens": 18, "requests": 3,
    }  # fmt: skip
    assert (body["app_id"], body["user_id"]) == ("a", "u")
    assert (body["granularity"], body["group_by"]) == ("hour", [])
    assert "currency" not in body


async def test_without_any_use_there_is_no_row(client: httpx.AsyncClient) -> None:
    body = await report(client)

    assert (body["series"], body["totals"], body["user_id"]) == ([], NOTHING, None)


async def test_without_a_time_the_last_day_is_told(client: httpx.AsyncClient) -> None:
    now = datetime.now(UTC)
    await use(client, 1, at=now)
    await use(client, 10, at=this_hour() - 26 * HOUR)

    body = await report(client)

    begin, end = (datetime.fromisoformat(body[name]) for name in ("from", "to"))
    assert end - HOUR < now <= end
    assert end - begin == 25 * HOUR
    assert body["totals"]["total_tokens"] == 1


async def test_the_beginning_is_included_and_the_end_is_not(client: httpx.AsyncClient) -> None:
    now = this_hour()
    for back in range(1, 5):
        await use(client, 10**back, at=now - back * HOUR)

    body = await report(client, **{"from": written(now - 3 * HOUR), "to": written(now - HOUR)})

    assert (body["from"], body["to"]) == (written(now - 3 * HOUR), written(now - HOUR))
    assert [row["total_tokens"] for row in body["series"]] == [1_000, 100]


async def test_a_time_within_an_hour_means_the_whole_hour(client: httpx.AsyncClient) -> None:
    now, minute = this_hour(), timedelta(minutes=1)
    await use(client, 5, at=now - 2 * HOUR)

    body = await report(
        client,
        **{"from": written(now - HOUR - 2 * minute), "to": written(now - HOUR - minute)},
    )

    assert (body["from"], body["to"]) == (written(now - 2 * HOUR), written(now - HOUR))
    assert body["totals"]["total_tokens"] == 5


async def test_days_are_days_in_utc(client: httpx.AsyncClient) -> None:
    midnight = this_hour().replace(hour=0)
    await use(client, 1, at=midnight - HOUR)
    await use(client, 2, at=midnight - 2 * HOUR)
    await use(client, 4, at=midnight)

    body = await report(
        client, granularity="day", **{"from": f"{midnight - timedelta(days=1):%Y-%m-%d}"}
    )

    assert [(row["start"], row["total_tokens"]) for row in body["series"]] == [
        (written(midnight - timedelta(days=1)), 3),
        (written(midnight), 4),
    ]


async def test_use_is_told_apart_by_what_is_asked_for(client: httpx.AsyncClient) -> None:
    at = this_hour()
    one = {"model_name": "m1", "workflow_name": "w", "agent_name": "x", "plugin": "p"}
    await use(client, 1, at=at, **one)
    await use(client, 2, at=at, **one | {"model_name": "m2"})
    await use(client, 4, at=at, **one | {"agent_name": "y"})

    by_model = await report(client, group_by="model")
    by_all = await report(client, group_by="plugin,agent,workflow,model")

    assert [(row["model"], row["total_tokens"]) for row in by_model["series"]] == [
        ("m1", 5),
        ("m2", 2),
    ]
    assert by_all["group_by"] == ["model", "workflow", "agent", "plugin"]
    groups = [tuple(row[name] for name in by_all["group_by"]) for row in by_all["series"]]
    assert groups == [("m1", "w", "x", "p"), ("m1", "w", "y", "p"), ("m2", "w", "x", "p")]


async def test_a_user_is_told_alone_and_the_app_with_all_its_users(
    client: httpx.AsyncClient,
) -> None:
    await use(client, 1, at=this_hour(), user="u")
    await use(client, 2, at=this_hour(), user="v")
    other = {"app_id": "b", "user_id": "u", "total_tokens": 100}
    await client.post("/v1/usage", json=[other])

    told = [
        (await report(client, **asked))["totals"]["total_tokens"]
        for asked in ({"user_id": "u"}, {"user_id": "v"}, {"user_id": "w"}, {})
    ]

    assert told == [1, 2, 0, 3]


async def test_a_run_is_told_under_the_model_that_it_reports(client: httpx.AsyncClient) -> None:
    asked = {"app_id": "a", "user_id": "u", "model": "m1", "workflow": "w", "reserve": True}
    held = await client.post("/v1/check", json=asked | {"estimated_tokens": 100})
    path = f"/v1/reservations/{held.json()['reservation']['id']}/commit"
    during = await report(client)

    for _ in range(2):
        await client.post(path, json={"input_tokens": 30, "output_tokens": 10, "model": "m2"})

    assert during["series"] == []
    (row,) = (await report(client, group_by="model,workflow"))["series"]
    del row["start"]
    assert row == NOTHING | {
        "model": "m2", "workflow": "w", "input_tokens": 30, "output_tokens": 10,
        "total_tokens": 40, "requests": 1,
    }  # fmt: skip


async def test_with_prices_the_cost_is_told_in_millionths(tmp_path: Path) -> None:
    async with application(sidecar_prices=ROOT / "policies/prices/example.yaml") as client:
        await use(client, 1_000, at=this_hour(), completion_tokens=500, model_name="gpt-4o")
        await use(client, 10, at=this_hour(), model_name="unheard-of")
        body = await report(client, group_by="model")

    # 1,000 x 2.50 / 10^6 + 500 x 10.00 / 10^6 = 0.0075 USD
    assert body["currency"] == "USD"
    assert [(row["model"], row["estimated_cost"]) for row in body["series"]] == [
        ("gpt-4o", 7_500),
        ("unheard-of", 0),
    ]
    assert body["totals"]["estimated_cost"] == 7_500


@pytest.mark.parametrize(
    ("asked", "field", "message"),
    [
        ({}, "app_id", "Field required"),
        ({"app_id": ""}, "app_id", "at least 1 character"),
        ({"user_id": ""}, "user_id", "at least 1 character"),
        ({"from": ""}, "from", "ISO 8601"),
        ({"granularity": ""}, "granularity", "'hour' or 'day'"),
        ({"app_id": "a" * 257}, "app_id", "more than 256 characters"),
        ({"user_id": "u" * 257}, "user_id", "more than 256 characters"),
        ({"from": "yesterday"}, "from", "ISO 8601"),
        ({"to": "2026-13-01"}, "to", "ISO 8601"),
        ({"to": "9999-01-01"}, "to", "outside 1970 to 9000"),
        ({"from": "2026-05-02", "to": "2026-05-01"}, "from", "not before to"),
        ({"from": "2026-05-01", "to": "2026-05-01"}, "from", "not before to"),
        ({"from": "8999-01-01"}, "from", "not before to"),
        ({"from": "2026-01-01", "to": "2026-04-01T00:00:01Z"}, "from", "more than 90 days"),
        ({"granularity": "minute"}, "granularity", "'hour' or 'day'"),
        ({"group_by": "model,user"}, "group_by", "'user' is none of model, workflow"),
        ({"group_by": "model,"}, "group_by", "'' is none of model, workflow"),
        ({"groupby": "model"}, "groupby", "did you mean 'group_by'?"),
        ({"until": "2026-05-01"}, "until", "known are app_id, user_id, from, to"),
    ],
)
async def test_a_wrong_parameter_is_422_by_name(
    asked: dict[str, str], field: str, message: str, client: httpx.AsyncClient
) -> None:
    params = asked if not asked or "app_id" in asked else {"app_id": "a"} | asked

    answer = await client.get("/v1/usage", params=params)

    problem = assert_problem(answer, 422, "invalid_body")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert message in problem["errors"][0]["message"]


async def test_ninety_days_are_told(client: httpx.AsyncClient) -> None:
    await use(client, 1, at=datetime.now(UTC) - timedelta(days=6))
    end = this_hour() + HOUR
    asked = {"from": written(end - timedelta(days=90)), "to": written(end)}

    assert (await report(client, **asked))["totals"]["total_tokens"] == 1
