"""What the API answers, member by member."""

import re
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from sidecar.adapters.clock import SystemClock
from sidecar.api.app import Parts, Portal, Watching, build_app
from sidecar.api.auth import Keys
from sidecar.ports import Directories
from tests.in_process import application

WHO = {"app_id": "a", "user_id": "u"}
MEMBERS = {
    "decision_id", "effect", "allowed", "status", "mode", "plan", "subscription_status", "reasons",
    "would_deny", "limits", "reservation", "remedies", "retryable", "policy", "errors", "degraded",
}  # fmt: skip
PROBLEM = {"type", "title", "detail", "instance"}


async def ask(client: httpx.AsyncClient, **asked: object) -> dict[str, Any]:
    answer = await client.post("/v1/check", json=WHO | asked)
    body: dict[str, Any] = answer.json()
    assert answer.status_code == body["status"]
    return body


async def test_an_allow_has_the_members_of_the_contract(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/check", json=WHO | {"plugin": "basic_search"})
    body = answer.json()

    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert set(body) == MEMBERS
    assert re.fullmatch(r"dec_[\w-]{22}", body["decision_id"])
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", body["policy"]["revision"])
    assert body["limits"][1] == {
        "id": "free-burst",
        "meter": "tokens",
        "window": "1m",
        "per": ["app", "user"],
        "limit": 2000,
        "granted": 0,
        "used": 0,
        "reserved": 0,
        "requested": 0,
        "remaining": 2000,
        "resets_at": None,
    }


async def test_a_deny_is_a_problem_with_the_same_members_beside_it(
    client: httpx.AsyncClient,
) -> None:
    answer = await client.post("/v1/check", json=WHO | {"plugin": "pro_tool"})
    body = answer.json()

    assert answer.status_code == 402
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(body) == MEMBERS | PROBLEM
    assert (body["allowed"], body["reservation"]) == (False, None)
    assert body["type"].endswith(":plugin_not_in_plan")
    assert body["detail"] == body["reasons"][0]["message"]
    assert body["instance"].endswith(body["decision_id"])
    assert "retry-after" not in answer.headers


async def test_a_limit_that_time_mends_says_when_to_come_again(client: httpx.AsyncClient) -> None:
    await client.post("/v1/usage", json=WHO | {"total_tokens": 1_500})

    answer = await client.post("/v1/check", json=WHO | {"estimated_tokens": 1_000})
    body = answer.json()

    assert answer.status_code == 429
    assert 55 <= int(answer.headers["retry-after"]) <= 62
    assert body["retryable"] is True
    assert [remedy["type"] for remedy in body["remedies"]] == ["upgrade", "wait"]
    assert answer.headers["ratelimit-policy"] == '"free-burst";q=2000;w=60'
    assert re.fullmatch(r'"free-burst";r=500;t=\d+', answer.headers["ratelimit"])


async def test_a_request_that_never_fits_is_not_told_to_wait(client: httpx.AsyncClient) -> None:
    body = await ask(client, estimated_tokens=2_001)

    assert body["retryable"] is False
    assert body["reasons"][0]["code"] == "quota_exceeded"
    assert body["title"] == "The request is larger than the limit"
    assert [remedy["type"] for remedy in body["remedies"]] == ["upgrade"]


async def test_a_request_that_is_too_large_now_but_not_always_meets_a_used_up_quota(
    client: httpx.AsyncClient,
) -> None:
    await client.post("/v1/usage", json=WHO | {"total_tokens": 1})

    assert (await ask(client, estimated_tokens=2_000))["title"] == "The quota is used up"


async def test_the_upgrade_url_is_filled_in_and_escaped() -> None:
    url = "https://example.org/upgrade?app={app_id}&user={user_id}&to={plan}"
    async with application(sidecar_upgrade_url=url) as client:
        body = {"app_id": "a&b", "user_id": "ü/1", "plugin": "pro_tool"}
        answer = await client.post("/v1/check", json=body)

    remedy = answer.json()["remedies"][0]
    assert remedy["url"] == "https://example.org/upgrade?app=a%26b&user=%C3%BC%2F1&to=pro"


async def test_the_request_id_header_comes_back(client: httpx.AsyncClient) -> None:
    headers = {"X-Request-ID": "abc-123"}

    assert (await client.get("/healthz", headers=headers)).headers["x-request-id"] == "abc-123"
    refused = await client.post("/v1/check", content=b"{", headers=headers)
    assert refused.headers["x-request-id"] == "abc-123"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v1/nothing", 404), ("GET", "/v1/check", 405)]
)
async def test_a_problem_of_the_address_bears_the_request_id_too(
    method: str, path: str, status: int, client: httpx.AsyncClient
) -> None:
    answer = await client.request(method, path, headers={"X-Request-ID": "abc"})

    assert (answer.status_code, answer.headers["x-request-id"]) == (status, "abc")


