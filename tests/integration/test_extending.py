"""What does an extension ask of the limits? Only what it holds in addition."""

from pathlib import Path

import httpx
import pytest

from tests.in_process import application

WHO = {"app_id": "app", "user_id": "user"}
POLICY = """\
apiVersion: sidecar/v1
kind: Policy
metadata: {name: narrow}
mode: enforce
defaults: {plan: free}
plans:
  free:
    name: Free
    plugins: ["*"]
    limits:
      - {id: one-at-a-time, meter: concurrency, max: 1, window: lifetime}
      - {id: one-an-hour, meter: requests, max: 1, window: hour}
      - {id: hourly-tokens, meter: tokens, max: 1000, window: hour}
"""


@pytest.mark.parametrize(
    ("extension", "status"),
    [
        ({"ttl_s": 600}, 200),
        ({"ttl_s": 600, "estimate": {"input_tokens": 100}}, 200),
        ({"ttl_s": 600, "estimate": {"input_tokens": 101}}, 402),
    ],
)
async def test_a_run_in_the_last_place_may_live_on(
    tmp_path: Path, extension: dict[str, object], status: int
) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    async with application(tmp_path) as client:
        held = await _reserve(client, 900)
        answer = await client.post(f"/v1/reservations/{held}/extend", json=extension)
        assert answer.status_code == status
        another = await client.post("/v1/check", json=WHO | {"reserve": True})
        refused_by = [reason["id"] for reason in another.json()["reasons"]]
        assert refused_by[:2] == ["one-at-a-time", "one-an-hour"]


async def test_a_run_that_holds_all_there_is_may_live_on_but_hold_no_more(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    async with application(tmp_path) as client:
        path = f"/v1/reservations/{await _reserve(client, 1_000)}/extend"
        assert (await client.post(path, json={"ttl_s": 600})).status_code == 200
        more = await client.post(path, json={"ttl_s": 600, "estimate": {"output_tokens": 1}})
        assert more.status_code == 402
        assert [reason["id"] for reason in more.json()["reasons"]] == ["hourly-tokens"]


async def _reserve(client: httpx.AsyncClient, tokens: int) -> str:
    body = WHO | {"estimated_tokens": tokens, "reserve": True}
    answer = await client.post("/v1/check", json=body)
    assert answer.status_code == 200
    return str(answer.json()["reservation"]["id"])
