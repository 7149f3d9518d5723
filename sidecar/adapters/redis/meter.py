"""The meter on Redis: each verb is one script, so each is all or nothing."""

import contextlib
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from datetime import datetime
from typing import Any

from sidecar.adapters.documents import read_request
from sidecar.adapters.redis.apps import RedisApps
from sidecar.adapters.redis.connection import Argument, RedisConnection, Script
from sidecar.adapters.redis.epochs import Epochs
from sidecar.adapters.redis.event_log import RedisEventLog
from sidecar.adapters.redis.forms import Forms
from sidecar.adapters.redis.keys import (
    app_prefix,
    grants_key,
    place_of,
    quoted,
    reservation_key,
    usage_key,
)
from sidecar.adapters.redis.lines import (
    Told,
    read_balance,
    read_balances,
    read_settlement,
    read_told,
    read_usage,
    write_events,
)
from sidecar.adapters.redis.script import BOOK, LEDGER, PLAIN
from sidecar.domain.decision import Reservation
from sidecar.domain.grants import MOST_GRANTS, Grant, GrantBalance, GrantOutcome
from sidecar.domain.limits import Charge
from sidecar.domain.request import Amounts, CheckRequest, Subject
from sidecar.domain.usage import (
    PLACE,
    ChargedEvent,
    Hold,
    Metering,
    OnExpiry,
    Settlement,
    Tally,
    UsageRow,
    name_reservation,
    token_of,
)
from sidecar.domain.windows import from_ms, to_ms
from sidecar.errors import (
    GrantConflict,
    MeterUnavailable,
    OutboxFull,
    RequestIdReused,
    ReservationEnded,
    Unavailable,
    UnknownReservation,
)

READ = Script("counters.lua", "read.lua", "readings.lua", "told.lua", rarely=LEDGER[1:])
RESERVE = Script("counters.lua", "recall.lua", "readings.lua", "reserve.lua", rarely=LEDGER[1:])
SETTLE = Script(*PLAIN, "finish.lua", *BOOK, "sessions.lua", "settle.lua")
RECORD = Script(*LEDGER, "sessions.lua", "event_log.lua", "record.lua")
GRANT = Script(*LEDGER, "grant.lua")
SCRIPTS = (READ, RESERVE, SETTLE, RECORD, GRANT)

_MAX_TRIES = 8


