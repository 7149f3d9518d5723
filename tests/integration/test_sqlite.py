"""What happens when one SQLite file is shared, killed, full, locked, or not ours at all."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.adapters.sqlite.database import Database, StoreUnavailable
from sidecar.adapters.sqlite.meter import SqliteMeter
from sidecar.adapters.sqlite.schema import APPLICATION_ID, SCHEMA_VERSION
from sidecar.adapters.sqlite.subscriptions import SqliteSubscriptions
from sidecar.adapters.sqlite.unfinished import Unfinished
from sidecar.domain.request import Subject
from sidecar.domain.subscription import Subscription
from sidecar.domain.usage import Tally
from sidecar.domain.windows import Fixed, from_ms
from sidecar.errors import (
    ConfigurationError,
    MeterUnavailable,
    RequestFault,
    SubscriptionsUnavailable,
)
from tests.contract.stores import PATIENCE_S, ManualClock, World, limit, seconds
from tests.processes import ROOT

EVER = limit(5_000, Fixed.LIFETIME)


def since() -> float:
    return time.monotonic()


@contextmanager
def opened(path: Path | None, timeout_s: float = PATIENCE_S) -> Iterator[Database]:
    database = Database(path, timeout_s=timeout_s)
    database.open()
    try:
        yield database
    finally:
        database.close()


@asynccontextmanager
async def held_up(database: Database) -> AsyncIterator[None]:
    """Keep its thread busy, so that whatever is asked meanwhile becomes one group."""
    begun, go_on = threading.Event(), threading.Event()

    def wait(_: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait(PATIENCE_S)

    busy = asyncio.create_task(database.run(wait, since=since()))
    await asyncio.to_thread(begun.wait, PATIENCE_S)
    try:
        yield
    finally:
        go_on.set()
        await busy


class Insert:
    """Work that writes one row, and may fail afterwards."""

    def __init__(self, user: str, fault: Exception | None = None, *, twice: bool = False) -> None:
        self._user = user
        self._fault = fault
        self._twice = twice

    def __call__(self, connection: sqlite3.Connection) -> str:
        for _ in range(2 if self._twice else 1):
            connection.execute("INSERT INTO subscription VALUES ('', ?, '')", (self._user,))
        if self._fault is not None:
            raise self._fault
        return self._user


async def users(database: Database) -> list[str]:
    def select(connection: sqlite3.Connection) -> list[str]:
        rows = connection.execute("SELECT user FROM subscription ORDER BY user")
        return [str(user) for (user,) in rows]

    return await database.run(select, since=since())


# -- groups ----------------------------------------------------------------------------------


async def test_work_that_raises_is_undone_and_does_not_hurt_its_neighbours(tmp_path: Path) -> None:
    faults = [ValueError("a defect"), RequestFault("a refusal"), OverflowError("too large")]
    with opened(tmp_path / "s.db") as database:
        async with held_up(database):
            group = asyncio.gather(
                database.run(Insert("a"), since=since()),
                *(database.run(Insert(f"bad-{fault}", fault), since=since()) for fault in faults),
                database.run(Insert("bad", twice=True), since=since()),
                database.run(Insert("z"), since=since()),
                return_exceptions=True,
            )
            await asyncio.sleep(0)
        first, *failed, broke, last = await group
        assert (first, last) == ("a", "z")
        assert failed == faults
        assert isinstance(broke, StoreUnavailable)
        assert "UNIQUE constraint failed" in str(broke)
        assert await users(database) == ["a", "z"]


async def test_work_that_is_unfinished_goes_on_in_a_transaction_of_its_own(tmp_path: Path) -> None:
    """So that others may write in between."""
    with opened(tmp_path / "s.db") as database:
        other = sqlite3.connect(tmp_path / "s.db", check_same_thread=False)
        seen: list[int] = []

        def work(connection: sqlite3.Connection) -> int:
            (count,) = other.execute("SELECT COUNT(*) FROM subscription").fetchone()
            seen.append(count)
            Insert(f"part-{len(seen)}")(connection)
            if len(seen) < 4:
                raise Unfinished
            return len(seen)

        async with held_up(database):
            group = asyncio.gather(
                database.run(Insert("a"), since=since()),
                database.run(work, since=since()),
                database.run(Insert("z"), since=since()),
            )
            await asyncio.sleep(0)
        first, parts, last = await group
        assert (first, parts, last) == ("a", 4, "z")
        # What came before it in its group was on the disk before it went on.
        assert seen == [0, 2, 3, 4]
        assert await users(database) == ["a", "part-1", "part-2", "part-3", "part-4", "z"]
        other.close()


async def test_many_groups_keep_every_callers_result_apart(tmp_path: Path) -> None:
    with opened(tmp_path / "s.db") as database:
        names = [f"user-{number:04}" for number in range(1_000)]
        calls = (database.run(Insert(name), since=since()) for name in names)
        assert await asyncio.gather(*calls) == names
        assert await users(database) == names


async def test_work_of_a_caller_that_went_away_is_not_begun(tmp_path: Path) -> None:
    with opened(tmp_path / "s.db") as database:
        async with held_up(database):
            gone = asyncio.create_task(database.run(Insert("gone"), since=since()))
            stays = asyncio.create_task(database.run(Insert("stays"), since=since()))
            await asyncio.sleep(0)
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
        assert await stays == "stays"
        assert await users(database) == ["stays"]


async def test_a_caller_waits_no_longer_than_its_time(tmp_path: Path) -> None:
    with opened(tmp_path / "s.db", timeout_s=0.05) as database:
        go_on = threading.Event()
        blocked = database.run(lambda _: go_on.wait(PATIENCE_S), since=since())
        meter = SqliteMeter(database)
        with pytest.raises(StoreUnavailable, match="the database did not answer within"):
            await blocked
        with pytest.raises(MeterUnavailable):
            await meter.ping(since=since())
        with pytest.raises(SubscriptionsUnavailable):
            await SqliteSubscriptions(database).find(Subject("app", "bob"), since=since())
        go_on.set()


# -- opening and closing ---------------------------------------------------------------------


async def test_a_database_that_is_closed_says_so(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.db")
    with pytest.raises(StoreUnavailable, match="the database is closed"):
        await database.run(Insert("a"), since=since())
    database.open()
    database.close()
    database.close()
    with pytest.raises(StoreUnavailable, match="the database is closed"):
        await database.run(Insert("a"), since=since())


async def test_what_was_asked_before_closing_is_still_done(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.db", timeout_s=PATIENCE_S)
    database.open()
    calls = [
        asyncio.create_task(database.run(Insert(f"{number:03}"), since=since()))
        for number in range(200)
    ]
    await asyncio.sleep(0)
    database.close()
    assert len(await asyncio.gather(*calls)) == 200
    with opened(tmp_path / "s.db") as again:
        assert len(await users(again)) == 200


async def test_the_file_and_its_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "not" / "yet" / "s.db"
    with opened(path) as database:
        await database.run(Insert("a"), since=since())
    with opened(path) as database:
        assert await users(database) == ["a"]


async def test_a_database_in_memory_works_and_leaves_nothing() -> None:
    with opened(None) as database:
        world = World(SqliteMeter(database))
        await world.commit(await world.held(EVER, tokens=10), 7)
        assert await world.level(EVER) == (7, 0)
    with opened(None) as database:
        assert await World(SqliteMeter(database)).level(EVER) == (0, 0)


async def test_a_commit_is_on_the_disk_before_it_is_acknowledged(tmp_path: Path) -> None:
    """The log is synced at every commit: a power cut takes nothing that was told."""
    with opened(tmp_path / "s.db") as database:

        def pragmas(connection: sqlite3.Connection) -> list[object]:
            names = ("journal_mode", "synchronous")
            return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

        assert await database.run(pragmas, since=since()) == ["wal", 2]


@pytest.mark.parametrize("version", [0, SCHEMA_VERSION + 1, 99, -1])
def test_a_file_of_another_version_is_refused_and_left_as_it_is(
    tmp_path: Path, version: int
) -> None:
    path = tmp_path / "s.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    with pytest.raises(
        ConfigurationError,
        match=rf"s\.db: the database has schema {version}, this version reads {SCHEMA_VERSION}",
    ):
        Database(path).open()
    with sqlite3.connect(path) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema").fetchall()
    connection.close()
    assert tables == [("theirs",)]


@pytest.mark.parametrize(
    ("application", "version", "table"),
    [(0, 0, "theirs"), (0, SCHEMA_VERSION, "theirs"), (7, 0, None), (0, 3, None)],
)
def test_a_file_of_another_program_is_refused_and_left_as_it_is(
    tmp_path: Path, application: int, version: int, table: str | None
) -> None:
    path = tmp_path / "s.db"
    with sqlite3.connect(path) as connection:
        if table is not None:
            connection.execute(f"CREATE TABLE {table} (x)")
        connection.execute(f"PRAGMA application_id = {application}")
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match=r"s\.db: the database is another program's"):
        Database(path).open()
    assert path.read_bytes() == before


def test_a_file_that_is_empty_is_as_good_as_none(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.touch()
    for _ in range(2):
        with opened(path):
            pass


async def test_a_file_without_our_tables_is_not_ready(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with opened(path) as database:
        meter = SqliteMeter(database)
        await meter.ping(since=since())
        with sqlite3.connect(path) as connection:
            connection.execute("DROP TABLE counter")
        connection.close()
        with pytest.raises(MeterUnavailable, match="no such table"):
            await meter.ping(since=since())


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    path.write_text("this is a letter, not a database; " * 100)
    with pytest.raises(ConfigurationError, match="file is not a database"):
        Database(path).open()
    assert path.read_text().startswith("this is a letter")


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        Database(tmp_path).open()


def test_a_file_that_cannot_be_opened_is_named_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    with pytest.raises(ConfigurationError, match=f"^{tmp_path}/data: the database cannot be op"):
        Database(Path("data")).open()


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        Database(tmp_path / "data" / "s.db").open()


# -- a file in trouble -----------------------------------------------------------------------


async def test_a_full_disk_fails_the_group_and_not_what_comes_after(tmp_path: Path) -> None:
    with opened(tmp_path / "s.db") as database:
        await database.run(Insert("before"), since=since())

        def fill(connection: sqlite3.Connection) -> None:
            (pages,) = connection.execute("PRAGMA page_count").fetchone()
            connection.execute(f"PRAGMA max_page_count = {pages}")

        await database.run(fill, since=since())
        with pytest.raises(StoreUnavailable, match="full"):
            await database.run(Insert("x" * 100_000), since=since())
        await database.run(
            lambda connection: connection.execute("PRAGMA max_page_count = 1000000").fetchone(),
            since=since(),
        )
        await database.run(Insert("later"), since=since())
        assert await users(database) == ["before", "later"]


async def test_a_file_that_another_process_locks_is_unavailable_until_it_lets_go(
    tmp_path: Path,
) -> None:
    with opened(tmp_path / "s.db", timeout_s=0.1) as database:
        other = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        world = World(SqliteMeter(database))
        with pytest.raises(MeterUnavailable):
            await world.held(EVER, tokens=10)
        other.execute("ROLLBACK")
        other.close()
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                await world.held(EVER, tokens=10)
                break
            except MeterUnavailable:
                assert time.monotonic() < deadline
        used, held = await world.level(EVER)
        assert used == 0
        # The first call had given up; whether it was done in the end is not known.
        assert held in {10, 20}


async def test_the_file_does_not_grow_with_what_nobody_needs_any_more(tmp_path: Path) -> None:
    clock = ManualClock()
    hourly, burst = limit(None, Fixed.HOUR), limit(None, seconds(60))
    with opened(tmp_path / "s.db") as database:
        world = World(SqliteMeter(database, now_ms=clock.now_ms), clock)

        async def rows() -> dict[str, int]:
            def count(connection: sqlite3.Connection) -> dict[str, int]:
                names = ("counter", "reservation", "request", "event")
                return {
                    name: connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()[0]
                    for name in names
                }

            return await database.run(count, since=since())

        async def spend() -> None:
            for number in range(260):
                name = await world.held(hourly, burst, tokens=1, request_id=f"r-{number}")
                if number % 3:
                    await world.commit(name, 1)
                await world.use(hourly, burst, tokens=1)
                clock.advance(seconds=7)

        await spend()
        first = await rows()
        for _ in range(3):
            clock.advance(days=9)
            await spend()
        clock.advance(days=9)
        for _ in range(512):
            await world.use(hourly, tokens=1)
        assert min(first[name] for name in ("reservation", "request", "event")) > 100
        assert await rows() == {"counter": 1, "reservation": 0, "request": 0, "event": 512}


async def test_statements_go_400_days_after_the_end_of_their_period(tmp_path: Path) -> None:
    clock, monthly = ManualClock(), limit(None, Fixed.MONTH)
    with opened(tmp_path / "s.db") as database:
        world = World(SqliteMeter(database, now_ms=clock.now_ms), clock)
        await world.use(monthly, tokens=1)
        clock.advance(days=28)
        await world.use(monthly, tokens=1, at=clock.now - timedelta(days=5))
        months = []
        for days in (390, 20):
            clock.advance(days=days)
            for _ in range(256):
                await world.use(monthly, tokens=1)
            starts = [from_ms(each.key.start_ms) for each in await world.statements()]
            months.append([f"{start:%Y-%m}" for start in starts])
        assert months == [["2026-05", "2027-06"], ["2027-06", "2027-07"]]


async def test_thousands_of_overdue_reservations_are_no_long_transaction(tmp_path: Path) -> None:
    """They are ended before an answer all the same; another app's do not hold it up."""
    clock = ManualClock()
    with opened(tmp_path / "s.db") as database:
        world = World(SqliteMeter(database, now_ms=clock.now_ms), clock)
        unlimited = limit(None, Fixed.LIFETIME)
        await asyncio.gather(*(world.held(unlimited, tokens=1) for _ in range(4_100)))
        clock.advance(seconds=60)

        async def live() -> int:
            def count(connection: sqlite3.Connection) -> int:
                query = "SELECT COUNT(*) FROM reservation WHERE state = 'held'"
                return int(connection.execute(query).fetchone()[0])

            return await database.run(count, since=since())

        assert await world.of("other").level(unlimited) == (0, 0)
        assert await live() == 2_100
        assert await world.level(unlimited) == (0, 0)
        assert await live() == 0


