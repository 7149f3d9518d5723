"""Bad input gets the status of the contract and a problem that names the field; nothing changes."""

import json
from typing import Any

import httpx
import pytest

WHO = {"app_id": "a", "user_id": "u"}
BEYOND = 2**53


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Every failure has the same shape."""
    body: dict[str, Any] = answer.json()
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert body["type"] == f"urn:mozaiks:sidecar:problem:{code}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"app_id": "a", }', b"\xff\xfe", b"app_id=a&user_id=u", b'{"app_id": "\\ud800"}'],
)
@pytest.mark.parametrize(
    "path",
    [
        "/v1/check",
        "/v1/checks",
        "/v1/usage",
        "/v1/usage/summary",
        "/api/internal/subscription/sync",
        "/api/internal/grants/sync",
        "/api/internal/wallet/sync",
    ],
)
async def test_what_is_not_json_is_400(
    path: str, content: bytes, client: httpx.AsyncClient
) -> None:
    assert_problem(await client.post(path, content=content), 400, "not_json")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"user_id": "u"}, "app_id"),
        ({"app_id": "a"}, "user_id"),
        (WHO | {"app_id": ""}, "app_id"),
        (WHO | {"app_id": 7}, "app_id"),
        (WHO | {"user_id": None}, "user_id"),
        (WHO | {"user_id": "u" * 257}, "user_id"),
        (WHO | {"model": "m" * 257}, "model"),
        (WHO | {"plugin": ["basic_search"]}, "plugin"),
        (WHO | {"estimated_tokens": -1}, "estimated_tokens"),
        (WHO | {"estimated_tokens": BEYOND}, "estimated_tokens"),
        (WHO | {"estimated_tokens": 1.5}, "estimated_tokens"),
        (WHO | {"estimated_tokens": 1.0}, "estimated_tokens"),
        (WHO | {"estimated_tokens": "12"}, "estimated_tokens"),
        (WHO | {"estimated_tokens": True}, "estimated_tokens"),
        (WHO | {"estimate": {"input_tokens": -5}}, "estimate.input_tokens"),
        (WHO | {"estimate": {"tokens": 5}}, "estimate.tokens"),
        (WHO | {"estimate": {"input_tokens": BEYOND - 1, "output_tokens": 1}}, "estimate"),
        (WHO | {"estimate": {}, "estimated_tokens": 1}, "body"),
        (WHO | {"ttl_s": 0}, "ttl_s"),
        (WHO | {"ttl_s": 86_401}, "ttl_s"),
        (WHO | {"reserve": "yes"}, "reserve"),
        (WHO | {"attributes": {str(index): 1 for index in range(65)}}, "attributes"),
        (WHO | {"attributes": {"a": {"b": {"c": {"d": {}}}}}}, "attributes"),
        (WHO | {"attributes": {"a": "x" * 257}}, "attributes"),
        (WHO | {"attributes": {"a": BEYOND}}, "attributes"),
        (WHO | {"attributes": [1]}, "attributes"),
        (WHO | {"plugn": "basic_search"}, "plugn"),
        ([], "body"),
        ("text", "body"),
    ],
)
async def test_a_fault_in_a_check_is_422_and_names_the_field(
    body: object, field: str, client: httpx.AsyncClient
) -> None:
    problem = assert_problem(await client.post("/v1/check", json=body), 422, "invalid_body")

    assert field in [error["field"] for error in problem["errors"]]


async def test_every_fault_of_a_body_is_told_at_once(client: httpx.AsyncClient) -> None:
    body = {"app_id": 1, "estimated_tokens": -1, "nonsense": True}

    problem = assert_problem(await client.post("/v1/check", json=body), 422, "invalid_body")

    fields = {error["field"] for error in problem["errors"]}
    assert fields == {"app_id", "user_id", "estimated_tokens", "nonsense"}


async def test_a_body_beyond_the_cap_is_413(client: httpx.AsyncClient) -> None:
    big = WHO | {"attributes": {"a": " " * 65_536}}

    assert_problem(await client.post("/v1/check", json=big), 413, "body_too_large")


async def test_a_body_beyond_the_cap_is_413_without_a_declared_length(
    client: httpx.AsyncClient,
) -> None:
    async def chunks() -> Any:
        for _ in range(70):
            yield b" " * 1024

    answer = await client.post("/v1/check", content=chunks())

    assert_problem(answer, 413, "body_too_large")


async def test_more_than_a_hundred_checks_are_422(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/checks", json={"checks": [WHO] * 101})

    assert_problem(answer, 422, "invalid_body")


async def test_one_wrong_check_of_many_is_named_by_its_place(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/checks", json={"checks": [WHO, {"app_id": "a"}]})

    problem = assert_problem(answer, 422, "invalid_body")
    assert [error["field"] for error in problem["errors"]] == ["checks.1.user_id"]


@pytest.mark.parametrize("action", ["commit", "release", "extend"])
@pytest.mark.parametrize(
    "name", ["res_YQ.unknown", "res_.x", "nonsense", "res_%FF.x", "res_YQ.%00"]
)
async def test_an_unknown_reservation_is_404(
    name: str, action: str, client: httpx.AsyncClient
) -> None:
    body = {"total_tokens": 1} if action == "commit" else {}

    answer = await client.post(f"/v1/reservations/{name}/{action}", json=body)

    assert_problem(answer, 404, "unknown_reservation")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "body"),
        ({"total_tokens": -1}, "total_tokens"),
        ({"input_tokens": BEYOND}, "input_tokens"),
        ({"total_tokens": 1, "tokens": 1}, "tokens"),
        ({"total_tokens": 1, "final": 1}, "final"),
    ],
)
async def test_a_wrong_commit_is_422_and_charges_nothing(
    body: object, field: str, client: httpx.AsyncClient
) -> None:
    held = await client.post("/v1/check", json=WHO | {"estimated_tokens": 100, "reserve": True})
    name = held.json()["reservation"]["id"]

    problem = assert_problem(
        await client.post(f"/v1/reservations/{name}/commit", json=body), 422, "invalid_body"
    )

    assert [error["field"] for error in problem["errors"]] == [field]
    month = (await client.post("/v1/check", json=WHO)).json()["limits"][0]
    assert (month["used"], month["reserved"]) == (0, 100)


async def test_the_same_request_id_with_another_body_is_409(client: httpx.AsyncClient) -> None:
    body = WHO | {"estimated_tokens": 100, "reserve": True, "request_id": "r-1"}
    first = await client.post("/v1/check", json=body)
    again = await client.post("/v1/check", json=body)

    other = await client.post("/v1/check", json=body | {"estimated_tokens": 101})

    assert again.json() == first.json()
    assert_problem(other, 409, "request_id_reused")
    month = (await client.post("/v1/check", json=WHO)).json()["limits"][0]
    assert month["reserved"] == 100


async def test_a_commit_after_a_release_is_409(client: httpx.AsyncClient) -> None:
    held = await client.post("/v1/check", json=WHO | {"estimated_tokens": 100, "reserve": True})
    path = f"/v1/reservations/{held.json()['reservation']['id']}"
    await client.post(f"{path}/release")

    answer = await client.post(f"{path}/commit", json={"total_tokens": 1})

    assert assert_problem(answer, 409, "reservation_ended")["state"] == "released"


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"user_id": "u"}, "app_id"),
        (WHO | {"total_tokens": -1}, "total_tokens"),
        (WHO | {"prompt_tokens": BEYOND}, "prompt_tokens"),
        (WHO | {"prompt_tokens": BEYOND - 1, "completion_tokens": 1}, "body"),
        (WHO | {"event_ts": "yesterday"}, "event_ts"),
        (WHO | {"event_ts": "2001-01-01T00:00:00Z"}, "event_ts"),
        (WHO | {"event_ts": "2999-01-01T00:00:00Z"}, "event_ts"),
        (WHO | {"event_ts": 1e300}, "event_ts"),
        (WHO | {"reservaton_id": "res_YQ.x"}, "reservaton_id"),
        (WHO | {"reservation_id": "res_Yg.x"}, "reservation_id"),
        (7, "body"),
        (None, "body"),
    ],
)
async def test_a_wrong_event_is_rejected_by_its_index_and_stops_no_other(
    event: object, error: str, client: httpx.AsyncClient
) -> None:
    good = WHO | {"total_tokens": 10}

    answer = await client.post("/v1/usage", json=[good | {"event_id": "1"}, event, good])

    body = answer.json()
    assert answer.status_code == 202
    assert (body["accepted"], body["duplicates"]) == (2, 0)
    assert [rejected["index"] for rejected in body["rejected"]] == [1]
    assert body["rejected"][0]["error"].startswith(error)
    assert (await client.post("/v1/check", json=WHO)).json()["limits"][0]["used"] == 20


async def test_a_single_wrong_event_is_422(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/usage", json=WHO | {"total_tokens": -1})

    problem = assert_problem(answer, 422, "invalid_body")
    assert [error["field"] for error in problem["errors"]] == ["total_tokens"]


async def test_more_than_a_thousand_events_are_422_and_count_nothing(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/v1/usage", json=[WHO | {"total_tokens": 1}] * 1_001)

    assert_problem(answer, 422, "invalid_body")
    assert (await client.post("/v1/check", json=WHO)).json()["limits"][0]["used"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"plan": "pro", "status": "active"}, "userId"),
        ({"userId": "u", "status": "active"}, "plan"),
        ({"userId": "u", "plan": "pro"}, "status"),
        ({"userId": "u", "plan": "pro", "status": "paid"}, "status"),
        ({"userId": "u", "plan": "", "status": "active"}, "body"),
        ({"userId": "u", "plan": "pro", "status": "active", "nextBillingDate": "soon"},
         "nextBillingDate"),
        ({"userId": "u", "plan": "pro", "status": "active",
          "nextBillingDate": "1970-01-01T00:00:00+14:00"}, "nextBillingDate"),
        ({"userId": "u", "plan": "pro", "status": "active",
          "nextBillingDate": "9000-12-31T23:59:59-14:00"}, "nextBillingDate"),
        ({"userId": "u", "plan": "pro", "status": "active",
          "nextBillingDate": "9999-12-31T23:59:59-14:00"}, "nextBillingDate"),
        ({"userId": "u", "plan": "pro", "status": "active",
          "nextBillingDate": "0001-01-01T00:00:00+14:00"}, "nextBillingDate"),
        ({"userId": "u", "plan": "pro", "status": "active", "updatedAt": "2999-01-01T00:00:00Z"},
         "updatedAt"),
        ({"userId": "u", "plan": "pro", "status": "active",
          "currentPeriodStart": "2026-02-01T00:00:00Z", "currentPeriodEnd": "2026-01-01T00:00:00Z"},
         "body"),
    ],
)  # fmt: skip
async def test_a_wrong_subscription_is_422_and_changes_nothing(
    body: object, field: str, client: httpx.AsyncClient
) -> None:
    answer = await client.post("/api/internal/subscription/sync", json=body)

    problem = assert_problem(answer, 422, "invalid_body")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert (await client.get("/v1/subscriptions/a/u")).json()["status"] == "none"


@pytest.mark.parametrize("query", ["", "?app_id=a", "?user_id=u", "?app_id=&user_id=u"])
async def test_entitlements_of_nobody_are_422(query: str, client: httpx.AsyncClient) -> None:
    assert_problem(await client.get(f"/v1/entitlements{query}"), 422, "invalid_body")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"/v1/entitlements?app_id=a&user_id=u&tenant_id={'t' * 257}", "tenant_id"),
        (f"/v1/entitlements?app_id=a&user_id={'u' * 257}", "user_id"),
        (f"/v1/entitlements?app_id=a&user_id=u&other={'x' * 257}", "other"),
        (f"/v1/subscriptions/a/{'u' * 257}", "user_id"),
        (f"/v1/subscriptions/{'a' * 257}/u", "app_id"),
    ],
)
async def test_a_name_in_the_address_has_at_most_256_characters(
    path: str, field: str, client: httpx.AsyncClient
) -> None:
    problem = assert_problem(await client.get(path), 422, "invalid_body")

    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize("action", ["commit", "release", "extend"])
async def test_a_reservations_id_is_bounded(action: str, client: httpx.AsyncClient) -> None:
    body = {"total_tokens": 1} if action == "commit" else {}

    answer = await client.post(f"/v1/reservations/{'r' * 4_609}/{action}", json=body)

    assert_problem(answer, 422, "invalid_body")


async def test_a_reservation_of_the_longest_app_id_can_be_settled(
    client: httpx.AsyncClient,
) -> None:
    who = {"app_id": "𝔞" * 256, "user_id": "𝔲" * 256}
    check = who | {"estimated_tokens": 100, "reserve": True}
    name = (await client.post("/v1/check", json=check)).json()["reservation"]["id"]

    event = who | {"total_tokens": 10, "reservation_id": name}
    assert (await client.post("/v1/usage", json=event)).json()["accepted"] == 1
    settled = await client.post(f"/v1/reservations/{name}/commit", json={"total_tokens": 20})
    assert settled.status_code == 200
    subscription = await client.get(f"/v1/subscriptions/{who['app_id']}/{who['user_id']}")
    assert subscription.status_code == 200


@pytest.mark.parametrize("path", ["/v1/check/", "/v1/entitlements/", "/healthz/"])
async def test_a_slash_too_many_is_a_problem_and_leads_nowhere(
    path: str, client: httpx.AsyncClient
) -> None:
    answer = await client.post(path, json=WHO, headers={"Host": "elsewhere.example"})

    assert_problem(answer, 404, "not_found")
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("path", "name", "meant"),
    [
        ("/v1/usage", "session_id", "chat_id"),
        ("/v1/usage", "input_tokens", "prompt_tokens"),
        ("/v1/usage/summary", "session_id", "chat_id"),
        ("/v1/check", "chat_id", "session_id"),
        ("/v1/check", "model_name", "model"),
    ],
)
async def test_what_checks_and_events_call_differently_is_named(
    path: str, name: str, meant: str, client: httpx.AsyncClient
) -> None:
    answer = await client.post(path, json=WHO | {name: "c-1"})
    told = {fault["field"]: fault["message"] for fault in answer.json()["errors"]}
    assert told[name] == f"unknown field; did you mean {meant!r}?"


async def test_an_unknown_path_is_a_problem_too(client: httpx.AsyncClient) -> None:
    assert_problem(await client.get("/v1/nothing"), 404, "not_found")


@pytest.mark.parametrize(
    ("path", "methods"), [("/v1/check", {"POST"}), ("/v1/usage", {"GET", "HEAD", "POST"})]
)
async def test_a_wrong_method_is_a_problem_that_names_the_right_ones(
    path: str, methods: set[str], client: httpx.AsyncClient
) -> None:
    answer = await client.put(path)

    assert_problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == methods


async def test_deeply_nested_json_is_refused_without_harm(client: httpx.AsyncClient) -> None:
    nested = "[" * 20_000 + "]" * 20_000
    body = f'{{"app_id": "a", "user_id": "u", "attributes": {{"a": {nested}}}}}'

    answer = await client.post("/v1/check", content=body.encode())

    assert answer.status_code in (400, 422)
    assert json.loads(answer.content)["status"] == answer.status_code


async def test_a_batch_made_of_faults_gets_a_short_answer(client: httpx.AsyncClient) -> None:
    event = WHO | {f"{index}_tokens": 0 for index in range(140)}

    batch = await client.post("/v1/usage", json=[event] * 1_000)
    check = await client.post("/v1/check", json=event)

    rejected = batch.json()["rejected"]
    assert [one["index"] for one in rejected] == list(range(1_000))
    assert rejected[-1]["error"] == "body: 140 more faults"
    assert len(batch.content) < 100_000
    faults = assert_problem(check, 422, "invalid_body")["errors"]
    assert len(faults) == 11
    assert faults[-1] == {"field": "body", "message": "130 more faults"}


async def test_a_name_without_end_is_not_sent_back_whole(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/check", json=WHO | {"x" * 60_000: 1})

    assert_problem(answer, 422, "invalid_body")
    assert len(answer.content) < 2_000
