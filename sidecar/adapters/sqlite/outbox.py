"""The outbox in SQLite: the rows of the log of events that wait, and who delivers them."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.event_log import ALL, State, add_waiting, waiting_in
from sidecar.adapters.sqlite.times import system_ms
from sidecar.domain.event_log import AppLine, Backlog, LoggedEvent, SetAside, Settled, Taken
from sidecar.domain.windows import from_ms

_LEASE_MS: Final = 15_000
"""How long nobody else takes what is being delivered; longer than any answer takes."""
_LONGEST_MS: Final = 3_600_000
"""That anything waits for its next try."""
# What is further away than can be was said before the clock was set back.
_IS_FREE: Final = f"""
(due_at <= ?1 OR due_at > ?1 + {_LONGEST_MS})
AND (until <= ?1 OR until > ?1 + {_LEASE_MS} OR holder = ?2)"""
_NEXT: Final = """
SELECT place, received_at, body FROM event_log
WHERE app = ?1 AND state = 1 AND place >= (SELECT first FROM outbox WHERE app = ?1)
ORDER BY place LIMIT ?2"""


class SqliteOutbox:
    """What of the log the control plane does not have yet.

    Args:
        kept_ms: how long delivered events are kept.
        now_ms: a clock instead of the machine's, for tests.
    """

    def __init__(
        self, database: Database, kept_ms: int = 0, now_ms: Callable[[], int] | None = None
    ) -> None:
        self._database = database
        self._is_kept = kept_ms > 0
        self._now_ms = now_ms or system_ms

    async def due(self, most: int, *, everywhere: bool = False, since: float) -> Sequence[str]:
        """Apps of which something may wait that can be delivered now."""
        now = self._now_ms()

        def work(connection: sqlite3.Connection) -> Sequence[str]:
            found = connection.execute(
                f"SELECT app FROM outbox WHERE waiting > 0 AND app <> ?3 AND {_IS_FREE} "  # noqa: S608 # a condition of this module
                "LIMIT ?4",
                (now, "", ALL, -1 if everywhere else most),
            )
            return [app for (app,) in found]

        return await self._database.run(work, since=since)

    async def take(self, app_id: str, holder: str, most: int, *, since: float) -> Taken | None:
        """The next events of an app, which are then this holder's for a while."""
        now = self._now_ms()

        def work(connection: sqlite3.Connection) -> Taken | None:
            row = connection.execute(
                f"SELECT tries FROM outbox WHERE app = ?3 AND waiting > 0 AND {_IS_FREE}",  # noqa: S608 # a condition of this module
                (now, holder, app_id),
            ).fetchone()
            if row is None:
                return None
            events = [
                LoggedEvent(app_id, str(place), from_ms(at), body)
                for place, at, body in connection.execute(_NEXT, (app_id, most))
            ]
            if not events:
                return None
            connection.execute(
                "UPDATE outbox SET holder = ?, until = ?, first = ? WHERE app = ?",
                (holder, now + _LEASE_MS, int(events[0].place), app_id),
            )
            return Taken(events, row[0])

        return await self._database.run(work, since=since)

    async def settle(
        self, app_id: str, holder: str, settled: Settled, *, let_go: bool, since: float
    ) -> None:
        """Note what became of what was taken, unless another has it by now."""
        now = self._now_ms()

        def work(connection: sqlite3.Connection) -> None:
            row = connection.execute(
                "SELECT tries FROM outbox WHERE app = ? AND holder = ?", (app_id, holder)
            ).fetchone()
            if row is None:
                return
            for place in settled.done:
                self._deliver(connection, app_id, int(place))
            for place, status in settled.aside.items():
                changed = connection.execute(
                    "UPDATE event_log SET state = ?, status = ?, refused_at = ? "
                    "WHERE place = ? AND app = ? AND state = ?",
                    (State.REFUSED, status, now, int(place), app_id, State.WAITS),
                ).rowcount
                add_waiting(connection, app_id, -changed, changed)
            tries, due_at, has_passed = 0, 0, bool(settled.done or settled.aside)
            if settled.again_in is not None:
                tries = (0 if has_passed else row[0]) + 1
                due_at = now + int(settled.again_in.total_seconds() * 1_000)
            elif not has_passed:
                tries = row[0]
            connection.execute(
                "UPDATE outbox SET tries = ?, due_at = ?, fault = ?, holder = ?, until = ? "
                "WHERE app = ?",
                (
                    tries, due_at, settled.fault, "" if let_go else holder,
                    0 if let_go else now + _LEASE_MS, app_id,
                ),
            )  # fmt: skip
            if waiting_in(connection, app_id) == (0, 0) and let_go:
                connection.execute("DELETE FROM outbox WHERE app = ?", (app_id,))

        await self._database.run(work, since=since)

    async def backlog(self, *, since: float) -> Backlog:
        """How much waits, and for how long."""

        def work(connection: sqlite3.Connection) -> Backlog:
            (oldest,) = connection.execute(
                "SELECT MIN(received_at) FROM event_log WHERE state = ?", (State.WAITS,)
            ).fetchone()
            return _backlog(*waiting_in(connection, ALL), oldest)

        return await self._database.run(work, since=since)

    async def lines(self, most: int, *, since: float) -> Sequence[AppLine]:
        """Apps of which something waits or is set aside."""
        now = self._now_ms()

        def line(connection: sqlite3.Connection, row: Sequence[Any]) -> AppLine:
            app_id, waiting, refused, tries, due_at, fault = row
            first = connection.execute(_NEXT, (app_id, 1)).fetchone()
            return AppLine(
                app_id,
                _backlog(waiting, refused, None if first is None else first[1]),
                None if first is None else LoggedEvent(app_id, str(first[0]), from_ms(0), "").id,
                from_ms(due_at) if due_at > now else None,
                tries,
                fault,
            )

        def work(connection: sqlite3.Connection) -> Sequence[AppLine]:
            rows = connection.execute(
                "SELECT app, waiting, refused, tries, due_at, fault FROM outbox "
                "WHERE app <> ? AND (waiting > 0 OR refused > 0) ORDER BY app LIMIT ?",
                (ALL, most),
            ).fetchall()
            return [line(connection, row) for row in rows]

        return await self._database.run(work, since=since)

    async def set_aside(self, most: int, *, since: float) -> Sequence[SetAside]:
        """Events that were refused."""

        def work(connection: sqlite3.Connection) -> Sequence[SetAside]:
            rows = connection.execute(
                "SELECT app, place, received_at, body, status, refused_at FROM event_log "
                "WHERE state = ? ORDER BY received_at, place LIMIT ?",
                (State.REFUSED, most),
            )
            return [
                SetAside(LoggedEvent(app, str(place), from_ms(at), body), status, from_ms(then))
                for app, place, at, body, status, then in rows
            ]

        return await self._database.run(work, since=since)

    async def retry(self, app_id: str, place: str, *, since: float) -> bool:
        """Try an event that is set aside again, before the others; or the first one now."""

        def work(connection: sqlite3.Connection) -> bool:
            state = _state_of(connection, app_id, place)
            if state is State.REFUSED:
                connection.execute(
                    "UPDATE event_log SET state = ? WHERE place = ?", (State.WAITS, int(place))
                )
                add_waiting(connection, app_id, 1, -1, int(place))
                connection.execute(
                    "UPDATE outbox SET first = MIN(first, ?) WHERE app = ?", (int(place), app_id)
                )
            if state is not None:
                connection.execute("UPDATE outbox SET due_at = 0 WHERE app = ?", (app_id,))
            return state is not None

        return await self._database.run(work, since=since)

    async def drop(self, app_id: str, place: str, *, since: float) -> bool:
        """Never deliver an event that is set aside, or the first that waits."""

        def work(connection: sqlite3.Connection) -> bool:
            state = _state_of(connection, app_id, place)
            if state is not None:
                self._deliver(connection, app_id, int(place), state)
            if state is State.WAITS:
                # It was this one that was not taken; the next has its first try.
                connection.execute(
                    "UPDATE outbox SET due_at = 0, tries = 0, fault = '' WHERE app = ?", (app_id,)
                )
            return state is not None

        return await self._database.run(work, since=since)

    def _deliver(
        self, connection: sqlite3.Connection, app_id: str, place: int, state: State = State.WAITS
    ) -> None:
        """Let a row wait no more."""
        done = (
            "UPDATE event_log SET state = 0 WHERE place = ? AND app = ? AND state = ?"
            if self._is_kept
            else "DELETE FROM event_log WHERE place = ? AND app = ? AND state = ?"
        )
        changed = connection.execute(done, (place, app_id, state)).rowcount
        waits = state is State.WAITS
        add_waiting(connection, app_id, -changed * waits, -changed * (not waits))


def _state_of(connection: sqlite3.Connection, app_id: str, place: str) -> State | None:
    """Of an event that is set aside or the first that waits, None of any other."""
    if not place.isdecimal() or len(place) > 18:
        return None
    row = connection.execute(
        "SELECT state FROM event_log WHERE place = ? AND app = ?", (int(place), app_id)
    ).fetchone()
    if row is None or row[0] == State.KEPT:
        return None
    if row[0] == State.WAITS:
        first = connection.execute(_NEXT, (app_id, 1)).fetchone()
        return State.WAITS if first is not None and first[0] == int(place) else None
    return State.REFUSED


def _backlog(waiting: int, refused: int, oldest: int | None) -> Backlog:
    return Backlog(waiting, refused, None if oldest is None else from_ms(oldest))