class Heard:
    """Keeps what each request was answered with."""

    def __init__(self) -> None:
        self.statuses: list[int] = []

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Keep one."""
        assert (method, route[0]) == ("POST", "/")
        self.statuses.append(status)


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/check", WHO), ("/v1/reservations/res_1/extend", {})]
)
async def test_a_defect_of_ours_bears_the_request_id_and_tells_nothing(
    path: str, body: dict[str, object]
) -> None:
    nothing, heard = cast("Any", object()), Heard()
    named = {each.name: nothing for each in fields(Parts)}
    known = {
        "clock": SystemClock(),
        "keys": Keys(),
        "directories": Directories(nothing, None, nothing),
        "watching": Watching(nothing, (heard,), nothing, ()),
        "portal": Portal(nothing, nothing, "", "none"),
    }
    app = build_app(Parts(**named | known))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.post(path, json=body, headers={"X-Request-ID": "abc"})

    assert (answer.status_code, answer.headers["x-request-id"]) == (500, "abc")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "object" not in answer.text
    assert heard.statuses == [500]


async def test_many_checks_are_answered_in_their_order(client: httpx.AsyncClient) -> None:
    checks = [WHO | {"plugin": plugin} for plugin in ("basic_a", "pro_b", "basic_c")]

    answer = await client.post("/v1/checks", json={"checks": checks})

    assert answer.status_code == 200
    assert [one["status"] for one in answer.json()["decisions"]] == [200, 402, 200]


async def test_a_reservation_is_held_committed_and_seen_in_the_limits(
    client: httpx.AsyncClient,
) -> None:
    estimate = {"input_tokens": 900, "output_tokens": 300}
    held = await ask(client, plugin="basic_search", estimate=estimate, reserve=True, ttl_s=90)
    name = held["reservation"]["id"]

    part = await client.post(
        f"/v1/reservations/{name}/commit", json={"total_tokens": 500, "final": False}
    )
    done = await client.post(
        f"/v1/reservations/{name}/commit",
        json={"input_tokens": 880, "output_tokens": 210, "model": "gpt-4o"},
    )
    again = await client.post(f"/v1/reservations/{name}/commit", json={"total_tokens": 1_090})

    assert held["reservation"]["granted"] == {"tokens": 1_200}
    left = datetime.fromisoformat(held["reservation"]["expires_at"]) - datetime.now(UTC)
    assert 80 < left.total_seconds() <= 90
    assert part.json()["reservation"]["state"] == "held"
    assert _month(part) == (500, 700)
    assert done.json()["reservation"]["state"] == "committed"
    assert _month(done) == (1_090, 0)
    assert again.json() == done.json()


async def test_an_extension_holds_more_or_changes_nothing(client: httpx.AsyncClient) -> None:
    held = await ask(client, estimated_tokens=1_000, reserve=True)
    path = f"/v1/reservations/{held['reservation']['id']}/extend"

    more = await client.post(path, json={"ttl_s": 120, "estimate": {"input_tokens": 500}})
    too_much = await client.post(path, json={"ttl_s": 120, "estimate": {"input_tokens": 501}})

    assert (more.status_code, too_much.status_code) == (200, 429)
    assert more.json()["reservation"]["granted"] == {"tokens": 1_500}
    month = (await ask(client))["limits"][0]
    assert (month["used"], month["reserved"]) == (0, 1_500)


async def test_an_event_draws_its_hold_down_and_the_commit_takes_the_greater(
    client: httpx.AsyncClient,
) -> None:
    held = await ask(client, estimated_tokens=1_000, reserve=True)
    name = held["reservation"]["id"]
    event = WHO | {"event_id": "e", "total_tokens": 600, "reservation_id": name}

    await client.post("/v1/usage", json=event)
    during = (await ask(client))["limits"][0]
    done = await client.post(f"/v1/reservations/{name}/commit", json={"total_tokens": 400})

    assert (during["used"], during["reserved"]) == (600, 400)
    assert _month(done) == (600, 0)


@pytest.mark.parametrize(
    "written",
    [
        {"event_id": ""},
        {"event_id": None},
        {"plugin": None},
        {"plugin": ""},
        {"prompt_tokens": 0},
        {"total_tokens": 7},
        {"event_ts": "{at:%Y-%m-%dT%H:%M:%SZ}"},
        {"duration_sec": 1.0},
    ],
)
async def test_an_event_without_an_id_is_the_same_however_it_is_written(
    written: dict[str, object], client: httpx.AsyncClient
) -> None:
    at = datetime.now(UTC).replace(microsecond=0)
    event = WHO | {"completion_tokens": 7, "duration_sec": 1, "event_ts": at.isoformat()}
    again = {
        name: value.format(at=at) if isinstance(value, str) else value
        for name, value in written.items()
    }

    assert (await client.post("/v1/usage", json=event)).json()["accepted"] == 1
    assert (await client.post("/v1/usage", json=event | again)).json()["duplicates"] == 1
    assert (await ask(client))["limits"][0]["used"] == 7


@pytest.mark.parametrize(
    "written", [{"completion_tokens": 8}, {"total_tokens": 8}, {"plugin": "p"}, {"event_id": "e"}]
)
async def test_an_event_without_an_id_that_says_something_else_is_another(
    written: dict[str, object], client: httpx.AsyncClient
) -> None:
    event = WHO | {"completion_tokens": 7, "event_ts": datetime.now(UTC).isoformat()}

    assert (await client.post("/v1/usage", json=event)).json()["accepted"] == 1
    assert (await client.post("/v1/usage", json=event | written)).json()["accepted"] == 1


async def test_entitlements_show_the_plan_and_what_is_left(client: httpx.AsyncClient) -> None:
    await client.post("/v1/usage", json=WHO | {"total_tokens": 700})

    body = (await client.get("/v1/entitlements", params=WHO)).json()

    assert (body["plan"], body["plan_name"], body["mode"]) == ("free", "Free", "enforce")
    assert body["plugins"] == {"allow": ["basic_*"], "deny": []}
    assert [(one["id"], one["used"], one["remaining"]) for one in body["limits"]] == [
        ("free-tokens-per-month", 700, 9_300),
        ("free-burst", 700, 1_300),
    ]
    assert body["subscription"]["status"] == "none"


async def test_a_synced_subscription_is_shown_as_it_is_stored(client: httpx.AsyncClient) -> None:
    pushed = {
        "user_id": "u", "plan": "pro", "status": "active", "billing_cycle": "annual",
        "current_period_start": "2026-03-01", "current_period_end": "2027-03-01T00:00:00+00:00",
        "updated_at": "2026-03-01T12:00:00", "event_id": "evt_1", "unknown": "ignored",
    }  # fmt: skip

    first = await client.post("/api/internal/subscription/sync", json=pushed)
    again = await client.post("/api/internal/subscription/sync", json=pushed)
    older = await client.post(
        "/api/internal/subscription/sync",
        json=pushed | {"updated_at": "2026-02-01T00:00:00Z", "plan": "free", "event_id": "evt_0"},
    )

    outcomes = [answer.json()["status"] for answer in (first, again, older)]
    assert outcomes == ["synced", "duplicate", "stale"]
    shown = (await client.get("/v1/subscriptions/any-app/u")).json()
    assert (shown["plan"], shown["status"], shown["app_id"]) == ("pro", "active", None)
    assert shown["current_period_start"] == "2026-03-01T00:00:00Z"
    assert shown["updated_at"] == "2026-03-01T12:00:00Z"


async def test_of_a_user_never_synced_the_app_that_was_asked_for_is_shown(
    client: httpx.AsyncClient,
) -> None:
    shown = (await client.get("/v1/subscriptions/some-app/u")).json()

    assert (shown["app_id"], shown["user_id"], shown["status"]) == ("some-app", "u", "none")


@pytest.mark.parametrize(
    ("cycle", "warnings"),
    [
        ("Monthly", []),
        ("yearly", []),
        ("", []),
        (None, []),
        (
            "fortnightly",
            [
                "billingCycle 'fortnightly' is unknown and taken for a month; known are monthly, "
                "month, quarterly, quarter, annual, annually, yearly, year"
            ],
        ),
    ],
)
async def test_a_billing_cycle_that_nobody_knows_is_stored_with_a_warning(
    cycle: str | None, warnings: list[str], client: httpx.AsyncClient
) -> None:
    pushed = {"userId": "u", "plan": "pro", "status": "active", "billingCycle": cycle}

    answer = await client.post("/api/internal/subscription/sync", json=pushed)

    assert (answer.status_code, answer.json()["warnings"]) == (200, warnings)
    shown = (await client.get("/v1/subscriptions/a/u")).json()
    assert shown["billing_cycle"] == (cycle or None)


async def test_an_unlimited_plan_has_no_number_where_there_is_no_bound() -> None:
    async with application("policies/self-hosted") as client:
        await client.post("/v1/usage", json=WHO | {"total_tokens": 10**9})
        body = await ask(client, plugin="anything", feature="anything", estimated_tokens=10**9)

    assert body["effect"] == "allow"
    month = body["limits"][0]
    assert (month["limit"], month["remaining"], month["used"]) == (None, None, 10**9)


async def test_an_unknown_plan_is_refused_by_name(client: httpx.AsyncClient) -> None:
    sync = {"userId": "u", "plan": "gold", "status": "active"}
    await client.post("/api/internal/subscription/sync", json=sync)

    body = await ask(client)

    assert (body["status"], body["plan"]) == (402, None)
    assert body["reasons"][0]["code"] == "unknown_plan"
    assert "'gold'" in body["detail"]


async def test_a_rule_denies_after_the_hold_and_leaves_nothing_held(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("""
apiVersion: sidecar/v1
kind: Policy
metadata: {name: test}
mode: enforce
defaults: {plan: free}
plans:
  free: {plugins: ["*"], tokens_per_month: 1000}
rules:
  - id: no-strangers
    when: '!has(request.attributes.staff)'
    effect: deny
    on_error: deny
    status: 403
    message: Staff only.
    message_expr: '"Staff only, " + request.user_id + "."'
""")
    async with application(tmp_path) as client:
        refused = await ask(client, reserve=True, estimated_tokens=100, request_id="r")
        after = await ask(client, attributes={"staff": True})
        again = await ask(
            client, reserve=True, estimated_tokens=100, request_id="r", attributes={"staff": True}
        )

    assert (refused["status"], refused["detail"]) == (403, "Staff only, u.")
    assert (after["effect"], after["limits"][0]["reserved"]) == ("allow", 0)
    # A refusal is not remembered: the same request id may try again, with another body too.
    assert again["reservation"] is not None


def _month(answer: httpx.Response) -> tuple[int, int]:
    month = answer.json()["limits"][0]
    return month["used"], month["reserved"]