class RedisMeter:
    """Counts in Redis, by the server's clock.

    Args:
        connection: where the scripts run.
        now_ms: a clock instead of the server's, for tests.
        on_expiry: what becomes of units whose reservation expires.
        log: what keeps the events that are accepted, None for nothing.
        apps: hears of each app that is new here, None for nobody.
    """

    def __init__(
        self,
        connection: RedisConnection,
        now_ms: Callable[[], int] | None = None,
        on_expiry: OnExpiry = OnExpiry.RELEASE,
        log: RedisEventLog | None = None,
        apps: RedisApps | None = None,
    ) -> None:
        self._connection = connection
        self._log = log
        self._now_ms = now_ms
        self._forms = Forms(charges_on_expiry=on_expiry is OnExpiry.CHARGE)
        self._ahead_ms = 0
        self._epochs = Epochs(meet=None if apps is None else apps.meet)

    @property
    def losses(self) -> int:
        """How often an app's counters were found gone."""
        return self._epochs.losses

    async def read(self, subject: Subject, charges: Sequence[Charge], *, since: float) -> Metering:
        """What the counters of these charges hold, and what grants add for the subject."""
        app_id, prefix = subject.app_id, app_prefix(subject.app_id)
        for at_ms in self._instants():
            form = self._forms.at(charges, at_ms)
            keys = (prefix, grants_key(prefix, subject.user_id), *form.keys(prefix, charges))
            arguments = (self._now(), form.limits, form.numbers(charges))
            told = await self._run(READ, app_id, keys, arguments, since)
            if told.lines[0] != "period":
                break
        readings = form.readings(charges, told.numbers)
        return Metering(readings, counters_lost=self._epochs.is_lost(app_id))

    def reserve(
        self, hold: Hold, charges: Sequence[Charge], *, since: float
    ) -> Coroutine[Any, Any, Metering]:
        """Hold every charge, or none if an enforced limit has no room."""
        return self._reserve(hold, charges, since, "reserve")

    async def recall(
        self, hold: Hold, charges: Sequence[Charge], *, since: float
    ) -> Metering | None:
        """The first answer to a request whose id came before, None if none is remembered."""
        try:
            return await self._reserve(hold, charges, since, "recall")
        except UnknownReservation:
            return None

    async def extend(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        """Hold further units, or none, and let the reservation live its `ttl_s` from now."""
        return await self._reserve(hold, charges, since, "extend")

    async def held_request(self, reservation_id: str, *, since: float) -> CheckRequest:
        """The request that a live reservation was made for."""
        told = await self._settle(reservation_id, "find", Amounts(), since)
        return read_request(told.lines[6])

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
        action = "finish" if final else "commit"
        told = await self._settle(reservation_id, action, used, since, model)
        return read_settlement(reservation_id, told, self._store_time)

    async def release(self, reservation_id: str, *, since: float) -> Settlement:
        """Give back all that is held."""
        told = await self._settle(reservation_id, "release", Amounts(), since)
        return read_settlement(reservation_id, told, self._store_time)

    async def withdraw(self, reservation_id: str, *, since: float) -> None:
        """Give back all that is held, and forget the reservation and its request's id."""
        with contextlib.suppress(UnknownReservation):
            await self._settle(reservation_id, "withdraw", Amounts(), since)

    async def record(self, app_id: str, events: Sequence[ChargedEvent], *, since: float) -> Tally:
        """Count events that were not counted before, each in the window of its own time."""
        written, logged = write_events(events, app_id), ""
        prefix = app_prefix(app_id)
        if self._log is not None:
            logged = await self._log.about_to_come(app_id, events, since=since)
        arguments = (self._now(), written, logged)
        reply, _ = await self._run(RECORD, app_id, (prefix,), arguments, since)
        if reply[0] == "full":
            raise OutboxFull
        tally = Tally(int(reply[2]), int(reply[3]), tokens=int(reply[4]))
        if self._log is not None and logged:
            await self._log.has_come(app_id, tally.accepted, reply[1], since=since)
        return tally

    async def grant(self, grant: Grant, *, since: float) -> tuple[GrantOutcome, GrantBalance]:
        """Add units to what a user may use, or revoke what is left of them."""
        expires = 0 if grant.expires_at is None else to_ms(grant.expires_at)
        arguments = (
            self._now(), quoted(grant.id), quoted(grant.scope), grant.amount,
            to_ms(grant.effective_at), expires, quoted(grant.reason), MOST_GRANTS,
        )  # fmt: skip
        prefix = app_prefix(grant.app_id)
        keys = (prefix, grants_key(prefix, grant.user_id))
        reply, _ = await self._run(GRANT, grant.app_id, keys, arguments, since)
        match reply[0]:
            case "other":
                raise GrantConflict(
                    f"grant {grant.id!r} came before with other content; "
                    "revoke it (amount 0) and push another id"
                )
            case "many":
                raise GrantConflict(
                    f"user {grant.user_id!r} has {MOST_GRANTS} grants already that are not over"
                )
        return GrantOutcome(reply[0]), read_balance(grant.app_id, grant.user_id, reply[2])

    async def grants(self, subject: Subject, *, since: float) -> tuple[GrantBalance, ...]:
        """The grants that a user has in an app, in the order in which they are drawn."""
        prefix = app_prefix(subject.app_id)
        keys = (prefix, grants_key(prefix, subject.user_id))
        nothing = self._forms.at((), 0)
        arguments = (self._now(), nothing.limits, nothing.numbers(()))
        reply, _ = await self._run(READ, subject.app_id, keys, arguments, since)
        return tuple(read_balances(subject.app_id, subject.user_id, reply[2:]))

    async def usage(
        self, app_id: str, user_id: str | None, first_hour: int, last_hour: int, *, since: float
    ) -> tuple[UsageRow, ...]:
        """What was used hour by hour, of one user or, with None, of all together."""
        prefix, rows = app_prefix(app_id), list[UsageRow]()
        for day in range(first_hour // 24, last_hour // 24 + 1):
            key = usage_key(prefix, day, user_id)
            try:
                found = await self._connection.command("HGETALL", key, since=since)
            except Unavailable as error:
                raise MeterUnavailable(str(error)) from error
            assert isinstance(found, list)
            rows += read_usage(user_id or "", found, first_hour, last_hour)
        rows.sort(key=_order_of)
        return tuple(rows)

    async def ping(self, *, since: float) -> None:
        """Return if Redis answers and takes writes, a Cluster in all of its slots."""
        try:
            await self._connection.ready(since=since)
        except Unavailable as error:
            raise MeterUnavailable(str(error)) from error

    async def _reserve(
        self, hold: Hold, charges: Sequence[Charge], since: float, action: str
    ) -> Metering:
        request = hold.request
        app_id, user_id = request.subject.app_id, request.subject.user_id
        prefix, token = app_prefix(app_id), token_of(hold.reservation_id)
        place = token[:PLACE]
        for at_ms in self._instants():
            form = self._forms.at(charges, at_ms)
            keys = (
                prefix,
                reservation_key(prefix, place),
                grants_key(prefix, user_id),
                *form.keys(prefix, charges),
            )
            record, numbers = form.record(hold, charges), form.hold_numbers(charges, request.ttl_s)
            arguments = (self._now(), action, place, record, numbers)
            told = await self._run(RESERVE, app_id, keys, arguments, since)
            if told.lines[0] != "period":
                break
        reply, is_lost = told.lines, self._epochs.is_lost(app_id)
        name, tokens, decision = hold.reservation_id, request.estimate.tokens, hold.decision_id
        match reply[0]:
            case "held":
                pass
            case "refused":
                return Metering(form.readings(charges, told.numbers), counters_lost=is_lost)
            case "known":
                name = name_reservation(app_id, place + reply[4])
                tokens, decision = int(reply[3]), reply[5]
            case "reused":
                raise RequestIdReused(request.request_id)
            case "unknown":
                raise UnknownReservation(hold.reservation_id)
            case ended:
                assert ended == "ended"
                raise ReservationEnded(hold.reservation_id, reply[2])
        if told.numbers or not charges:
            readings = form.readings(charges, told.numbers)
        else:
            # The first answer was given under other limits.
            readings = (await self.read(request.subject, charges, since=since)).readings
        reservation = Reservation(name, from_ms(int(reply[2])), tokens)
        return Metering(readings, reservation, decision_id=decision, counters_lost=is_lost)

    async def _settle(
        self, reservation_id: str, action: str, used: Amounts, since: float, model: str = ""
    ) -> Told:
        app_id, place, nonce = place_of(reservation_id)
        if app_id is None:
            raise UnknownReservation(reservation_id)
        arguments = (
            self._now(), place, nonce, action,
            used.tokens, used.input_tokens, used.output_tokens, used.cost, quoted(model),
        )  # fmt: skip
        told = await self._run(SETTLE, app_id, (app_prefix(app_id),), arguments, since)
        match told.lines[0]:
            case "unknown":
                raise UnknownReservation(reservation_id)
            case "ended":
                raise ReservationEnded(reservation_id, told.lines[2])
        return told

    def _instants(self) -> Iterator[int]:
        """The time of the server as it is known, anew whenever it turns out to be another.

        Periods are computed here, and a script refuses them if its clock has left them.
        """
        for _ in range(_MAX_TRIES):
            yield self._local_ms() + self._ahead_ms
        raise MeterUnavailable("the store's clock does not stand still in any period")

    async def _run(
        self,
        script: Script,
        app_id: str,
        keys: Sequence[str],
        arguments: Sequence[Argument],
        since: float,
    ) -> Told:
        while True:
            try:
                reply = await self._connection.run(script, keys, arguments, since=since)
            except Unavailable as error:
                raise MeterUnavailable(str(error)) from error
            told = read_told(reply)
            self._epochs.see(app_id, told.lines[1])
            if told.lines[0] == "period":
                self._ahead_ms = int(told.lines[2]) - self._local_ms()
            if told.lines[0] != "again":
                return told
            if self._connection.is_over(since):
                # What was ended stays ended: whoever comes next has less to end.
                raise MeterUnavailable("more reservations are overdue than can be ended in time")

    def _local_ms(self) -> int:
        return time.time_ns() // 1_000_000 if self._now_ms is None else self._now_ms()

    def _store_time(self) -> datetime:
        """About what the server's clock shows."""
        return from_ms(self._local_ms() + self._ahead_ms)

    def _now(self) -> Argument:
        return "" if self._now_ms is None else self._now_ms()


def _order_of(row: UsageRow) -> tuple[int, str, str, str, str]:
    return row.hour, row.model, row.workflow, row.agent, row.plugin
