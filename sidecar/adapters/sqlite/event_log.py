"""The log of accepted events in SQLite: a table, written in the transaction that counts.

`place` is the order in which they came, of all apps together. A row is kept, waits for the control
plane, or was refused by it.
"""

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from enum import IntEnum
from typing import Final

from sidecar.adapters.arrivals import Arrivals
from sidecar.adapters.cursors import read_cursor, write_cursor
from sidecar.adapters.event_bodies import body_of
from sidecar.adapters.sqlite.database import Database
from sidecar.domain.event_log import Asked, Keeping, LoggedEvent, Page
from sidecar.domain.usage import ChargedEvent, Tally
from sidecar.domain.windows import from_ms, to_ms
from sidecar.errors import NothingKept, OutboxFull, UnknownCursor

ALL: Final = ""
"""The row of the outbox that has the sums of all apps."""
_FORGOTTEN: Final = 2
"""Rows that are forgotten, if they are old enough, for each that is added."""
_LARGEST: Final = (1 << 63) - 1


class State(IntEnum):
    """What is still to become of a row."""

    KEPT = 0
    WAITS = 1
    REFUSED = 2


class SqliteEventLog:
    """Accepted events in SQLite."""

    def __init__(
        self,
        database: Database,
        keeping: Keeping | None = None,
        arrivals: Arrivals | None = None,
    ) -> None:
        self._database = database
        self._keeping = keeping or Keeping()
        self._arrivals = arrivals or Arrivals()

    def demand_room(self, connection: sqlite3.Connection, events: Sequence[ChargedEvent]) -> None:
        """Return if all these may wait, as if none were known.

        Raises:
            OutboxFull: they may not.
        """
        most = self._keeping.most_waiting
        if most is None:
            return
        news = sum(charged.event.told is not None for charged in events)
        if news and sum(waiting_in(connection, ALL)) + news > most:
            raise OutboxFull

    def append(
        self, connection: sqlite3.Connection, app: str, now_ms: int, events: Sequence[ChargedEvent]
    ) -> None:
        """Write down what was counted just now, in its order."""
        if not self._keeping.is_on:
            return
        bodies = list(filter(None, map(body_of, events)))
        if not bodies:
            return
        waits = self._keeping.most_waiting is not None
        state = State.WAITS if waits else State.KEPT
        last = connection.execute(
            "SELECT place, received_at FROM event_log ORDER BY place DESC LIMIT 1"
        ).fetchone()
        # Never before the one in front of it, even where the clock was set back.
        at = now_ms if last is None else max(now_ms, last[1])
        connection.executemany(
            "INSERT INTO event_log (app, received_at, state, body) VALUES (?, ?, ?, ?)",
            [(app, at, state, body) for body in bodies],
        )
        if waits:
            (newest,) = connection.execute("SELECT last_insert_rowid()").fetchone()
            add_waiting(connection, app, len(bodies), 0, newest - len(bodies) + 1)
        if self._keeping.kept:
            connection.execute(
                "DELETE FROM event_log WHERE place IN (SELECT place FROM event_log "
                "WHERE state = 0 AND received_at < ? ORDER BY received_at LIMIT ?)",
                (now_ms - self._keeping.kept_ms, _FORGOTTEN * len(bodies)),
            )

    def note(self, app_id: str, tally: Tally) -> None:
        """Let who delivers know that there is something."""
        if tally.accepted and self._keeping.most_waiting is not None:
            self._arrivals.note(app_id)

    async def page(self, asked: Asked, *, since: float) -> Page:
        """Some of them, in the order in which they came."""
        if not self._keeping.kept:
            raise NothingKept
        place = 0
        if asked.cursor:
            match read_cursor(asked.cursor):
                case ["log", str(app_id), int(place)] if (
                    app_id == asked.app_id and 0 <= place < _LARGEST
                ):
                    pass
                case _:
                    raise UnknownCursor
        rows = await self._database.run(lambda found: _rows(found, asked, place), since=since)
        events = [
            LoggedEvent(app, str(number), from_ms(at), body)
            for number, app, at, body in rows[: asked.most]
        ]
        last = int(events[-1].place) if events else place
        return Page(events, write_cursor("log", asked.app_id, last), len(rows) > asked.most)


def _rows(
    connection: sqlite3.Connection, asked: Asked, place: int
) -> list[tuple[int, str, int, str]]:
    """One more than is asked for, if there are so many."""
    if asked.begin is not None:
        place = max(place, _before(connection, asked.begin))
    of_app = "AND app = ?2" if asked.app_id else ""
    rows: list[tuple[int, str, int, str]] = connection.execute(
        "SELECT place, app, received_at, body FROM event_log "  # noqa: S608 # what stands above
        f"WHERE place > ?1 {of_app} ORDER BY place LIMIT ?3",
        (place, asked.app_id, asked.most + 1),
    ).fetchall()
    if asked.end is None:
        return rows
    # Places are in the order of arrival, so nothing is sought behind the end.
    end = to_ms(asked.end)
    return [row for row in rows if row[2] < end]


def _before(connection: sqlite3.Connection, begin: datetime) -> int:
    """The place behind which stands all that came from then on."""
    found = [
        connection.execute(
            "SELECT place FROM event_log WHERE state = ? AND received_at >= ? "
            "ORDER BY received_at, place LIMIT 1",
            (state, to_ms(begin)),
        ).fetchone()
        for state in State
    ]
    return min((row[0] - 1 for row in found if row is not None), default=_LARGEST - 1)


def waiting_in(connection: sqlite3.Connection, app: str) -> tuple[int, int]:
    """How many events of an app wait, and how many were refused."""
    row = connection.execute("SELECT waiting, refused FROM outbox WHERE app = ?", (app,)).fetchone()
    return (0, 0) if row is None else (row[0], row[1])


def add_waiting(
    connection: sqlite3.Connection, app: str, waiting: int, refused: int, first: int = 0
) -> None:
    """Change how many wait and were refused, of an app and in all.

    Args:
        first: the place of the first that waits, where none did before.
    """
    connection.executemany(
        "INSERT INTO outbox (app, waiting, refused, first) VALUES (?1, ?2, ?3, ?4) "
        "ON CONFLICT DO UPDATE SET first = CASE waiting WHEN 0 THEN ?4 ELSE first END, "
        "waiting = waiting + ?2, refused = refused + ?3",
        [(ALL, waiting, refused, first), (app, waiting, refused, first)],
    )
