"""What do counters hold, and what changes there within one transaction?

A counter is read once, changed in memory and written once. A row is one bucket of a counter: a
period, or one part of a sliding window. What is held stands in the bucket of the hold, but
counts whatever its bucket is.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from sidecar.adapters.sqlite.reservations import Entry
from sidecar.adapters.sqlite.spending import mark
from sidecar.adapters.sqlite.times import DAY_MS, KEPT_MS, NEVER
from sidecar.domain.counting import Content, Counter
from sidecar.domain.limits import BALANCE
from sidecar.domain.request import MAX_INTEGER

_PERIOD = """
SELECT {}, used, held, NULL, NULL, ends_at
FROM counter WHERE app = ? AND name = ? AND bucket = ?"""
# One pass over all buckets. Those in front of the window may hold something still.
_SLIDING = """
SELECT {}, SUM(IIF(bucket >= ?, used, 0)), SUM(held),
    MIN(IIF(bucket >= ? AND used > 0, bucket, NULL)), MAX(IIF(used > 0, bucket, NULL)),
    SUM(bucket < ? AND held = 0)
FROM counter WHERE app = ? AND name = ?"""
_ADD = """
INSERT INTO counter (app, name, bucket, used, held, ends_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET used = used + excluded.used, held = held + excluded.held"""
# Apart, because there is an index on it.
_PROLONG = "UPDATE counter SET ends_at = ? WHERE app = ? AND name = ? AND bucket = ?"
_TOGETHER = 64
"""Counters that one question is for."""
_DEAD = 60
"""Rows in front of a window that may pile up before they are deleted."""


Place = Counter | Entry
"""What says which counter is meant."""


@dataclass(slots=True)
class Cell:
    """What one counter holds.

    Attributes:
        b: end of the period or length of the window; a period may have become longer under
            the same start: a month that is now a year.
        oldest, newest: buckets of a sliding window that hold use.
        more: rows in front of a sliding window; until when a period's row is kept, if it has one.
        changes: units used and held in each bucket since it was read.
    """

    app: str
    name: str
    kind: str
    a: int
    b: int
    used: int = 0
    held: int = 0
    oldest: int | None = None
    newest: int | None = None
    more: int = 0
    changes: dict[int, list[int]] = field(default_factory=dict)


class Counters:
    """The counters that one transaction touches, at one instant."""

    def __init__(self, connection: sqlite3.Connection, now_ms: int) -> None:
        self._connection = connection
        self._now = now_ms
        self._cells: dict[tuple[str, str, int], Cell] = {}

    # -- reading ----------------------------------------------------------------------------

    def load(self, app: str, places: Sequence[Place]) -> list[Cell]:
        """Each of these counters."""
        cells = self._cells
        missing: list[Cell] = []
        found = []
        for place in places:
            key = app, place.name, place.a
            cell = cells.get(key)
            if cell is None:
                cell = cells[key] = Cell(app, place.name, place.kind, place.a, place.b)
                missing.append(cell)
            elif place.b > cell.b > 0:
                cell.b = place.b
            found.append(cell)
        # In an order of few forms, so that each form of the question is prepared once.
        missing.sort(key=_kind)
        for start in range(0, len(missing), _TOGETHER):
            self._fetch(app, missing[start : start + _TOGETHER])
        return found

    def of(self, app: str, place: Place) -> Cell:
        """One counter."""
        cell = self._cells.get((app, place.name, place.a))
        if cell is None or place.b > cell.b > 0:
            (cell,) = self.load(app, (place,))
        return cell

    def _fetch(self, app: str, cells: Sequence[Cell]) -> None:
        arguments: list[str | int] = []
        for cell in cells:
            if cell.kind == "p":
                arguments += (app, cell.name, cell.a)
            else:
                first = self._first(cell)
                arguments += (first, first, first, app, cell.name)
        query = _query("".join(cell.kind for cell in cells))
        for index, used, held, oldest, newest, more in self._connection.execute(query, arguments):
            cell = cells[index]
            if used is not None:
                cell.used, cell.held, cell.more = used, held, more
                cell.oldest, cell.newest = oldest, newest

    def content(self, cell: Cell) -> Content:
        """What it holds, as a reading shows it."""
        if cell.kind == "p":
            resets_at = cell.b
        else:
            resets_at = 0 if cell.oldest is None else (cell.oldest + 1) * cell.a + cell.b
        return Content(min(cell.used, MAX_INTEGER), min(cell.held, MAX_INTEGER), resets_at)

    def fits_at(self, cell: Cell, maximum: int, need: int) -> int:
        """When so many units more fit under a maximum, 0 if they never do; nothing is changed yet.

        What is held counts as if it were used up in the present bucket: it cannot leave the
        window later than that.
        """
        if cell.kind == "p":
            return cell.b
        if need > maximum:
            return 0
        excess = cell.used + cell.held + need - maximum
        for bucket, used in self._connection.execute(
            "SELECT bucket, used FROM counter "
            "WHERE app = ? AND name = ? AND bucket >= ? AND used > 0 ORDER BY bucket",
            (cell.app, cell.name, self._first(cell)),
        ):
            excess -= used
            if excess <= 0:
                at_ms: int = (bucket + 1) * cell.a + cell.b
                return at_ms
        return (self._now // cell.a + 1) * cell.a + cell.b

    def present(self, cell: Cell) -> int:
        """The bucket in which what happens now counts.

        Where the clock was set back it is the newest there is: use that is taken for older
        than it is would leave its window too early.
        """
        if cell.kind == "p":
            return cell.a
        bucket = self._now // cell.a
        return bucket if cell.newest is None else max(bucket, cell.newest)

    def is_past(self, cell: Cell, bucket: int) -> bool:
        """Whether a bucket lies before a sliding window, so that nothing counts there."""
        return cell.kind == "s" and bucket < self._first(cell)

    def _first(self, cell: Cell) -> int:
        return (self._now - cell.b) // cell.a

    # -- changing ---------------------------------------------------------------------------

    def hold(self, cell: Cell, bucket: int, units: int) -> int:
        """Hold units in a bucket, no more than a counter can count, or give them back.

        Returns:
            What is held.
        """
        units = min(units, MAX_INTEGER - cell.held)
        if units:
            cell.held += units
            self._change(cell, bucket)[1] += units
        return units

    def use(self, cell: Cell, bucket: int, units: int) -> int:
        """Count use in a bucket; what lies before a sliding window changes nothing.

        Returns:
            The units that are counted.
        """
        units = min(units, MAX_INTEGER - cell.used)
        if units <= 0:
            return 0
        if cell.kind == "s":
            if bucket < self._first(cell):
                return 0
            bucket = min(bucket, self.present(cell))
            if cell.oldest is None or bucket < cell.oldest:
                cell.oldest = bucket
            if cell.newest is None or bucket > cell.newest:
                cell.newest = bucket
        cell.used += units
        self._change(cell, bucket)[0] += units
        return units

    def _change(self, cell: Cell, bucket: int) -> list[int]:
        change = cell.changes.get(bucket)
        if change is None:
            change = cell.changes[bucket] = [0, 0]
        return change

    def take_back(self, app: str, uses: Iterable[tuple[Place, int, int]]) -> list[int]:
        """Undo use, as far as it is still counted: (counter, bucket, units).

        Returns:
            What was undone of each, where it is a period's.
        """
        self.store()
        taken = []
        for place, bucket, units in uses:
            cell = self.of(app, place)
            if cell.name.endswith(BALANCE):
                # Whoever keeps it is not told of an estimate, and knows better when it is told the
                # next time.
                taken.append(0)
                continue
            taken.append(min(units, cell.used))
            if cell.kind == "p":
                cell.used -= taken[-1]
            if not self.is_past(cell, bucket):
                self._connection.execute(
                    "UPDATE counter SET used = MAX(0, used - ?) "
                    "WHERE app = ? AND name = ? AND bucket = ?",
                    (units, app, cell.name, bucket),
                )
        # What is the oldest use now, or how much there is left, is read anew.
        self._cells.clear()
        return taken

    def store(self) -> None:
        """Write what was changed."""
        changed = [cell for cell in self._cells.values() if cell.changes]
        if not changed:
            return
        self._connection.executemany(
            _ADD,
            [
                (cell.app, cell.name, bucket, used, held, self._ends_at(cell, bucket))
                for cell in changed
                for bucket, (used, held) in cell.changes.items()
            ],
        )
        for cell in changed:
            is_used = any(used for used, _ in cell.changes.values())
            if is_used and cell.name.endswith(BALANCE):
                mark(self._connection, cell.app, cell.name, self._now, cell.used)
            cell.changes.clear()
            if cell.kind == "s":
                if cell.more > _DEAD:
                    self._bury(cell)
            elif cell.b == 0 and not (cell.used or cell.held):
                # It would stand there for ever, for every user who ever ran something.
                self._connection.execute(
                    "DELETE FROM counter WHERE app = ? AND name = ? AND bucket = ?",
                    (cell.app, cell.name, cell.a),
                )
            elif is_used and 0 < cell.more < self._ends_at(cell, cell.a):
                key = cell.app, cell.name, cell.a
                self._connection.execute(_PROLONG, (self._ends_at(cell, cell.a), *key))
            else:
                cell.more = cell.more or self._ends_at(cell, cell.a)

    def _ends_at(self, cell: Cell, bucket: int) -> int:
        if cell.kind == "s":
            return (bucket + 2) * cell.a + cell.b
        return max(cell.b, self._now) + KEPT_MS + DAY_MS if cell.b else NEVER

    def _bury(self, cell: Cell) -> None:
        self._connection.execute(
            "DELETE FROM counter WHERE app = ? AND name = ? AND bucket < ? AND held = 0",
            (cell.app, cell.name, self._first(cell)),
        )
        cell.more = 0


def _kind(cell: Cell) -> str:
    return cell.kind


@cache
def _query(kinds: str) -> str:
    """The question for several counters at once, of these kinds."""
    return " UNION ALL ".join(
        (_PERIOD if kind == "p" else _SLIDING).format(index) for index, kind in enumerate(kinds)
    )
