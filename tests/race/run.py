"""A race from its start to its figures."""

import asyncio
import multiprocessing
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sidecar.domain.limits import Reading
from sidecar.domain.windows import Sliding
from sidecar.ports import Meter
from tests.contract.stores import PATIENCE_S, World
from tests.race.course import Course, app_of, meter_over
from tests.race.ledger import ExactLog, read_ledgers
from tests.race.oracle import Overrun, overrun, recent, totals
from tests.race.racer import BRIEF_S, START_S, race

TOGETHER: Final = 64
PROGRESS_S: Final = 10.0
HANGS_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What a race gave.

    Attributes:
        tally: operations, grants, refusals and the rest, as the processes counted them.
        counters, ledger: units in the lifetimes of all users, as read and as the log has them.
        differing: users whose lifetime is not what the log says.
        adrift: users of whom a sliding window showed what it could not, after the end.
        held: units still held after the last expiry.
    """

    seconds: float
    tally: Mapping[str, int]
    overrun: Overrun
    users: int
    counters: int
    ledger: int
    differing: int
    adrift: int
    held: int


def run_race(course: Course, tell: Callable[[str], None] = lambda line: None) -> Figures:
    """Run the processes, then hold the counters against the exact log.

    Args:
        tell: is told of the progress now and then.
    """
    seconds = _run_processes(course, tell)
    ended_ms = _now_ms()
    log = read_ledgers(course.ledger(index) for index in range(course.processes))
    return asyncio.run(_examine(course, log, seconds, ended_ms))


def _run_processes(course: Course, tell: Callable[[str], None]) -> float:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(course.processes + 1)
    done = context.Array("q", course.processes)
    processes = [
        context.Process(target=race, args=(course, index, start, done), daemon=True)
        for index in range(course.processes)
    ]
    for process in processes:
        process.start()
    try:
        start.wait(START_S)
        began = told = moved = time.monotonic()
        before = 0
        for process in processes:
            while process.is_alive():
                process.join(0.2)
                now, count = time.monotonic(), sum(done[:])
                moved = now if count > before else moved
                assert now - moved < HANGS_S, "nothing moves any more"
                before = count
                if now - told > PROGRESS_S:
                    told = now
                    tell(f"{count} of {course.operations}, {count / (now - began):.0f}/s")
        seconds = time.monotonic() - began
        codes = [process.exitcode for process in processes]
        assert not any(codes), f"processes ended with {codes}"
    finally:
        for process in processes:
            process.kill()
            process.join()
    return seconds


async def _examine(course: Course, log: ExactLog, seconds: float, ended_ms: int) -> Figures:
    async with meter_over(course) as meter:
        adrift = await _adrift(course, log, meter)
        # Whatever was never settled lives no longer than this after the last call.
        deadline_ms = ended_ms + BRIEF_S * 1_000 + int(PATIENCE_S * 1_000)
        while True:
            readings = await _read(course, log, meter)
            held = sum(reading.reserved for row in readings.values() for reading in row)
            if held == 0 or _now_ms() > deadline_ms:
                break
            await asyncio.sleep(0.05)
    ledger = totals(log)
    counters = {user: row[2].used for user, row in readings.items()}
    return Figures(
        seconds,
        log.tally,
        overrun(course, log),
        len(log.users),
        sum(counters.values()),
        sum(ledger.values()),
        sum(counters[user] != ledger[user] for user in ledger),
        adrift,
        held,
    )


async def _adrift(course: Course, log: ExactLog, meter: Meter) -> int:
    """How many users have a sliding window that shows what the log forbids."""
    began_ms = _now_ms()
    readings = await _read(course, log, meter)
    ended_ms = _now_ms()
    adrift = set()
    for position, length_ms in enumerate(course.windows_ms):
        bucket_ms = Sliding(length_ms).bucket_ms
        for user, (least, most) in recent(log, length_ms, bucket_ms, (began_ms, ended_ms)).items():
            if not least <= readings[user][position].used <= most:
                adrift.add(user)
    return len(adrift)


async def _read(course: Course, log: ExactLog, meter: Meter) -> dict[str, tuple[Reading, ...]]:
    """Every limit of every user, those that came last first."""
    users = iter(sorted(log.users, reverse=True))
    found: dict[str, tuple[Reading, ...]] = {}
    while some := list(islice(users, TOGETHER)):
        worlds = [World(meter, app=app_of(user), user=user) for user in some]
        rows = await asyncio.gather(*(world.read(*course.limits) for world in worlds))
        found |= dict(zip(some, rows, strict=True))
    return found


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def tell_progress(line: str) -> None:
    """To standard error, so that the table can be kept apart."""
    print(f"  {line}", file=sys.stderr, flush=True)
