"""What becomes of a file that an older version made."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.schema import APPLICATION_ID, SCHEMA_VERSION
from sidecar.adapters.sqlite.subscriptions import SqliteSubscriptions
from sidecar.domain.request import Amounts, MeterKind, Subject
from sidecar.domain.usage import Hold, ReservationState, Tally
from sidecar.domain.windows import Fixed
from sidecar.errors import ConfigurationError, ReservationEnded
from tests.contract.stores import START, ManualClock, World, limit, seconds, sqlite_meter
from tests.processes import ROOT

VERSION_1 = (ROOT / "tests/integration/files/version_1.sql").read_text()
"""A file of the first version, ten seconds after START.

An event of 40 and `e-1` of 2, then of one request and one of concurrency each: t1 holds 30 for
an hour under the request id r-1, t2 holds 50 and was told of 20, t3 held 25 and committed 24, t4
held 26 and was released, t5 held 27 and expired, t6 holds 10 and was extended by 5; t7 holds 28
for five seconds more. The user `other` of another app holds 7.
"""
LIMITS = (
    limit(1_000, Fixed.BILLING_MONTH, name="monthly"),
    limit(500, seconds(60), name="minute"),
    limit(None, Fixed.LIFETIME, name="ever"),
    limit(9, Fixed.LIFETIME, MeterKind.CONCURRENCY, name="running"),
)


def write(path: Path, script: str, version: int = 1) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {version}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "s.db", VERSION_1)
    return tmp_path / "s.db"


@pytest.fixture
async def world(path: Path) -> AsyncIterator[World]:
    clock = ManualClock(START + timedelta(seconds=10))
    async with sqlite_meter(path, clock) as meter:
        yield World(meter, clock)


def name(number: int) -> str:
    return f"res_YXBw.t{number}"


async def test_a_file_of_the_first_version_keeps_all_its_counts(world: World) -> None:
    tokens, running = (40 + 2 + 20 + 24, 30 + 30 + 15 + 28), (0, 4)
    assert await world.levels(*LIMITS) == [tokens, tokens, tokens, running]
    assert await world.of("other").level(LIMITS[0]) == (0, 7)
    world.clock.advance(seconds=5)
    assert await world.level(LIMITS[0]) == (86, 75)
    world.clock.advance(seconds=46)
    assert await world.levels(LIMITS[1], LIMITS[3]) == [(0, 75), (0, 3)]
    world.clock.advance(hours=1)
    assert await world.levels(*LIMITS) == [(86, 0), (0, 0), (86, 0), (0, 0)]


async def test_what_it_held_is_committed_extended_and_released(world: World) -> None:
    settled = await world.commit(name(1), 21)
    assert [reading.limit for reading in settled.readings] == list(LIMITS)
    await world.commit(name(2), 35, final=False)
    await world.extend(name(6), *LIMITS, tokens=4, ttl_s=60)
    assert await world.levels(LIMITS[0], LIMITS[3]) == [(122, 15 + 19 + 28), (0, 3)]
    await world.release(name(2))
    await world.release(name(7))
    await world.commit(name(6), 19)
    assert await world.levels(*LIMITS[2:]) == [(141, 0), (0, 0)]


async def test_what_had_ended_stays_ended(world: World) -> None:
    assert (await world.commit(name(3), 24)).state is ReservationState.COMMITTED
    assert (await world.release(name(4))).state is ReservationState.RELEASED
    with pytest.raises(ReservationEnded):
        await world.commit(name(4), 1)
    with pytest.raises(ReservationEnded):
        await world.commit(name(3), 25)
    world.clock.advance(hours=1)
    assert (await world.commit(name(3), 24)).readings == ()
    settled = await world.commit(name(5), 11)
    assert settled.state is ReservationState.COMMITTED
    assert [reading.used for reading in settled.readings] == [97, 0, 97, 0]


async def test_what_it_had_seen_it_knows_again(world: World) -> None:
    """Requests and events by their ids, extensions by their decisions."""
    amounts = Amounts(30, requests=1, concurrency=1)
    request = world.request(amounts, ttl_s=3_600, request_id="r-1")
    again = await world.make(Hold("res_YXBw.new", "dec_new", request), *LIMITS)
    assert again.reservation is not None
    assert (again.reservation.id, again.decision_id) == (name(1), "dec_1")
    assert await world.record(world.event(*LIMITS, tokens=2, name="e-1")) == Tally(0, 1)
    same = await world.extend(name(6), *LIMITS, tokens=5, ttl_s=3_600, decision_id="dec_x")
    assert same.reservation is not None
    assert same.reservation.tokens == 15
    assert await world.level(LIMITS[0]) == (86, 103)


async def test_grants_pay_beside_what_it_held(world: World) -> None:
    tight = limit(100, Fixed.BILLING_MONTH, name="monthly")
    await world.grant(200, "g")
    held = await world.held(tight, tokens=50)
    assert await world.balance("g") == (0, 50, 150)
    await world.commit(held, 60)
    await world.commit(name(1), 35)
    # When it was held there were no grants: what is used beyond it is the allowance's matter.
    assert await world.balance("g") == (60, 0, 140)
    assert await world.level(tight) == (121, 73)


async def test_subscriptions_are_where_they_were(path: Path) -> None:
    database = Database(path)
    database.open()
    try:
        since = time.monotonic()
        found = await SqliteSubscriptions(database).find(Subject("app", "user"), since=since)
    finally:
        database.close()
    assert found.plan == "pro"


async def test_many_processes_may_open_it_at_once(path: Path) -> None:
    databases = [Database(path, timeout_s=20) for _ in range(8)]
    try:
        await asyncio.gather(*(asyncio.to_thread(database.open) for database in databases))
    finally:
        for database in databases:
            database.close()
    clock = ManualClock(START + timedelta(seconds=10))
    async with sqlite_meter(path, clock) as meter:
        assert await World(meter, clock).level(LIMITS[0]) == (86, 103)


def test_a_file_that_cannot_be_brought_up_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    write(
        path,
        VERSION_1.replace("CREATE TABLE entry", "CREATE TABLE entries")
        .replace('"entry"', '"entries"')
        .replace("ON entry ", "ON entries "),
    )
    before = shape(path)
    with pytest.raises(ConfigurationError, match="no such table: entry"):
        Database(path).open()
    assert shape(path) == before


def shape(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()
        return [str(version), *connection.iterdump()]


async def test_a_file_brought_up_has_the_tables_of_a_new_one(path: Path, tmp_path: Path) -> None:
    for file in (path, tmp_path / "new.db"):
        database = Database(file)
        database.open()
        database.close()
    assert tables(path) == tables(tmp_path / "new.db")


async def test_a_file_that_had_no_journal_has_one_and_all_that_was_in_it(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "old.db"
    async with sqlite_meter(path, clock) as meter:
        held = await World(meter, clock).held(*LIMITS, tokens=30)
    write(path, "DROP TABLE journal", version=3)
    async with sqlite_meter(path, clock) as meter:
        world = World(meter, clock)
        await world.commit(held, 10)
        assert await world.level(LIMITS[0]) == (10, 0)
    async with sqlite_meter(tmp_path / "new.db", clock):
        pass
    assert tables(path) == tables(tmp_path / "new.db")


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Names and columns, by name; a column that came later may stand elsewhere."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        names = connection.execute("SELECT name, type FROM sqlite_schema WHERE sql IS NOT NULL")
        return {
            name: sorted(row[1:] for row in connection.execute(f"PRAGMA {kind}_info({name})"))
            for name, kind in names.fetchall()
        }
