"""What do callers see of a Redis that forgets its scripts, or dies and comes back?"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.contract.stores import PATIENCE_S, ManualClock, World
from tests.faults.callers import Attempt, Callers, Ledger, meter_at
from tests.faults.server import DURABLE, redis_node, url_of
from tests.processes import RedisNode

TIMEOUT_S: Final = 2.0
APART: Final = 100
"""Calls between two interruptions, so that none of them sees both."""


@dataclass(frozen=True, slots=True)
class Interruptions:
    """What came of it.

    Attributes:
        is_gone: whether nobody can be answered while they last.
        unanswered: calls that had no answer, each made again.
        late: of them, those that began when others were answered again.
        longest_s: from Redis answering again to the first answer that a caller had.
        differences: counters that are not what the ledger says.
    """

    operations: int
    times: int
    is_gone: bool
    unanswered: int
    late: int
    longest_s: float
    differences: dict[str, object]
    seconds: float


async def forget_scripts(folder: Path, operations: int, times: int) -> Interruptions:
    """Make so many calls while Redis forgets its scripts so many times."""

    async def forget(node: RedisNode) -> float:
        node.ask("SCRIPT", "FLUSH")
        return time.monotonic()

    return await _interrupt(folder, operations, times, forget, is_gone=False)


async def restart(folder: Path, operations: int, times: int) -> Interruptions:
    """Make so many calls while Redis is killed and started again so many times."""

    async def kill_and_start(node: RedisNode) -> float:
        node.kill()
        killed = time.monotonic()
        await asyncio.to_thread(node.start)
        return killed

    return await _interrupt(folder, operations, times, kill_and_start, is_gone=True)


async def _interrupt(
    folder: Path,
    operations: int,
    times: int,
    interruption: Callable[[RedisNode], Awaitable[float]],
    *,
    is_gone: bool,
) -> Interruptions:
    """Interrupt a load evenly.

    Args:
        interruption: returns when it is over, and tells when it began.
    """
    clock, began = ManualClock(), time.monotonic()
    interruptions: list[tuple[float, float]] = []
    with redis_node(folder, DURABLE) as node:
        async with meter_at(url_of(node), clock, TIMEOUT_S) as meter:
            world = World(meter, clock)
            callers = Callers(world)
            ledger = callers.ledger
            async with asyncio.TaskGroup() as group:
                group.create_task(
                    callers.run_while(
                        lambda: ledger.operations < operations or len(interruptions) < times
                    )
                )
                for number in range(1, times + 1):
                    evenly = operations * number // (times + 1)
                    await _reached(ledger, max(evenly, ledger.operations + APART))
                    cut = await interruption(node)
                    interruptions.append((cut, time.monotonic()))
            differences = await ledger.differences(world)
    late, longest_s = _recoveries(ledger.attempts, interruptions)
    return Interruptions(
        ledger.operations, times, is_gone, ledger.again, late, longest_s, differences,
        time.monotonic() - began,
    )  # fmt: skip


async def _reached(ledger: Ledger, operations: int) -> None:
    deadline = time.monotonic() + 3 * PATIENCE_S
    while ledger.operations < operations:
        assert time.monotonic() < deadline, "the load stands still"
        await asyncio.sleep(0.001)


def _recoveries(
    attempts: list[Attempt], interruptions: list[tuple[float, float]]
) -> tuple[int, float]:
    """How many calls failed after a recovery in all, and how long the longest took."""
    late, longest_s = 0, 0.0
    ends = [cut for cut, _ in interruptions[1:]] + [float("inf")]
    for (cut, over), next_cut in zip(interruptions, ends, strict=True):
        # What began before may have been answered before, and what is under way at the next
        # interruption is its own.
        after = [each for each in attempts if cut < each.began and each.ended < next_cut]
        first = min((each.ended for each in after if each.is_answered), default=next_cut)
        longest_s = max(longest_s, first - over)
        late += sum(not each.is_answered for each in after if each.began > first)
    return late, longest_s
