"""Several workers serve one revision, whatever is being edited meanwhile."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import ROOT, START_S, Sidecar, await_that

ASK = {"app_id": "a", "user_id": "u", "plugin": "basic_search"}
GOOD = (ROOT / "policies/platform/policy.yaml").read_text()
LINE = GOOD.splitlines().index("mode: enforce") + 1
BROKEN = GOOD.replace("mode: enforce", "modee: x")
BETTER = GOOD.replace("10000", "20000")


class Edited:
    """Two workers, and the file that they answer from."""

    def __init__(self, sidecar: Sidecar, folder: Path) -> None:
        self.sidecar = sidecar
        self.folder = folder
        self.file = folder / "policy.yaml"

    def hang_up(self) -> None:
        self.sidecar.process.send_signal(signal.SIGHUP)

    def revisions(self) -> set[str]:
        """What fresh connections are answered under."""
        answers = [
            httpx.post(f"{self.sidecar.url}/v1/check", json=ASK, timeout=START_S, verify=False)
            for _ in range(12)
        ]
        return {answer.json()["policy"]["revision"] for answer in answers}

    def standing(self) -> dict[str, Any]:
        """What one of them tells of its policies."""
        told = httpx.get(f"{self.sidecar.url}/v1/policies", timeout=START_S, verify=False)
        standing: dict[str, Any] = told.json()
        return standing

    def await_all(self, revision: str) -> None:
        await_that(lambda: self.revisions() == {revision}, f"all answer from {revision}")


def _refused(standing: dict[str, Any]) -> tuple[str, int | None]:
    """What a worker answers from, and the line that it was refused for, where it has heard of it.

    The worker that was called tells the others, which read for themselves: a moment later.
    """
    rejected = standing["rejected"]
    return standing["revision"], rejected and rejected["diagnostics"][0]["line"]


@pytest.fixture
def edited(tmp_path: Path) -> Iterator[Edited]:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "policy.yaml").write_text(GOOD)
    with Sidecar(
        policies=folder,
        store="sqlite:///./data/sidecar.db",
        cwd=tmp_path,
        env={"SIDECAR_POLICIES_POLL_S": "0"},
        arguments=("--workers", "2"),
    ) as sidecar:
        sidecar.client.post("/v1/check", json=ASK)
        yield Edited(sidecar, folder)


def test_a_worker_that_is_begun_later_answers_from_what_loaded_last(edited: Edited) -> None:
    (first,) = edited.revisions()
    edited.file.write_text(BROKEN)
    edited.hang_up()
    edited.sidecar.wait_for_error("policies_rejected")

    killed = edited.sidecar.workers()
    for worker in killed:
        os.kill(worker, signal.SIGKILL)
    await_that(lambda: len(edited.sidecar.workers() - killed) == 2, "two others are begun")

    assert edited.revisions() == {first}
    assert f"{edited.file}:{LINE}:1: error[B1]" in edited.sidecar.errors()


def test_workers_take_over_what_is_edited_and_keep_their_connections(edited: Edited) -> None:
    workers = edited.sidecar.workers()
    with httpx.Client(base_url=edited.sidecar.url) as kept_alive:
        (first,) = edited.revisions()
        before = kept_alive.post("/v1/check", json=ASK)
        edited.file.write_text(BETTER)
        edited.hang_up()
        edited.sidecar.wait_for_error("policies_loaded")
        await_that(lambda: first not in edited.revisions(), "nobody answers from the old ones")
        (second,) = edited.revisions()
        after = kept_alive.post("/v1/check", json=ASK)

    assert after.json()["policy"]["revision"] == second
    assert after.extensions["network_stream"] is before.extensions["network_stream"]
    assert edited.sidecar.workers() == workers


def test_a_call_of_one_worker_reloads_all_of_them(edited: Edited) -> None:
    edited.file.write_text(BETTER)

    reloaded = httpx.post(f"{edited.sidecar.url}/v1/policies/reload", timeout=START_S, verify=False)

    assert (reloaded.status_code, reloaded.json()["status"]) == (200, "loaded")
    edited.await_all(reloaded.json()["revision"])


def test_what_one_worker_refuses_all_refuse_and_tell(edited: Edited) -> None:
    (first,) = edited.revisions()
    edited.file.write_text(BROKEN)

    refused = httpx.post(f"{edited.sidecar.url}/v1/policies/reload", timeout=START_S, verify=False)

    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"

    def told() -> set[tuple[str, int | None]]:
        return {_refused(edited.standing()) for _ in range(12)}

    await_that(lambda: told() == {(first, LINE)}, "all tell what was refused")
    assert edited.revisions() == {first}


def test_an_edit_is_noticed_by_all_workers_without_a_word(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "policy.yaml").write_text(GOOD)
    with Sidecar(
        policies=folder,
        store="sqlite:///./data/sidecar.db",
        cwd=tmp_path,
        env={"SIDECAR_POLICIES_POLL_S": "0.1"},
        arguments=("--workers", "2"),
    ) as sidecar:
        edited = Edited(sidecar, folder)
        (first,) = edited.revisions()
        edited.file.write_text(BETTER)
        await_that(lambda: first not in edited.revisions(), "nobody answers from the old ones")

        assert len(edited.revisions()) == 1
