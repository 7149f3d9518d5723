"""Decisions on disk: whole after kill -9, found by every worker, counted as they were answered."""

import time
from pathlib import Path
from typing import Any

import httpx
import orjson

from sidecar.adapters.decisions.files import decision_files
from sidecar.adapters.decisions.verifying import verify
from tests.processes import START_S, Sidecar

STORE = "sqlite:///./data/sidecar.db"
DENIED = {"app_id": "demo", "user_id": "bob", "plugin": "pro_tool"}
ALLOWED = {"app_id": "demo", "user_id": "ann", "plugin": "basic_search"}


def whole_lines(folder: Path) -> list[dict[str, Any]]:
    """Every line that has an end; what stands behind the last end is torn."""
    lines = [
        line for file in decision_files(folder) for line in file.read_bytes().split(b"\n")[:-1]
    ]
    return [orjson.loads(line) for line in lines]


def wait_for(decision_id: str, folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while all(each["decision_id"] != decision_id for each in whole_lines(folder)):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_after_kill_9_every_line_is_whole_and_what_was_written_stays(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    env = {"SIDECAR_DECISION_LOG": str(folder), "SIDECAR_DECISION_LOG_CHAIN": "true"}
    sidecar = Sidecar(store=STORE, cwd=tmp_path, env=env)
    asked = {"checks": [ALLOWED, DENIED] * 50}
    answered: list[str] = []
    for _ in range(5):
        sidecar.start()
        for _ in range(10):
            decisions = sidecar.client.post("/v1/checks", json=asked).json()["decisions"]
            answered += [decision["decision_id"] for decision in decisions]
        wait_for(answered[-500], folder)
        for _ in range(3):
            decisions = sidecar.client.post("/v1/checks", json=asked).json()["decisions"]
            answered += [decision["decision_id"] for decision in decisions]
        sidecar.kill()
    sidecar.start()
    found = sidecar.client.get(f"/v1/decisions/{answered[0]}")
    assert sidecar.stop() == 0

    ids = [each["decision_id"] for each in whole_lines(folder)]
    assert len(set(ids)) == len(ids)
    assert set(ids) <= set(answered)
    # Of each round, what was asked for a tenth of a second before its end.
    assert len(ids) >= 5 * 500
    assert found.json()["decision_id"] == answered[0]
    chains = verify(folder)
    assert [each.broken for each in chains] == [None] * 5
    assert sum(each.lines for each in chains) == len(ids)


def test_what_is_answered_before_sigterm_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    with Sidecar(store=STORE, cwd=tmp_path, env={"SIDECAR_DECISION_LOG": str(folder)}) as sidecar:
        ids = [
            sidecar.client.post("/v1/check", json=ALLOWED).json()["decision_id"] for _ in range(300)
        ]

    assert [each["decision_id"] for each in whole_lines(folder)] == ids


def test_any_worker_finds_what_another_one_decided(tmp_path: Path) -> None:
    env = {"SIDECAR_DECISION_LOG": str(tmp_path / "log")}
    arguments = ("--workers", "2")
    with Sidecar(store=STORE, cwd=tmp_path, env=env, arguments=arguments) as sidecar:
        ids = [
            httpx.post(
                f"{sidecar.url}/v1/check", json=DENIED, timeout=START_S, verify=False
            ).json()["decision_id"]
            for _ in range(20)
        ]
        for decision_id in ids:
            wait_for(decision_id, tmp_path / "log")
        found = [
            httpx.get(
                f"{sidecar.url}/v1/decisions/{each}", timeout=START_S, verify=False
            ).status_code
            for each in ids * 3
        ]
        listed = [
            httpx.get(
                f"{sidecar.url}/v1/decisions?user_id=bob", timeout=START_S, verify=False
            ).json()["decisions"]
            for _ in range(20)
        ]

    assert set(found) == {200}
    assert all({each["decision_id"] for each in told} == set(ids) for told in listed)
