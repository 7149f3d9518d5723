"""The meter in one SQLite file: each verb is one transaction, shared with whoever calls beside."""

import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from sidecar.adapters.counting import Content, Counter, instant_or_none, lay_out, readings_of
from sidecar.adapters.documents import (
    digest,
    fingerprint,
    read_limits,
    read_request,
    write_limits,
    write_request,
)
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.ledger import (
    KEPT_MS,
    REQUESTS_REMEMBERED_MS,
    Ledger,
    forget,
    total_of,
)
from sidecar.domain.decision import Reservation
from sidecar.domain.limits import Charge, Reading
from sidecar.domain.request import MAX_INTEGER, Amounts, CheckRequest
from sidecar.domain.usage import (
    ChargedEvent,
    Hold,
    Metering,
    ReservationState,
    Settlement,
    Tally,
    app_of,
)
from sidecar.domain.windows import from_ms
from sidecar.errors import (
    MeterUnavailable,
    RequestIdReused,
    ReservationEnded,
    Unavailable,
    UnknownReservation,
)

T = TypeVar("T")

_FORGET_EVERY: Final = 256
_FORGET_ROWS: Final = 1024


@dataclass(frozen=True, slots=True)
class _Row:
    """A reservation as it is stored."""

    id: str
    state: ReservationState
    expires_at: int
    tokens: int
    fingerprint: str
    decision: str
    extension: str
    request: str
    limits: str
    readings: str

    @property
    def answer(self) -> "_Answer":
        return _Answer(self.limits, self.readings)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a repeated request needs to be shown the same: the limits and what was read there."""

    limits: str
    readings: str


class SqliteMeter:
    """Counts in SQLite, by the machine's clock.

    Args:
        database: an open one.
        now_ms: a clock instead of the machine's, for tests.
    """

    def __init__(self, database: Database, now_ms: Callable[[], int] | None = None) -> None:
        self._database = database
        self._now_ms = now_ms or _system_ms
        self._writes = 0

    async def read(
        self, app_id: str, charges: Sequence[Charge], *, since: float
    ) -> tuple[Reading, ...]:
        """What the counters of these charges hold."""

        def work(connection: sqlite3.Connection) -> tuple[Reading, ...]:
            now = self._now_ms()
            ledger, layout = Ledger(connection, app_id, now), lay_out(charges, now)
            contents = [ledger.content(counter) for counter in layout.counters]
            return readings_of(charges, layout, contents, ledger.fits(charges, layout, contents))

        return await self._run(work, since)

    async def reserve(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        """Hold every charge, or none if an enforced limit has no room."""
        request, document = hold.request, write_request(hold.request)
        app_id = request.subject.app_id
        request_digest = digest(request.request_id) if request.request_id else ""

        def work(connection: sqlite3.Connection) -> Metering:
            now = self._now_ms()
            ledger = Ledger(connection, app_id, now)
            first = _first_answer(connection, app_id, request_digest, hold.reservation_id, now)
            if first is not None:
                return _repeated(ledger, first, request, charges, now)
            metering, answer = _hold(ledger, hold, charges, now)
            if metering.reservation is None:
                return metering
            expires_at = now + request.ttl_s * 1000
            connection.execute(
                "INSERT INTO reservation VALUES (?, ?, 'held', ?, ?, ?, ?, '', ?, ?, ?, ?)",
                (
                    hold.reservation_id, app_id, expires_at, request.estimate.tokens,
                    fingerprint(document), hold.decision_id, document,
                    answer.limits, answer.readings, expires_at + KEPT_MS,
                ),
            )  # fmt: skip
            if request_digest:
                connection.execute(
                    "INSERT OR REPLACE INTO request VALUES (?, ?, ?, ?)",
                    (
                        app_id, request_digest, hold.reservation_id,
                        expires_at + REQUESTS_REMEMBERED_MS,
                    ),
                )  # fmt: skip
            return metering

        return await self._write(work, since)

    async def recall(
        self, hold: Hold, charges: Sequence[Charge], *, since: float
    ) -> Metering | None:
        """The first answer to a request whose id came before, None if none is remembered."""
        request = hold.request
        app_id = request.subject.app_id

        def work(connection: sqlite3.Connection) -> Metering | None:
            now = self._now_ms()
            ledger = Ledger(connection, app_id, now)
            request_digest = digest(request.request_id)
            first = _first_answer(connection, app_id, request_digest, hold.reservation_id, now)
            return None if first is None else _repeated(ledger, first, request, charges, now)

        return await self._run(work, since)

    async def extend(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        """Hold further units, or none, and let the reservation live its `ttl_s` from now."""
        request = hold.request

        def work(connection: sqlite3.Connection) -> Metering:
            now = self._now_ms()
            ledger = Ledger(connection, request.subject.app_id, now)
            row = _live(connection, hold.reservation_id)
            if row.extension:
                decision, *answer = json.loads(row.extension)
                if decision == hold.decision_id:
                    return _replayed(ledger, row, decision, _Answer(*answer), charges, now)
            metering, answer = _hold(ledger, hold, charges, now)
            if metering.reservation is None:
                return metering
            expires_at = max(row.expires_at, now + request.ttl_s * 1000)
            tokens = min(row.tokens + request.estimate.tokens, MAX_INTEGER)
            extension = json.dumps([hold.decision_id, answer.limits, answer.readings])
            connection.execute(
                "UPDATE reservation SET expires_at = ?, tokens = ?, extension = ?, "
                "forgotten_at = ? WHERE id = ?",
                (expires_at, tokens, extension, expires_at + KEPT_MS, row.id),
            )
            connection.execute(
                "UPDATE request SET forgotten_at = ? "
                "WHERE app = ? AND digest = ? AND reservation = ?",
                (
                    expires_at + REQUESTS_REMEMBERED_MS, request.subject.app_id,
                    digest(read_request(row.request).request_id), row.id,
                ),
            )  # fmt: skip
            reservation = Reservation(row.id, from_ms(expires_at), tokens)
            return replace(metering, reservation=reservation)

        return await self._write(work, since)

    async def held_request(self, reservation_id: str, *, since: float) -> CheckRequest:
        """The request that a live reservation was made for."""

        def work(connection: sqlite3.Connection) -> CheckRequest:
            Ledger(connection, _app(reservation_id), self._now_ms())
            return read_request(_live(connection, reservation_id).request)

        return await self._run(work, since)

    async def commit(
        self, reservation_id: str, used: Amounts, *, final: bool, since: float
    ) -> Settlement:
        """Charge what the run has used so far, in the windows in which it was held."""

        def work(connection: sqlite3.Connection) -> Settlement:
            ledger = Ledger(connection, _app(reservation_id), self._now_ms())
            row = _known(connection, reservation_id)
            total = total_of(used)
            if row.state is ReservationState.RELEASED or (
                row.state is ReservationState.COMMITTED and ledger.is_more(reservation_id, total)
            ):
                raise ReservationEnded(reservation_id, row.state)
            if row.state is not ReservationState.COMMITTED:
                ledger.draw(reservation_id, total, finishes=final)
                if final:
                    self._end(connection, ledger, row, ReservationState.COMMITTED)
            return _settlement(connection, ledger, reservation_id)

        return await self._write(work, since)

    async def release(self, reservation_id: str, *, since: float) -> Settlement:
        """Give back all that is held."""

        def work(connection: sqlite3.Connection) -> Settlement:
            ledger = Ledger(connection, _app(reservation_id), self._now_ms())
            row = _known(connection, reservation_id)
            if row.state is ReservationState.COMMITTED:
                raise ReservationEnded(reservation_id, row.state)
            if row.state is ReservationState.HELD:
                self._end(connection, ledger, row, ReservationState.RELEASED)
            return _settlement(connection, ledger, reservation_id)

        return await self._write(work, since)

    async def withdraw(self, reservation_id: str, *, since: float) -> None:
        """Give back all that is held, and forget the reservation and its request's id."""

        def work(connection: sqlite3.Connection) -> None:
            row = _known(connection, reservation_id)
            if row.state is ReservationState.COMMITTED:
                raise ReservationEnded(reservation_id, row.state)
            connection.execute("DELETE FROM entry WHERE reservation = ?", (row.id,))
            connection.execute("DELETE FROM reservation WHERE id = ?", (row.id,))
            request_id = read_request(row.request).request_id
            connection.execute(
                "DELETE FROM request WHERE app = ? AND digest = ? AND reservation = ?",
                (_app(reservation_id), digest(request_id), row.id),
            )

        await self._write(work, since)

    async def record(self, app_id: str, events: Sequence[ChargedEvent], *, since: float) -> Tally:
        """Count events that were not counted before, each in the window of its own time."""
        return await self._write(
            lambda connection: Ledger(connection, app_id, self._now_ms()).record(events), since
        )

    async def ping(self, *, since: float) -> None:
        """Return if the file can be written, and our tables are in it."""
        await self._run(
            lambda connection: connection.execute("SELECT 1 FROM counter LIMIT 1").fetchone(), since
        )

    def _end(
        self,
        connection: sqlite3.Connection,
        ledger: Ledger,
        row: _Row,
        state: ReservationState,
    ) -> None:
        ledger.let_go(row.id)
        connection.execute(
            "UPDATE reservation SET state = ?, forgotten_at = ? WHERE id = ?",
            (state.value, self._now_ms() + KEPT_MS, row.id),
        )

    async def _write(self, work: Callable[[sqlite3.Connection], T], since: float) -> T:
        self._writes += 1
        if self._writes % _FORGET_EVERY:
            return await self._run(work, since)

        def and_forget(connection: sqlite3.Connection) -> T:
            forget(connection, self._now_ms(), _FORGET_ROWS)
            return work(connection)

        return await self._run(and_forget, since)

    async def _run(self, work: Callable[[sqlite3.Connection], T], since: float) -> T:
        try:
            return await self._database.run(work, since=since)
        except Unavailable as error:
            raise MeterUnavailable(str(error)) from error


