"""Does the count hold when every fault comes, one after the other, in no order?"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.contract.stores import ManualClock, World
from tests.faults.callers import Callers, meter_at
from tests.faults.proxy import FaultProxy
from tests.faults.server import callers_of, redis_node, url_of
from tests.faults.weather import Faults

TIMEOUT_S: Final = 0.1
TOGETHER: Final = 16
AFTERWARDS_S: Final = 2.5
LASTING: Final = {
    "calm": Faults(),
    "late": Faults(commands_late_ms=10, replies_late_ms=20),
    "too late": Faults(replies_late_ms=1.5 * TIMEOUT_S * 1_000),
    "losses": Faults(drop_share=0.05),
    "silent losses": Faults(drop_share=0.05, drop_silently=True),
    "stall": Faults(stalls=True),
    "hole": Faults(swallows=True),
    "drip": Faults(drip_bytes=500, drip_ms=1),
    "shut door": Faults(refuses=True),
}
SUDDEN: Final[dict[str, Callable[[FaultProxy], None]]] = {
    "reset": FaultProxy.reset,
    "half open": FaultProxy.half_open,
}


@dataclass(frozen=True, slots=True)
class Storm:
    """What came of it.

    Attributes:
        faults: how often each came.
        again: calls that had no answer, each made again.
        slowest_ms: of all calls, answered or not.
        recovery_s: from the end of the last fault to the last call without an answer.
        left_open: connections after all, more than there were before.
        differences: counters that are not what the ledger says.
    """

    operations: int
    faults: Counter[str]
    again: int
    slowest_ms: float
    recovery_s: float
    left_open: int
    differences: dict[str, object]


async def storm(folder: Path, lasting_s: float, *, seed: int = 1) -> Storm:
    """Make calls for so long while the weather changes."""
    clock, dice, faults = ManualClock(), random.Random(seed), Counter[str]()
    with redis_node(folder) as node, FaultProxy(url_of(node), seed=seed) as proxy:
        async with meter_at(proxy.url, clock, TIMEOUT_S) as meter:
            world = World(meter, clock)
            callers = Callers(world, seed=seed)
            await callers.run(TOGETHER)
            before, ends = callers_of(node), time.monotonic() + lasting_s
            async with asyncio.TaskGroup() as group:
                # They stay until the weather has been fine for a while.
                group.create_task(callers.run_while(lambda: time.monotonic() < ends + AFTERWARDS_S))
                while time.monotonic() < ends:
                    name = dice.choice((*LASTING, *SUDDEN))
                    faults[name] += 1
                    if name in SUDDEN:
                        SUDDEN[name](proxy)
                    else:
                        proxy.inject(LASTING[name])
                    await asyncio.sleep(dice.uniform(0.01, 0.3))
                proxy.heal()
                healed = time.monotonic()
            left_open = callers_of(node) - before
            differences = await callers.ledger.differences(world)
    ledger = callers.ledger
    failed = (each.ended for each in ledger.attempts if not each.is_answered)
    return Storm(
        ledger.operations,
        faults,
        ledger.again,
        max(each.ended - each.began for each in ledger.attempts) * 1_000,
        max(0.0, max(failed, default=healed) - healed),
        left_open,
        differences,
    )
