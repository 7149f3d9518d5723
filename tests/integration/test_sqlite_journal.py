"""What stands in the journal of a SQLite file is as good as in its tables."""

import asyncio
import shutil
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.adapters.sqlite import database as databases
from sidecar.adapters.sqlite import ledger as ledgers
from sidecar.adapters.sqlite.ledger import Ledger
from sidecar.adapters.sqlite.meter import SqliteMeter
from sidecar.domain.request import MeterKind
from sidecar.domain.windows import Fixed
from tests.contract.stores import PATIENCE_S, ManualClock, World, limit, seconds
from tests.integration.test_sqlite import opened

MONTHLY = limit(40_000, Fixed.BILLING_MONTH, name="monthly")
MINUTE = limit(9_000, seconds(60), name="minute")
RUNNING = limit(99, Fixed.LIFETIME, MeterKind.CONCURRENCY, name="running")
LIMITS = (MONTHLY, MINUTE, RUNNING)


@pytest.fixture(autouse=True)
def _alone_at_once_and_never_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledgers, "_ALONE", 0)
    monkeypatch.setattr(databases, "_IDLE_S", 60.0)


@asynccontextmanager
async def world_on(path: Path, clock: ManualClock) -> AsyncIterator[World]:
    with opened(path) as database:
        yield World(SqliteMeter(database, now_ms=clock.now_ms), clock)


def copy_of(path: Path, folder: Path) -> Path:
    """What a process that is killed now leaves behind."""
    folder.mkdir()
    for each in path.parent.glob(f"{path.name}*"):
        # The index of the log is made anew by whoever opens it.
        if each.is_file() and not each.name.endswith("-shm"):
            shutil.copy(each, folder)
    return folder / path.name


def rows(path: Path, table: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2, 3").fetchall()


def noted(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("SELECT COUNT(*) FROM journal").fetchone()
        return int(count)


async def play(world: World) -> list[str]:
    """Some of all that groups write: what holds still, what has ended, what has left its window."""
    held = []
    for number in range(4):
        name = f"r-{number}" if number % 2 else ""
        made = await world.reserve(*LIMITS, tokens=100 + number, request_id=name)
        assert made.reservation is not None
        held.append(made.reservation.id)
        world.clock.advance(seconds=2)
    await world.commit(held[0], 70)
    await world.release(held[1])
    await world.commit(held[2], 30, final=False)
    return held


async def told(world: World, held: list[str]) -> list[object]:
    levels = await world.levels(*LIMITS)
    again = await world.commit(held[0], 70)
    first = await world.reserve(*LIMITS, tokens=103, request_id="r-3")
    return [levels, again, first, await world.statements(), await world.usage("ann")]


async def test_a_process_that_is_killed_leaves_all_that_it_has_acknowledged(tmp_path: Path) -> None:
    path, clock = tmp_path / "s.db", ManualClock()
    async with world_on(path, clock) as world:
        # The first use of an app is written at once.
        await world.commit(await world.held(*LIMITS, tokens=1), 1)
        held = await play(world)
        left = copy_of(path, tmp_path / "left")
        assert noted(left) == 7
        assert len(rows(left, "reservation")) == 1
        expected = await told(world, held)
    async with world_on(left, clock) as after:
        assert await told(after, held) == expected
    assert noted(path) == noted(left) == 0
    for table in ("counter", "reservation", "request", "usage", "statement"):
        assert rows(left, table) == rows(path, table) != []


async def test_another_process_finds_what_the_first_one_has_only_noted(tmp_path: Path) -> None:
    path, clock = tmp_path / "s.db", ManualClock()
    async with world_on(path, clock) as world:
        held = await play(world)
        expected = await world.levels(*LIMITS)
        with opened(path) as database:
            other = replace(world, meter=SqliteMeter(database, now_ms=clock.now_ms))
            assert noted(path) > 0
            assert await other.levels(*LIMITS) == expected
            assert noted(path) == 0
            await other.commit(held[3], 50)
            assert await world.levels(*LIMITS) == await other.levels(*LIMITS)
            # Each has something in turn that is noted by it alone.
            for one in (world, other, world, other):
                await one.held(*LIMITS, tokens=5)
                await one.held(*LIMITS, tokens=6)
            assert await world.levels(*LIMITS) == await other.levels(*LIMITS)


@pytest.mark.parametrize("fault", [ValueError, OverflowError])
async def test_a_group_that_fails_takes_nothing_along_that_was_noted_before(
    tmp_path: Path, fault: type[Exception]
) -> None:
    path = tmp_path / "s.db"
    with opened(path) as database:
        world = World(SqliteMeter(database))
        first = await world.held(*LIMITS, tokens=1)
        await world.held(*LIMITS, tokens=2)

        def fail(ledger: Ledger) -> None:
            ledger.take_turn(world.app, world.clock.now_ms())
            record = ledger.reservations.find(first)
            assert record is not None
            ledger.let_go(record)
            ledger.settle()
            if fault is OverflowError:
                # Found out when it is written.
                record.tokens = 2**70
                ledger.reservations.extend(record)
                return
            raise fault("half-way")

        assert noted(path) == 2
        answers = await asyncio.gather(
            world.held(*LIMITS, tokens=4),
            database.count(fail, since=time.monotonic()),
            return_exceptions=True,
        )
        assert isinstance(answers[0], str)
        assert isinstance(answers[1], fault)
        assert await world.levels(*LIMITS) == [(0, 7), (0, 7), (0, 3)]


async def test_what_reads_the_tables_finds_what_was_noted(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with opened(path) as database:
        world = World(SqliteMeter(database))
        await world.held(*LIMITS, tokens=3)
        assert noted(path) == 1
        held = await database.run(
            lambda connection: connection.execute(
                "SELECT held FROM counter WHERE name LIKE 'tokens:billing%'"
            ).fetchall(),
            since=time.monotonic(),
        )
        assert held == [(3,)]
        assert noted(path) == 0


async def test_what_reads_other_tables_leaves_the_journal_alone(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    with opened(path) as database:
        world = World(SqliteMeter(database))
        await world.held(*LIMITS, tokens=3)
        await database.look(
            lambda connection: connection.execute("SELECT * FROM subscription").fetchall(),
            since=time.monotonic(),
        )
        assert noted(path) == 1
        assert await world.levels(*LIMITS) == [(0, 3), (0, 3), (0, 1)]


async def test_when_nobody_comes_the_journal_is_written_into_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "_IDLE_S", 0.01)
    path = tmp_path / "s.db"
    with opened(path) as database:
        world = World(SqliteMeter(database))
        await world.held(*LIMITS, tokens=3)
        deadline = time.monotonic() + PATIENCE_S
        while noted(path):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)
        assert len(rows(path, "reservation")) == 1
        assert await world.levels(*LIMITS) == [(0, 3), (0, 3), (0, 1)]


async def test_a_journal_that_has_grown_is_written_into_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledgers, "_NOTED", 20)
    path, clock = tmp_path / "s.db", ManualClock()
    async with world_on(path, clock) as world:
        most = 0
        for number in range(30):
            name = await world.held(*LIMITS, tokens=3)
            await replace(world, user=f"u{number % 3}").held(MINUTE, tokens=1)
            clock.advance(milliseconds=300)
            await world.commit(name, 2)
            most = max(most, noted(path))
        assert 1 < most < 20
        assert (await world.levels(*LIMITS))[0] == (60, 0)
