"""Is everything counted once though Redis does what it is told and nobody hears of it?"""

import time
from dataclasses import dataclass
from pathlib import Path

from tests.contract.stores import ManualClock, World
from tests.faults.callers import Callers, meter_at
from tests.faults.proxy import FaultProxy
from tests.faults.server import redis_node, url_of
from tests.faults.weather import Faults


@dataclass(frozen=True, slots=True)
class LostReplies:
    """What came of it.

    Attributes:
        lost: replies that were.
        again: calls that the caller made again, because the store had not even heard itself.
        differences: counters that are not what the ledger says.
    """

    operations: int
    replies: int
    lost: int
    again: int
    differences: dict[str, object]
    seconds: float


async def lose_replies(
    folder: Path, operations: int, faults: Faults, *, timeout_s: float = 10.0, seed: int = 1
) -> LostReplies:
    """Make so many calls over a way on which replies are lost."""
    clock, began = ManualClock(), time.monotonic()
    with redis_node(folder) as node, FaultProxy(url_of(node), seed=seed) as proxy:
        proxy.inject(faults)
        async with meter_at(proxy.url, clock, timeout_s) as meter:
            callers = Callers(World(meter, clock), seed=seed)
            await callers.run(operations)
        async with meter_at(url_of(node), clock, timeout_s=10.0) as meter:
            differences = await callers.ledger.differences(World(meter, clock))
        return LostReplies(
            callers.ledger.operations,
            proxy.seen.replies,
            proxy.seen.dropped,
            callers.ledger.again,
            differences,
            time.monotonic() - began,
        )
