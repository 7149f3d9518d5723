"""Recorded decisions: what is kept, what is hidden, and that no answer suffers from it."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from sidecar.adapters.decisions.files import decision_files
from sidecar.adapters.decisions.hidden import MARK
from tests.in_process import application
from tests.processes import START_S

ALLOWED = {"app_id": "demo", "user_id": "ann", "plugin": "basic_search", "estimated_tokens": 10}
DENIED = {"app_id": "demo", "user_id": "bob", "plugin": "pro_tool"}


async def check(client: httpx.AsyncClient, **asked: object) -> str:
    answer = await client.post("/v1/check", json=asked)
    return str(answer.json()["decision_id"])


def recorded(folder: Path) -> list[dict[str, Any]]:
    lines = [line for file in decision_files(folder) for line in file.read_bytes().splitlines()]
    return [orjson.loads(line) for line in lines]


class Logged:
    """What was written to standard error so far."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.text = ""

    def has(self, event: str) -> bool:
        self.text += self._capsys.readouterr().err
        return event in self.text


async def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_refusal_is_found_by_its_id_with_what_it_was_made_from() -> None:
    async with application() as client:
        answer = await client.post("/v1/check", json=DENIED)
        decision_id = answer.json()["decision_id"]
        found = await client.get(f"/v1/decisions/{decision_id}")

    body = found.json()
    assert found.status_code == 200
    assert body["decision_id"] == decision_id
    assert (body["effect"], body["status"]) == ("deny", answer.status_code)
    assert body["request"]["plugin"] == "pro_tool"
    assert body["subscription"]["status"] == "none"
    assert body["reasons"] == answer.json()["reasons"]
    assert body["limits"] == answer.json()["limits"]
    assert body["policy"] == answer.json()["policy"]


async def test_without_a_folder_an_allow_is_not_kept() -> None:
    async with application() as client:
        decision_id = await check(client, **ALLOWED)
        found = await client.get(f"/v1/decisions/{decision_id}")

    assert found.status_code == 404
    assert found.headers["content-type"] == "application/problem+json"
    assert decision_id in found.json()["detail"]


async def test_with_a_folder_an_allow_is_found_too(tmp_path: Path) -> None:
    async with application(sidecar_decision_log=tmp_path / "log") as client:
        decision_id = await check(client, **ALLOWED)
        at_once = await client.get(f"/v1/decisions/{decision_id}")
        await until(lambda: len(recorded(tmp_path / "log")) == 1)
        later = await client.get(f"/v1/decisions/{decision_id}")

    assert (at_once.status_code, later.status_code) == (200, 200)
    assert at_once.json() == later.json() == recorded(tmp_path / "log")[0]


async def test_what_another_process_wrote_is_found(tmp_path: Path) -> None:
    async with application(sidecar_decision_log=tmp_path) as client:
        decision_id = await check(client, **DENIED)
    async with application(sidecar_decision_log=tmp_path) as client:
        found = await client.get(f"/v1/decisions/{decision_id}")
        listed = await client.get("/v1/decisions?app_id=demo&user_id=bob&effect=deny")

    assert found.json()["request"]["user_id"] == "bob"
    assert [each["decision_id"] for each in listed.json()["decisions"]] == [decision_id]


async def test_the_latest_come_first_and_no_more_than_are_asked_for() -> None:
    async with application() as client:
        ids = [await check(client, **(DENIED | {"user_id": f"u{n % 2}"})) for n in range(6)]
        of_one = (await client.get("/v1/decisions?user_id=u1&limit=2")).json()["decisions"]
        of_all = (await client.get("/v1/decisions?effect=deny")).json()
        warned = (await client.get("/v1/decisions?effect=warn")).json()["decisions"]
        wrong = await client.get("/v1/decisions?effect=maybe&limit=501")

    assert [each["decision_id"] for each in of_one] == [ids[5], ids[3]]
    assert [each["decision_id"] for each in of_all["decisions"]] == ids[::-1]
    assert of_all["lost"] == 0
    assert warned == []
    assert [fault["field"] for fault in wrong.json()["errors"]] == ["effect", "limit"]


