"""Several replicas on one store, each with a memory of its own, in one process."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sidecar.adapters.cached import CachedManifests, CachedSubscriptions
from sidecar.adapters.changes import WatchedChanges
from sidecar.adapters.redis.changes import ANNOUNCE, RedisChanges
from sidecar.adapters.redis.connection import RedisConnection
from sidecar.adapters.redis.documents import REPLACE
from sidecar.adapters.redis.manifests import RedisManifests
from sidecar.adapters.redis.subscriptions import RedisSubscriptions
from sidecar.adapters.sqlite.changes import SqliteChanges
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.manifests import SqliteManifests
from sidecar.adapters.sqlite.subscriptions import SqliteSubscriptions
from sidecar.domain.request import Subject
from sidecar.domain.subscription import Subscription, SyncOutcome
from sidecar.ports import Manifests, Subscriptions
from tests.contract.stores import PATIENCE_S


class Counted:
    """Subscriptions that know how often they were looked up."""

    def __init__(self, inner: Subscriptions) -> None:
        self._inner = inner
        self.asked = 0

    async def find(self, subject: Subject, *, since: float) -> Subscription:
        self.asked += 1
        return await self._inner.find(subject, since=since)

    async def sync(self, pushed: Subscription, *, since: float) -> tuple[SyncOutcome, Subscription]:
        return await self._inner.sync(pushed, since=since)


@dataclass(frozen=True, slots=True)
class Replica:
    """One of several processes."""

    changes: WatchedChanges
    subscriptions: CachedSubscriptions
    manifests: CachedManifests
    counted: Counted

    @classmethod
    def over(
        cls, changes: WatchedChanges, subscriptions: Subscriptions, manifests: Manifests
    ) -> "Replica":
        """One that remembers what these say."""
        counted = Counted(subscriptions)
        cached = CachedSubscriptions(counted, changes)
        return cls(changes, cached, CachedManifests(manifests, changes), counted)

    async def plan(self, user: str = "bob", app: str = "app") -> str:
        """The plan that is known here."""
        found = await self.subscriptions.find(Subject(app, user), since=time.monotonic())
        return found.plan

    async def tier(self, app: str = "app") -> str | None:
        """The tier that is known here."""
        found = await self.manifests.find(app, since=time.monotonic())
        return None if found is None else found.tier


def redis_replica(connection: RedisConnection, changes: WatchedChanges | None = None) -> Replica:
    """One on Redis, not opened."""
    return Replica.over(
        changes or RedisChanges(connection),
        RedisSubscriptions(connection),
        RedisManifests(connection),
    )


@asynccontextmanager
async def on_redis(url: str, timeout_s: float = PATIENCE_S) -> AsyncIterator[Replica]:
    """A replica on a Redis that others have written to."""
    connection = RedisConnection(url, timeout_s=timeout_s, scripts=(REPLACE, ANNOUNCE))
    replica = redis_replica(connection)
    try:
        async with replica.changes.opened():
            yield replica
    finally:
        await connection.close()


@asynccontextmanager
async def on_sqlite(path: Path) -> AsyncIterator[Replica]:
    """A process on a file."""
    database = Database(path, timeout_s=PATIENCE_S)
    database.open()
    replica = Replica.over(
        SqliteChanges(database), SqliteSubscriptions(database), SqliteManifests(database)
    )
    try:
        async with replica.changes.opened():
            yield replica
    finally:
        database.close()


SEEN_S: Final = 1.0


async def until(holds: Callable[[], Awaitable[bool]], within_s: float = PATIENCE_S) -> float:
    """Return when it holds; how many seconds that took."""
    began = time.monotonic()
    while not await holds():
        assert time.monotonic() - began < within_s
        await asyncio.sleep(0.002)
    return time.monotonic() - began


@asynccontextmanager
async def replicas(
    open_one: Callable[[], AbstractAsyncContextManager[Replica]], count: int = 2
) -> AsyncIterator[list[Replica]]:
    """So many at once, all of which hear of changes."""
    async with AsyncExitStack() as stack:
        all_of_them = [await stack.enter_async_context(open_one()) for _ in range(count)]

        async def sure() -> bool:
            return all(replica.changes.is_sure for replica in all_of_them)

        await until(sure)
        yield all_of_them
