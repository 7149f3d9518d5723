"""What does a served request see while the way to Redis fails?"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.faults.proxy import FaultProxy
from tests.faults.server import redis_node, url_of
from tests.faults.weather import Faults
from tests.processes import Sidecar, await_that

BOB: Final = {"app_id": "acme", "user_id": "bob"}
ASK: Final = BOB | {
    "plugin": "basic_search",
    "estimate": {"input_tokens": 6, "output_tokens": 4},
    "reserve": True,
    "ttl_s": 600,
}
USED: Final = {"input_tokens": 5, "output_tokens": 2}
PATIENCE_S: Final = 10.0


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[FaultProxy]:
    with redis_node(tmp_path) as node, FaultProxy(url_of(node)) as proxy:
        yield proxy


def serving(
    proxy: FaultProxy, cwd: Path, policies: str = "platform", timeout_ms: int = 50
) -> Sidecar:
    env = {"SIDECAR_STORE_TIMEOUT_MS": str(timeout_ms)}
    return Sidecar(policies=f"policies/{policies}", store=proxy.url, cwd=cwd, env=env)


def ask(sidecar: Sidecar, **more: object) -> tuple[httpx.Response, float]:
    """An answer, and how many seconds it took."""
    began = time.monotonic()
    answer = sidecar.client.post("/v1/check", json=ASK | more)
    return answer, time.monotonic() - began


def levels(sidecar: Sidecar) -> tuple[int, int] | None:
    """Used and reserved of the plan's monthly limit, None where they cannot be had."""
    answer = sidecar.client.get("/v1/entitlements", params=BOB)
    if answer.status_code != 200:
        return None
    limits = {limit["id"]: limit for limit in answer.json()["limits"]}
    monthly = limits["free-tokens-per-month"]
    return monthly["used"], monthly["reserved"]


@pytest.mark.parametrize(
    ("policies", "status", "effect"),
    [("platform", 503, "deny"), ("self-hosted", 200, "allow")],
)
def test_in_front_of_a_black_hole_every_answer_is_in_time_and_says_that_it_is_a_guess(
    tmp_path: Path, proxy: FaultProxy, policies: str, status: int, effect: str
) -> None:
    with serving(proxy, tmp_path, policies) as sidecar:
        await_that(lambda: ask(sidecar)[0].json()["degraded"] is False, "the store is asked")
        proxy.inject(Faults(swallows=True))
        took = []
        for _ in range(20):
            answer, seconds = ask(sidecar)
            took.append(seconds)
            assert (answer.status_code, answer.json()["effect"]) == (status, effect)
            assert answer.json()["degraded"] is True
        # Fifty milliseconds for the store, and what a request takes anyway.
        assert sorted(took)[10] < 0.1
        assert max(took) < 0.5
        proxy.heal()
        healed = time.monotonic()
        while ask(sidecar)[0].json()["degraded"]:
            assert time.monotonic() - healed < 2
        assert all(ask(sidecar)[0].json()["degraded"] is False for _ in range(20))


def test_a_lost_answer_of_redis_costs_no_caller_his_own(tmp_path: Path, proxy: FaultProxy) -> None:
    with serving(proxy, tmp_path, timeout_ms=2_000) as sidecar:
        ask(sidecar)
        proxy.inject(Faults(drop_every=10, drop_of=lambda command: b"EVALSHA" in command))
        for number in range(100):
            answer, _ = ask(sidecar, request_id=f"r-{number}")
            assert answer.status_code == 200
            reservation = answer.json()["reservation"]["id"]
            done = sidecar.client.post(f"/v1/reservations/{reservation}/commit", json=USED)
            assert done.status_code == 200
        proxy.heal()
        assert proxy.seen.dropped >= 10
        # The first one is held still.
        assert levels(sidecar) == (700, 10)


def test_what_is_held_for_answers_that_came_too_late_is_given_back_at_once(
    tmp_path: Path, proxy: FaultProxy
) -> None:
    with serving(proxy, tmp_path, timeout_ms=200) as sidecar:
        ask(sidecar)
        proxy.inject(Faults(replies_late_ms=500))
        refused = [ask(sidecar)[0].status_code for _ in range(5)]
        assert refused == [503] * 5
        proxy.heal()
        deadline = time.monotonic() + PATIENCE_S
        while levels(sidecar) != (0, 10):
            assert time.monotonic() < deadline
            time.sleep(0.01)
