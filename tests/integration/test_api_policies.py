"""What is told of the policies in force over the API, and what becomes of them when asked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.in_process import application

POLICY = """\
apiVersion: sidecar/v1
kind: Policy
metadata: {name: test}
mode: enforce
defaults: {plan: free}
plans:
  free:
    name: Free
    plugins: ["*"]
    limits: [{id: daily, meter: tokens, max: 1000, window: day}]
rules:
  - {id: mind, effect: warn, match: {plugins: [risky]}, message: Mind.}
"""
TEST = """\
apiVersion: sidecar/v1
kind: PolicyTest
tests:
  - name: anybody may search
    given: {subscription: {plan: free, status: active}}
    check: {app_id: a, user_id: u, plugin: search}
    expect: {effect: allow}
"""
ASK = {"app_id": "a", "user_id": "u", "plugin": "search", "estimated_tokens": 100}


class Desk:
    """A running application, and the directories that it answers from."""

    def __init__(self, client: httpx.AsyncClient, folder: Path) -> None:
        self.client = client
        self.file = folder / "live/policy.yaml"
        self.candidate = folder / "shadow/policy.yaml"

    async def standing(self) -> dict[str, Any]:
        answer = await self.client.get("/v1/policies")
        assert answer.status_code == 200
        told: dict[str, Any] = answer.json()
        return told

    async def until(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What is told as soon as it holds."""
        async with asyncio.timeout(20):
            while True:
                told = await self.standing()
                if holds(told):
                    return told
                await asyncio.sleep(0.01)

    async def reload(self) -> httpx.Response:
        return await self.client.post("/v1/policies/reload")

    async def check(self, **fields: object) -> dict[str, Any]:
        decision: dict[str, Any] = (await self.client.post("/v1/check", json=ASK | fields)).json()
        return decision


@asynccontextmanager
async def desk(folder: Path, **settings: object) -> AsyncIterator[Desk]:
    """Reloads only when asked to, unless the settings say otherwise."""
    for name in ("live", "shadow"):
        (folder / name).mkdir()
        (folder / name / "policy.yaml").write_text(POLICY)
    (folder / "live/policy_test.yaml").write_text(TEST)
    given = {"sidecar_policies_poll_s": 0, **settings}
    async with application(folder / "live", **given) as client:
        yield Desk(client, folder)


async def test_it_tells_what_is_in_force(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        told = await it.standing()
        decision = await it.check()

    assert told["revision"] == decision["policy"]["revision"]
    assert (told["generation"], told["mode"]) == (1, "enforce")
    assert told["loaded_at"].endswith("Z")
    assert told["directory"] == str(tmp_path / "live")
    assert [(file["name"], file["kind"]) for file in told["files"]] == [
        ("policy.yaml", "policy"),
        ("policy_test.yaml", "test"),
    ]
    assert told["plans"] == [{"id": "free", "name": "Free", "mode": "enforce"}]
    assert (told["rules"], told["limits"]) == (1, 1)
    assert told["tests"] == {"passed": 1, "skipped": 0}
    assert (told["rejected"], told["shadow"]) == (None, None)


async def test_a_reload_puts_what_was_edited_in_force_and_keeps_the_counters(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as it:
        event = {"app_id": "a", "user_id": "u", "event_id": "e", "total_tokens": 700}
        assert (await it.client.post("/v1/usage", json=event)).status_code == 202
        it.file.write_text(POLICY.replace("1000", "2000"))
        reloaded = await it.reload()
        decision = await it.check()
        again = await it.reload()

    body = reloaded.json()
    assert (reloaded.status_code, body["status"], body["generation"]) == (200, "loaded", 2)
    assert decision["policy"]["revision"] == body["revision"]
    assert (decision["limits"][0]["limit"], decision["limits"][0]["used"]) == (2000, 700)
    assert (again.json()["status"], again.json()["generation"]) == ("unchanged", 2)


async def test_a_broken_set_is_422_with_its_diagnostics_and_what_was_in_force_stays(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path) as it:
        before = await it.check()
        it.file.write_text(POLICY.replace("mode:", "modee:"))
        refused = await it.reload()
        after = await it.check()
        told = await it.standing()

    body = refused.json()
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert body["type"] == "urn:mozaiks:sidecar:problem:policies_rejected"
    assert body["reason"] == "invalid"
    assert body["revision"] == before["policy"]["revision"] == after["policy"]["revision"]
    (found,) = body["diagnostics"]
    assert found["file"] == str(tmp_path / "live/policy.yaml")
    assert (found["code"], found["line"], found["column"]) == ("B1", 4, 1)
    assert found["hint"] == "did you mean 'mode'?"
    assert told["rejected"]["diagnostics"] == [found]
    assert told["last_rejected"] is None
    assert told["revision"] == before["policy"]["revision"]


@pytest.mark.parametrize("mended", [POLICY, POLICY.replace("1000", "2000")])
async def test_what_was_refused_is_no_longer_under_rejected_once_it_is_mended(
    mended: str, tmp_path: Path
) -> None:
    async with desk(tmp_path) as it:
        it.file.write_text(POLICY.replace("mode:", "modee:"))
        await it.reload()
        broken = await it.standing()
        it.file.write_text(mended)
        await it.reload()
        told = await it.standing()

    assert (told["rejected"], told["last_rejected"]) == (None, broken["rejected"])
    assert told["last_rejected"]["reason"] == "invalid"


async def test_a_set_whose_tests_fail_is_refused_with_what_they_expected(tmp_path: Path) -> None:
    async with desk(tmp_path) as it:
        it.file.write_text(POLICY.replace('plugins: ["*"]', 'plugins: ["other_*"]'))
        body = (await it.reload()).json()

    assert body["reason"] == "tests_failed"
    assert body["diagnostics"][0]["message"] == (
        "anybody may search: effect: expected allow, got deny"
    )
    assert body["diagnostics"][0]["hint"] == (
        "if the policy is as it is meant, adapt its tests or remove them"
    )


async def test_an_edit_is_noticed_without_a_word(tmp_path: Path) -> None:
    async with desk(tmp_path, sidecar_policies_poll_s=0.02) as it:
        it.file.write_text(POLICY.replace("1000", "2000"))
        await it.until(lambda told: bool(told["generation"] == 2))

        assert (await it.check())["limits"][0]["limit"] == 2000


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/policies", {"int", "read"}),
        ("POST", "/v1/policies/reload", {"int"}),
    ],
)
async def test_policies_are_shown_and_reloaded_for_the_keys_of_their_roles(
    method: str, path: str, allowed: set[str], tmp_path: Path
) -> None:
    keys = {
        "sidecar_runtime_keys": "run",
        "internal_api_keys": "int",
        "sidecar_read_keys": "read",
    }
    async with desk(tmp_path, **keys) as it:
        for key in ("run", "int", "read"):
            answer = await it.client.request(method, path, headers={"X-Internal-API-Key": key})
            assert answer.status_code == (200 if key in allowed else 403), key


