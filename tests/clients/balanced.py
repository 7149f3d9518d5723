"""Requests at a steady rate to two servers, of which one is told to end: who misses an answer?

As a balancer does, whoever asks looks at `/readyz` ten times a second, and sends nothing new to a
server that says no. It repeats nothing: a request that is not answered is lost.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.clients.caller import Address, Answer, Caller, request
from tests.processes import Sidecar, redis_server

_LOOK_S: Final = 0.1
_READY: Final = request("/readyz")


@dataclass(slots=True)
class Ended:
    """What came of it.

    Attributes:
        failed: why, of each request that was not answered with 200.
        decisions: ids that were answered, by whom.
        exit_s: between the signal and the end of the process.
        not_ready_s: between the signal and the first `/readyz` that said so.
        served_on: answers of the one that ends, after it was told.
        counted: tokens in the store in the end.
        missing: `/readyz` of the one that ends.
    """

    asked: int = 0
    failed: list[str] = field(default_factory=list)
    decisions: tuple[list[str], list[str]] = field(default_factory=lambda: ([], []))
    exit_s: float = 0.0
    exit_code: int | None = None
    not_ready_s: float = 0.0
    served_on: int = 0
    counted: int = 0
    missing: list[str] = field(default_factory=list)
    errors: str = ""


class _Balancer:
    """Sends each request to a server that said it was ready, each over connections of its own."""

    def __init__(self, addresses: list[Address], ended: Ended) -> None:
        self.is_ready = [True] * len(addresses)
        self.told_at: float | None = None
        self._addresses = addresses
        self._idle: list[deque[Caller]] = [deque() for _ in addresses]
        self._ended = ended
        self._turn = 0

    async def send(self, number: int) -> None:
        """One reservation and its commit, both to the same server."""
        self._turn += 1
        server = self._turn % len(self._addresses)
        if not self.is_ready[server]:
            server = (server + 1) % len(self._addresses)
        body = {
            "app_id": "acme", "user_id": f"user-{number % 200}", "reserve": True,
            "estimated_tokens": 10, "plugin": "basic_search",
        }  # fmt: skip
        answer = await self._ask(server, request("/v1/check", body))
        if answer is None:
            return
        told = answer.json()
        self._ended.decisions[server].append(told["decision_id"])
        if server == 0 and self.told_at is not None:
            self._ended.served_on += 1
        path = f"/v1/reservations/{told['reservation']['id']}/commit"
        # By now it may have to be another server: they share the store.
        if not self.is_ready[server]:
            server = (server + 1) % len(self._addresses)
        await self._ask(server, request(path, {"total_tokens": 10}))

    async def _ask(self, server: int, asked: bytes) -> Answer | None:
        idle = self._idle[server]
        caller = idle.popleft() if idle else Caller(self._addresses[server])
        self._ended.asked += 1
        try:
            answer = await caller.ask(asked)
        except (OSError, EOFError, TimeoutError) as error:
            self._ended.failed.append(f"{'AB'[server]}: {error!r}")
            return None
        if answer.status != 200:
            self._ended.failed.append(f"{'AB'[server]}: {answer.status} {answer.body!r}")
            return None
        if self.is_ready[server]:
            idle.append(caller)
        else:
            caller.close()
        return answer

    async def keep_looking(self) -> None:
        """Ask the first one whether it is ready, until it is not."""
        caller = Caller(self._addresses[0])
        while True:
            answer = await caller.ask(_READY)
            if answer.status != 200:
                self.is_ready[0] = False
                self._ended.missing = answer.json()["missing"]
                assert self.told_at is not None
                self._ended.not_ready_s = time.monotonic() - self.told_at
                for each in self._idle[0]:
                    each.close()
                self._idle[0].clear()
                return
            await asyncio.sleep(_LOOK_S)

    def close(self) -> None:
        """Hang up."""
        for idle in self._idle:
            for caller in idle:
                caller.close()


async def end_under_load(folder: Path, *, rate: float, before_s: float) -> Ended:
    """End one of two servers in the middle of so many requests a second.

    Args:
        before_s: how long both serve before; half as long the other one does afterwards.
    """
    ended = Ended()
    (folder / "redis").mkdir()
    env = {"SIDECAR_DECISION_LOG": str(folder / "log"), "SIDECAR_STORE_TIMEOUT_MS": "2000"}
    # A machine that is busy with other tests lets the balancer look seldom.
    drain = {"SIDECAR_DRAIN_S": "3"}
    homes = [folder / "a", folder / "b"]
    for home in homes:
        home.mkdir()
    with redis_server(folder / "redis") as store:
        a = Sidecar(store=store.url, cwd=homes[0], env=env | drain, policies="policies/self-hosted")
        b = Sidecar(store=store.url, cwd=homes[1], env=env, policies="policies/self-hosted")
        a.start()
        b.start()
        balancer = _Balancer([Address.of(a.url), Address.of(b.url)], ended)
        looking = asyncio.create_task(balancer.keep_looking())
        sending: set[asyncio.Task[None]] = set()
        begin, number = time.monotonic(), 0
        gone_at: float | None = None
        while True:
            now = time.monotonic()
            # Each is a check and a commit.
            while begin + number / (rate / 2) <= now:
                task = asyncio.create_task(balancer.send(number))
                sending.add(task)
                task.add_done_callback(sending.discard)
                number += 1
            if balancer.told_at is None and now >= begin + before_s:
                balancer.told_at = now
                a.process.terminate()
            if balancer.told_at is not None and gone_at is None and a.process.poll() is not None:
                gone_at = now
                ended.exit_s = now - balancer.told_at
                ended.exit_code = a.process.returncode
            if gone_at is not None and now >= gone_at + before_s / 2:
                break
            assert now < begin + 60, "it does not end"
            await asyncio.sleep(0.001)
        await asyncio.gather(*sending)
        await looking
        balancer.close()
        ended.counted = await _used(Address.of(b.url))
        a.stop()
        b.stop()
        ended.errors = a.errors() + b.errors()
    return ended


async def _used(address: Address) -> int:
    """Tokens that all users have used."""
    caller = Caller(address)
    used = 0
    for number in range(200):
        path = f"/v1/entitlements?app_id=acme&user_id=user-{number}"
        told = (await caller.ask(request(path))).json()
        used += next(it["used"] for it in told["limits"] if it["meter"] == "tokens")
    caller.close()
    return used
