"""What is known of a reservation: whose it is, how it was answered, and until when?"""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Final

from sidecar.adapters.documents import read_request
from sidecar.adapters.sqlite.accounts import Account, read_account
from sidecar.adapters.sqlite.grants import Owner
from sidecar.adapters.sqlite.journal import Line
from sidecar.adapters.sqlite.remembered import Remembered
from sidecar.adapters.sqlite.rollups import Dimensions
from sidecar.adapters.sqlite.times import KEPT_MS, NEVER, REQUESTS_REMEMBERED_MS
from sidecar.adapters.sqlite.turn import Turn
from sidecar.domain.request import Amounts, CheckRequest
from sidecar.domain.usage import ReservationState

_FIND: Final = """
SELECT number, id, app, state, expires_at, tokens, fingerprint, decision, extension, request,
    limits, readings, account, forgotten_at
FROM reservation WHERE id = ?"""
_LAST: Final = "SELECT COALESCE(MAX(number), 0) FROM reservation"
_INSERT: Final = "INSERT INTO reservation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_COLUMNS: Final = _INSERT.count("?")
_EARLIEST: Final = """
SELECT expires_at FROM reservation WHERE state = 'held' ORDER BY expires_at LIMIT 1"""
_EXPIRE: Final = """
UPDATE reservation SET state = 'expired' WHERE number IN (
    SELECT number FROM reservation WHERE state = 'held' AND expires_at <= ?
    ORDER BY expires_at LIMIT ?)
RETURNING expires_at, id, app, account, request"""
_ASKED: Final = """
SELECT (SELECT reservation FROM request WHERE app = ?1 AND digest = ?2 AND forgotten_at > ?3),
    EXISTS (SELECT 1 FROM reservation WHERE id = ?4)"""
_REMEMBER: Final = "INSERT OR REPLACE INTO request VALUES (?, ?, ?, ?)"
_REMEMBERED: Final = 4_096
"""Reservations that hold; one takes up some 3 kB."""


class _Part(IntEnum):
    """What of a row is to be written; each has all that is before it."""

    ACCOUNT = 1
    END = 2
    ALL = 3


# Columns with an index are set only where they change: SQLite would not look.
_UPDATES: Final = {
    _Part.ACCOUNT: "UPDATE reservation SET account = ? WHERE number = ?",
    _Part.END: "UPDATE reservation SET state = ?, account = ? WHERE number = ?",
    _Part.ALL: "UPDATE reservation SET state = ?, expires_at = ?, tokens = ?, extension = ?, "
    "forgotten_at = ?, account = ? WHERE number = ?",
}


def user_of(request: str) -> str:
    """For whom a written request was made."""
    return read_request(request).subject.user_id


@dataclass(frozen=True, slots=True)
class Answer:
    """What a repeated request needs to be shown the same: the limits and what was read there."""

    limits: str
    readings: str


@dataclass(slots=True)
class Record:
    """A reservation as it is stored.

    Attributes:
        asked: the request, where it is known otherwise than as text.
        written: the account as it was written last, empty where it was changed since.
    """

    number: int
    id: str
    app: str
    state: ReservationState
    expires_at: int
    tokens: int
    fingerprint: str
    decision: str
    extension: str
    request: str
    limits: str
    readings: str
    account: Account
    forgotten_at: int
    asked: CheckRequest | None = None
    written: str = ""

    @property
    def row(self) -> tuple[object, ...]:
        """As it stands in the table."""
        return (
            self.number, self.id, self.app, self.state.value, self.expires_at, self.tokens,
            self.fingerprint, self.decision, self.extension, self.request, self.limits,
            self.readings, self._account, self.forgotten_at,
        )  # fmt: skip

    def columns(self, part: _Part) -> tuple[object, ...]:
        """What the update of a part asks for."""
        rest = self._account, self.number
        match part:
            case _Part.ACCOUNT:
                return rest
            case _Part.END:
                return self.state.value, *rest
            case _Part.ALL:
                return (
                    self.state.value, self.expires_at, self.tokens, self.extension,
                    self.forgotten_at, *rest,
                )  # fmt: skip

    @property
    def answer(self) -> Answer:
        """What its request was told."""
        return Answer(self.limits, self.readings)

    @property
    def _account(self) -> str:
        if not self.written:
            self.written = self.account.write()
        return self.written

    @property
    def made_for(self) -> CheckRequest:
        """The request that it was made for."""
        if self.asked is None:
            self.asked = read_request(self.request)
        return self.asked

    @property
    def user(self) -> str:
        """For whom it was made."""
        return self.made_for.subject.user_id

    @property
    def owner(self) -> Owner:
        """Whose grants it draws."""
        return self.app, self.user

    @property
    def session(self) -> tuple[str, str]:
        """Its user and that user's session, empty for none."""
        asked = self.made_for
        return asked.subject.user_id, asked.session_id

    @property
    def request_id(self) -> str:
        """The id of its request, empty for none."""
        return self.made_for.request_id

    def dimensions(self, model: str) -> Dimensions:
        """What its use is reported under, with the model if it is known better."""
        asked = self.made_for
        return (model or asked.model, asked.workflow, asked.agent, asked.plugin)

    def is_little(self, now: int) -> bool:
        """Whether it ended so long ago that only its end is told."""
        is_over = self.state in (ReservationState.COMMITTED, ReservationState.RELEASED)
        return is_over and self.expires_at + REQUESTS_REMEMBERED_MS <= now

    def cost(self, used: Amounts) -> int:
        """What tokens cost, at the rates of the hold."""
        return self.account.rates.cost(used.tokens, used.input_tokens, used.output_tokens)


