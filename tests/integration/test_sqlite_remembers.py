"""What is remembered of a SQLite file is what is in it, whoever writes it and whatever fails."""

import asyncio
import random
import sqlite3
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.adapters.sqlite import ledger as ledgers
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.ledger import Ledger
from sidecar.adapters.sqlite.meter import SqliteMeter
from sidecar.adapters.sqlite.remembered import Remembered
from sidecar.domain.request import MeterKind
from sidecar.domain.windows import Fixed
from sidecar.errors import RequestFault, ReservationEnded
from tests.contract.stores import (
    PATIENCE_S,
    ManualClock,
    World,
    limit,
    seconds,
    sqlite_meter,
)

MONTHLY = limit(4_000, Fixed.BILLING_MONTH, name="monthly")
MINUTE = limit(900, seconds(60), name="minute")
RUNNING = limit(9, Fixed.LIFETIME, MeterKind.CONCURRENCY, name="running")
LIMITS = (MONTHLY, MINUTE, RUNNING)
USERS = ("ann", "bob", "cy")


async def played(path: Path, writers: int, seed: int) -> list[object]:
    """What random calls were answered, and what they came to, with the same file open so often."""
    chance, clock = random.Random(seed), ManualClock()
    answers: list[object] = []
    async with AsyncExitStack() as stack:
        meters = [
            await stack.enter_async_context(sqlite_meter(path, clock)) for _ in range(writers)
        ]
        world = World(meters[0], clock)
        held: list[str] = []
        for number in range(120):
            # Drawn whatever the number of writers is, so that all play the same.
            step, place, tokens = chance.random(), chance.randrange(12), chance.randrange(1, 300)
            world.meter = meters[chance.randrange(12) % writers]
            world.user = USERS[place % 3]
            try:
                if step < 0.4:
                    name = f"r-{number // 2}"
                    made = await world.reserve(*LIMITS, tokens=tokens, request_id=name)
                    if made.reservation is not None:
                        held.append(made.reservation.id)
                    answers.append([(it.used, it.reserved, it.resets_at) for it in made.readings])
                elif step < 0.6 and held:
                    settled = await world.commit(held[place % len(held)], tokens, final=place < 6)
                    answers.append([(it.used, it.reserved) for it in settled.readings])
                elif step < 0.7 and held:
                    settled = await world.release(held.pop())
                    answers.append([(it.used, it.reserved) for it in settled.readings])
                elif step < 0.8:
                    at = clock.now - timedelta(seconds=place * 9)
                    await world.use(*LIMITS, tokens=tokens, at=at)
                elif step < 0.85:
                    await world.grant(tokens, f"grant-{number}")
                else:
                    clock.advance(seconds=chance.choice((0.2, 7, 31, -3)))
            except RequestFault as error:
                answers.append(f"{error}")
        for meter in meters:
            for user in USERS:
                one = replace(world, meter=meter, user=user)
                answers.append(await one.levels(*LIMITS))
        for user in USERS:
            one = replace(world, user=user)
            answers += [await one.statements(), await one.usage(user), await one.balances()]
    return answers


