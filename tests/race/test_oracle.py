"""The exact log is read right, and the race would notice a meter that counts wrongly."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.meter import SqliteMeter
from sidecar.domain.limits import Charge
from sidecar.domain.usage import Hold, Metering, Settlement
from tests.race.course import Course
from tests.race.ledger import (
    ExactLog,
    Granted,
    LedgerWriter,
    Part,
    Unasked,
    UserLog,
    read_ledgers,
)
from tests.race.oracle import overrun, recent, totals
from tests.race.racer import Racer

COURSE = Course("", Path(), operations=0, users=1)


def written(folder: Path, *ledgers: Sequence[tuple[object, ...]]) -> ExactLog:
    """The log of processes that wrote these lines."""
    paths = []
    for index, lines in enumerate(ledgers):
        paths.append(folder / f"{index}.tsv")
        text = "".join("\t".join(map(str, line)) + "\n" for line in lines)
        paths[-1].write_text(text)
    return read_ledgers(paths)


def log_of(*charges: Granted | Unasked) -> ExactLog:
    granted = tuple(charge for charge in charges if isinstance(charge, Granted))
    unasked = tuple(charge for charge in charges if isinstance(charge, Unasked))
    return ExactLog({"user": UserLog(granted, unasked)}, Counter())


def granted(at_ms: int, units: int, charged: int | None = None, settling_ns: int = 0) -> Granted:
    """A part that was asked for and told within the millisecond in which it was granted."""
    told_ns = at_ms * 1_000_000
    part = Part(at_ms, units, at_ms + 60_000, told_ns - 2, told_ns - 1)
    return Granted(part, units if charged is None else charged, settling_ns)


def told(log: ExactLog) -> list[tuple[int, int, str]]:
    """Where each charge lies, and whether it was granted."""
    (user,) = log.users.values()
    return [(each.part.at_ms, each.charged, "granted") for each in user.granted] + [
        (each.at_ms, each.units, "unasked") for each in user.unasked
    ]


# -- the ledger ------------------------------------------------------------------------------


def test_a_charge_lies_where_its_units_were_held(tmp_path: Path) -> None:
    log = written(
        tmp_path,
        [
            ("G", "r", 0, "user", 100, 10, 900, 1, 2),
            ("C", "r", 4, 2, 0),
            ("G", "r", 1, "user", 200, 5, 900, 3, 4),
            ("C", "r", 12, 4, 0),
            ("C", "r", 20, 5, 0),
        ],
    )
    assert told(log) == [(100, 10, "granted"), (200, 5, "granted"), (200, 5, "unasked")]


def test_what_two_processes_were_told_of_one_reservation_is_counted_once(tmp_path: Path) -> None:
    lines = [("G", "r", 0, "user", 100, 10, 900, 1, 2), ("C", "r", 7, 2, 0)]
    log = written(tmp_path, lines, lines)
    assert totals(log) == {"user": 7}


def test_a_total_that_is_told_again_adds_nothing(tmp_path: Path) -> None:
    log = written(
        tmp_path,
        [
            ("G", "r", 0, "user", 100, 10, 900, 1, 2),
            ("C", "r", 7, 2, 0),
            ("C", "r", 3, 3, 0),
        ],
    )
    assert totals(log) == {"user": 7}


def test_a_charge_after_expiry_was_granted_by_nobody(tmp_path: Path) -> None:
    log = written(tmp_path, [("G", "r", 0, "user", 100, 10, 900, 1, 2), ("C", "r", 7, 2, 1)])
    assert told(log) == [(100, 0, "granted"), (100, 7, "unasked")]


def test_a_reservation_that_is_told_with_two_instants_is_found_out(tmp_path: Path) -> None:
    lines = [("G", "r", 0, "user", at_ms, 10, 900, 1, 2) for at_ms in (100, 101)]
    with pytest.raises(AssertionError):
        written(tmp_path, lines)


def test_an_event_that_two_calls_count_is_found_out(tmp_path: Path) -> None:
    lines = [("R", "event", "user", 100, 10, 1)] * 2
    with pytest.raises(AssertionError, match="accepted twice"):
        written(tmp_path, lines)


# -- the windows -----------------------------------------------------------------------------


def test_a_full_window_is_no_overrun_and_one_unit_more_is_one() -> None:
    for units, over in ((1_000, 0), (1_001, 1)):
        found = overrun(COURSE, log_of(granted(0, 4_000), granted(1_999, units)))
        assert (found.charged, found.decided) == (over, over)


def test_what_has_left_the_window_no_longer_counts() -> None:
    for at_ms, over in ((2_000, 0), (1_999, 5_000)):
        found = overrun(COURSE, log_of(granted(0, 5_000), granted(at_ms, 5_000)))
        assert (found.charged, found.decided) == (over, over)


def test_the_lifetime_is_a_window_too() -> None:
    spread = [granted(at_ms, 4_000) for at_ms in (0, 10_000, 20_000, 30_000)]
    found = overrun(COURSE, log_of(*spread))
    assert (found.charged, found.decided) == (4_000, 4_000)


def test_each_user_has_windows_of_their_own() -> None:
    one = UserLog((granted(0, 5_000),), ())
    found = overrun(COURSE, ExactLog({"one": one, "other": one}, Counter()))
    assert found.charged == 0


@pytest.mark.parametrize(("settling_ms", "over"), [(1_001, 1_000), (999, -4_000)])
def test_what_was_still_held_counts_in_full(settling_ms: int, over: int) -> None:
    first = granted(500, 5_000, charged=0, settling_ns=settling_ms * 1_000_000)
    found = overrun(COURSE, log_of(first, granted(1_000, 1_000)))
    assert found.decided == max(over, 0)
    assert found.charged == -4_000


def test_what_nobody_asked_for_counts_from_when_it_is_known() -> None:
    later = granted(1_000, 4_000)
    before = overrun(COURSE, log_of(later, Unasked(500, 2_000, known_ns=later.part.told_ns)))
    after = overrun(COURSE, log_of(later, Unasked(500, 2_000, known_ns=0)))
    assert (before.charged, before.decided) == (-1_000, -1_000)
    assert (after.charged, after.decided) == (-1_000, 1_000)
    assert (after.total, after.bound) == (1_000, 2_000)


def test_a_sliding_window_may_show_its_oldest_bucket_or_not() -> None:
    log = log_of(granted(990, 1), granted(1_010, 2), granted(2_000, 4))
    assert recent(log, 2_000, 50, (3_000, 3_040)) == {"user": (6, 6)}
    assert recent(log, 2_000, 50, (2_999, 3_040)) == {"user": (6, 7)}


# -- a meter that is wrong -------------------------------------------------------------------


class CarelessMeter(SqliteMeter):
    """Overlooks one refusal in ten, as if two had decided at the same time."""

    refusals = 0

    async def reserve(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        metering = await super().reserve(hold, charges, since=since)
        self.refusals += metering.reservation is None
        if metering.reservation is not None or self.refusals % 10:
            return metering
        unbounded = [
            replace(charge, limit=replace(charge.limit, maximum=None)) for charge in charges
        ]
        return await super().reserve(hold, unbounded, since=since)


class GreedyMeter(SqliteMeter):
    """Charges a unit for what was released."""

    async def release(self, reservation_id: str, *, since: float) -> Settlement:
        settled = await super().release(reservation_id, since=since)
        await self._database.run(
            lambda connection: connection.execute(
                "UPDATE counter SET used = used + 1 WHERE bucket = 0"
            ),
            since=time.monotonic(),
        )
        return settled


async def log_and_counters(kind: type[SqliteMeter], folder: Path) -> tuple[ExactLog, int, Course]:
    """A race of one process with such a meter, and the sum of its lifetimes."""
    course = Course("", folder, operations=1_500, users=1, processes=1, windows_ms=(100, 250))
    database = Database(None)
    database.open()
    try:
        with LedgerWriter(course.ledger(0)) as ledger:
            await Racer(course, 0, kind(database), ledger, [0]).run()
        (used,) = await database.run(
            lambda connection: connection.execute(
                "SELECT SUM(used) FROM counter WHERE bucket = 0"
            ).fetchone(),
            since=time.monotonic(),
        )
    finally:
        database.close()
    return read_ledgers([course.ledger(0)]), used, course


async def test_the_race_accepts_a_careful_meter(tmp_path: Path) -> None:
    log, used, course = await log_and_counters(SqliteMeter, tmp_path)
    assert overrun(course, log).charged <= 0
    assert overrun(course, log).decided <= 0
    assert used == sum(totals(log).values())


async def test_the_race_finds_a_meter_that_overlooks_what_is_held(tmp_path: Path) -> None:
    log, used, course = await log_and_counters(CarelessMeter, tmp_path)
    assert overrun(course, log).decided > 0
    assert used == sum(totals(log).values())


async def test_the_race_finds_a_meter_that_counts_what_was_released(tmp_path: Path) -> None:
    log, used, _ = await log_and_counters(GreedyMeter, tmp_path)
    assert used > sum(totals(log).values())
