"""Who behaves beside those who do not: how long does an answer take in calm and in storm?"""

import asyncio
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from tests.clients.caller import Address, Caller, request
from tests.clients.rude import Told
from tests.processes import ROOT, Sidecar

_LONG_S: Final = 45.0
PATIENCE_S: Final = 2.0
"""What the server bears; a slow client begins again when it is cut off."""


@dataclass(slots=True)
class Phase:
    """Answers of one phase, in seconds."""

    took: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def quantile(self, part: float) -> float:
        """How long the given part of the answers took at most."""
        ordered = sorted(self.took)
        return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


@dataclass(slots=True)
class Weathered:
    """What came of it."""

    calm: Phase
    storm: Phase
    told: list[Told]
    connections_left: int
    errors: str


async def weather(
    folder: Path, *, leaving: int, slow: int, seconds: float, rate: float, turns: int
) -> Weathered:
    """Calm and storm in turns, so that both meet what else the machine does."""
    calm, stormy, told = Phase(), Phase(), list[Told]()
    env = {"SIDECAR_CLIENT_TIMEOUT_S": str(PATIENCE_S)}
    with Sidecar(store="sqlite:///./data/sidecar.db", cwd=folder, env=env) as sidecar:
        address = Address.of(sidecar.url)
        # What it opens for itself is open when it answers; those who asked then go.
        await _ask(address, Phase(), rate, 1.0)
        open_before = _connections(sidecar)
        for _ in range(50):
            await asyncio.sleep(0.01)
            open_before = min(open_before, _connections(sidecar))
        for turn in range(turns):
            await _ask(address, calm, rate, seconds / turns)
            rude = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.clients.rude", sidecar.url,
                "--leaving", str(leaving // turns), "--slow", str(slow),
                "--seconds", str(seconds / turns), "--seed", str(turn),
                cwd=ROOT, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            # It takes a while to begin; what is asked meanwhile is neither calm nor storm.
            assert rude.stdout is not None
            await _until(lambda: _connections(sidecar) > open_before + slow // 2)
            await _ask(address, stormy, rate, seconds / turns)
            words, _ = await rude.communicate()
            told.append(Told(**orjson.loads(words)))
        await _until(lambda: _connections(sidecar) <= open_before)
        return Weathered(calm, stormy, told, _connections(sidecar) - open_before, sidecar.errors())


async def _ask(address: Address, phase: Phase, rate: float, seconds: float) -> None:
    """Checks at a steady rate, each when it is due, over connections that are kept."""
    idle = [Caller(address) for _ in range(8)]
    tasks: set[asyncio.Task[None]] = set()

    async def one(number: int) -> None:
        caller = idle.pop() if idle else Caller(address)
        body = {"app_id": "acme", "user_id": f"good-{number % 100}", "plugin": "basic_search"}
        try:
            answer = await caller.ask(request("/v1/check", body))
            phase.took.append(answer.took_s)
            if answer.status != 200:
                phase.failed.append(f"{answer.status} {answer.body!r}")
        except (OSError, EOFError, TimeoutError) as error:
            phase.failed.append(repr(error))
        idle.append(caller)

    begin = time.monotonic()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, begin + number / rate - time.monotonic()))
        task = asyncio.create_task(one(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    for caller in idle:
        caller.close()


def _connections(sidecar: Sidecar) -> int:
    """Sockets of any kind that it has open."""
    count = 0
    for file in Path(f"/proc/{sidecar.process.pid}/fd").iterdir():
        with suppress(OSError):
            count += str(file.readlink()).startswith("socket:")
    return count


async def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + _LONG_S
    while not holds():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)