@pytest.mark.parametrize("groups", [0, 2, 1_000])
@pytest.mark.parametrize("seed", range(4))
async def test_several_who_write_one_file_in_turn_answer_as_one_alone_would(
    tmp_path: Path, seed: int, groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However soon each of them begins to keep a journal."""
    monkeypatch.setattr(ledgers, "_ALONE", groups)
    alone = await played(tmp_path / "alone.db", 1, seed)
    together = await played(tmp_path / "together.db", 3, seed)
    # The levels are told by each of them.
    levels = alone[-12:-9]
    assert together[: len(alone) - 12] == alone[:-12]
    assert together[len(alone) - 12 : -9] == levels * 3
    assert together[-9:] == alone[-9:]


async def test_what_another_program_changes_is_seen_at_once(tmp_path: Path) -> None:
    async with sqlite_meter(tmp_path / "s.db", ManualClock()) as meter:
        world = World(meter)
        name = await world.held(*LIMITS, tokens=30)
        with closing(sqlite3.connect(tmp_path / "s.db")) as other:
            other.execute("UPDATE counter SET used = 100 WHERE name LIKE 'tokens:billing%'")
            other.commit()
        assert await world.level(MONTHLY) == (100, 30)
        await world.commit(name, 10)
        assert await world.level(MONTHLY) == (110, 0)


async def test_what_is_changed_beside_the_ledger_is_seen_at_once(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.db", timeout_s=PATIENCE_S)
    database.open()
    try:
        world = World(SqliteMeter(database))
        name = await world.held(MONTHLY, tokens=30)
        held = await database.run(
            lambda connection: connection.execute("SELECT held FROM counter").fetchone(),
            since=time.monotonic(),
        )
        assert held == (30,)
        await database.run(
            lambda connection: connection.execute("UPDATE counter SET used = 5").rowcount,
            since=time.monotonic(),
        )
        await world.commit(name, 10)
        assert await world.level(MONTHLY) == (15, 0)
    finally:
        database.close()


@pytest.mark.parametrize("fault", [ValueError, RequestFault, OverflowError])
async def test_what_fails_half_way_leaves_nothing_and_takes_nobody_along(
    tmp_path: Path, fault: type[Exception]
) -> None:
    """Not in the file, and not in what is remembered."""
    database = Database(tmp_path / "s.db", timeout_s=PATIENCE_S)
    database.open()
    try:
        world = World(SqliteMeter(database))
        first = await world.held(*LIMITS, tokens=1)

        def fail(ledger: Ledger) -> None:
            ledger.take_turn(world.app, world.clock.now_ms())
            record = ledger.reservations.find(first)
            assert record is not None
            ledger.let_go(record)
            for cell in ledger.counters.load(world.app, record.account.entries):
                ledger.counters.hold(cell, cell.a, 1_000)
            ledger.settle()
            if fault is OverflowError:
                # Found out when it is written; SQLite has no such number.
                record.tokens = 2**70
                ledger.reservations.extend(record)
                return
            raise fault("half-way")

        told = await asyncio.gather(
            world.held(*LIMITS, tokens=2),
            database.count(fail, since=time.monotonic()),
            world.held(*LIMITS, tokens=4),
            return_exceptions=True,
        )
        assert [type(each) for each in told] == [str, fault, str]
        assert await world.levels(*LIMITS) == [(0, 7), (0, 7), (0, 3)]
        await world.commit(first, 1)
        assert await world.levels(*LIMITS) == [(1, 6), (1, 6), (0, 2)]
    finally:
        database.close()


async def test_a_refusal_costs_those_beside_it_nothing(tmp_path: Path) -> None:
    database = Database(tmp_path / "s.db", timeout_s=PATIENCE_S)
    database.open()
    try:
        world = World(SqliteMeter(database))
        name = await world.held(MONTHLY, tokens=30)
        await world.commit(name, 30)
        savepoints = 0

        def trace(connection: sqlite3.Connection) -> None:
            def see(statement: str) -> None:
                nonlocal savepoints
                savepoints += statement.startswith("SAVEPOINT")

            connection.set_trace_callback(see)

        await database.run(trace, since=time.monotonic())
        calls: Sequence[object] = await asyncio.gather(
            world.held(MONTHLY, tokens=1),
            world.commit(name, 31),
            world.held(MONTHLY, tokens=2),
            return_exceptions=True,
        )
        assert [type(each) for each in calls] == [str, ReservationEnded, str]
        assert await world.level(MONTHLY) == (30, 3)
        assert savepoints == 0
    finally:
        database.close()


async def test_many_who_count_at_once_share_the_rows_that_they_have_in_common(
    tmp_path: Path,
) -> None:
    pool = limit(None, Fixed.BILLING_MONTH, name="pool", per=())
    database = Database(tmp_path / "s.db", timeout_s=PATIENCE_S)
    database.open()
    try:
        clock = ManualClock()
        world = World(SqliteMeter(database, now_ms=clock.now_ms), clock)
        await world.use(pool, tokens=1)
        seen: list[str] = []
        await database.run(
            lambda connection: connection.set_trace_callback(seen.append), since=time.monotonic()
        )
        await asyncio.gather(*(world.use(pool, tokens=1) for _ in range(40)))
        assert await world.level(pool) == (41, 0)
        assert (await world.page(None)).statements[0].used == 41
        for table in ("counter", "statement", "usage"):
            assert 1 <= sum(f" {table} " in each and "SELECT" not in each for each in seen) <= 8
    finally:
        database.close()


def test_what_is_looked_at_stays_remembered_and_the_rest_goes() -> None:
    known: Remembered[int, str] = Remembered(most=3)
    for number in range(3):
        known[number] = f"{number}"
    known.tidy()
    assert known.known(0) == "0"
    for number in (3, 4):
        known[number] = f"{number}"
    known.tidy()
    assert [known.known(number) for number in range(5)] == ["0", None, None, "3", "4"]
    known.drop(4)
    known.drop(3)
    assert known.known(4) is None
    known.clear()
    assert known.known(0) is None


async def test_a_hold_that_another_process_has_made_is_answered_by_its_reservation(
    tmp_path: Path,
) -> None:
    """Though there is no room for another, and those who share the transaction get theirs."""
    clock = ManualClock()
    async with (
        sqlite_meter(tmp_path / "s.db", clock) as one,
        sqlite_meter(tmp_path / "s.db", clock) as other,
    ):
        world = World(one, clock)
        hold = world.hold(891)
        first = await world.make(hold, *LIMITS)
        beside = replace(world, meter=other)
        again, *_ = await asyncio.gather(
            beside.make(hold, *LIMITS),
            beside.held(*LIMITS, tokens=4),
            beside.held(*LIMITS, tokens=5),
        )
        assert again == first
        assert await world.levels(*LIMITS) == [(0, 900), (0, 900), (0, 3)]
