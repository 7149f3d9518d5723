"""Several workers serve one revision, whatever is being edited meanwhile."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.processes import ROOT, START_S, Sidecar

ASK = {"app_id": "a", "user_id": "u", "plugin": "basic_search"}
GOOD = (ROOT / "policies/platform/policy.yaml").read_text()


def revisions(sidecar: Sidecar) -> set[str]:
    """What fresh connections are answered under."""
    return {
        httpx.post(f"{sidecar.url}/v1/check", json=ASK).json()["policy"]["revision"]
        for _ in range(12)
    }


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_worker_that_is_replaced_begins_with_what_loaded_last(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    file = folder / "policy.yaml"
    file.write_text(GOOD)
    store = "sqlite:///./data/sidecar.db"
    with Sidecar(
        policies=folder, store=store, cwd=tmp_path, arguments=("--workers", "2")
    ) as sidecar:
        sidecar.client.post("/v1/check", json=ASK)
        (first,) = revisions(sidecar)

        file.write_text(GOOD.replace("mode: enforce", "modee: x"))
        sidecar.process.send_signal(signal.SIGHUP)
        sidecar.wait_for_error("policies_rejected")
        killed = sidecar.workers()
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
        wait_until(lambda: len(sidecar.workers() - killed) == 2)
        after_a_broken_edit = revisions(sidecar)

        before = sidecar.workers()
        file.write_text(GOOD.replace("10000", "20000"))
        sidecar.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(sidecar.workers() - before) == 2 and not sidecar.workers() & before)
        after_a_good_edit = revisions(sidecar)
        errors = sidecar.errors()

    assert after_a_broken_edit == {first}
    assert len(after_a_good_edit) == 1
    assert first not in after_a_good_edit
    assert f"{folder}/policy.yaml:7:1: error[B1]" in errors
