"""A server that answers in memory: what it holds for that when it ends, and when it must not."""

from pathlib import Path
from typing import Any

import httpx

from tests.e2e.test_serve import refused_start
from tests.processes import Sidecar, redis_server

PLENTY = 1_000_000
POLICY = f"""\
apiVersion: sidecar/v1
kind: Policy
metadata: {{name: plenty}}
mode: enforce
defaults: {{plan: all}}
plans:
  all: {{name: All, plugins: ["*"], tokens_per_month: {PLENTY}}}
"""
LEASES = {"SIDECAR_LEASES": "true", "SIDECAR_STORE_TIMEOUT_MS": "5000"}
CHECK = {"app_id": "a", "user_id": "u", "estimated_tokens": 10, "reserve": True}


def answer(client: httpx.Client, path: str, body: object) -> dict[str, Any]:
    told = client.post(path, json=body)
    assert told.status_code == 200, told.text
    found: dict[str, Any] = told.json()
    return found


def remaining(client: httpx.Client) -> int:
    told = client.get("/v1/entitlements", params={"app_id": "a", "user_id": "u"}).json()
    (limit,) = told["limits"]
    return int(limit["remaining"])


def test_a_server_that_ends_gives_back_all_but_what_runs_still_hold(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "plenty.yaml").write_text(POLICY)
    with redis_server(tmp_path) as redis:
        sidecar = Sidecar(policies=tmp_path / "policies", store=redis.url, cwd=tmp_path, env=LEASES)
        with sidecar:
            client = sidecar.client
            names = [answer(client, "/v1/check", CHECK)["reservation"]["id"] for _ in range(200)]
            in_memory = [name for name in names if "~" in name]
            assert len(in_memory) > 20
            answer(client, f"/v1/reservations/{in_memory[0]}/commit", {"total_tokens": 4})
            assert remaining(client) < PLENTY - 199 * 10 - 4
            assert sidecar.stop() == 0
        # Begun anew, it knows nothing of its leases, and settles what they answered.
        with sidecar:
            client = sidecar.client
            assert remaining(client) == PLENTY - 199 * 10 - 4
            path = f"/v1/reservations/{in_memory[1]}"
            told = answer(client, f"{path}/commit", {"total_tokens": 10})
            assert told["reservation"]["state"] == "committed"
            assert client.post(f"{path}/commit", json={"total_tokens": 11}).status_code == 409
            path = f"/v1/reservations/{in_memory[2]}"
            assert client.post(f"{path}/extend", json={"ttl_s": 60}).status_code == 404


def test_several_workers_do_not_answer_in_memory(tmp_path: Path) -> None:
    code, told = refused_start(tmp_path, "--workers", "2", env={"SIDECAR_LEASES": "true"})

    assert code == 3
    assert "SIDECAR_LEASES: whoever extends a reservation must reach the process that" in told
