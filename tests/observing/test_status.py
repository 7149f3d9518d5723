"""`GET /v1/status` and `sidecar status`: how each part stands."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.adapters.clock import SystemClock
from sidecar.api.endpoint import Call
from sidecar.api.status import Status
from sidecar.domain.standing import Standing, State
from tests.commands import sidecar as run
from tests.in_process import application
from tests.processes import START_S, RedisServer, Sidecar, await_that, redis_server

PARTS = (
    "store", "breaker", "spool", "policies", "shadow", "subscriptions", "caches", "decision_log",
    "webhooks", "outbox", "leases", "identity_provider", "traces", "process",
)  # fmt: skip


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path) as server:
        yield server


async def test_a_server_tells_of_each_of_its_parts() -> None:
    async with application() as client:
        deadline = time.monotonic() + START_S
        # Some parts have to hear of the store before they are sure of anything.
        while (told := (await client.get("/v1/status")).json())["status"] != "ok":
            assert time.monotonic() < deadline, told
            await asyncio.sleep(0.01)

    assert told["parts"].keys() >= set(PARTS)
    off = {name for name, part in told["parts"].items() if part["state"] == "off"}
    assert off >= {"shadow", "decision_log", "webhooks", "outbox", "leases", "traces"}
    assert {part["state"] for part in told["parts"].values()} == {"ok", "off"}
    assert told["parts"]["store"]["facts"]["kind"] == "sqlite"
    assert told["parts"]["policies"]["facts"]["generation"] == 1


async def test_refused_policies_are_what_somebody_should_look_at(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    head = "apiVersion: sidecar/v1\nkind: Policy\nmetadata: {name: it}\n"
    policy.write_text(head + "plans: {free: {name: Free, plugins: ['*']}}\n")
    async with application(tmp_path, sidecar_policies_poll_s=0) as client:
        policy.write_text("nonsense: true\n")
        await client.post("/v1/policies/reload")
        told = (await client.get("/v1/status")).json()

    part = told["parts"]["policies"]
    assert (told["status"], part["state"]) == ("degraded", "degraded")
    assert part["note"].startswith("what stands there was refused: ")
    assert part["facts"]["rejected"] is True


class Silent:
    """A part that never answers."""

    name = "silent"

    async def status(self) -> Standing:
        await asyncio.Event().wait()
        raise AssertionError


class Broken:
    """A part with a defect."""

    name = "broken"

    async def status(self) -> Standing:
        raise ValueError("a defect")


class Well:
    """A part that is well."""

    name = "well"

    async def status(self) -> Standing:
        return Standing(State.OK, {"since": 1})


async def test_a_part_that_does_not_answer_hides_no_other() -> None:
    answer = await Status([Silent(), Broken(), Well()], SystemClock()).show(Call({}, {}, b"", {}))
    told = json.loads(bytes(answer.body))

    states = {name: part["state"] for name, part in told["parts"].items()}
    assert states == {"silent": "down", "broken": "down", "well": "ok"}
    assert told["parts"]["silent"]["note"] == "no answer within 1 s"
    assert told["parts"]["broken"]["note"] == "it cannot say: ValueError('a defect')"
    assert told["status"] == "down"


def test_a_person_and_a_program_see_a_store_go(tmp_path: Path, redis: RedisServer) -> None:
    redis.command("CONFIG", "SET", "maxmemory", "100mb")
    redis.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    with Sidecar(store=redis.url, cwd=tmp_path, env={"SIDECAR_READ_KEYS": "look"}) as server:
        flags = ("--url", server.url, "--key", "look")
        code, shown, _ = run(tmp_path, "status", *flags)
        assert (code, shown.splitlines()[0]) == (0, "DEGRADED sidecar 0.1.0")
        assert "Redis may evict counters: set maxmemory-policy noeviction" in shown
        assert all(any(line.startswith(name) for line in shown.splitlines()) for name in PARTS)

        redis.stop()
        headers = {"Authorization": "Bearer look"}

        def is_down() -> bool:
            return bool(server.client.get("/v1/status", headers=headers).json()["status"] == "down")

        await_that(is_down, "the store is seen to be down")
        code, shown, _ = run(tmp_path, "status", *flags)
        assert (code, shown.splitlines()[0]) == (2, "DOWN sidecar 0.1.0")
        code, shown, _ = run(tmp_path, "status", "--json", *flags)
        told = json.loads(shown)
        assert (code, told["parts"]["store"]["facts"]["reachable"]) == (2, False)


def test_where_nobody_answers_it_is_said(tmp_path: Path) -> None:
    code, _, error = run(tmp_path, "status", "--url", "http://127.0.0.1:9")

    assert code == 3
    assert "is `sidecar serve` running there?" in error
