"""Whoever looks at one user of a SQLite file does not look at all the others."""

import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.event_log import SqliteEventLog
from sidecar.adapters.sqlite.meter import SqliteMeter
from sidecar.domain.event_log import Asked, Keeping
from sidecar.domain.request import Subject
from sidecar.domain.statements import StatementKey
from sidecar.domain.windows import Fixed
from tests.contract.stores import PATIENCE_S, ManualClock, World, limit, seconds

LIMITS = (
    limit(1_000, Fixed.BILLING_MONTH, name="monthly"),
    limit(500, seconds(60), name="minute"),
    limit(None, Fixed.DAY, name="day"),
)
STEPS = 10
"""Of SQLite's machine between two looks at the clock that counts them."""
KEEPING = Keeping(kept=timedelta(days=35))

Look = Callable[[World, SqliteEventLog], Awaitable[object]]


async def _periods(world: World, _: SqliteEventLog) -> object:
    return await world.statements()


async def _periods_behind(world: World, _: SqliteEventLog) -> object:
    return await world.page(world.user, StatementKey(world.user, "", 0))


async def _usage(world: World, _: SqliteEventLog) -> object:
    return await world.usage(world.user)


async def _usage_of_all(world: World, _: SqliteEventLog) -> object:
    return await world.usage()


async def _entitlements(world: World, _: SqliteEventLog) -> object:
    return await world.read(*LIMITS)


async def _grants(world: World, _: SqliteEventLog) -> object:
    subject = Subject(world.app, world.user)
    return await world.meter.grants(subject, since=time.monotonic())


async def _events(world: World, log: SqliteEventLog) -> object:
    asked = Asked(app_id=world.app, begin=world.clock.now, most=5)
    return await log.page(asked, since=time.monotonic())


@pytest.mark.parametrize(
    "look",
    [_periods, _periods_behind, _usage, _usage_of_all, _entitlements, _grants, _events],
    ids=lambda look: look.__name__.strip("_"),
)
async def test_a_look_takes_no_longer_where_there_are_ten_times_as_many_users(
    tmp_path: Path, look: Look
) -> None:
    few = await steps_of(look, tmp_path / "few.db", 20)
    many = await steps_of(look, tmp_path / "many.db", 200)
    assert few > 0
    # A search goes through a tree that is a little higher.
    assert many <= 1.3 * few + 2


async def steps_of(look: Look, path: Path, users: int) -> int:
    """How often SQLite's machine has made some steps for a look."""
    clock, taken = ManualClock(), 0
    database = Database(path, timeout_s=PATIENCE_S)
    database.open()

    def count() -> None:
        nonlocal taken
        taken += 1

    def watch(connection: sqlite3.Connection) -> None:
        connection.set_progress_handler(count, STEPS)
        # What is remembered would be looked up nowhere.
        connection.execute("UPDATE counter SET held = held")

    try:
        log = SqliteEventLog(database, KEEPING)
        world = World(SqliteMeter(database, now_ms=clock.now_ms, log=log), clock)
        for number in range(users):
            each = replace(world, user=f"user-{number:04}")
            told = {"app_id": world.app, "user_id": each.user}
            event = each.event(*LIMITS, tokens=5)
            await each.record(replace(event, event=replace(event.event, told=told)))
            await each.grant(5)
        await database.run(watch, since=time.monotonic())
        taken = 0
        assert await look(replace(world, user="user-0007"), log)
        return taken
    finally:
        database.close()
