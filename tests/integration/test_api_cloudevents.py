"""Usage as CloudEvents, built by the CloudEvents project's own package."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from tests.in_process import application

USE = {"app_id": "acme", "user_id": "ann", "prompt_tokens": 90, "completion_tokens": 10}


def cloud_event(data: object = USE, **attributes: Any) -> CloudEvent:
    given = {"id": "1", "source": "/runtime/eu", "type": "chat.usage_delta", "specversion": "1.0"}
    return CloudEvent(given | attributes, data)  # type: ignore[arg-type] # any JSON there is


async def post(client: httpx.AsyncClient, message: HTTPMessage) -> httpx.Response:
    return await client.post("/v1/usage", content=message.body, headers=message.headers)


def batch(*events: CloudEvent) -> HTTPMessage:
    bodies = b",".join(bytes(to_structured_event(event).body) for event in events)
    headers = {"content-type": "application/cloudevents-batch+json; charset=utf-8"}
    return HTTPMessage(headers, b"[" + bodies + b"]")


async def used(client: httpx.AsyncClient, user_id: str = "ann") -> int:
    answer = await client.get("/v1/entitlements", params={"app_id": "acme", "user_id": user_id})
    limits = {limit["id"]: limit["used"] for limit in answer.json()["limits"]}
    return int(limits["free-tokens-per-month"])


async def test_one_event_counts_once_in_whichever_mode_it_comes() -> None:
    async with application() as client:
        first = await post(client, to_structured_event(cloud_event()))
        again = await post(client, to_binary_event(cloud_event()))
        batched = await post(client, batch(cloud_event(), cloud_event(id="2")))
        counted = await used(client)

    assert first.status_code == again.status_code == batched.status_code == 202
    assert first.json() == {"accepted": 1, "duplicates": 0, "rejected": []}
    assert again.json() == {"accepted": 0, "duplicates": 1, "rejected": []}
    assert batched.json() == {"accepted": 1, "duplicates": 1, "rejected": []}
    assert counted == 200


async def test_the_same_id_of_another_source_is_another_event() -> None:
    events = [cloud_event(source="/a", id="bc"), cloud_event(source="/ab", id="c")]
    async with application() as client:
        answer = await post(client, batch(*events))

    assert answer.json()["accepted"] == 2


async def test_time_and_subject_stand_in_for_what_the_data_lacks() -> None:
    data = {"app_id": "acme", "total_tokens": 7}
    yesterday = datetime.now(UTC) - timedelta(days=1)
    late = cloud_event(data, id="late", subject="bób", time=datetime.now(UTC) - timedelta(days=8))
    async with application() as client:
        counted = await post(
            client, to_binary_event(cloud_event(data, subject="bób", time=yesterday))
        )
        refused = await post(client, to_structured_event(late))
        hour = timedelta(hours=1)
        span = {"from": (yesterday - hour).isoformat(), "to": (yesterday + hour).isoformat()}
        whose = {"app_id": "acme", "user_id": "bób"}
        report = await client.get("/v1/usage", params=whose | span)

    assert counted.json()["accepted"] == 1
    assert report.json()["totals"]["total_tokens"] == 7
    assert refused.status_code == 422
    assert "7 days" in refused.json()["detail"]


async def test_data_in_base64_is_read_like_any_other() -> None:
    body = {
        "specversion": "1.0", "id": "1", "source": "/s", "type": "t",
        "data_base64": base64.b64encode(json.dumps(USE).encode()).decode(),
    }  # fmt: skip
    headers = {"content-type": "application/cloudevents+json"}
    async with application() as client:
        answer = await client.post("/v1/usage", content=json.dumps(body), headers=headers)

    assert answer.json()["accepted"] == 1


async def test_a_wrong_event_of_a_batch_is_rejected_by_its_index() -> None:
    wrong = cloud_event(USE | {"prompt_tokens": -1}, id="2")
    async with application() as client:
        answer = await post(client, batch(cloud_event(), wrong, cloud_event(id="3")))

    assert answer.json()["accepted"] == 2
    assert [each["index"] for each in answer.json()["rejected"]] == [1]


STRUCTURED = "application/cloudevents+json"
WHOLE = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": USE}


@pytest.mark.parametrize(
    ("content_type", "body", "field"),
    [
        (STRUCTURED, [], "body"),
        (STRUCTURED, WHOLE | {"specversion": "0.3"}, "specversion"),
        (STRUCTURED, WHOLE | {"id": ""}, "id"),
        (STRUCTURED, {"specversion": "1.0", "id": "1", "type": "t", "data": USE}, "source"),
        (STRUCTURED, WHOLE | {"data": "text"}, "data"),
        (STRUCTURED, WHOLE | {"datacontenttype": "text/xml"}, "datacontenttype"),
        (STRUCTURED, WHOLE | {"data_base64": "!"}, "data_base64"),
        (STRUCTURED, WHOLE | {"data": USE | {"surprise": 1}}, "surprise"),
        ("application/cloudevents-batch+json", WHOLE, "body"),
        ("application/cloudevents+avro", WHOLE, "content-type"),
    ],
)
async def test_what_is_no_cloud_event_is_a_422_that_names_the_attribute(
    content_type: str, body: object, field: str
) -> None:
    async with application() as client:
        answer = await client.post(
            "/v1/usage", content=json.dumps(body), headers={"content-type": content_type}
        )

    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]
