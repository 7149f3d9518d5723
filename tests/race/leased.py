"""How much less is let through by processes that answer in memory?

Each of several over one Redis holds units in advance, which the others then lack.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import chain
from typing import Final

from tests.contract.leases import leased_meter
from tests.contract.stores import ManualClock, World
from tests.race.admission import TRACES, Admitted, Arrival, admit
from tests.race.course import Course

PROCESSES: Final = 4
FASTER: Final = 20
"""So much faster than in the traces everything is asked for, and so many of them there are."""


def leased(course: Course, longer: float) -> Course:
    """As full as that of the traces, with so much longer windows, and room for more requests."""
    shorter_ms, longer_ms = (int(each * longer) for each in course.windows_ms)
    return replace(course, windows_ms=(shorter_ms, longer_ms), scale=int(longer * FASTER))


def faster(arrivals: Iterable[Arrival]) -> Iterator[Arrival]:
    """The same requests in less time."""
    late = 0
    for gap_ms, units in arrivals:
        shorter_ms, late = divmod(late + gap_ms, FASTER)
        yield shorter_ms, units


async def measure_leased(
    course: Course, trace: str, traces: int = FASTER, longer: float = 6
) -> Admitted:
    """So many traces, one after another, through several processes in turn."""
    clock = ManualClock()
    arrivals = faster(chain.from_iterable(TRACES[trace](seed) for seed in range(traces)))
    async with AsyncExitStack() as stack:
        meters = [
            await stack.enter_async_context(leased_meter(course.store, clock))
            for _ in range(PROCESSES)
        ]
        world = World(meters[0], clock, trace)
        worlds = [replace(world, meter=meter) for meter in meters]
        return await admit(leased(course, longer), arrivals, *worlds)


def measured_leased(course: Course) -> dict[str, Admitted]:
    """By trace, for whoever has no loop."""
    return {trace: asyncio.run(measure_leased(course, trace)) for trace in TRACES}
