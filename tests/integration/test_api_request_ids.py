"""A request id that comes again gets the first answer, whatever has changed since."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from tests.in_process import application

WHO = {"app_id": "a", "user_id": "u"}
POLICY = """
apiVersion: sidecar/v1
kind: Policy
metadata: {name: test}
mode: enforce
defaults: {plan: free}
plans:
  free: {plugins: ["*"], tokens_per_month: 10000}
  large: {plugins: ["*"], tokens_per_month: 100000}
rules:
  - id: closed
    match: {plugins: ["closed_*"]}
    when: request.estimated_tokens > 0
    effect: deny
    on_error: deny
    message: Closed.
  - id: nearly-used-up
    match: {plugins: ["careful_*"]}
    when: '"free-tokens-per-month" in limits && limits["free-tokens-per-month"].ratio > 0.5'
    effect: deny
    on_error: deny
    message: More than half is used.
"""


async def ask(client: httpx.AsyncClient, **asked: object) -> dict[str, Any]:
    body: dict[str, Any] = (await client.post("/v1/check", json=WHO | asked)).json()
    return body


async def sync(client: httpx.AsyncClient, plan: str) -> None:
    body = {"userId": "u", "plan": plan, "status": "active"}
    await client.post("/api/internal/subscription/sync", json=body)


async def month(client: httpx.AsyncClient) -> tuple[int, int]:
    reading = (await ask(client))["limits"][0]
    return reading["used"], reading["reserved"]


def with_rules(folder: Path) -> Path:
    (folder / "policy.yaml").write_text(POLICY)
    return folder


async def test_a_run_that_was_let_through_is_not_undone_by_a_smaller_plan(tmp_path: Path) -> None:
    asked = {"reserve": True, "estimated_tokens": 500, "request_id": "r"}
    async with application(with_rules(tmp_path)) as client:
        await client.post("/v1/usage", json=WHO | {"total_tokens": 9_999, "event_id": "e"})
        await sync(client, "large")
        first = await ask(client, **asked)
        await sync(client, "free")
        again = await ask(client, **asked)
        path = f"/v1/reservations/{first['reservation']['id']}/commit"
        done = await client.post(path, json={"total_tokens": 500})
        used = await month(client)

    assert first["effect"] == "allow"
    assert again["allowed"] is True
    assert again["reservation"] == first["reservation"]
    assert again["decision_id"] == first["decision_id"]
    assert done.status_code == 200
    assert used == (10_499, 0)


async def test_a_run_that_was_let_through_is_not_undone_by_an_unknown_plan(tmp_path: Path) -> None:
    asked = {"reserve": True, "estimated_tokens": 500, "request_id": "r"}
    async with application(with_rules(tmp_path)) as client:
        first = await ask(client, **asked)
        await sync(client, "gold")
        again = await ask(client, **asked)
        other = await client.post("/v1/check", json=WHO | asked | {"estimated_tokens": 501})

    assert (again["allowed"], again["reservation"]) == (True, first["reservation"])
    assert other.status_code == 409


async def test_a_refusal_of_racing_repeats_is_a_refusal_for_each(tmp_path: Path) -> None:
    asked = WHO | {"reserve": True, "estimated_tokens": 999, "request_id": "r"}
    async with application(with_rules(tmp_path)) as client:
        for plugin in ("closed_tool", "careful_tool"):
            await client.post("/v1/usage", json=WHO | {"total_tokens": 5_001, "event_id": "e"})
            body = asked | {"plugin": plugin}
            answers = await asyncio.gather(
                *(client.post("/v1/check", json=body) for _ in range(20))
            )
            assert Counter(answer.status_code for answer in answers) == {402: 20}
            assert {answer.json()["reasons"][0]["code"] for answer in answers} == {"rule_denied"}
        assert await month(client) == (5_001, 0)


async def test_what_a_rule_refuses_is_never_held_and_takes_room_from_nobody(
    tmp_path: Path,
) -> None:
    refused = WHO | {"plugin": "closed_tool", "reserve": True, "estimated_tokens": 9_950}
    honest = WHO | {"reserve": True, "estimated_tokens": 100}
    async with application(with_rules(tmp_path)) as client:

        async def spam() -> set[int]:
            return {(await client.post("/v1/check", json=refused)).status_code for _ in range(50)}

        async def work() -> set[int]:
            seen = set()
            for _ in range(50):
                answer = await client.post("/v1/check", json=honest)
                seen.add(answer.status_code)
                if answer.status_code == 200:
                    name = answer.json()["reservation"]["id"]
                    await client.post(f"/v1/reservations/{name}/release")
            return seen

        spammed, worked = await asyncio.gather(spam(), work())

    assert spammed == {402}
    assert worked == {200}


async def test_one_reused_id_of_many_checks_is_that_checks_own_fault(tmp_path: Path) -> None:
    reused = WHO | {"reserve": True, "request_id": "r", "estimated_tokens": 1}
    async with application(with_rules(tmp_path)) as client:
        await client.post("/v1/check", json=reused)
        checks = [WHO | {"reserve": True}, reused | {"estimated_tokens": 2}]
        answer = await client.post("/v1/checks", json={"checks": checks})

    held, fault = answer.json()["decisions"]
    assert answer.status_code == 200
    assert held["reservation"] is not None
    assert (fault["status"], fault["allowed"]) == (409, False)
    assert fault["type"].endswith(":request_id_reused")
