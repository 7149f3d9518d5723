"""What do the next calls of an app cost when thousands of its reservations are overdue?"""

import asyncio
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sidecar.errors import MeterUnavailable
from tests.contract.stores import PATIENCE_S, ManualClock, World
from tests.faults.callers import EVER, HOUR, OF_THE_APP, meter_at
from tests.faults.server import redis_node, url_of
from tests.processes import RedisNode

TIMEOUT_S: Final = 0.05
TTL_S: Final = 60
USERS: Final = 50
LIMITS: Final = (EVER, HOUR, OF_THE_APP)


@dataclass(frozen=True, slots=True)
class Expiry:
    """What came of it.

    Attributes:
        together: calls at a time.
        unanswered: calls that had no answer in time, before all were answered.
        slowest_ms: of all calls.
        longest_script_ms: for so long nobody else was served.
        held: units held when all were answered.
        work_ms: what the calls of each time cost Redis, of its processor.
    """

    overdue: int
    together: int
    unanswered: int
    slowest_ms: float
    longest_script_ms: float
    held: int
    work_ms: tuple[float, ...]


async def expire(
    folder: Path,
    overdue: int,
    *,
    together: int = 1,
    calls: int = 100,
    timeout_s: float = TIMEOUT_S,
) -> Expiry:
    """Let so many reservations expire at once, then make calls, so many at a time."""
    clock = ManualClock()
    unanswered, slowest_s = 0, 0.0
    with redis_node(folder) as node:
        async with meter_at(url_of(node), clock, PATIENCE_S) as meter:
            patient = World(meter, clock)
            await asyncio.gather(
                *(
                    patient.of("app", f"user-{number % USERS}").reserve(
                        *LIMITS, tokens=10, ttl_s=TTL_S
                    )
                    for number in range(overdue)
                )
            )
        clock.advance(seconds=TTL_S)
        node.ask("CONFIG", "SET", "slowlog-log-slower-than", 0, "slowlog-max-len", 10_000)
        async with meter_at(url_of(node), clock, timeout_s) as meter:
            await meter.ping(since=time.monotonic())
            world = replace(patient, meter=meter)

            async def call() -> None:
                nonlocal unanswered, slowest_s
                began = time.monotonic()
                try:
                    await world.reserve(*LIMITS, tokens=1, ttl_s=10 * TTL_S)
                except MeterUnavailable:
                    unanswered += 1
                slowest_s = max(slowest_s, time.monotonic() - began)

            work_ms = []
            for _ in range(calls // together):
                before = _worked_ms(node)
                await asyncio.gather(*(call() for _ in range(together)))
                work_ms.append(_worked_ms(node) - before)
            _, held = await world.level(OF_THE_APP)
        longest_us = max(entry[2] for entry in node.ask("SLOWLOG", "GET", -1))
    return Expiry(
        overdue,
        together,
        unanswered,
        slowest_s * 1_000,
        longest_us / 1_000,
        held,
        tuple(work_ms),
    )


def _worked_ms(node: RedisNode) -> float:
    """What the thread that runs scripts has taken of a processor until now."""
    told = dict(line.split(":") for line in node.ask("INFO", "cpu").splitlines() if ":" in line)
    return sum(float(told[f"used_cpu_{part}_main_thread"]) * 1_000 for part in ("user", "sys"))
