"""Callers that go on whatever happens, and remember each answer: what must be counted in the end?

Whatever is not acknowledged is said again until it is, as a runtime does that loses nothing. So
the counter must come to what all of them have used, not a unit more or less.
"""

import asyncio
import itertools
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

APP: Final = "acme"
USER: Final = "bob"
PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.01
_AROUND_S: Final = 0.1
_LISTENERS: Final = 2


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; times are monotonic seconds.

    Attributes:
        what: the kind of call.
    """

    what: str
    began: float
    ended: float
    status: int
    body: dict[str, Any]

    @property
    def took_s(self) -> float:
        return self.ended - self.began

    @property
    def is_degraded(self) -> bool:
        return self.body.get("degraded") is True


@dataclass(slots=True)
class Ledger:
    """What callers were answered, and what they have used.

    Attributes:
        noise: calls that need no store, each with a sync of the disk, made all the while, and
            pauses that were longer than asked for: what they take the machine takes.
        rounds: of those who make them, how many each has made.
        unanswered: calls that found no server.
    """

    answers: list[Answer] = field(default_factory=list)
    noise: list[tuple[float, float]] = field(default_factory=list)
    rounds: list[int] = field(default_factory=lambda: [0] * _LISTENERS)
    unanswered: int = 0
    used: int = 0
    requests: int = 0

    def beyond_noise_s(self, answer: Answer) -> float:
        """How long an answer took beside what the machine took for anything just then."""
        around = [
            ended - began
            for began, ended in self.noise
            if began < answer.ended + _AROUND_S and ended > answer.began - _AROUND_S
        ]
        return answer.took_s - max(around, default=0.0)


class Callers:
    """Several callers of one server, at whatever address it has just now."""

    def __init__(self, url_of: Callable[[], str], folder: Path, seed: int = 1) -> None:
        self.ledger = Ledger()
        self._disk = folder / "noise"
        self._url_of = url_of
        self._dice = random.Random(seed)
        self._numbers = itertools.count()
        self._is_over = False
        self._client = httpx.AsyncClient(
            timeout=5.0, limits=httpx.Limits(max_connections=64, max_keepalive_connections=16)
        )

    @asynccontextmanager
    async def calling(self, callers: int) -> AsyncIterator[Ledger]:
        """Call as long as this is open; in the end all that was begun is said."""
        async with self._client, asyncio.TaskGroup() as group:
            for _ in range(callers):
                group.create_task(self._run())
            for number in range(_LISTENERS):
                group.create_task(self._listen(number))
            try:
                yield self.ledger
            finally:
                self._is_over = True

    async def _run(self) -> None:
        while not self._is_over:
            if self._dice.random() < 0.5:
                await self._report()
            else:
                await self._reserve_and_commit()
            await asyncio.sleep(_PAUSE_S)

    async def _report(self) -> None:
        tokens = self._dice.randint(1, 50)
        event = {
            "app_id": APP, "user_id": USER, "event_id": f"e-{next(self._numbers)}",
            "total_tokens": tokens, "prompt_tokens": tokens,
        }  # fmt: skip
        await self._until_taken("usage", "/v1/usage", event)
        self.ledger.used += tokens
        self.ledger.requests += 1

    async def _reserve_and_commit(self) -> None:
        ask = {
            "app_id": APP, "user_id": USER, "estimated_tokens": 50, "reserve": True, "ttl_s": 600,
        }  # fmt: skip
        answer = await self._call("check", "/v1/check", ask)
        if answer is None or answer.status != 200:
            return
        tokens = self._dice.randint(1, 60)
        hold = answer.body["reservation"]["id"]
        path = f"/v1/reservations/{hold}/commit"
        await self._until_taken("commit", path, {"input_tokens": tokens, "output_tokens": 0})
        self.ledger.used += tokens
        self.ledger.requests += 1

    async def _until_taken(self, what: str, path: str, body: dict[str, Any]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = await self._call(what, path, body)
            if answer is not None and answer.status < 300:
                return
            assert answer is None or answer.status == 503, (path, answer)
            assert time.monotonic() < deadline, f"{what} is never taken"
            await asyncio.sleep(0.05)

    async def _call(self, what: str, path: str, body: dict[str, Any]) -> Answer | None:
        began = time.monotonic()
        try:
            response = await self._client.post(self._url_of() + path, json=body)
        except httpx.TransportError:
            self.ledger.unanswered += 1
            await asyncio.sleep(0.05)
            return None
        ended = time.monotonic()
        answer = Answer(what, began, ended, response.status_code, response.json())
        self.ledger.answers.append(answer)
        return answer

    async def _listen(self, number: int) -> None:
        while not self._is_over:
            self.ledger.rounds[number] += 1
            began = time.monotonic()
            try:
                await asyncio.to_thread(self._sync)
                await self._client.get(self._url_of() + "/healthz")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            ended = time.monotonic()
            await asyncio.sleep(_PAUSE_S)
            # A machine that stands still does so during a pause as well.
            self.ledger.noise += [(began, ended), (ended + _PAUSE_S, time.monotonic())]

    def _sync(self) -> None:
        with self._disk.open("ab", buffering=0) as file:
            file.write(b"noise")
            os.fdatasync(file.fileno())


async def counted(url: str) -> tuple[int, int]:
    """Tokens and requests that the server has counted, when it answers without a guess."""
    async with httpx.AsyncClient(base_url=url, timeout=10.0) as client:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            params = {"app_id": APP, "user_id": USER}
            answer = await client.get("/v1/entitlements", params=params)
            if answer.status_code == 200:
                used = {limit["id"]: limit["used"] for limit in answer.json()["limits"]}
                return used["tokens"], used["requests"]
            assert time.monotonic() < deadline, answer.text
            await asyncio.sleep(0.02)


async def comes_to(url: str, expected: tuple[int, int]) -> tuple[int, int]:
    """What is counted, as soon as that is what is expected, or when nothing more comes."""
    best, deadline = (0, 0), time.monotonic() + PATIENCE_S / 2
    while True:
        found = await counted(url)
        if found == expected:
            break
        if found > best:
            # Thousands of entries wait in the spool, and Redis writes each down before it answers.
            best, deadline = found, time.monotonic() + PATIENCE_S / 2
        if time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.05)
    # What comes late may still be too much.
    await asyncio.sleep(0.5)
    return await counted(url)
