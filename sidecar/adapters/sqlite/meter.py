"""The meter in one SQLite file: each verb is one transaction, shared with whoever calls beside."""

from collections.abc import Callable, Coroutine, Sequence
from functools import lru_cache
from typing import Final, TypeVar

import orjson

from sidecar.adapters.documents import (
    digest,
    fingerprint,
    read_request,
    write_briefly,
    write_request,
)
from sidecar.adapters.sqlite.accounts import Account
from sidecar.adapters.sqlite.answers import Look, reservation_of, settlement_of, told_again
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.event_log import SqliteEventLog
from sidecar.adapters.sqlite.ledger import Ledger
from sidecar.adapters.sqlite.reservations import Answer, Record
from sidecar.adapters.sqlite.schema import SCHEMA_VERSION
from sidecar.adapters.sqlite.sweep import forget
from sidecar.adapters.sqlite.times import KEPT_MS, system_ms
from sidecar.domain.decision import Reservation
from sidecar.domain.grants import Grant, GrantBalance, GrantOutcome
from sidecar.domain.limits import Charge
from sidecar.domain.request import MAX_INTEGER, UNTOLD, Amounts, CheckRequest, Subject
from sidecar.domain.usage import (
    ChargedEvent,
    Hold,
    Metering,
    OnExpiry,
    ReservationState,
    Settlement,
    Tally,
    UsageRow,
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

_FORGET_EVERY: Final = 512
_FORGET_ROWS: Final = 1024
_FORGOTTEN: Final = Answer("", "")
"""Of an extension before the latest no more is known than that it was made."""


class SqliteMeter:
    """Counts in SQLite, by the machine's clock.

    Args:
        database: an open one.
        now_ms: a clock instead of the machine's, for tests.
        on_expiry: what becomes of units whose reservation expires.
        log: what keeps the events that are accepted.
    """

    def __init__(
        self,
        database: Database,
        now_ms: Callable[[], int] | None = None,
        on_expiry: OnExpiry = OnExpiry.RELEASE,
        log: SqliteEventLog | None = None,
    ) -> None:
        self._database = database
        self._log = log or SqliteEventLog(database)
        self._now_ms = now_ms or system_ms
        self._charges = on_expiry is OnExpiry.CHARGE
        self._writes = 0

    async def read(self, subject: Subject, charges: Sequence[Charge], *, since: float) -> Metering:
        """What the counters of these charges hold, and what grants add for the subject."""

        def work(ledger: Ledger) -> Metering:
            now = self._now_ms()
            ledger.take_turn(subject.app_id, now)
            return Metering(Look(ledger, subject.user_id, charges, now).readings)

        return await self._run(work, since)

    async def reserve(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        """Hold every charge, or none if an enforced limit has no room."""
        request, document = hold.request, write_briefly(hold.request)
        app_id, user_id = request.subject.app_id, request.subject.user_id
        request_digest = body = ""
        if request.request_id:
            request_digest, body = digest(request.request_id), fingerprint(write_request(request))

        def work(ledger: Ledger) -> Metering:
            now = self._now_ms()
            ledger.take_turn(app_id, now)
            first = _first_answer(ledger, hold, request_digest, now)
            if first is not None:
                if request_digest and first.fingerprint != body:
                    raise RequestIdReused(request.request_id)
                return told_again(ledger, first, first.decision, first.answer, charges, now)
            look = Look(ledger, user_id, charges, now)
            if look.is_refused:
                return Metering(look.readings)
            account = Account(self._charges, hold.rates)
            ledger.hold(account, user_id, look.layout.counters, look.cells)
            ledger.settle()
            expires_at = now + request.ttl_s * 1000
            tokens = request.estimate.tokens
            answer = look.answer
            ledger.reservations.insert(
                Record(
                    0, hold.reservation_id, app_id, ReservationState.HELD, expires_at, tokens,
                    body, hold.decision_id, "", document, answer.limits, answer.readings,
                    account, expires_at + KEPT_MS, request,
                )
            )  # fmt: skip
            if request_digest:
                ledger.reservations.remember(
                    app_id, request_digest, hold.reservation_id, expires_at
                )
            reservation = Reservation(hold.reservation_id, from_ms(expires_at), tokens)
            return Metering(look.readings, reservation, decision_id=hold.decision_id)

        # One with a request's id is sought by that.
        seeks = "" if request_digest else hold.reservation_id
        return await self._write(work, since, seeks)

    async def recall(
        self, hold: Hold, charges: Sequence[Charge], *, since: float
    ) -> Metering | None:
        """The first answer to a request whose id came before, None if none is remembered."""
        request = hold.request
        body, request_digest = fingerprint(write_request(request)), digest(request.request_id)

        def work(ledger: Ledger) -> Metering | None:
            now = self._now_ms()
            ledger.take_turn(request.subject.app_id, now)
            first = _first_answer(ledger, hold, request_digest, now)
            if first is None:
                return None
            if first.fingerprint != body:
                raise RequestIdReused(request.request_id)
            return told_again(ledger, first, first.decision, first.answer, charges, now)

        return await self._run(work, since)

    async def extend(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        """Hold further units, or none, and let the reservation live its `ttl_s` from now."""
        request = hold.request

        def work(ledger: Ledger) -> Metering:
            now = self._now_ms()
            ledger.take_turn(request.subject.app_id, now)
            record = _live(ledger, hold.reservation_id)
            before: list[str] = []
            if record.extension:
                decision, limits, readings, *before = orjson.loads(record.extension)
                if hold.decision_id == decision:
                    answer = Answer(limits, readings)
                    return told_again(ledger, record, decision, answer, charges, now)
                if hold.decision_id in before:
                    return told_again(ledger, record, hold.decision_id, _FORGOTTEN, charges, now)
                before.append(decision)
            look = Look(ledger, record.user, charges, now)
            if look.is_refused:
                return Metering(look.readings)
            ledger.hold(record.account, record.user, look.layout.counters, look.cells)
            ledger.settle()
            answer = look.answer
            record.expires_at = max(record.expires_at, now + request.ttl_s * 1000)
            record.tokens = min(record.tokens + request.estimate.tokens, MAX_INTEGER)
            told = [hold.decision_id, answer.limits, answer.readings, *before]
            record.extension = orjson.dumps(told).decode()
            ledger.reservations.extend(record)
            if record.request_id:
                ledger.reservations.prolong(record.app, digest(record.request_id), record)
            return Metering(look.readings, reservation_of(record), decision_id=hold.decision_id)

        return await self._write(work, since)

    async def held_request(self, reservation_id: str, *, since: float) -> CheckRequest:
        """The request that a live reservation was made for."""

        def work(ledger: Ledger) -> CheckRequest:
            ledger.take_turn(_app(reservation_id), self._now_ms())
            return read_request(_live(ledger, reservation_id).request)

        return await self._run(work, since)

    async def commit(
        self,
        reservation_id: str,
        used: Amounts,
        *,
        final: bool,
        since: float,
        model: str = "",
    ) -> Settlement:
        """Charge what the run has used so far, in the windows in which it was held."""

        def work(ledger: Ledger) -> Settlement:
            now = self._now_ms()
            ledger.take_turn(_app(reservation_id), now)
            record = _known(ledger, reservation_id)
            is_little = record.is_little(now)
            total = used
            if used.cost == UNTOLD:
                total = Amounts(
                    used.tokens, used.input_tokens, used.output_tokens, used.requests,
                    record.cost(used), used.concurrency,
                )  # fmt: skip
            match record.state:
                case ReservationState.RELEASED:
                    raise ReservationEnded(reservation_id, record.state)
                case ReservationState.COMMITTED:
                    if not ledger.charging.knows(record, total):
                        raise ReservationEnded(reservation_id, record.state)
                case ReservationState.HELD | ReservationState.EXPIRED:
                    ledger.charging.charge(record, total, model=model, finishes=final)
                    if final:
                        ledger.let_go(record)
                        ledger.reservations.end(record, ReservationState.COMMITTED, now)
                    else:
                        ledger.reservations.save(record)
            ledger.settle()
            return settlement_of(ledger, record, is_little=is_little)

        return await self._write(work, since)

    async def release(self, reservation_id: str, *, since: float) -> Settlement:
        """Give back all that is held."""

        def work(ledger: Ledger) -> Settlement:
            now = self._now_ms()
            ledger.take_turn(_app(reservation_id), now)
            record = _known(ledger, reservation_id)
            is_little = record.is_little(now)
            if record.state is ReservationState.COMMITTED:
                raise ReservationEnded(reservation_id, record.state)
            if record.state is ReservationState.HELD:
                ledger.let_go(record)
                ledger.settle()
                ledger.reservations.end(record, ReservationState.RELEASED, now)
            return settlement_of(ledger, record, is_little=is_little)

        return await self._write(work, since)

    async def withdraw(self, reservation_id: str, *, since: float) -> None:
        """Give back all that is held, and forget the reservation and its request's id."""
        app_id = app_of(reservation_id)
        if app_id is None:
            return

        def work(ledger: Ledger) -> None:
            now = self._now_ms()
            ledger.take_turn(app_id, now)
            record = ledger.reservations.find(reservation_id)
            if record is None:
                return
            if record.state is ReservationState.COMMITTED or record.is_little(now):
                raise ReservationEnded(reservation_id, record.state)
            # Nobody ran it: what its expiry charged comes back too.
            ledger.charging.correct(record)
            ledger.let_go(record)
            ledger.settle()
            ledger.reservations.delete(record)
            if record.request_id:
                ledger.reservations.disremember(record.app, digest(record.request_id), record)

        await self._write(work, since)

    async def record(self, app_id: str, events: Sequence[ChargedEvent], *, since: float) -> Tally:
        """Count events that were not counted before, each in the window of its own time."""

        def work(ledger: Ledger) -> Tally:
            now = self._now_ms()
            ledger.take_turn(app_id, now)
            self._log.demand_room(ledger.connection, events)
            tally = ledger.record(events)
            ledger.settle()
            self._log.append(ledger.connection, app_id, now, ledger.accepted)
            return tally

        tally = await self._write(work, since)
        self._log.note(app_id, tally)
        return tally

    async def grant(self, grant: Grant, *, since: float) -> tuple[GrantOutcome, GrantBalance]:
        """Add units to what a user may use, or revoke what is left of them."""

        def work(ledger: Ledger) -> tuple[GrantOutcome, GrantBalance]:
            ledger.take_turn(grant.app_id, self._now_ms())
            return ledger.grants.push(grant)

        return await self._write(work, since)

    async def grants(self, subject: Subject, *, since: float) -> tuple[GrantBalance, ...]:
        """The grants that a user has in an app, in the order in which they are drawn."""
        owner = subject.app_id, subject.user_id

        def work(ledger: Ledger) -> tuple[GrantBalance, ...]:
            ledger.take_turn(subject.app_id, self._now_ms())
            return ledger.grants.all(owner)

        return await self._run(work, since)

    async def usage(
        self, app_id: str, user_id: str | None, first_hour: int, last_hour: int, *, since: float
    ) -> tuple[UsageRow, ...]:
        """What was used hour by hour, of one user or, with None, of all together."""
        return await self._run(
            lambda ledger: ledger.rollups.rows(app_id, user_id, first_hour, last_hour), since
        )

    async def ping(self, *, since: float) -> None:
        """Return if the file can be written, and our tables are in it."""

        def work(ledger: Ledger) -> None:
            connection = ledger.connection
            connection.execute("SELECT 1 FROM counter LIMIT 1").fetchone()
            # The same number again is a write all the same: a full disk is found by trying.
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

        await self._run(work, since)

    def _write(
        self, work: Callable[[Ledger], T], since: float, seeks: str = ""
    ) -> Coroutine[None, None, T]:
        self._writes += 1
        if self._writes % _FORGET_EVERY:
            return self._run(work, since, seeks)

        def and_forget(ledger: Ledger) -> T:
            ledger.write()
            forget(ledger.connection, self._now_ms(), _FORGET_ROWS)
            return work(ledger)

        return self._run(and_forget, since, seeks)

    async def _run(self, work: Callable[[Ledger], T], since: float, seeks: str = "") -> T:
        try:
            return await self._database.count(work, since=since, seeks=seeks)
        except Unavailable as error:
            raise MeterUnavailable(str(error)) from error


def _first_answer(ledger: Ledger, hold: Hold, request_digest: str, now: int) -> Record | None:
    reservations = ledger.reservations
    if request_digest:
        app_id = hold.request.subject.app_id
        return reservations.of_request(app_id, request_digest, hold.reservation_id, now)
    return reservations.find(hold.reservation_id)


def _known(ledger: Ledger, reservation_id: str) -> Record:
    record = ledger.reservations.find(reservation_id)
    if record is None:
        raise UnknownReservation(reservation_id)
    return record


def _live(ledger: Ledger, reservation_id: str) -> Record:
    record = _known(ledger, reservation_id)
    if record.state is not ReservationState.HELD:
        raise ReservationEnded(reservation_id, record.state)
    return record


def _app(reservation_id: str) -> str:
    # What stands before the token is the same for all reservations of an app.
    place, dot, token = reservation_id.partition(".")
    app_id = _app_at(place) if dot and token else None
    if app_id is None:
        raise UnknownReservation(reservation_id)
    return app_id


@lru_cache(4096)
def _app_at(place: str) -> str | None:
    return app_of(f"{place}.any")
