"""What did a counter of a billing window come to? Noted with each change of what is used of it."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.adapters.sqlite.accounts import Entry
from sidecar.adapters.sqlite.counters import Counters
from sidecar.adapters.sqlite.journal import Line as Noted
from sidecar.adapters.sqlite.remembered import Remembered
from sidecar.adapters.sqlite.times import HOUR_MS, STATED_MS
from sidecar.adapters.sqlite.turn import Turn
from sidecar.domain.request import MAX_INTEGER

_FIND: Final = """
SELECT ends_at, seen, name, included, used, granted, flags FROM statement
WHERE app = ? AND owner = ? AND counter = ? AND start = ?"""
_OTHERS: Final = """
SELECT start, flags FROM statement
WHERE app = ? AND owner = ? AND counter = ? AND start < ? AND ends_at > ? AND ends_at > ?"""
_CUT: Final = """
UPDATE statement SET ends_at = ?, flags = ?
WHERE app = ? AND owner = ? AND counter = ? AND start = ?"""
_INSERT: Final = "INSERT INTO statement VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_KEY: Final = "WHERE app = ? AND owner = ? AND counter = ? AND start = ?"
_UPDATE: Final = f"""
UPDATE statement SET seen = ?, name = ?, included = ?, used = ?, granted = ?, flags = ?
{_KEY}"""  # noqa: S608 # the key stands above
# Apart, because there is an index on it.
_PROLONG: Final = f"UPDATE statement SET ends_at = ? {_KEY}"  # noqa: S608 # as above
_AMEND: Final = f"""
INSERT INTO amended VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
SET used = used + excluded.used, granted = MIN(granted + excluded.granted, {MAX_INTEGER})"""  # noqa: S608 # a number


_REMEMBERED: Final = 4_096
"""Statements; one takes up some 500 bytes."""

_Key = tuple[str, str, str, int]
"""App, owner, counter and start."""


@dataclass(slots=True)
class Line:
    """A statement as it is in the file, or will be when it is written.

    Attributes:
        is_new: whether it is not in the file yet.
        is_prolonged: whether its end is another one than in the file.
    """

    ends_at: int
    seen: int
    name: str
    included: int | None
    used: int
    granted: int
    flags: str
    is_new: bool = False
    is_prolonged: bool = False


@dataclass(slots=True)
class Change:
    """What happened to one counter within one turn.

    Attributes:
        app: whose it is.
        entry: where it is counted, with the limit as it was seen last.
        is_new: whether the counter was not there before.
        used, paid: units that are used of it, and that grants paid for, more than before.
    """

    app: str
    entry: Entry
    is_new: bool
    used: int = 0
    paid: int = 0


class Statements:
    """What is noted, at the instant of the present turn; what it comes to is written together."""

    def __init__(self, connection: sqlite3.Connection, turn: Turn, counters: Counters) -> None:
        self._connection = connection
        self._turn = turn
        self._counters = counters
        self._changes: dict[tuple[str, str, int], Change] = {}
        self._lines: Remembered[_Key, Line] = Remembered(_REMEMBERED)
        self._changed: dict[_Key, Line] = {}
        self._fresh: dict[_Key, Line] = {}
        self._counted: set[str] = set()

    def add(
        self, app: str, entry: Entry, *, is_new: bool = False, used: int = 0, paid: int = 0
    ) -> None:
        """Note what was used of a counter, until the turn is settled."""
        if not entry.limit or not (used or paid):
            return
        key = app, entry.name, entry.a
        change = self._changes.get(key)
        if change is None:
            change = self._changes[key] = Change(app, entry, is_new)
        elif entry.seen >= change.entry.seen:
            change.entry = entry
        change.used += used
        change.paid = min(change.paid + paid, MAX_INTEGER)

    def begin(self, app: str) -> None:
        """Note since when an app is counted, if it was not before."""
        if app in self._counted:
            return
        self._connection.execute(
            "INSERT OR IGNORE INTO counted VALUES (?, ?)", (app, self._turn.now)
        )
        if len(self._counted) >= _REMEMBERED:
            self._counted.clear()
        self._counted.add(app)

    def settle(self) -> None:
        """End what one turn does: what it noted is part of the statements now."""
        for change in self._changes.values():
            if change.used or change.paid:
                self._add(change)
        self._changes.clear()

    def _add(self, change: Change) -> None:
        app, entry, now = change.app, change.entry, self._turn.now
        key = app, _owner(entry.name), entry.name, entry.a
        line = self._find(key)
        if line is None:
            line = self._begin(key, entry, change)
        else:
            if now < line.ends_at + HOUR_MS and entry.seen >= line.seen:
                line.seen, line.name, line.included = entry.seen, entry.limit, entry.included
                if "c" not in line.flags and line.ends_at != entry.b:
                    line.ends_at, line.is_prolonged = entry.b, True
            if change.is_new and line.used > 0 and now < line.ends_at and "l" not in line.flags:
                line.flags += "l"
            line.used += change.used
            line.granted = min(line.granted + change.paid, MAX_INTEGER)
        self._changed[key] = self._fresh[key] = line
        if now >= line.ends_at:
            amended = app, entry.name, entry.a, now // HOUR_MS, change.used, change.paid
            self._connection.execute(_AMEND, amended)

    def _find(self, key: _Key) -> Line | None:
        line = self._lines.known(key)
        # One that is as old as that may have been deleted since.
        if line is None or line.ends_at <= self._turn.now - STATED_MS:
            row = self._connection.execute(_FIND, key).fetchone()
            if row is None:
                return None
            line = Line(*row)
            self._lines[key] = line
        return line

    def _begin(self, key: _Key, entry: Entry, change: Change) -> Line:
        """The statement of a period that begins."""
        if any(known[:3] == key[:3] for known in self._changed):
            self.write()
        flags = self._enter(entry, key)
        # What was used of the counter in all, before there was a statement too.
        used = self._counters.of(key[0], entry).used
        line = Line(entry.b, entry.seen, entry.limit, entry.included, used, change.paid, flags)
        line.is_new = True
        self._lines[key] = line
        return line

    def _enter(self, entry: Entry, key: tuple[str, str, str, int]) -> str:
        """How a period that begins lies to the others of the counter, as flags."""
        flags, counter = "", key[:3]
        self.begin(key[0])
        forgotten = self._turn.now - STATED_MS
        others = self._connection.execute(_OTHERS, (*counter, entry.b, entry.a, forgotten))
        for start, known in others.fetchall():
            if start < entry.a and entry.seen < entry.b:
                self._connection.execute(_CUT, (entry.a, known + "c", *counter, start))
                self._lines.drop((*counter, start))
            else:
                flags = "o"
        return flags

    def note(self) -> list[Noted]:
        """The statements that were changed since this was asked last."""
        lines = [_noted(key, line) for key, line in self._fresh.items()]
        self._fresh.clear()
        return lines

    def write(self) -> None:
        """Write what was changed since."""
        if not self._changed:
            return
        self.restore([_noted(key, line) for key, line in self._changed.items()])
        for line in self._changed.values():
            line.is_new = line.is_prolonged = False
        self._changed.clear()
        self._fresh.clear()
        self._lines.tidy()

    def restore(self, lines: Sequence[Noted]) -> None:
        """Write what somebody has noted."""
        latest = {tuple(line[:4]): line for line in lines}
        new, changed, prolonged = [], [], []
        for key, (*_, ends_at, is_new, is_prolonged, parts) in latest.items():
            if is_new:
                new.append((*key, ends_at, *parts))
            else:
                changed.append((*parts, *key))
                if is_prolonged:
                    prolonged.append((ends_at, *key))
        self._connection.executemany(_INSERT, new)
        self._connection.executemany(_UPDATE, changed)
        self._connection.executemany(_PROLONG, prolonged)

    def forget(self) -> None:
        """Remember nothing, not even what is not written."""
        self._changes.clear()
        self._lines.clear()
        self._changed.clear()
        self._fresh.clear()
        self._counted.clear()


def _noted(key: _Key, line: Line) -> Noted:
    parts = line.seen, line.name, line.included, line.used, line.granted, line.flags
    return (*key, line.ends_at, line.is_new, line.is_prolonged, parts)


def _owner(counter: str) -> str:
    """The user whose counter it is, empty where users share it."""
    for part in counter.split(":"):
        if part.startswith("user="):
            return part.removeprefix("user=")
    return ""