class Reservations:
    """The reservations in the file; those that hold are remembered, and written together."""

    def __init__(self, connection: sqlite3.Connection, turn: Turn) -> None:
        self._connection = connection
        self._turn = turn
        self._live: Remembered[str, Record] = Remembered(_REMEMBERED)
        self._new: list[Record] = []
        self._changed: dict[int, tuple[Record, _Part]] = {}
        self._asked: dict[tuple[str, str], tuple[str, int]] = {}
        self._absent: set[str] = set()
        self._fresh_new: dict[int, Record] = {}
        self._fresh: dict[int, Record] = {}
        self._fresh_asked: dict[tuple[str, str], tuple[str, int]] = {}
        self._last: int | None = None
        self._earliest: int | None = None

    def begin(self) -> None:
        """Know nothing of what is not there; at the beginning of a transaction."""
        self._absent.clear()

    def seek(self, ids: Sequence[str]) -> None:
        """Look which of these are there at all, all together."""
        asked = [each for each in ids if each not in self._live]
        if asked:
            found = self._connection.execute(_which(len(asked)), asked)
            self._absent = set(asked).difference(each for (each,) in found)

    def find(self, reservation_id: str) -> Record | None:
        """One by its id."""
        record = self._live.known(reservation_id)
        if record is not None or reservation_id in self._absent:
            return record
        row = self._connection.execute(_FIND, (reservation_id,)).fetchone()
        if row is None:
            return None
        record = Record(*row)
        record.state, record.account = ReservationState(record.state), read_account(row[12])
        if record.state is ReservationState.HELD:
            self._live[reservation_id] = record
        return record

    def insert(self, record: Record) -> None:
        """Add one that holds."""
        if self._last is None:
            (self._last,) = self._connection.execute(_LAST).fetchone()
        record.number = self._last = self._last + 1
        self._absent.discard(record.id)
        self._new.append(record)
        self._fresh_new[record.number] = record
        self._live[record.id] = record
        if self._earliest is not None:
            self._earliest = min(self._earliest, record.expires_at)
        self._turn.has_changed = True

    def save(self, record: Record) -> None:
        """Note what it holds and was told."""
        self._change(record, _Part.ACCOUNT)

    def extend(self, record: Record) -> None:
        """Note that it holds more, and lives longer."""
        record.forgotten_at = record.expires_at + KEPT_MS
        self._change(record, _Part.ALL)

    def end(self, record: Record, state: ReservationState, now: int) -> None:
        """Note how it ended; that is known for a while from now and from its expiry on."""
        record.state = state
        part = _Part.END
        if now + KEPT_MS > record.forgotten_at:
            record.forgotten_at = now + KEPT_MS
            part = _Part.ALL
        self._change(record, part)

    def delete(self, record: Record) -> None:
        """Forget it."""
        self.write()
        self._live.drop(record.id)
        self._connection.execute("DELETE FROM reservation WHERE number = ?", (record.number,))

    def _change(self, record: Record, part: _Part) -> None:
        self._turn.has_changed = True
        record.written = ""
        # Until it is written nobody may read it from the file.
        self._live[record.id] = record
        if record.number not in self._fresh_new:
            self._fresh[record.number] = record
        known = self._changed.get(record.number)
        self._changed[record.number] = record, part if known is None else max(part, known[1])

    # -- expiry -----------------------------------------------------------------------------

    def is_due(self, now: int) -> bool:
        """Whether any is overdue, of whatever app."""
        if self._earliest is None or self._earliest <= now:
            self.write()
            row = self._connection.execute(_EARLIEST).fetchone()
            self._earliest = NEVER if row is None else int(row[0])
        return self._earliest <= now

    def expire(self, now: int, most: int) -> list[tuple[int, str, str, str, str]]:
        """End some that are overdue: (expires_at, id, app, account, request) of each."""
        self.write()
        overdue = self._connection.execute(_EXPIRE, (now, most)).fetchall()
        for row in overdue:
            self._live.drop(row[1])
        return overdue

    # -- requests' ids ----------------------------------------------------------------------

    def of_request(self, app: str, digest: str, own_id: str, now: int) -> Record | None:
        """The one that was made for a request's id, while that is remembered, or has this id.

        Args:
            digest: of the request's id.
        """
        asked = app, digest, now, own_id
        leads_to, is_there = self._connection.execute(_ASKED, asked).fetchone()
        unwritten = self._asked.get((app, digest))
        if unwritten is not None:
            leads_to = unwritten[0] if unwritten[1] > now else None
        record = None if leads_to is None else self.find(leads_to)
        if record is None and (is_there or own_id in self._live):
            return self.find(own_id)
        return record

    def remember(self, app: str, digest: str, reservation_id: str, expires_at: int) -> None:
        """Let a request's id lead to its reservation."""
        known = reservation_id, expires_at + REQUESTS_REMEMBERED_MS
        self._asked[app, digest] = self._fresh_asked[app, digest] = known
        self._turn.has_changed = True

    def prolong(self, app: str, digest: str, record: Record) -> None:
        """Remember a request's id as long as the reservation lives."""
        self.write()
        self._connection.execute(
            "UPDATE request SET forgotten_at = ? WHERE app = ? AND digest = ? AND reservation = ?",
            (record.expires_at + REQUESTS_REMEMBERED_MS, app, digest, record.id),
        )

    def disremember(self, app: str, digest: str, record: Record) -> None:
        """Let a request's id lead nowhere, if it leads to this one."""
        self.write()
        self._connection.execute(
            "DELETE FROM request WHERE app = ? AND digest = ? AND reservation = ?",
            (app, digest, record.id),
        )

    # -- writing ----------------------------------------------------------------------------

    def note(self) -> list[Line]:
        """What was made and changed since this was asked last."""
        lines: list[Line] = [record.row for record in self._fresh_new.values()]
        lines += [record.columns(_Part.ALL) for record in self._fresh.values()]
        self._fresh_new.clear()
        self._fresh.clear()
        return lines

    def note_asked(self) -> list[Line]:
        """The requests' ids that came since this was asked last."""
        lines: list[Line] = [(*key, *found) for key, found in self._fresh_asked.items()]
        self._fresh_asked.clear()
        return lines

    def restore(self, lines: Sequence[Line]) -> None:
        """Write what somebody has noted, in its order."""
        new = [line for line in lines if len(line) == _COLUMNS]
        self._connection.executemany(_INSERT, new)
        changed = [line for line in lines if len(line) != _COLUMNS]
        self._connection.executemany(_UPDATES[_Part.ALL], changed)

    def restore_asked(self, lines: Iterable[Line]) -> None:
        """Write the ids of requests that somebody has noted."""
        self._connection.executemany(_REMEMBER, lines)

    def write(self) -> None:
        """Write what was changed since."""
        if self._asked:
            asked = [(*key, *found) for key, found in self._asked.items()]
            self._connection.executemany(_REMEMBER, asked)
            self._asked.clear()
        new = self._new
        if new:
            self._connection.executemany(_INSERT, [record.row for record in new])
            for record in new:
                self._changed.pop(record.number, None)
                self._settle(record)
            new.clear()
        if self._changed:
            by_part: dict[_Part, list[tuple[object, ...]]] = {}
            for record, part in self._changed.values():
                by_part.setdefault(part, []).append(record.columns(part))
                self._settle(record)
            for part, rows in by_part.items():
                self._connection.executemany(_UPDATES[part], rows)
            self._changed.clear()
        self._fresh_new.clear()
        self._fresh.clear()
        self._fresh_asked.clear()
        self._live.tidy()

    def _settle(self, record: Record) -> None:
        """What has ended is hardly asked for again."""
        if record.state is not ReservationState.HELD:
            self._live.drop(record.id)

    def forget(self) -> None:
        """Remember nothing, not even what is not written."""
        self._live.clear()
        self._new.clear()
        self._changed.clear()
        self._asked.clear()
        self._fresh_new.clear()
        self._fresh.clear()
        self._fresh_asked.clear()
        self._absent.clear()
        self._last = self._earliest = None


@cache
def _which(ids: int) -> str:
    """The question which of so many ids are there."""
    return f"SELECT id FROM reservation WHERE id IN ({', '.join('?' * ids)})"  # noqa: S608 # places