# -- a candidate --------------------------------------------------------------------------------


async def compared(it: Desk, checks: int) -> dict[str, Any]:
    """The comparison when so many checks are in it."""

    def holds(told: dict[str, Any]) -> bool:
        found = told["shadow"]["comparison"]
        return found is not None and found["compared"] + found["left_out"] >= checks

    found: dict[str, Any] = (await it.until(holds))["shadow"]["comparison"]
    return found


async def test_a_candidate_is_compared_and_changes_no_answer(tmp_path: Path) -> None:
    async with desk(tmp_path, sidecar_shadow_policies=tmp_path / "shadow") as it:
        it.candidate.write_text(POLICY.replace("max: 1000", "max: 50"))
        assert (await it.reload()).json()["shadow"]["status"] == "loaded"
        decision = await it.check()
        await it.check(plugin="risky", estimated_tokens=10)
        found = await compared(it, 2)
        told = await it.standing()

    assert decision["effect"] == "allow"
    assert told["shadow"]["directory"] == str(tmp_path / "shadow")
    assert found["live_revision"] == told["revision"]
    assert found["shadow_revision"] == told["shadow"]["revision"] != told["revision"]
    assert (found["compared"], found["different"]) == (2, 1)
    assert (found["effects"], found["because"]) == ({"allow->deny": 1}, {"daily": 1})
    assert found["other_reasons"] == {}
    (latest,) = found["latest"]
    assert latest["decision_id"] == decision["decision_id"]
    assert (latest["app_id"], latest["user_id"], latest["because"]) == ("a", "u", "daily")
    assert latest["live"] == {"effect": "allow", "status": 200, "reasons": []}
    assert latest["shadow"] == {"effect": "deny", "status": 402, "reasons": ["daily"]}


async def test_a_stricter_copy_that_brings_its_tests_along_is_told_what_to_do_with_them(
    tmp_path: Path,
) -> None:
    async with desk(tmp_path, sidecar_shadow_policies=tmp_path / "shadow") as it:
        it.candidate.write_text(POLICY.replace('plugins: ["*"]', 'plugins: ["other_*"]'))
        (tmp_path / "shadow/policy_test.yaml").write_text(TEST)
        told = (await it.reload()).json()["shadow"]

    assert (told["status"], told["rejected"]["reason"]) == ("rejected", "tests_failed")
    assert told["rejected"]["message"].endswith(
        "\nif the policy is as it is meant, adapt its tests or remove them"
    )


async def test_a_broken_candidate_hurts_nobody_and_is_told(tmp_path: Path) -> None:
    async with desk(tmp_path, sidecar_shadow_policies=tmp_path / "nowhere") as it:
        decision = await it.check()
        reloaded = await it.reload()
        told = await it.standing()

    assert decision["effect"] == "allow"
    assert (reloaded.status_code, reloaded.json()["status"]) == (200, "unchanged")
    assert reloaded.json()["shadow"]["status"] == "rejected"
    assert told["shadow"]["revision"] is None
    assert told["shadow"]["rejected"]["reason"] == "unreadable"
    assert told["shadow"]["comparison"] is None


async def test_a_candidate_that_is_mended_is_compared_from_then_on(tmp_path: Path) -> None:
    async with desk(tmp_path, sidecar_shadow_policies=tmp_path / "shadow") as it:
        it.candidate.write_text("mode: on")
        await it.reload()
        await it.check()
        unchanged = await compared(it, 1)
        first = await it.standing()
        it.candidate.write_text(POLICY.replace("max: 1000", "max: 70"))
        await it.reload()
        await it.check()
        told = await it.until(lambda told: bool(told["shadow"]["comparison"]["different"]))

    found = told["shadow"]["comparison"]
    assert unchanged["different"] == 0
    assert first["shadow"]["rejected"]["reason"] == "invalid"
    assert first["shadow"]["revision"] is not None
    assert found["effects"] == {"allow->deny": 1}
