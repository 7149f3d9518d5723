"""`sidecar outbox`: an operator sees what waits, tries it again or drops it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import sidecar
from tests.outbox.plane import Plane
from tests.processes import Sidecar, await_that

KEY = "a-key-that-nobody-may-read"
STATUSES = {"bad": 422, "worse": 400, "stuck": 503}


@pytest.fixture
def plane() -> Iterator[Plane]:
    found = Plane()
    found.statuses = dict(STATUSES)
    with found.listening():
        yield found


def _event(name: str, app: str = "acme") -> dict[str, object]:
    return {"event_id": name, "app_id": app, "user_id": "ann", "total_tokens": 5}


def test_an_operator_sees_what_waits_and_says_what_becomes_of_it(
    store: str, plane: Plane, tmp_path: Path
) -> None:
    env = {
        "CONTROL_PLANE_USAGE_INGEST_ENABLED": "true",
        "CONTROL_PLANE_USAGE_INGEST_URL": plane.url,
        "CONTROL_PLANE_USAGE_INGEST_KEY": KEY,
        "SIDECAR_STORE_TIMEOUT_MS": "5000",
    }

    def run(*arguments: str) -> tuple[int, str, str]:
        return sidecar(tmp_path, "outbox", *arguments, "--store", store, env=env)

    def told() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(run("list", "--json")[1])
        return found

    with Sidecar(store=store, cwd=tmp_path, env=env) as server:
        names = ["good", "bad", "worse", "stuck", "behind"]
        server.client.post("/v1/usage", json=[_event(name) for name in names])
        server.client.post("/v1/usage", json=_event("fine", "other"))
        await_that(lambda: told()["set_aside"] == 2 and "fine" in plane.ids(), "two are set aside")
        await_that(lambda: told()["apps"][0]["tries"] > 0, "one is tried again")

        listed = told()
        shown = run("list")
        refused = {each["event"]["event_id"]: each for each in listed["refused"]}
        gone = run("drop", refused["worse"]["id"])
        stuck = run("drop", listed["apps"][0]["first"])
        await_that(lambda: "behind" in plane.ids(), "the next one goes")
        plane.statuses.clear()
        again = run("retry", refused["bad"]["id"])
        await_that(lambda: told()["waiting"] == 0, "all is delivered")
        empty = run("list")
        unknown = run("retry", refused["bad"]["id"])
        misused = run("drop")

    assert (listed["waiting"], refused["bad"]["status"]) == (2, 422)
    assert shown[1].startswith("2 events waiting, the first for ")
    assert "; 2 refused\n" in shown[1]
    assert "app acme: 2 waiting, 2 refused; not taken " in shown[1]
    assert "it answered 503" in shown[1]
    assert f" ! {refused['bad']['id']}  422  " in shown[1]
    assert again[:2] == (0, "1 event will be tried again\n")
    assert gone[:2] == (0, "1 event will not be delivered\n")
    assert stuck[0] == 0
    assert plane.seen["acme"][-2:] == ["behind", "bad"]
    assert plane.seen["acme"].count("worse") == 1
    assert empty[1] == "0 events waiting; 0 refused\n"
    assert (unknown[0], unknown[2].count("\n")) == (3, 1)
    assert misused[0] == 64
    everything = server.errors() + "".join(text for _, *texts in (shown, unknown) for text in texts)
    assert KEY not in everything
    assert plane.keys == {KEY}


def test_who_enables_it_without_an_address_is_told_at_the_start(tmp_path: Path) -> None:
    env = {"CONTROL_PLANE_USAGE_INGEST_ENABLED": "true"}
    code, _, fault = sidecar(tmp_path, "serve", "--port", "0", env=env)

    assert code == 3
    assert fault.startswith("CONTROL_PLANE_USAGE_INGEST_URL: is needed with")


def test_a_store_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    code, _, fault = sidecar(tmp_path, "outbox", "list")

    assert (code, list(tmp_path.iterdir())) == (3, [])
    assert "there is no such store" in fault


def test_a_store_in_memory_is_the_servers_own(tmp_path: Path) -> None:
    code, _, fault = sidecar(tmp_path, "outbox", "list", "--store", "sqlite://")

    assert (code, fault) == (
        3, "sqlite://: stands in the memory of the server; ask it, at /v1/outbox\n",
    )  # fmt: skip
