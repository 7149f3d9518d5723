"""What does a request cost on SQLite: how long, how much CPU, and how many statements?

The meter alone, in this process: each caller reserves under three limits and commits what was
used, for a thousand users in turn. Every round has a file of its own.

    python -m tests.benchmarks.sqlite_cost [--rounds 5] [--operations 4000] [--apart] [--statements]
"""

import argparse
import asyncio
import re
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop

from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.meter import SqliteMeter
from sidecar.domain.request import Amounts
from tests.benchmarks.calm import calm_garbage_collection
from tests.benchmarks.traffic import Asked, asked

AT_ONCE: Final = (1, 32, 64)
USED: Final = Amounts(1_000, 750, 250)
_PATIENCE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Round:
    """One round; an operation is a reservation or a commit.

    Attributes:
        rate: operations in a second.
        cpu_us: CPU of this process for one operation.
        writer_us: the part of it of the thread that writes.
    """

    rate: float
    cpu_us: float
    writer_us: float


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--operations", type=int, default=4_000)
    parser.add_argument("--at-once", type=int, nargs="*", default=AT_ONCE)
    parser.add_argument("--folder", help="where the files are; in memory no disk is waited for")
    parser.add_argument("--statements", action="store_true", help="count statements of each verb")
    told = parser.parse_args()
    with calm_garbage_collection():
        if told.statements:
            uvloop.run(_print_statements())
        for at_once in told.at_once:
            operations = told.operations // (1 if at_once > 1 else 4)
            rounds = [
                uvloop.run(_round(at_once, operations, told.folder)) for _ in range(told.rounds)
            ]
            rates = [each.rate for each in rounds]
            best = max(rounds, key=lambda each: each.rate)
            print(
                f"{at_once:3} at once: {statistics.median(rates):7.0f} ops/s "
                f"({min(rates):.0f}-{max(rates):.0f}); best: {1e6 / best.rate:6.1f} µs each, "
                f"{best.cpu_us:6.1f} µs of CPU, {best.writer_us:6.1f} of them in the thread"
            )


async def _round(at_once: int, operations: int, where: str | None) -> Round:
    wanted = [asked(number) for number in range(operations // 2 + 2_000)]
    with tempfile.TemporaryDirectory(prefix="bench-sqlite-", dir=where) as folder:
        database = Database(Path(folder) / "s.db", timeout_s=_PATIENCE_S)
        database.open()
        try:
            meter = SqliteMeter(database)
            waiting = iter(wanted)
            await _drive(meter, (next(waiting) for _ in range(2_000)), 64)
            cpu_s, writer_s = time.process_time(), await _writer_s(database)
            began_s = time.perf_counter()
            await _drive(meter, waiting, at_once)
            wall_s = time.perf_counter() - began_s
            cpu_s, writer_s = (
                time.process_time() - cpu_s,
                await _writer_s(database) - writer_s,
            )
        finally:
            database.close()
    return Round(operations / wall_s, cpu_s / operations * 1e6, writer_s / operations * 1e6)


async def _writer_s(database: Database) -> float:
    return await database.run(lambda _: time.thread_time(), since=time.monotonic())


async def _drive(meter: SqliteMeter, waiting: Iterator[Asked], at_once: int) -> None:
    async def call() -> None:
        for each in waiting:
            metering = await meter.reserve(each.hold, each.charges, since=time.monotonic())
            assert metering.reservation is not None
            await meter.commit(
                metering.reservation.id, USED, final=True, since=time.monotonic(), model="gpt-4o"
            )

    await asyncio.gather(*(call() for _ in range(at_once)))


async def _print_statements() -> None:
    """Statements of each verb, one caller at a time and 64 together."""
    wanted = [asked(number % 100 + number // 100 * 1_000) for number in range(400)]
    with tempfile.TemporaryDirectory(prefix="bench-sqlite-") as folder:
        database = Database(Path(folder) / "s.db", timeout_s=_PATIENCE_S)
        database.open()
        meter = SqliteMeter(database)
        seen: list[str] = []

        def trace(connection: Any) -> None:
            connection.set_trace_callback(seen.append)

        async def reserve(each: Asked) -> None:
            await meter.reserve(each.hold, each.charges, since=time.monotonic())

        async def commit(each: Asked) -> None:
            await meter.commit(
                each.hold.reservation_id, USED, final=True, since=time.monotonic(), model="gpt-4o"
            )

        for each in wanted[:100]:
            await reserve(each)
            await commit(each)
        await database.run(trace, since=time.monotonic())
        for verb in (reserve, commit):
            seen.clear()
            await verb(wanted[100])
            _print_seen(f"{verb.__name__} alone", seen, 1)
        for verb in (reserve, commit):
            seen.clear()
            await asyncio.gather(*(verb(each) for each in wanted[200:264]))
            _print_seen(f"{verb.__name__}, 64 at once, each", seen, 64)
        database.close()


def _print_seen(name: str, seen: list[str], verbs: int) -> None:
    kinds = Counter(re.sub(r"'[^']*'|\b\d+\b", "?", each)[:70].replace("\n", " ") for each in seen)
    print(f"{name}: {len(seen) / verbs:.1f} statements")
    for kind, count in kinds.most_common():
        print(f"  {count:5} {kind}")


if __name__ == "__main__":
    main()
