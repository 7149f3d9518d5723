"""A wrong clock beside the store changes nothing; the store's own is stepped in contract."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Sidecar, redis_server

LIMIT = 50
POLICY = f"""
apiVersion: sidecar/v1
kind: Policy
metadata: {{name: clocks}}
mode: enforce
defaults: {{plan: free}}
plans:
  free:
    plugins: ["*"]
    limits:
      - {{id: sliding, meter: requests, max: {LIMIT}, window: 1m}}
      - {{id: day, meter: tokens, max: 1000000, window: day}}
"""
ENV = {"SIDECAR_STORE_TIMEOUT_MS": "5000", "SIDECAR_DRAIN_S": "0"}


def faked(offset: str) -> dict[str, str]:
    """What lets a process see another time than it is."""
    program = shutil.which("faketime")
    assert program is not None, "faketime is missing: run `make system-packages`"
    (library,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    # Only the time of day: a clock that is set does not change how long anything takes.
    return {"LD_PRELOAD": str(library), "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME": offset}


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder) as server:
        yield server.url


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "policy.yaml").write_text(POLICY)
    return folder


def admitted(sidecar: Sidecar, asked: int) -> int:
    """How many of so many requests that come together are let through and hold their units."""
    one = {"app_id": "a", "user_id": "u", "estimated_tokens": 1, "reserve": True, "ttl_s": 600}
    told = sidecar.client.post("/v1/checks", json={"checks": [one] * asked}).json()["decisions"]
    assert not any(each["degraded"] for each in told)
    return sum(each["allowed"] for each in told)


@pytest.mark.parametrize("wrong", ["+3600s", "-3600s"])
def test_a_sidecar_whose_clock_is_an_hour_wrong_counts_with_the_others(
    wrong: str, redis_url: str, policies: Path, tmp_path: Path
) -> None:
    (tmp_path / "wrong").mkdir()
    with (
        Sidecar(policies=policies, store=redis_url, cwd=tmp_path, env=ENV) as right,
        Sidecar(
            policies=policies, store=redis_url, cwd=tmp_path / "wrong", env=ENV | faked(wrong)
        ) as other,
    ):
        admissions = [admitted(each, 10) for each in (right, other) * 4]
        limits = [
            each.client.post("/v1/check", json={"app_id": "a", "user_id": "u"}).json()["limits"]
            for each in (right, other)
        ]

    assert sum(admissions) == LIMIT
    assert admissions == [10] * 5 + [0] * 3
    assert [[limit["reserved"] for limit in each] for each in limits] == [[LIMIT, LIMIT]] * 2


@pytest.mark.parametrize("wrong", ["+1h", "-1h"])
def test_what_a_client_believes_of_the_time_changes_nothing(
    wrong: str, redis_url: str, policies: Path, tmp_path: Path
) -> None:
    dates = {"+1h": "Fri, 31 Dec 2100 23:59:59 GMT", "-1h": "Thu, 01 Jan 1970 00:00:00 GMT"}
    with Sidecar(policies=policies, store=redis_url, cwd=tmp_path, env=ENV) as sidecar:
        sidecar.client.headers["Date"] = dates[wrong]
        assert admitted(sidecar, 80) == LIMIT
        assert admitted(sidecar, 80) == 0