async def test_all_that_was_decided_is_in_the_files_when_the_server_has_ended(
    tmp_path: Path,
) -> None:
    async with application(sidecar_decision_log=tmp_path) as client:
        ids = [await check(client, **(ALLOWED | {"user_id": f"u{n}"})) for n in range(500)]

    assert [each["decision_id"] for each in recorded(tmp_path)] == ids


@pytest.mark.parametrize("part", [0.0, 0.3])
async def test_of_some_users_every_allow_is_written_and_of_the_others_none(
    part: float, tmp_path: Path
) -> None:
    async with application(
        sidecar_decision_log=tmp_path, sidecar_decision_log_allows=part
    ) as client:
        for number in range(600):
            await check(client, **(ALLOWED | {"user_id": f"u{number % 200}"}))
            if number < 200:
                await check(client, **(DENIED | {"user_id": f"u{number}"}))

    found = recorded(tmp_path)
    denied = [each for each in found if each["effect"] == "deny"]
    allowed = [each["request"]["user_id"] for each in found if each["effect"] == "allow"]
    assert len(denied) == 200
    assert all(allowed.count(user) == 3 for user in set(allowed))
    assert abs(len(set(allowed)) - 200 * part) <= 25
    assert {each["allows"] for each in found} == {part}


SECRETIVE = """\
apiVersion: sidecar/v1
kind: Policy
metadata: {name: secretive}
mode: enforce
plans: {free: {plugins: ["*"], tokens_per_month: 10}}
defaults: {plan: free}
rules:
  - id: talkative
    when: has(request.attributes.api_key)
    effect: deny
    on_error: deny
    message: No.
    message_expr: '"The key " + string(request.attributes.api_key) + " is not welcome."'
"""


async def test_a_sensitive_value_is_written_nowhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "policy.yaml").write_text(SECRETIVE)
    secret = "planted-4711-secret"
    attributes = {"api_key": secret, "region": "eu", "nested": {"Session_Cookie": secret}}
    asked = {"app_id": "demo", "user_id": "ann", "attributes": attributes}
    async with application(policies, sidecar_decision_log=tmp_path / "log") as client:
        decision_id = await check(client, **asked)
        shown = await client.get(f"/v1/decisions/{decision_id}")

    assert secret not in shown.text
    assert shown.json()["request"]["attributes"] == {
        "api_key": MARK, "region": "eu", "nested": {"Session_Cookie": MARK}
    }  # fmt: skip
    assert shown.json()["reasons"][0]["message"] == f"The key {MARK} is not welcome."
    assert all(secret.encode() not in file.read_bytes() for file in decision_files(tmp_path))
    logged = Logged(capsys)
    assert logged.has(decision_id)
    assert not logged.has(secret)


async def test_a_folder_that_cannot_be_written_hurts_no_check_and_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blocked, logged = tmp_path / "blocked", Logged(capsys)
    blocked.write_text("no folder")
    async with application(sidecar_decision_log=blocked) as client:
        answers = [await client.post("/v1/check", json=ALLOWED) for _ in range(200)]
        denied = await check(client, **DENIED)
        await until(lambda: logged.has("decisions_not_written"))
        still = await client.get(f"/v1/decisions/{denied}")

    assert {answer.status_code for answer in answers} == {200}
    assert still.json()["effect"] == "deny"
    assert not logged.has("decisions_written_again")
    assert logged.text.count("decisions_not_written") == 1
    assert f"why='{blocked}: " in logged.text
    assert "decisions_lost                 [sidecar.decisions] lost=201" in logged.text
    assert blocked.read_text() == "no folder"


async def test_a_folder_that_can_be_written_again_gets_what_waited(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, logged = tmp_path / "log", Logged(capsys)
    folder.write_text("in the way")
    async with application(sidecar_decision_log=folder) as client:
        ids = [await check(client, **DENIED) for _ in range(5)]
        await until(lambda: logged.has("decisions_not_written"))
        folder.unlink()
        ids += [await check(client, **DENIED) for _ in range(5)]
        await until(lambda: logged.has("decisions_written_again"))
        lost = (await client.get("/v1/decisions")).json()["lost"]

    assert [each["decision_id"] for each in recorded(folder)] == ids
    assert lost == 0
