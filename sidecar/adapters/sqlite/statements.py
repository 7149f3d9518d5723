"""What did a counter of a billing window come to? Noted with each change of what is used of it."""

import sqlite3
from dataclasses import dataclass
from typing import Final

from sidecar.adapters.sqlite.reservations import Entry
from sidecar.adapters.sqlite.times import HOUR_MS, STATED_MS
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
_PUT: Final = "INSERT OR REPLACE INTO statement VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_AMEND: Final = f"""
INSERT INTO amended VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
SET used = used + excluded.used, granted = MIN(granted + excluded.granted, {MAX_INTEGER})"""  # noqa: S608 # a number


@dataclass(slots=True)
class Change:
    """What happened to one counter within one transaction.

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
    """What is noted at one instant, inside a transaction."""

    def __init__(self, connection: sqlite3.Connection, now_ms: int) -> None:
        self._connection = connection
        self._now = now_ms
        self._changes: dict[tuple[str, str, int], Change] = {}

    def add(
        self, app: str, entry: Entry, *, is_new: bool = False, used: int = 0, paid: int = 0
    ) -> None:
        """Note what was used of a counter; it is written by `store`."""
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
        self._connection.execute("INSERT OR IGNORE INTO counted VALUES (?, ?)", (app, self._now))

    def store(self) -> None:
        """Write what was noted."""
        for change in self._changes.values():
            if change.used or change.paid:
                self._write(change)
        self._changes.clear()

    def _write(self, change: Change) -> None:
        app, entry, now = change.app, change.entry, self._now
        key = app, _owner(entry.name), entry.name, entry.a
        stored = self._connection.execute(_FIND, key).fetchone()
        if stored is None:
            used = self._used(app, entry)
            flags = self._enter(entry, key)
            ends_at, seen, name, included = entry.b, entry.seen, entry.limit, entry.included
            granted = change.paid
        else:
            ends_at, seen, name, included, used, granted, flags = stored
            if now < ends_at + HOUR_MS and entry.seen >= seen:
                seen, name, included = entry.seen, entry.limit, entry.included
                ends_at = ends_at if "c" in flags else entry.b
            if change.is_new and used > 0 and now < ends_at and "l" not in flags:
                flags += "l"
            used, granted = used + change.used, min(granted + change.paid, MAX_INTEGER)
        row = (*key, ends_at, seen, name, included, used, granted, flags)
        self._connection.execute(_PUT, row)
        if now >= ends_at:
            amended = app, entry.name, entry.a, now // HOUR_MS, change.used, change.paid
            self._connection.execute(_AMEND, amended)

    def _used(self, app: str, entry: Entry) -> int:
        """What was used of a counter in all, before there was a statement too."""
        row = self._connection.execute(
            "SELECT used FROM counter WHERE app = ? AND name = ? AND bucket = ?",
            (app, entry.name, entry.a),
        ).fetchone()
        return 0 if row is None else int(row[0])

    def _enter(self, entry: Entry, key: tuple[str, str, str, int]) -> str:
        """How a period that begins lies to the others of the counter, as flags."""
        flags, counter = "", key[:3]
        self.begin(key[0])
        forgotten = self._now - STATED_MS
        others = self._connection.execute(_OTHERS, (*counter, entry.b, entry.a, forgotten))
        for start, known in others.fetchall():
            if start < entry.a and entry.seen < entry.b:
                self._connection.execute(_CUT, (entry.a, known + "c", *counter, start))
            else:
                flags = "o"
        return flags


def _owner(counter: str) -> str:
    """The user whose counter it is, empty where users share it."""
    for part in counter.split(":"):
        if part.startswith("user="):
            return part.removeprefix("user=")
    return ""
