"""What does a server import? Each library costs time at the start, and memory from then on."""

from pathlib import Path

import pytest

from tests.processes import Sidecar, redis_server

SAID = {"PYTHONPROFILEIMPORTTIME": "1"}
ASK = {"app_id": "a", "user_id": "u", "plugin": "basic_search", "reserve": True}
ELSEWHERE = {
    "attr", "celpy", "google.protobuf", "httpcore", "httpx", "jinja2", "jsonschema", "lark",
    "opentelemetry.trace", "pygments", "rich._extension", "sidecar.client", "sidecar.policy.lint",
    "sidecar.policy.simulation",
}  # fmt: skip
"""What commands, tests, traces and questions to other servers need.

Of rich and OpenTelemetry a part that they import themselves: who tries to import them and may not
is told of by their names alone.
"""
OF_REDIS = {"hiredis", "redis", "sidecar.adapters.redis"}
OF_SQLITE = {"sidecar.adapters.sqlite", "sqlite3"}


def imported(sidecar: Sidecar) -> set[str]:
    """All that its processes have imported since they began, and what that is part of."""
    lines = (line for line in sidecar.errors().splitlines() if line.startswith("import time:"))
    names = (line.rpartition("|")[2].strip() for line in lines)
    return {
        ".".join(parts[:count])
        for parts in (name.split(".") for name in names)
        for count in range(1, len(parts) + 1)
    }


def decided(sidecar: Sidecar) -> set[str]:
    """What is imported when checks and commits have been answered."""
    answer = sidecar.client.post("/v1/check", json=ASK)
    assert answer.status_code == 200, answer.text
    hold = answer.json()["reservation"]["id"]
    done = sidecar.client.post(f"/v1/reservations/{hold}/commit", json={"total_tokens": 5})
    assert done.status_code == 200, done.text
    assert sidecar.client.get("/readyz").status_code == 200
    found = imported(sidecar)
    assert "sidecar.pdp" in found
    return found


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_on_redis_imports_neither_sqlite_nor_what_others_need(
    tmp_path: Path, workers: str
) -> None:
    (tmp_path / "redis").mkdir()
    with (
        redis_server(tmp_path / "redis") as redis,
        Sidecar(
            store=redis.url, cwd=tmp_path, env=SAID, arguments=("--workers", workers)
        ) as sidecar,
    ):
        found = decided(sidecar)

    assert found >= OF_REDIS
    assert found & (ELSEWHERE | OF_SQLITE) == set()


def test_a_server_on_a_file_imports_neither_redis_nor_what_others_need(tmp_path: Path) -> None:
    with Sidecar(store="sqlite:///./data/sidecar.db", cwd=tmp_path, env=SAID) as sidecar:
        found = decided(sidecar)

    assert found >= OF_SQLITE
    assert found & (ELSEWHERE | OF_REDIS) == set()
