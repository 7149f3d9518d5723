"""A store with a log of events, and what is asked of it with as few words as possible."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from sidecar.adapters.arrivals import Arrivals
from sidecar.adapters.redis.event_log import RedisEventLog
from sidecar.adapters.redis.meter import RedisMeter
from sidecar.adapters.redis.outbox import RedisOutbox
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.event_log import SqliteEventLog
from sidecar.adapters.sqlite.meter import SqliteMeter
from sidecar.adapters.sqlite.outbox import SqliteOutbox
from sidecar.domain.event_log import Asked, Keeping, Page, Settled, Taken
from sidecar.domain.limits import Limit
from sidecar.domain.usage import ChargedEvent, Tally
from sidecar.ports import EventLog, Meter, Outbox
from tests.contract.stores import PATIENCE_S, ManualClock, World, redis_connection

LEASE = timedelta(seconds=15)


@dataclass
class Logged:
    """A meter that logs what it counts."""

    meter: Meter
    log: EventLog
    outbox: Outbox
    clock: ManualClock
    arrivals: Arrivals

    def world(self, app: str = "app") -> World:
        return World(self.meter, self.clock, app)

    def event(self, name: str, *limits: Limit, app: str = "app", tokens: int = 1) -> ChargedEvent:
        """One that somebody reported."""
        charged = self.world(app).event(*limits, tokens=tokens, name=name)
        told = {"kind": "delta", "event_id": name, "app_id": app}
        return replace(charged, event=replace(charged.event, told=told))

    async def report(self, *names: str, app: str = "app") -> Tally:
        events = [self.event(name, app=app) for name in names]
        return await self.meter.record(app, events, since=time.monotonic())

    async def take(self, holder: str = "me", app: str = "app", most: int = 100) -> Taken | None:
        return await self.outbox.take(app, holder, most, since=time.monotonic())

    async def taken(self, holder: str = "me", app: str = "app", most: int = 100) -> list[str]:
        """The ids of the events that were taken."""
        taken = await self.take(holder, app, most)
        return [] if taken is None else ids_of(taken.events)

    async def settle(
        self, settled: Settled, holder: str = "me", app: str = "app", *, let_go: bool = True
    ) -> None:
        await self.outbox.settle(app, holder, settled, let_go=let_go, since=time.monotonic())

    async def deliver(self, app: str = "app", most: int = 100) -> list[str]:
        """Take and deliver; the ids of the events."""
        taken = await self.take("me", app, most)
        if taken is None:
            return []
        await self.settle(Settled([event.place for event in taken.events]), app=app)
        return ids_of(taken.events)

    async def refuse(self, status: int = 400, app: str = "app") -> str:
        """Let the next event be refused; what it is called."""
        taken = await self.take("me", app, 1)
        assert taken is not None
        await self.settle(Settled(aside={taken.events[0].place: status}), app=app)
        return taken.events[0].place

    async def waiting(self) -> tuple[int, int]:
        """How many wait, and how many were refused."""
        backlog = await self.outbox.backlog(since=time.monotonic())
        return backlog.waiting, backlog.set_aside

    async def due(self) -> list[str]:
        return list(await self.outbox.due(100, since=time.monotonic()))

    async def page(
        self,
        app: str = "",
        cursor: str = "",
        most: int = 1_000,
        begin: datetime | None = None,
        end: datetime | None = None,
    ) -> Page:
        return await self.log.page(Asked(app, begin, end, cursor, most), since=time.monotonic())


def ids_of(events: Any) -> list[str]:
    """What senders called events."""
    return [orjson.loads(event.body)["event_id"] for event in events]


@asynccontextmanager
async def logged(
    url: str | None, path: Path, clock: ManualClock, keeping: Keeping
) -> AsyncIterator[Logged]:
    """Over a Redis, or without a URL over a file of SQLite."""
    arrivals = Arrivals()
    async with AsyncExitStack() as stack:
        if url is None:
            database = Database(path, timeout_s=PATIENCE_S)
            database.open()
            stack.callback(database.close)
            yield on_sqlite(database, clock, keeping, arrivals)
        else:
            connection = await stack.enter_async_context(redis_connection(url))
            log = RedisEventLog(connection, keeping, arrivals, clock.now_ms)
            meter = RedisMeter(connection, clock.now_ms, log=log)
            outbox = RedisOutbox(connection, keeping.kept_ms, log, clock.now_ms)
            yield Logged(meter, log, outbox, clock, arrivals)


def on_sqlite(
    database: Database, clock: ManualClock, keeping: Keeping, arrivals: Arrivals
) -> Logged:
    """Over an open file."""
    log = SqliteEventLog(database, keeping, arrivals)
    meter = SqliteMeter(database, clock.now_ms, log=log)
    outbox = SqliteOutbox(database, keeping.kept_ms, clock.now_ms)
    return Logged(meter, log, outbox, clock, arrivals)


def beside(one: Logged, keeping: Keeping) -> Logged:
    """Another process over the same store, with other settings."""
    match one.meter:
        case SqliteMeter():
            return on_sqlite(one.meter._database, one.clock, keeping, Arrivals())
        case RedisMeter():
            connection = one.meter._connection
            log = RedisEventLog(connection, keeping, now_ms=one.clock.now_ms)
            meter = RedisMeter(connection, one.clock.now_ms, log=log)
            outbox = RedisOutbox(connection, keeping.kept_ms, log, one.clock.now_ms)
            return Logged(meter, log, outbox, one.clock, Arrivals())
        case _:
            raise AssertionError(f"no way to stand beside {one.meter}")
