"""A master is killed while callers reserve and commit: what do they notice, and what is lost?"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Final

import uvloop

from sidecar.adapters.redis.connection import RedisConnection, StoreUnavailable
from sidecar.adapters.redis.meter import SCRIPTS, RedisMeter
from tests.failover.lag import Lag
from tests.failover.load import UNITS, Load
from tests.processes import RedisCluster, RedisSentinel, await_that, redis_cluster, redis_sentinel

REQUEST_S: Final = 0.05
"""What the sidecar gives a request unless it is told otherwise."""
_MAX_DEGRADED_S: Final = 5.0
_PATIENT_S: Final = 20.0
_AFTERWARDS: Final = 500
_LAST_WORDS_S: Final = 0.2
"""What the dead have said is heard within this time; nobody takes their place so soon."""


class Kind(StrEnum):
    """Who puts another in a master's place."""

    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Drill:
    """How it is done.

    Attributes:
        calls: so many are answered before the kill.
        wait_replicas: so many must have a write before it is answered.
        late_s: how long bytes take between a master and its replicas; what is under way at the
            kill is lost. Only behind sentinels: the nodes of a Cluster find each other.
    """

    kind: Kind
    calls: int = 3_000
    replicas: int = 1
    wait_replicas: int = 0
    late_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What it gave.

    Attributes:
        per_second, median_ms, worst_ms: answered calls before the kill, and how long they took.
        failed: calls that were not answered.
        degraded_s: from the kill to the end of the last of them.
        slowest_s: how long a call took at worst, answered or not.
        answered: units that somebody was told of before the kill.
        missing: those of them that the counters do not hold afterwards.
        missing_later: units that somebody was told of after the kill, and that are not there.
        beyond: units in the counters that nobody asked for.
    """

    per_second: float
    median_ms: float
    worst_ms: float
    failed: int
    degraded_s: float
    slowest_s: float
    answered: int
    missing: int
    missing_later: int
    beyond: int


def run_drill(drill: Drill, folder: Path) -> Figures:
    """Kill a master under load, and hold the counters against what was said."""
    # The sidecar runs on uvloop too.
    with (
        _group(drill, folder) as group,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_run(drill, group))


def is_kept(drill: Drill, figures: Figures) -> bool:
    """Whether a failover kept what is promised of it."""
    return (
        figures.degraded_s <= _MAX_DEGRADED_S
        and not (figures.missing_later or figures.beyond)
        and not (drill.wait_replicas and figures.missing)
    )


@contextmanager
def _group(drill: Drill, folder: Path) -> Iterator[RedisSentinel | RedisCluster]:
    match drill.kind:
        case Kind.SENTINEL:
            with redis_sentinel(folder, drill.replicas) as sentinel:
                yield sentinel
        case Kind.CLUSTER:
            with redis_cluster(folder, drill.replicas) as cluster:
                yield cluster


async def _run(drill: Drill, group: RedisSentinel | RedisCluster) -> Figures:
    url = f"{group.url}?wait_replicas={drill.wait_replicas}"
    async with _lagging(drill, group) as lag, _connected(url, REQUEST_S) as connection:
        await _ready(connection)
        load = Load(RedisMeter(connection))
        callers = asyncio.create_task(load.run())
        await load.go_on(drill.calls)
        victim = group.master if isinstance(group, RedisSentinel) else group.masters[0]
        if lag is not None:
            assert lag.is_used, "the sentinels have taken the lag out of the way"
        killed_s = time.monotonic()
        victim.kill()
        if lag is not None:
            lag.cut()
        await _ready(connection)
        await load.go_on(_AFTERWARDS)
        load.is_over = True
        await asyncio.wait_for(callers, _PATIENT_S)
    async with _connected(group.url, _PATIENT_S) as connection:
        levels = await load.levels(RedisMeter(connection))
    return _figures(load, levels, killed_s)


@asynccontextmanager
async def _connected(url: str, timeout_s: float) -> AsyncIterator[RedisConnection]:
    connection = RedisConnection(url, timeout_s=timeout_s, scripts=SCRIPTS)
    try:
        yield connection
    finally:
        await connection.close()


async def _ready(connection: RedisConnection) -> None:
    deadline = time.monotonic() + _PATIENT_S
    while True:
        try:
            await connection.ready(since=time.monotonic())
            return
        except StoreUnavailable:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.01)


@asynccontextmanager
async def _lagging(drill: Drill, group: RedisSentinel | RedisCluster) -> AsyncIterator[Lag | None]:
    """Let the replicas follow from afar; after three seconds the sentinels put this right."""
    if not drill.late_s:
        yield None
        return
    assert isinstance(group, RedisSentinel)
    master, *replicas = group.servers
    async with Lag(master.port, drill.late_s).open() as lag:
        for replica in replicas:
            replica.ask("REPLICAOF", "127.0.0.1", lag.port)
        follow = partial(master.has_in_step, len(replicas))
        await asyncio.to_thread(await_that, follow, "the replicas follow from afar")
        yield lag


def _figures(load: Load, levels: Sequence[tuple[int, int]], killed_s: float) -> Figures:
    before = sorted(end - begin for begin, end in load.answered if end < killed_s)
    ended = [end for _, end in load.answered if end < killed_s]
    failed = [(begin, end) for begin, end in load.failed if end > killed_s]
    missing = missing_later = 0
    for told, (used, reserved) in zip(load.told, levels, strict=True):
        there = used if told.committed_s else used + reserved
        if told.last_s and there < UNITS:
            if told.last_s < killed_s + _LAST_WORDS_S:
                missing += UNITS - there
            else:
                missing_later += UNITS - there
    return Figures(
        per_second=len(before) / (max(ended) - min(ended)),
        median_ms=before[len(before) // 2] * 1_000,
        worst_ms=before[-1] * 1_000,
        failed=len(failed),
        degraded_s=max((end for _, end in failed), default=killed_s) - killed_s,
        slowest_s=max(end - begin for begin, end in load.answered + failed),
        answered=sum(UNITS for told in load.told if 0 < told.last_s < killed_s),
        missing=missing,
        missing_later=missing_later,
        beyond=sum(max(0, used + reserved - UNITS) for used, reserved in levels),
    )
