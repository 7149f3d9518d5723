"""What do counters hold, and what changes there?

A counter is read once, changed in memory, and written once for all who share a transaction. A row
is one bucket of a counter: a period, or one part of a sliding window. What is held stands in the
bucket of the hold, but counts whatever its bucket is.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final

from sidecar.adapters.sqlite.accounts import Entry
from sidecar.adapters.sqlite.cells import Cell
from sidecar.adapters.sqlite.journal import Line
from sidecar.adapters.sqlite.remembered import Remembered
from sidecar.adapters.sqlite.spending import mark
from sidecar.adapters.sqlite.times import DAY_MS, KEPT_MS, NEVER
from sidecar.adapters.sqlite.turn import Turn
from sidecar.domain.counting import Counter
from sidecar.domain.limits import BALANCE
from sidecar.domain.request import MAX_INTEGER

_ROWS: Final = """
SELECT {}, bucket, used, held, ends_at FROM counter WHERE app = ? AND name = ?"""
# Of a sliding window all: those in front of it may hold something still.
_QUESTIONS: Final = {"p": f"{_ROWS} AND bucket = ?", "s": _ROWS}
_ADD: Final = """
INSERT INTO counter (app, name, bucket, used, held, ends_at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET used = used + excluded.used, held = held + excluded.held"""
# Apart, because there is an index on it.
_PROLONG: Final = "UPDATE counter SET ends_at = ? WHERE app = ? AND name = ? AND bucket = ?"
_DELETE: Final = "DELETE FROM counter WHERE app = ? AND name = ? AND bucket = ?"
_BURY: Final = "DELETE FROM counter WHERE app = ? AND name = ? AND bucket < ? AND held = 0"
# What becomes of a row when a change is written.
_ADDED: Final = 0
_PROLONGED: Final = 1
_DELETED: Final = 2
_IF_ANY: Final = 3
_TOGETHER: Final = 64
"""Counters that one question is for."""
_DEAD: Final = 60
"""Rows in front of a window that may pile up before they are deleted."""
_REMEMBERED: Final = 4_096
"""Counters; one takes up some 400 bytes, and a window with use in all its buckets 8 kB."""


Place = Counter | Entry
"""What says which counter is meant."""
_Row = tuple[str, str, int, int, int, int]


class Counters:
    """The counters in the file, at the instant of the present turn."""

    def __init__(self, connection: sqlite3.Connection, turn: Turn) -> None:
        self._connection = connection
        self._turn = turn
        self._cells: Remembered[tuple[str, str, int], Cell] = Remembered(_REMEMBERED)
        self._changed: list[Cell] = []
        self._settling: list[Cell] = []
        self._fresh: dict[Cell, bool] = {}

    # -- reading ----------------------------------------------------------------------------

    def load(self, app: str, places: Sequence[Place]) -> list[Cell]:
        """Each of these counters."""
        cells, number = self._cells, self._turn.number
        found = []
        missing: list[Cell] = []
        for place in places:
            key = app, place.name, place.a
            cell = cells.get(key) or cells.known(key)
            if cell is None or not (
                # Most were looked at in this turn before.
                (cell.turn == number and place.b <= cell.b) or self._is_of_now(cell, place)
            ):
                if cell is not None and cell.changes:
                    self.write()
                cell = Cell(app, place.name, place.kind, place.a, place.b, number)
                cells[key] = cell
                missing.append(cell)
            found.append(cell)
        if missing:
            # In an order of few forms, so that each form of the question is prepared once.
            missing.sort(key=_kind)
            for start in range(0, len(missing), _TOGETHER):
                self._fetch(app, missing[start : start + _TOGETHER])
        return found

    def of(self, app: str, place: Place) -> Cell:
        """One counter."""
        (cell,) = self.load(app, (place,))
        return cell

    def _is_of_now(self, cell: Cell, place: Place) -> bool:
        """Whether what is remembered is true still, and then as the present turn sees it."""
        turn = self._turn
        if cell.turn == turn.number:
            if place.b > cell.b > 0:
                cell.b = place.b
            return True
        if cell.kind == "s":
            first = (turn.now - cell.b) // cell.a
            if first < cell.first:
                # The clock was set back: what had left the window is in it again.
                return False
            cell.slide(first)
        else:
            if 0 < cell.more <= turn.now:
                # Its row may have been deleted since.
                return False
            cell.b = place.b
        cell.turn = turn.number
        return True

    def _fetch(self, app: str, cells: Sequence[Cell]) -> None:
        arguments: list[str | int] = []
        for cell in cells:
            if cell.kind == "p":
                arguments += (app, cell.name, cell.a)
            else:
                arguments += (app, cell.name)
                cell.first = (self._turn.now - cell.b) // cell.a
        query = _query("".join(cell.kind for cell in cells))
        for index, bucket, used, held, ends_at in self._connection.execute(query, arguments):
            cell = cells[index]
            cell.held = min(cell.held + held, MAX_INTEGER)
            if cell.kind == "p":
                cell.used, cell.more, cell.is_stored = min(used, MAX_INTEGER), ends_at, True
            elif bucket < cell.first:
                cell.more += held == 0
            elif used > 0:
                cell.add(bucket, used)

    def fits_at(self, cell: Cell, maximum: int, need: int) -> int:
        """When so many units more fit under a maximum, 0 if they never do.

        Nothing is changed yet.
        """
        if cell.kind == "p":
            return cell.b
        if need > maximum:
            return 0
        return cell.fits_at(self._turn.now, cell.used + cell.held + need - maximum)

    def present(self, cell: Cell) -> int:
        """The bucket in which what happens now counts.

        Where the clock was set back it is the newest there is: use that is taken for older
        than it is would leave its window too early.
        """
        if cell.kind == "p":
            return cell.a
        bucket = self._turn.now // cell.a
        return max(bucket, cell.parts[-1][0]) if cell.parts else bucket

    def is_past(self, cell: Cell, bucket: int) -> bool:
        """Whether a bucket lies before a sliding window, so that nothing counts there."""
        return cell.kind == "s" and bucket < cell.first

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
        if cell.kind == "p":
            cell.used += units
        elif bucket < cell.first:
            return 0
        else:
            bucket = min(bucket, self.present(cell))
            cell.add(bucket, units)
        cell.is_used = True
        self._change(cell, bucket)[0] += units
        return units

    def finish(self, cell: Cell, bucket: int, held: int, units: int) -> int:
        """Give back what is held in a bucket and count use there; the units that are counted."""
        is_usual = bucket >= cell.first and units <= MAX_INTEGER - cell.used
        if not units or not is_usual or (cell.kind == "s" and bucket > self.present(cell)):
            self.hold(cell, bucket, -held)
            return self.use(cell, bucket, units)
        if cell.kind == "p":
            cell.used += units
        else:
            cell.add(bucket, units)
        cell.held -= held
        cell.is_used = True
        change = self._change(cell, bucket)
        change[0] += units
        change[1] -= held
        return units

    def take_back(self, app: str, uses: Iterable[tuple[Place, int, int]]) -> list[int]:
        """Undo use, as far as it is still counted: (counter, bucket, units).

        Returns:
            What was undone of each, where it is a period's.
        """
        taken = []
        for place, bucket, units in uses:
            cell = self.of(app, place)
            # Who keeps a balance is not told of an estimate, and knows better when it is told the
            # next time.
            taken.append(0 if cell.name.endswith(BALANCE) else cell.take(bucket, units))
            if taken[-1]:
                self._change(cell, bucket)[0] -= taken[-1]
        return taken

    def _change(self, cell: Cell, bucket: int) -> list[int]:
        if not cell.is_changed:
            cell.is_changed = self._turn.has_changed = True
            self._settling.append(cell)
            if not cell.changes:
                self._changed.append(cell)
        change = cell.changes.get(bucket)
        if change is None:
            change = cell.changes[bucket] = [0, 0]
        return change

    # -- writing ----------------------------------------------------------------------------

    def settle(self) -> None:
        """End what one turn does: from now on each counter that it changed is there."""
        for cell in self._settling:
            if cell.kind == "p" and (cell.is_used or not cell.more):
                ends_at = self._ends_at(cell)
                if not cell.more:
                    cell.more = ends_at
                elif cell.more < ends_at:
                    cell.more, cell.is_prolonged = ends_at, True
            if cell.is_used and cell.name.endswith(BALANCE):
                mark(self._connection, cell.app, cell.name, self._turn.now, cell.used)
            cell.is_changed = cell.is_used = False
            self._fresh[cell] = True
        self._settling.clear()

    def note(self) -> list[Line]:
        """What has changed in counters that were changed since this was asked last."""
        lines: list[Line] = []
        for cell in self._fresh:
            app, name, a, b = cell.app, cell.name, cell.a, cell.b
            if cell.kind == "s":
                for bucket, (used, held) in cell.changes.items():
                    lines.append((app, name, bucket, used, held, (bucket + 2) * a + b, _IF_ANY))
            else:
                used, held = cell.changes[a]
                lines.append((app, name, a, used, held, cell.more, _what_becomes(cell)))
        self._fresh.clear()
        return lines

    def restore(self, lines: Sequence[Line]) -> None:
        """Write what somebody has noted."""
        latest = {tuple(line[:3]): line for line in lines}
        added = [
            line[:6]
            for line in latest.values()
            if line[6] != _DELETED and (line[6] != _IF_ANY or line[3] or line[4])
        ]
        self._connection.executemany(_ADD, added)
        prolonged = [(line[5], *key) for key, line in latest.items() if line[6] == _PROLONGED]
        self._connection.executemany(_PROLONG, prolonged)
        empty = [key for key, line in latest.items() if line[6] == _DELETED]
        self._connection.executemany(_DELETE, empty)

    def write(self) -> None:
        """Write what was changed since."""
        if not self._changed:
            return
        self.settle()
        rows: list[_Row] = []
        for cell in self._changed:
            rows += self._rows(cell)
            cell.changes.clear()
        if rows:
            self._connection.executemany(_ADD, rows)
        for cell in self._changed:
            self._finish(cell)
        self._changed.clear()
        self._fresh.clear()
        self._cells.tidy()

    def _rows(self, cell: Cell) -> Iterable[_Row]:
        app, name, a, b = cell.app, cell.name, cell.a, cell.b
        if cell.kind == "s":
            for bucket, (used, held) in cell.changes.items():
                if used or held:
                    yield app, name, bucket, used, held, (bucket + 2) * a + b
        elif not _is_empty(cell):
            used, held = cell.changes[a]
            if used or held or not cell.is_stored:
                yield app, name, a, used, held, cell.more

    def _finish(self, cell: Cell) -> None:
        key = cell.app, cell.name
        if cell.kind == "s":
            if cell.more > _DEAD:
                self._connection.execute(_BURY, (*key, cell.first))
                cell.more = 0
        elif _is_empty(cell):
            # It would stand there for ever, for every user who ever ran something.
            if cell.is_stored:
                self._connection.execute(_DELETE, (*key, cell.a))
            cell.is_stored, cell.more = False, 0
        else:
            if cell.is_prolonged:
                self._connection.execute(_PROLONG, (cell.more, *key, cell.a))
            cell.is_stored = True
        cell.is_prolonged = False

    def forget(self) -> None:
        """Remember nothing, not even what is not written."""
        self._cells.clear()
        self._changed.clear()
        self._settling.clear()
        self._fresh.clear()

    def _ends_at(self, cell: Cell) -> int:
        return max(cell.b, self._turn.now) + KEPT_MS + DAY_MS if cell.b else NEVER


def _kind(cell: Cell) -> str:
    return cell.kind


def _what_becomes(cell: Cell) -> int:
    """What is to be done with the row of a period."""
    if cell.b == 0 and _is_empty(cell):
        return _DELETED
    return _PROLONGED if cell.is_prolonged else _ADDED


def _is_empty(cell: Cell) -> bool:
    """Whether a counter without an end holds nothing."""
    return cell.b == 0 and not (cell.used or cell.held)


@cache
def _query(kinds: str) -> str:
    """The question for several counters at once, of these kinds."""
    return " UNION ALL ".join(_QUESTIONS[kind].format(index) for index, kind in enumerate(kinds))
