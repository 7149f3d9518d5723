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


async def test_a_rule_sees_limits_of_which_an_extension_asks_nothing(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("""
apiVersion: sidecar/v1
kind: Policy
metadata: {name: test}
mode: enforce
defaults: {plan: free}
plans:
  free: {plugins: ["*"], tokens_per_month: 1000}
rules:
  - id: half
    when: '"free-tokens-per-month" in limits && limits["free-tokens-per-month"].reserved > 500'
    effect: deny
    on_error: deny
    message: More than half is held.
""")
    who = {"app_id": "a", "user_id": "u"}
    async with application(tmp_path) as client:

        async def held(tokens: int) -> str:
            body = who | {"reserve": True, "estimated_tokens": tokens}
            answer = await client.post("/v1/check", json=body)
            return f"/v1/reservations/{answer.json()['reservation']['id']}"

        first = await held(400)
        alive = await client.post(f"{first}/extend", json={"ttl_s": 120})
        await held(400)
        refused = await client.post(f"{first}/extend", json={"ttl_s": 120})

    assert (alive.status_code, alive.json()["errors"]) == (200, [])
    assert [one["id"] for one in alive.json()["limits"]] == ["free-tokens-per-month"]
    assert refused.json()["reasons"][0]["id"] == "half"


async def test_an_extension_that_comes_again_holds_nothing_more() -> None:
    who = {"app_id": "a", "user_id": "u"}
    async with application() as client:
        body = who | {"reserve": True, "estimated_tokens": 100}
        name = (await client.post("/v1/check", json=body)).json()["reservation"]["id"]
        more = {"estimate": {"input_tokens": 50}, "request_id": "x-1"}
        answers = [
            await client.post(f"/v1/reservations/{name}/extend", json=more) for _ in range(2)
        ]
        other = await client.post(
            f"/v1/reservations/{name}/extend", json=more | {"request_id": "x-2"}
        )

    granted = [one.json()["reservation"]["granted"]["tokens"] for one in (*answers, other)]
    assert granted == [150, 150, 200]