# -- several processes -----------------------------------------------------------------------

_WRITER = """
import asyncio, sys, time
from pathlib import Path
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.meter import SqliteMeter
from tests.contract.stores import World, limit
from tests.integration.test_sqlite import EVER

async def main(path, name, job):
    database = Database(Path(path), timeout_s=20)
    database.open()
    world = World(SqliteMeter(database))
    print("ready", flush=True)
    sys.stdin.readline()
    await globals()[job](world, name)
    database.close()

async def race(world, name):
    world.user = "shared"
    holds = [world.hold(100) for _ in range(60)]
    made = 0
    for hold in holds:
        hold = type(hold)(hold.reservation_id + name, hold.decision_id, hold.request)
        made += (await world.make(hold, EVER)).reservation is not None
    print(made, flush=True)

async def report(world, name):
    for number in range(100_000):
        event = world.event(limit(None, EVER.window), tokens=1, name=f"{name}-{number}")
        await world.record(event)
        print(f"{name}-{number}", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


class Writer:
    """A process that writes to a file of its own accord."""

    def __init__(self, path: Path, name: str, job: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path), name, job],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def go(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """As a power cut would end it; what it said is kept."""
        self.process.kill()

    def rest(self) -> list[str]:
        """The lines that it wrote before it ended."""
        assert self.process.stdout is not None
        said = self.process.stdout.read()
        self.process.wait(PATIENCE_S)
        return said.split("\n")[:-1]


@contextmanager
def writers(path: Path, names: list[str], job: str) -> Iterator[list[Writer]]:
    started = [Writer(path, name, job) for name in names]
    try:
        for writer in started:
            assert writer.line() == "ready"
        yield started
    finally:
        for writer in started:
            writer.kill()
            writer.process.communicate(timeout=PATIENCE_S)


async def test_two_processes_that_race_for_one_limit_get_exactly_what_it_has(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.db"
    with writers(path, ["one", "two"], "race") as racing:
        for writer in racing:
            writer.go()
        made = [int(writer.rest()[-1]) for writer in racing]
    assert sum(made) == 50
    with opened(path) as database:
        shared = World(SqliteMeter(database), user="shared")
        assert await shared.level(EVER) == (0, 5_000)


async def test_a_process_that_is_killed_loses_nothing_that_it_acknowledged(
    tmp_path: Path,
) -> None:
    path = tmp_path / "s.db"
    unlimited = limit(None, EVER.window)
    with writers(path, ["one", "two"], "report") as reporting:
        for writer in reporting:
            writer.go()
        acknowledged = [writer.line() for writer in reporting for _ in range(50)]
        for writer in reporting:
            writer.kill()
        acknowledged += [name for writer in reporting for name in writer.rest()]
    with opened(path) as database:
        world = World(SqliteMeter(database))
        used, _ = await world.level(unlimited)
        # One more of each may have been on the disk, and not yet told.
        assert len(acknowledged) <= used <= len(acknowledged) + 2
        again = [world.event(unlimited, tokens=1, name=name) for name in acknowledged]
        assert await world.record(*again) == Tally(0, len(acknowledged))


async def test_two_databases_on_one_file_see_each_others_pushes(tmp_path: Path) -> None:
    with opened(tmp_path / "s.db") as one, opened(tmp_path / "s.db") as other:
        stores = SqliteSubscriptions(one), SqliteSubscriptions(other)
        for number in range(20):
            start = World(SqliteMeter(one)).clock.now
            pushed = Subscription(
                "bob",
                "app",
                f"plan-{number}",
                updated_at=start + timedelta(days=number),
                event_id=f"e-{number}",
            )
            await stores[number % 2].sync(pushed, since=since())
        found = await stores[0].find(Subject("app", "bob"), since=since())
        assert found.plan == "plan-19"
        assert len(found.history) == 20


async def test_many_databases_open_one_new_file_at_once(tmp_path: Path) -> None:
    databases = [Database(tmp_path / "s.db", timeout_s=PATIENCE_S) for _ in range(8)]
    try:
        await asyncio.gather(*(asyncio.to_thread(database.open) for database in databases))
        for number, database in enumerate(databases):
            await database.run(Insert(f"{number}"), since=since())
        assert len(await users(databases[0])) == 8
    finally:
        for database in databases:
            database.close()
