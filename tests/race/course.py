"""Who races, for how long, over which limits?"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.adapters.redis.connection import RedisConnection
from sidecar.adapters.redis.leased import LEASES, LeasedMeter
from sidecar.adapters.redis.meter import SCRIPTS, RedisMeter
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.meter import SqliteMeter
from sidecar.domain.limits import Limit
from sidecar.domain.windows import Fixed, Sliding
from sidecar.ports import Meter
from tests.contract.stores import PATIENCE_S, limit

APPS: Final = 3
"""Among which the users are spread: each lies in a slot of its own of a Cluster."""

MAXIMA: Final = (5_000, 10_000, 12_000)
"""Of each user's limits, see `Course.limits`, before they are scaled."""

LANES: Final = 16
"""Callers of each process that ask at the same time."""


def app_of(user: str) -> str:
    """The app of a user whose name ends with a number."""
    return f"race-{int(user.rpartition('-')[2]) % APPS}"


@dataclass(frozen=True, slots=True)
class Course:
    """One race over one store.

    Attributes:
        store: the address of a Redis, else the path of a SQLite file.
        folder: where the processes write their ledgers.
        operations: calls of the meter, of all processes together.
        users: who share the traffic at one time; others follow them, so that lifetimes end
            and begin.
        windows_ms: lengths of the two sliding windows.
        overspending: share of final commits that tell more than was held.
        scale: by how much all maxima are greater, and by how many calls users stay longer.
        leases: whether processes answer in memory.
    """

    store: str
    folder: Path
    operations: int
    users: int
    processes: int = 8
    windows_ms: tuple[int, int] = (2_000, 5_000)
    overspending: float = 0.0
    seed: int = 20_260_505
    scale: int = 1
    leases: bool = False

    @property
    def maxima(self) -> tuple[int, int, int]:
        """Of the shorter window, the longer one and the lifetime of one user."""
        shorter, longer, ever = MAXIMA
        return shorter * self.scale, longer * self.scale, ever * self.scale

    @property
    def limits(self) -> tuple[Limit, Limit, Limit]:
        """Two sliding windows and a lifetime, all of tokens of one user, all enforced."""
        shorter, longer = self.windows_ms
        return (
            limit(self.maxima[0], Sliding(shorter), name="shorter"),
            limit(self.maxima[1], Sliding(longer), name="longer"),
            limit(self.maxima[2], Fixed.LIFETIME, name="ever"),
        )

    @property
    def quota(self) -> int:
        """Operations of one process."""
        return self.operations // self.processes

    def ledger(self, index: int) -> Path:
        """The file of one process."""
        return self.folder / f"ledger-{index}.tsv"

    def generation(self, done: int) -> int:
        """Which users there are after so many operations of one process."""
        return done * self.processes // (1_000 * self.scale * self.users)


@asynccontextmanager
async def meter_over(course: Course) -> AsyncIterator[Meter]:
    """A meter of this process's own, by the store's own clock."""
    if "://" in course.store:
        scripts = (*SCRIPTS, *LEASES)
        connection = RedisConnection(course.store, timeout_s=PATIENCE_S, scripts=scripts)
        leased = LeasedMeter(connection) if course.leases else None
        try:
            yield leased or RedisMeter(connection)
        finally:
            if leased is not None:
                await leased.drain()
            await connection.close()
    else:
        database = Database(Path(course.store), timeout_s=PATIENCE_S)
        database.open()
        try:
            yield SqliteMeter(database)
        finally:
            database.close()
