"""How much less do the meters let through than an exact log would?"""

import asyncio
import bisect
import random
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import cycle
from typing import Final

from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.meter import SqliteMeter
from tests.contract.leases import is_child
from tests.contract.stores import ManualClock, World, redis_meter
from tests.race.course import Course

Arrival = tuple[int, int]
"""Milliseconds after the one before, and units."""

SPAN_MS: Final = 50_000
RATE: Final = 3_000
"""Units that are asked for in a second: half as many again as the longer window lets through."""


def steady(seed: int) -> Iterator[Arrival]:
    """Requests of all sizes, one after another."""
    dice, at_ms = random.Random(seed), 0
    while at_ms < SPAN_MS:
        units = dice.randint(1, 100)
        gap_ms = round(dice.expovariate(RATE / 50 / 1_000))
        at_ms += gap_ms
        yield gap_ms, units


def bursty(seed: int) -> Iterator[Arrival]:
    """Agents: many requests in half a second, then silence."""
    dice, at_ms = random.Random(seed), 0
    while at_ms < SPAN_MS:
        silence_ms = round(dice.expovariate(1 / 2_500))
        calls = dice.randint(20, 60)
        burst_ms = silence_ms
        for _ in range(calls):
            at_ms += burst_ms
            yield burst_ms, dice.randint(50, 400)
            burst_ms = round(dice.expovariate(calls / 500))


TRACES: Final = {"steady": steady, "bursty": bursty}


@dataclass(frozen=True, slots=True)
class Admitted:
    """Units that the exact log and a meter let through, and the meter's fullest true window.

    Attributes:
        over: units over a maximum in the worst true window; below 0 is what was left.
        in_memory: requests that the meter answered without its store.
    """

    exact: int
    metered: int
    over: int
    in_memory: int = 0

    @property
    def missing(self) -> float:
        """The share of the exact log's units that the meter did not let through."""
        return 1 - self.metered / self.exact


class Log:
    """Every admitted unit with its instant: exact, and as large as the traffic."""

    def __init__(self, course: Course) -> None:
        self._windows = tuple(zip(course.windows_ms, course.maxima, strict=False))
        self._at_ms: list[int] = []
        self._sums = [0]

    @property
    def units(self) -> int:
        """All that was admitted."""
        return self._sums[-1]

    def over(self, now_ms: int, units: int) -> int:
        """Units over a maximum in the worst window that ends now, with so many more."""
        return max(
            self.units
            - self._sums[bisect.bisect_right(self._at_ms, now_ms - length_ms)]
            + units
            - maximum
            for length_ms, maximum in self._windows
        )

    def add(self, now_ms: int, units: int) -> None:
        """Admit units."""
        self._at_ms.append(now_ms)
        self._sums.append(self.units + units)


async def admit(course: Course, trace: Iterator[Arrival], *worlds: World) -> Admitted:
    """Ask a meter and an exact log for the same, each after its own history.

    Args:
        worlds: processes over the same store, which are asked in turn.
    """
    limits, clock = course.limits[:2], worlds[0].clock
    exact, metered = Log(course), Log(course)
    over, in_memory = -course.maxima[0], 0
    for (gap_ms, units), world in zip(trace, cycle(worlds), strict=False):
        clock.advance(milliseconds=gap_ms)
        if exact.over(clock.ms, units) <= 0:
            exact.add(clock.ms, units)
        metering = await world.reserve(*limits, tokens=units)
        if metering.reservation is not None:
            await world.commit(metering.reservation.id, units)
            in_memory += is_child(metering.reservation.id)
            over = max(over, metered.over(clock.ms, units))
            metered.add(clock.ms, units)
    return Admitted(exact.units, metered.units, over, in_memory)


async def measure(course: Course, trace: str, seeds: int) -> Admitted:
    """The sum over some seeds of one trace; both stores must have let through the same."""
    clock = ManualClock()
    async with AsyncExitStack() as stack:
        database = Database(None)
        database.open()
        stack.callback(database.close)
        sqlite = World(SqliteMeter(database, now_ms=clock.now_ms), clock)
        redis = World(await stack.enter_async_context(redis_meter(course.store, clock)), clock)
        sums = []
        for seed in range(seeds):
            app, start = f"{trace}-{seed}", clock.ms
            sums.append(await admit(course, TRACES[trace](seed), redis.of(app)))
            clock.ms = start
            assert await admit(course, TRACES[trace](seed), sqlite.of(app)) == sums[-1]
    return Admitted(
        sum(each.exact for each in sums),
        sum(each.metered for each in sums),
        max(each.over for each in sums),
    )


def measured(course: Course, seeds: int) -> dict[str, Admitted]:
    """By trace, for whoever has no loop."""
    return {trace: asyncio.run(measure(course, trace, seeds)) for trace in TRACES}
