"""What waits for the control plane, through the whole application."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidecar.bootstrap.server import create_app
from sidecar.errors import ConfigurationError
from sidecar.settings import Settings
from tests.in_process import application
from tests.ingest import ingest
from tests.listening import until
from tests.processes import ROOT, START_S

NOBODY = "http://127.0.0.1:1/in"
CALLING_NOBODY: dict[str, Any] = {
    "control_plane_usage_ingest_enabled": True,
    "control_plane_usage_ingest_url": NOBODY,
}


def event(name: str, **more: object) -> dict[str, object]:
    return {"event_id": name, "app_id": "acme", "user_id": "ann", "total_tokens": 5} | more


async def report(client: httpx.AsyncClient, *events: dict[str, object]) -> httpx.Response:
    return await client.post("/v1/usage", json=list(events))


async def outbox(client: httpx.AsyncClient) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get("/v1/outbox")).json()
    return found


async def test_each_accepted_event_comes_to_the_control_plane_as_it_came() -> None:
    async with (
        ingest() as plane,
        application(**plane.settings(control_plane_usage_ingest_key="k-1")) as client,
    ):
        whole = event(
            "e-1", event_ts="2026-11-22T10:00:00+01:00", chat_id="c", workflow_name="w",
            agent_name="a", model_name="gpt-4o", prompt_tokens=3, completion_tokens=2, cached=True,
            duration_sec=1.5, invocation_id="i", plugin="p", tenant_id="t",
        )  # fmt: skip
        at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        whole["event_ts"] = at.astimezone(None).isoformat()
        await report(client, whole, event("e-2"), event("e-1"), {"app_id": "acme"})
        await client.post("/v1/usage", json={"app_id": "acme", "user_id": "bob"})
        await until(lambda: len(plane.sent) == 3)
        await until_empty(client)

    assert plane.sent[0] == whole | {"event_ts": at.isoformat().replace("+00:00", "Z")}
    assert plane.sent[1] | {"event_ts": None} == event(
        "e-2", event_ts=None, chat_id=None, workflow_name=None, agent_name=None, model_name=None,
        prompt_tokens=0, completion_tokens=0,
    )  # fmt: skip
    assert plane.ids[2].startswith("body:")
    assert plane.keys == {"k-1"}


async def until_empty(client: httpx.AsyncClient) -> None:
    """Return when nothing waits any more."""
    for _ in range(2_000):
        if not (await outbox(client))["waiting"]:
            return
    raise AssertionError("something still waits")


async def test_a_summary_is_an_event_too_and_has_the_fields_of_its_client() -> None:
    summary: dict[str, Any] = {
        "event_id": "s-1", "event_ts": datetime.now(UTC).isoformat(), "chat_id": "c",
        "app_id": "acme", "user_id": "ann", "workflow_name": "w", "prompt_tokens": 30,
        "completion_tokens": 12, "total_tokens": 42,
    }  # fmt: skip
    async with ingest() as plane, application(**plane.settings()) as client:
        await report(client, event("e-1", chat_id="c"))
        assert (await client.post("/v1/usage/summary", json=summary)).status_code == 202
        await client.post("/v1/usage/summary", json=summary)
        await until(lambda: len(plane.sent) == 2)
        await until_empty(client)
        exported = await client.get("/v1/usage/export")

    assert plane.sent[1] == summary | {"event_ts": summary["event_ts"].replace("+00:00", "Z")}
    kinds = [json.loads(line)["kind"] for line in exported.text.splitlines()]
    assert kinds == ["delta", "summary"]


async def test_nothing_is_asked_of_anybody_unless_it_is_enabled() -> None:
    async with (
        ingest() as plane,
        application(control_plane_usage_ingest_url=plane.url) as client,
    ):
        await report(client, event("e-1"))
        found = await outbox(client)

    assert plane.sent == []
    assert (found["waiting"], found["apps"], found["lag_s"]) == (0, [], 0)


async def test_what_was_refused_is_shown_tried_again_and_dropped() -> None:
    async with ingest() as plane, application(**plane.settings()) as client:
        plane.answer = lambda sent: 400 if sent["event_id"] in ("bad", "worse") else 202
        await report(client, event("good"), event("bad"), event("worse"), event("better"))
        await until(lambda: len(plane.sent) == 4)
        await until_empty(client)
        found = await outbox(client)
        bad, worse = found["refused"]
        plane.answer = lambda _: 202
        again = await client.post(f"/v1/outbox/{bad['id']}/retry")
        gone = await client.post(f"/v1/outbox/{worse['id']}/drop")
        await until(lambda: len(plane.sent) == 5)
        await until_empty(client)
        after = await outbox(client)
        unknown = await client.post(f"/v1/outbox/{bad['id']}/retry")
        exported = await client.get("/v1/usage/export", params={"app_id": "acme"})

    assert (found["set_aside"], bad["status"], bad["app_id"]) == (2, 400, "acme")
    assert (bad["event"]["event_id"], bad["event"]["kind"]) == ("bad", "delta")
    assert again.json() == {"status": "waiting", "id": bad["id"]}
    assert gone.json() == {"status": "dropped", "id": worse["id"]}
    assert plane.ids[4:] == ["bad"]
    assert (after["set_aside"], after["refused"]) == (0, [])
    assert unknown.status_code == 404
    assert unknown.json()["type"].endswith(":unknown_event")
    assert len(exported.text.splitlines()) == 4


async def test_what_waits_says_for_how_long_and_why() -> None:
    async with application(**CALLING_NOBODY) as client:
        await report(client, event("e-1"), event("e-2"))
        await report(client, event("e-3", app_id="other"))
        for _ in range(2_000):
            found = await outbox(client)
            if all(line["fault"] for line in found["apps"]):
                break

    assert (found["waiting"], found["set_aside"], found["refused"]) == (3, 0, [])
    assert found["lag_s"] >= 0
    acme, other = found["apps"]
    assert (acme["app_id"], acme["waiting"], other["waiting"]) == ("acme", 2, 1)
    assert "127.0.0.1" in acme["fault"]
    assert acme["tries"] >= 1
    assert acme["first"].startswith("evt_")


async def test_metrics_and_the_status_tell_of_what_waits_and_what_was_refused() -> None:
    async with ingest() as plane, application(**plane.settings()) as client:
        plane.answer = lambda sent: {"bad": 400, "late": 500}.get(sent["event_id"], 202)
        await report(client, event("good"), event("bad"), event("late"))
        until_s = time.monotonic() + START_S
        while time.monotonic() < until_s:
            status = (await client.get("/v1/status")).json()["parts"]["outbox"]
            facts = status["facts"]
            if facts["set_aside"] and facts["failed"] and facts["waiting"] == 1:
                break
            await asyncio.sleep(0)
        await until(lambda: len(plane.sent) > 3)
        told = (await client.get("/metrics")).text

    assert status["state"] == "degraded"
    assert "it answered 500" in status["note"]
    assert (facts["waiting"], facts["delivered"], facts["refused"]) == (1, 1, 1)
    for line in (
        'entitlement_outbox_total{result="delivered"} 1',
        'entitlement_outbox_total{result="refused"} 1',
        "entitlement_outbox_waiting 1",
        "entitlement_outbox_set_aside 1",
    ):
        assert line in told
    assert "entitlement_outbox_oldest_seconds 0" not in told


async def test_when_too_much_waits_nothing_is_counted_and_it_is_said_when_to_come_again() -> None:
    who = {"app_id": "acme", "user_id": "ann"}
    async with application(sidecar_outbox_max=2, **CALLING_NOBODY) as client:
        taken = await report(client, event("e-1"), event("e-2"))
        refused = await report(client, event("e-3"))
        checked = await client.post("/v1/check", json=who | {"reserve": True})
        reservation = checked.json()["reservation"]["id"]
        committed = await client.post(
            f"/v1/reservations/{reservation}/commit", json={"total_tokens": 3}
        )
        used = (await client.get("/v1/entitlements", params=who)).json()["limits"][0]["used"]

    assert taken.status_code == 202
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")
    assert refused.json()["type"].endswith(":outbox_full")
    # A commit is no event: it goes on.
    assert committed.status_code == 200
    assert used == 2 * 5 + 3


@pytest.mark.parametrize("name", ["x", "evt_", "evt_YQ.", "evt_YQ.x", "res_YQ.1", "evt_YQ.1-1"])
async def test_an_id_that_is_none_is_unknown(name: str) -> None:
    async with application() as client:
        for action in ("retry", "drop"):
            answer = await client.post(f"/v1/outbox/{name}/{action}")
            assert answer.status_code == 404


def test_who_posts_events_has_to_say_where(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="USAGE_INGEST_URL: is needed"):
        create_app(
            Settings(
                sidecar_policies=ROOT / "policies/platform",
                sidecar_store="sqlite://",
                control_plane_usage_ingest_enabled=True,
            )
        )
