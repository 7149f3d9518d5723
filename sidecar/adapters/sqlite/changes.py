"""Which of the things that are remembered here was changed by another process on the same file?

Each push writes its change down in its own transaction, numbered: the last number is the version.
It is looked at ten times a second; if the numbers that have come since do not follow from the
last one that was seen, more was changed than is written down.
"""

import sqlite3
from typing import Final

from sidecar.adapters.changes import WatchedChanges
from sidecar.adapters.sqlite.database import Database

_LOOK_EACH_S: Final = 0.1
_SINCE: Final = "SELECT number, kind, key FROM change WHERE number > ? ORDER BY number"
_WRITTEN: Final = 1_000
"""Changes that are written down; who was away for longer forgets all."""


def announce(connection: sqlite3.Connection, kind: str, key: str) -> None:
    """Tell every process that what belongs to a key was changed; inside its transaction."""
    number = connection.execute(
        "INSERT INTO change (kind, key) VALUES (?, ?)", (kind, key)
    ).lastrowid
    assert number is not None  # it was inserted
    connection.execute("DELETE FROM change WHERE number <= ?", (number - _WRITTEN,))


class SqliteChanges(WatchedChanges):
    """Changes that any process on the same file announces."""

    def __init__(self, database: Database) -> None:
        super().__init__(_LOOK_EACH_S)
        self._database = database
        self._last: int | None = None

    async def _look(self, since: float) -> None:
        last = self._last
        if last is None:
            self._last = await self._database.look(_last, since=since)
            self.begin()
            return

        def work(connection: sqlite3.Connection) -> list[tuple[int, str, str]]:
            return connection.execute(_SINCE, (last,)).fetchall()

        rows = await self._database.look(work, since=since)
        if not rows:
            return
        self._last = rows[-1][0]
        if rows[0][0] > last + 1:
            self.note_loss()
            return
        for _, kind, key in rows:
            self.note(kind, key)


def _last(connection: sqlite3.Connection) -> int:
    (number,) = connection.execute("SELECT COALESCE(MAX(number), 0) FROM change").fetchone()
    return int(number)
