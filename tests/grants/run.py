"""Many sequences beside each other, each in an app of its own, under one clock."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from sidecar.domain.usage import OnExpiry
from sidecar.domain.windows import add_months
from sidecar.ports import Meter
from tests.contract.stores import HOUR_MS, ManualClock, World, redis_meter, sqlite_meter
from tests.grants.play import Play

STEPS: Final = 40
TOGETHER: Final = 50
GAPS_MS: Final = (*[0] * 6, 1, 1, 250, 250, 3_000, 20_000, 59_000, 61_000, 600_000, HOUR_MS)
"""How long nothing happens between two steps; holds live up to an hour."""
DAYS: Final = 2
"""Steps before which a whole day passes. Ended reservations are known for a week."""


@asynccontextmanager
async def meter_over(store: str, clock: ManualClock, on_expiry: OnExpiry) -> AsyncIterator[Meter]:
    """A meter over `redis://…`, or over a SQLite file, or one in memory where it has no path."""
    if "://" in store:
        async with redis_meter(store, clock, on_expiry) as redis:
            yield redis
    else:
        async with sqlite_meter(Path(store) if store else None, clock, on_expiry) as sqlite:
            yield sqlite


async def play_many(store: str, sequences: int, seed: int, steps: int = STEPS) -> Counter[str]:
    """Play so many sequences, half of them where expiry charges.

    Returns:
        What happened, how often.

    Raises:
        AssertionError: store and model differ; it tells the sequence.
    """
    tally: Counter[str] = Counter()
    for on_expiry in OnExpiry:
        clock = ManualClock()
        async with meter_over(store, clock, on_expiry) as meter:
            for batch in itertools.count():
                begun = batch * TOGETHER
                count = min(TOGETHER, (sequences + 1) // 2 - begun)
                if count <= 0:
                    break
                name, charges = f"{seed}-{on_expiry}-{batch}", on_expiry is OnExpiry.CHARGE
                tally += await _batch(meter, clock, name, count, steps, charges=charges)
    return tally


async def _batch(
    meter: Meter, clock: ManualClock, seed: str, count: int, steps: int, *, charges: bool
) -> Counter[str]:
    dice = random.Random(seed)
    # A month ends in the midst of it.
    month = add_months(clock.now.replace(day=1, hour=0, minute=0, second=0, microsecond=0), 1)
    clock.set(month - timedelta(hours=dice.choice((1, 30)), milliseconds=dice.randrange(5_000)))
    gaps = [dice.choice(GAPS_MS) for _ in range(steps)]
    for step in dice.sample(range(steps), min(DAYS, steps)):
        gaps[step] = 24 * HOUR_MS
    plays = [
        Play(f"{seed}-{i}", World(meter, clock, app=f"app-{seed}-{i}"), charges=charges)
        for i in range(count)
    ]
    for gap in gaps:
        clock.ms += gap
        await asyncio.gather(*(play.step() for play in plays))
    clock.advance(hours=1)
    await asyncio.gather(*(play.finish() for play in plays))
    total: Counter[str] = Counter(sequences=count)
    for play in plays:
        total += play.tally
    return total