def _hold(
    ledger: Ledger, hold: Hold, charges: Sequence[Charge], now: int
) -> tuple[Metering, _Answer]:
    """Hold all or nothing."""
    layout = lay_out(charges, now)
    contents = [ledger.content(counter) for counter in layout.counters]
    fits = ledger.fits(charges, layout, contents)
    readings = readings_of(charges, layout, contents, fits)
    shown = [[content.used, content.held, content.resets_at_ms] for content in contents]
    answer = _Answer(write_limits(charges, layout.indexes), json.dumps([shown, fits]))
    if any(reading.is_exceeded and reading.limit.is_enforced for reading in readings):
        return Metering(readings), answer
    ledger.hold(hold.reservation_id, layout.counters)
    request = hold.request
    expires_at = from_ms(now + request.ttl_s * 1000)
    reservation = Reservation(hold.reservation_id, expires_at, request.estimate.tokens)
    return Metering(readings, reservation, decision_id=hold.decision_id), answer


def _repeated(
    ledger: Ledger, first: _Row, request: CheckRequest, charges: Sequence[Charge], now: int
) -> Metering:
    """The first answer to a request that came again."""
    if first.fingerprint != fingerprint(write_request(request)):
        raise RequestIdReused(request.request_id)
    return _replayed(ledger, first, first.decision, first.answer, charges, now)


