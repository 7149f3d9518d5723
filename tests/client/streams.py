"""Streams through the client while nothing goes as it should: are they charged to the token?

A fake model makes tokens one by one, and each is told to the client in the step that makes it.
Meanwhile streams are cancelled, or the sidecar is killed; afterwards what it has counted of each
user must be what the model made, with nothing held any more.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sidecar.client import AsyncEntitlements, PaymentRequired
from sidecar.client.asking import OnFailure
from tests.processes import Sidecar, await_that, free_port

_LONGEST: Final = 60
_USERS: Final = 50
_TTL_S: Final = 2
"""So that what a killed sidecar held for nobody is given back while somebody waits for it."""


_POLICY: Final = """
apiVersion: sidecar/v1
kind: Policy
metadata: {name: streams}
mode: enforce
defaults: {plan: wide}
plans:
  wide: {plugins: ["*"], tokens_per_month: 1000000000}
"""


@dataclass(slots=True)
class Streamed:
    """What became of all streams.

    Attributes:
        made: tokens of the model, by user.
        counted: tokens that the sidecar counts, by user.
        held: tokens that it still holds.
    """

    streams: int
    made: Counter[str] = field(default_factory=Counter)
    cancelled: int = 0
    local: int = 0
    refused: int = 0
    counted: Counter[str] = field(default_factory=Counter)
    held: int = 0

    @property
    def is_exact(self) -> bool:
        """Whether each user is charged what the model made for them."""
        return self.counted == self.made and not self.held

    def __str__(self) -> str:
        return (
            f"{self.streams:,} streams, {self.cancelled:,} cancelled half-way, {self.local:,} "
            f"decided here, {self.refused:,} refused; {self.made.total():,} tokens made, "
            f"{self.counted.total():,} counted, {self.held:,} still held"
        )


def streams_are_cancelled(folder: Path, streams: int) -> Streamed:
    """A third of the streams is cancelled half-way."""
    with _sidecar(folder) as sidecar:
        return asyncio.run(_run(sidecar, streams, "open", cancels=True))


def sidecar_is_killed(folder: Path, streams: int, on_failure: OnFailure) -> Streamed:
    """The sidecar is killed when half of the streams have begun, and comes back after the last."""
    with _sidecar(folder) as sidecar:
        return asyncio.run(_run(sidecar, streams, on_failure, kills=True))


def _sidecar(folder: Path) -> Sidecar:
    (folder / "policies").mkdir()
    (folder / "policies/policy.yaml").write_text(_POLICY)
    return Sidecar(
        policies=folder / "policies",
        store="sqlite:///./counters.db",
        cwd=folder,
        # It comes back where it was.
        arguments=("--port", str(free_port())),
    )


async def _run(
    sidecar: Sidecar,
    streams: int,
    on_failure: OnFailure,
    *,
    cancels: bool = False,
    kills: bool = False,
) -> Streamed:
    done = Streamed(streams)
    lengths = [random.Random(number).randrange(2, _LONGEST) for number in range(streams)]
    entered = 0

    async def stream(number: int) -> None:
        nonlocal entered
        user, length = f"streamer-{number % _USERS}", lengths[number]
        async with client.reserve(user, output_tokens=_LONGEST, ttl_s=_TTL_S) as held:
            entered += 1
            done.local += held.decision.is_local
            if kills and entered == streams // 2:
                sidecar.kill()
            async for token in _model(length):
                # Made and told in one step: no cancellation comes between.
                done.made[user] += token
                held.add(output_tokens=token)
                if cancels and number % 3 == 0 and held.used["output_tokens"] == length // 2:
                    current = asyncio.current_task()
                    assert current is not None
                    current.cancel()

    async with AsyncEntitlements(
        sidecar.url, app_id="acme", on_failure=on_failure, timeout_s=5.0
    ) as client:
        results = await asyncio.gather(*map(stream, range(streams)), return_exceptions=True)
        if kills:
            await asyncio.to_thread(sidecar.start)
        await asyncio.to_thread(await_that, lambda: client.background.flush(1.0), "all is sent")
    for result in results:
        match result:
            case None:
                pass
            case asyncio.CancelledError():
                done.cancelled += 1
            case PaymentRequired():
                done.refused += 1
            case _:
                raise result
    await asyncio.to_thread(await_that, lambda: not _held(sidecar, done), "nothing is held")
    return done


def _held(sidecar: Sidecar, done: Streamed) -> int:
    """Tokens that are held for anybody; what is counted of each is noted."""
    done.held = 0
    for user in done.made:
        query = {"app_id": "acme", "user_id": user}
        answer = sidecar.client.get("/v1/entitlements", params=query)
        (limit,) = answer.json()["limits"]
        done.counted[user] = limit["used"]
        done.held += limit["reserved"]
    return done.held


async def _model(tokens: int) -> AsyncIterator[int]:
    for _ in range(tokens):
        await asyncio.sleep(0)
        yield 1
