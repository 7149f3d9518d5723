"""One scrape tells of all workers, and of those that are gone."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.observing.scraped import Scraped
from tests.processes import Sidecar, await_that

CHECK = {"app_id": "a", "user_id": "u", "plugin": "basic_search"}


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Sidecar]:
    store = f"sqlite:///{tmp_path}/sidecar.db"
    with Sidecar(store=store, cwd=tmp_path, arguments=("--workers", "2")) as server:
        # One that is only beginning is slow to answer where the machine is busy.
        await_that(lambda: scrape(server).value("entitlement_workers") == 2, "both count")
        yield server


# A connection of its own each time: any worker may answer.
EACH_ITS_OWN = {"Connection": "close"}


def scrape(sidecar: Sidecar) -> Scraped:
    return Scraped(sidecar.client.get("/metrics", headers=EACH_ITS_OWN).text)


def check(sidecar: Sidecar, times: int) -> None:
    for _ in range(times):
        answer = sidecar.client.post("/v1/check", json=CHECK, headers=EACH_ITS_OWN)
        assert answer.status_code == 200


def test_every_check_is_in_every_scrape_whoever_answered(sidecar: Sidecar) -> None:
    for done in (20, 40, 60):
        check(sidecar, 20)
        for _ in range(4):
            found = scrape(sidecar)
            assert found.total("entitlement_decisions_total") == done
            assert found.value("entitlement_decision_duration_seconds_count") == done


def test_what_a_killed_worker_has_counted_stays(sidecar: Sidecar) -> None:
    check(sidecar, 30)
    os.kill(min(sidecar.workers()), signal.SIGKILL)
    await_that(lambda: scrape(sidecar).value("entitlement_workers") == 1, "one is gone")
    assert scrape(sidecar).total("entitlement_decisions_total") == 30
    check(sidecar, 30)

    assert scrape(sidecar).total("entitlement_decisions_total") == 60


def test_a_reload_is_counted_once_however_many_follow_it(sidecar: Sidecar) -> None:
    for _ in range(2):
        answer = sidecar.client.post("/v1/policies/reload")
        assert answer.json()["status"] == "unchanged"
    found = scrape(sidecar)

    assert found.value("entitlement_policy_reload_total", result="unchanged") == 2