def _replayed(
    ledger: Ledger,
    row: _Row,
    decision: str,
    answer: _Answer,
    charges: Sequence[Charge],
    now: int,
) -> Metering:
    """The first answer again; the readings of now where it was given under other limits."""
    layout = lay_out(charges, now)
    if answer.limits == write_limits(charges, layout.indexes):
        shown, fits = json.loads(answer.readings)
        contents = [Content(*numbers) for numbers in shown]
    else:
        contents = [ledger.content(counter) for counter in layout.counters]
        fits = ledger.fits(charges, layout, contents)
    readings = readings_of(charges, layout, contents, fits)
    reservation = Reservation(row.id, from_ms(row.expires_at), row.tokens)
    return Metering(readings, reservation, decision_id=decision)


def _first_answer(
    connection: sqlite3.Connection, app_id: str, request_digest: str, reservation_id: str, now: int
) -> _Row | None:
    if request_digest:
        known = connection.execute(
            "SELECT reservation FROM request WHERE app = ? AND digest = ? AND forgotten_at > ?",
            (app_id, request_digest, now),
        ).fetchone()
        if known is not None:
            return _row(connection, known[0])
    return _row(connection, reservation_id)


def _row(connection: sqlite3.Connection, reservation_id: str) -> _Row | None:
    found = connection.execute(
        "SELECT id, state, expires_at, tokens, fingerprint, decision, extension, request, "
        "limits, readings FROM reservation WHERE id = ?",
        (reservation_id,),
    ).fetchone()
    return None if found is None else _Row(found[0], ReservationState(found[1]), *found[2:])


def _known(connection: sqlite3.Connection, reservation_id: str) -> _Row:
    row = _row(connection, reservation_id)
    if row is None:
        raise UnknownReservation(reservation_id)
    return row


def _live(connection: sqlite3.Connection, reservation_id: str) -> _Row:
    row = _known(connection, reservation_id)
    if row.state is not ReservationState.HELD:
        raise ReservationEnded(reservation_id, row.state)
    return row


def _settlement(connection: sqlite3.Connection, ledger: Ledger, reservation_id: str) -> Settlement:
    row = _known(connection, reservation_id)
    counters: dict[str, Counter] = {}
    for entry in ledger.entries(row.id):
        counters.setdefault(entry.counter.name, entry.counter)
    contents = [ledger.content(counter) for counter in counters.values()]
    readings = []
    for limit, index in read_limits(row.limits):
        content = contents[index]
        resets_at = instant_or_none(content.resets_at_ms)
        readings.append(Reading(limit, content.used, content.held, 0, resets_at))
    return Settlement(row.id, row.state, from_ms(row.expires_at), row.tokens, tuple(readings))


def _app(reservation_id: str) -> str:
    app_id = app_of(reservation_id)
    if app_id is None:
        raise UnknownReservation(reservation_id)
    return app_id


def _system_ms() -> int:
    return time.time_ns() // 1_000_000
