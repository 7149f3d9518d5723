"""What happens to counters, grants and holds, as steps inside one SQLite transaction.

The same promises as the Redis scripts keep: read all, decide, only then write; holds apart
from use; each operation once. Times are milliseconds since 1970.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from sidecar.adapters.documents import digest
from sidecar.adapters.sqlite.accounts import TOLD, Account, Draw, Entry, read_account
from sidecar.adapters.sqlite.cells import Cell
from sidecar.adapters.sqlite.charging import Charging, totals_by_meter
from sidecar.adapters.sqlite.counters import Counters, Place
from sidecar.adapters.sqlite.grants import Grants, Owner
from sidecar.adapters.sqlite.journal import Journal, Part
from sidecar.adapters.sqlite.reservations import Record, Reservations, user_of
from sidecar.adapters.sqlite.rollups import Rollups, dimensions_of
from sidecar.adapters.sqlite.sessions import Sessions
from sidecar.adapters.sqlite.statements import Statements
from sidecar.adapters.sqlite.times import EVENTS_REMEMBERED_MS, HOUR_MS
from sidecar.adapters.sqlite.turn import Turn
from sidecar.adapters.sqlite.unfinished import Unfinished
from sidecar.domain.counting import Content, Counter, Layout, lay_out
from sidecar.domain.limits import Charge, Limit
from sidecar.domain.prices import NO_RATES
from sidecar.domain.request import MAX_INTEGER, Amounts, MeterKind
from sidecar.domain.usage import ChargedEvent, EventKind, ReservationState, Tally
from sidecar.domain.windows import to_ms

_HAS_DUE: Final = """
SELECT 1 FROM reservation WHERE state = 'held' AND expires_at <= ? AND app = ? LIMIT 1"""
_REAP: Final = 2_000
"""Overdue reservations that one transaction ends."""
_NOTED: Final = 4_000
"""Lines that the journal may have before all is written into the tables."""
_ALONE: Final = 8
"""Groups in a row, without anybody else's between them, from which on there is a journal."""


class Ledger:
    """The counters and grants in one file, as who writes it knows them.

    What was read is remembered, and what was changed is written together, for as long as nobody
    else writes to the file. So each piece of work takes a turn; whoever holds the connection says
    when there may be a `change` by others, and when all is to be written.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._turn = turn = Turn()
        self._version: int | None = None
        self._before = 0
        self.counters = Counters(connection, turn)
        self.grants = Grants(connection, turn)
        self.reservations = Reservations(connection, turn)
        self.rollups = Rollups(connection, turn)
        self._sessions = Sessions(connection, turn, self.counters, self.rollups)
        self.statements = Statements(connection, turn, self.counters)
        self.charging = Charging(
            turn, self.counters, self.grants, self.statements, self.rollups, self._sessions
        )
        self.accepted: list[ChargedEvent] = []
        self._parts: tuple[Part, ...] = (
            self.counters, self.reservations, self.statements, self.rollups,
        )  # fmt: skip
        self._journal = Journal(connection)
        self._noted = 0
        self._alone = 0
        self._is_behind = True
        self._untouched = 0

    # -- turns ------------------------------------------------------------------------------

    def take_turn(self, app: str, now_ms: int) -> None:
        """Begin a piece of work on one app at one instant.

        What is overdue is ended before anything is read: what it holds is nobody's.
        """
        turn = self._turn
        turn.app, turn.now = app, now_ms
        turn.number += 1
        self.accepted = []
        if self.reservations.is_due(now_ms):
            self._reap()
        self.mark()

    def mark(self) -> None:
        """Let `has_changed` tell of what comes."""
        self._turn.has_changed = False
        self._before = self.connection.total_changes

    @property
    def has_changed(self) -> bool:
        """Whether anything was changed since it was marked."""
        return self._turn.has_changed or self.connection.total_changes != self._before

    def settle(self) -> None:
        """End a piece of work: what it changed is to be written."""
        self.counters.settle()
        self.statements.settle()

    def begin(self) -> None:
        """Forget what may be otherwise by now; at the beginning of a transaction."""
        (version,) = self.connection.execute("PRAGMA data_version").fetchone()
        self._alone += 1
        if version != self._version:
            self._version = version
            self._alone = 0
            self.forget()
        if self._is_behind:
            self._catch_up()
        self.reservations.begin()
        self._untouched = self.connection.total_changes

    def end(self) -> None:
        """Let all that was changed be kept by the commit that follows.

        The journal has it where nothing else was written: what was, was written upon all that
        was noted before, and can only be kept together with it.
        """
        is_touched = self.connection.total_changes != self._untouched
        if is_touched or self._alone < _ALONE or self._noted > _NOTED:
            self.write()
            return
        parts = [part.note() for part in self._parts]
        parts.append(self.reservations.note_asked())
        lines = sum(map(len, parts))
        if lines:
            self._journal.append(parts)
            self._noted += lines

    @property
    def is_ahead(self) -> bool:
        """Whether the journal has anything that the tables have not."""
        return self._noted > 0

    def write(self) -> None:
        """Write all that was changed into the tables, before anybody else reads them."""
        for part in self._parts:
            part.write()
        if self._noted:
            self._journal.clear()
            self._noted = 0

    def forget(self) -> None:
        """Remember nothing; what was not written is undone, unless the journal has it."""
        for part in self._parts:
            part.forget()
        self.grants.forget()
        self._noted = 0
        self._is_behind = True

    def _catch_up(self) -> None:
        """Write into the tables what somebody has noted, who has not come to it."""
        noted = self._journal.take()
        if noted:
            *parts, asked = noted
            for part, lines in zip(self._parts, parts, strict=True):
                part.restore(lines)
            self.reservations.restore_asked(asked)
        self._is_behind = False

    # -- reading ----------------------------------------------------------------------------

    def cells(self, counters: Sequence[Place]) -> list[Cell]:
        """Each of these counters, as it is now."""
        return self.counters.load(self._turn.app, counters)

    def granted(self, user: str, limits: Sequence[Limit]) -> list[int]:
        """For each limit, what the user's grants add to it."""
        purses = self.grants.drawable((self._turn.app, user))
        if not purses:
            return [0] * len(limits)
        return [
            min(sum(purse.left for purse in purses if purse.scope in limit.scopes), MAX_INTEGER)
            for limit in limits
        ]

    def fits(
        self,
        charges: Sequence[Charge],
        layout: Layout,
        contents: Sequence[Content],
        granted: Sequence[int],
    ) -> list[int]:
        """When each charge will fit, 0 for those that do."""
        instants = [0] * len(charges)
        for position, (charge, index) in enumerate(zip(charges, layout.indexes, strict=True)):
            maximum, content = charge.limit.most, contents[index]
            if maximum is None:
                continue
            if content.used + content.held + charge.need > maximum + granted[position]:
                cell = self.counters.of(self._turn.app, layout.counters[index])
                instants[position] = self.counters.fits_at(cell, maximum, charge.need)
        return instants

    # -- holding ----------------------------------------------------------------------------

    def hold(
        self, account: Account, user: str, counters: Sequence[Counter], cells: Sequence[Cell]
    ) -> None:
        """Hold each counter's amount for a reservation, no more than a counter can count."""
        paid = self._hold_grants(account, (self._turn.app, user), counters, cells)
        for counter, cell, granted in zip(counters, cells, paid, strict=True):
            bucket = self.counters.present(cell)
            held = self.counters.hold(cell, bucket, counter.amount - granted)
            account.entries.append(Entry.of(counter, bucket, held, self._turn.now))

    def _hold_grants(
        self, account: Account, owner: Owner, counters: Sequence[Counter], cells: Sequence[Cell]
    ) -> list[int]:
        """Hold of grants what is above the allowances; the units that they pay in each counter."""
        paid = [0] * len(counters)
        over = [_above(counter, cell) for counter, cell in zip(counters, cells, strict=True)]
        if not any(over):
            return paid
        before = len(account.entries)
        for purse in self.grants.drawable(owner):
            drawing = [i for i, counter in enumerate(counters) if purse.scope in counter.scopes]
            units = min(purse.left, max((over[i] for i in drawing), default=0))
            if units > 0:
                self.grants.hold(owner, purse, units)
                account.draws.append(Draw(purse.id, units, [before + i for i in drawing]))
                for i in drawing:
                    paid[i] = min(counters[i].amount, paid[i] + units)
                    over[i] = max(0, over[i] - units)
        return paid

    def let_go(self, record: Record) -> None:
        """Give back all that a reservation still holds, to where it came from."""
        account = record.account
        for entry in account.entries:
            if entry.held:
                cell = self.counters.of(record.app, entry)
                self.counters.hold(cell, entry.bucket, -entry.held)
                entry.held = 0
        for draw in account.draws:
            if draw.held:
                self.grants.give_back(record.owner, draw.grant, draw.held)
                draw.held = 0

    # -- events -----------------------------------------------------------------------------

    def record(self, events: Sequence[ChargedEvent]) -> Tally:
        """Count events that were not counted before."""
        accepted = tokens = 0
        self.statements.begin(self._turn.app)
        for charged in events:
            seen = self.connection.execute(
                "INSERT INTO event VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (self._turn.app, digest(charged.event.id), self._turn.now + EVENTS_REMEMBERED_MS),
            )
            if seen.rowcount == 1:
                accepted += 1
                tokens += self._count(charged)
                self.accepted.append(charged)
        return Tally(accepted, len(events) - accepted, tokens=tokens)

    def _count(self, charged: ChargedEvent) -> int:
        """Count an event; the tokens that it told, or that a summary added."""
        event = charged.event
        request, used, at_ms = event.request, event.used, to_ms(event.at)
        user = request.subject.user_id
        session, dimensions = (user, request.session_id), dimensions_of(request)
        hold = self.reservations.find(event.reservation_id) if event.reservation_id else None
        state = hold.state if hold is not None and hold.app == self._turn.app else None
        if hold is not None and state in (ReservationState.HELD, ReservationState.EXPIRED):
            used = self._draw_down(hold, used, session if request.session_id else hold.session)
        elif state is ReservationState.COMMITTED:
            return used.tokens
        else:
            counters = lay_out(charged.charges, at_ms).counters
            entries = [
                Entry.of(counter, counter.bucket(at_ms), 0, self._turn.now) for counter in counters
            ]
            due = {counter.name: counter.amount for counter in counters}
            if event.kind is EventKind.SUMMARY:
                hour = at_ms // HOUR_MS
                used = self._sessions.summarize(session, hour, dimensions, used, charged.rates)
                due = {counter.name: used.of(counter.meter) for counter in counters}
            else:
                used = self._sessions.fill(session, used, used, entries, due)
            self.charging.pay(
                Account(False, NO_RATES, entries=entries), due, (self._turn.app, user)
            )
        self.rollups.add(at_ms // HOUR_MS, user, dimensions, used)
        return used.tokens if event.kind is EventKind.SUMMARY else event.used.tokens

    def _draw_down(self, hold: Record, used: Amounts, session: tuple[str, str]) -> Amounts:
        """Charge a hold, in the buckets in which it was made; what is to be reported of it."""
        self.charging.correct(hold)
        account = hold.account
        # The reservation is the request: it is counted once, however many events it has.
        used = replace(used, requests=1 - account.requests)
        amounts = totals_by_meter(used) | {"requests": used.requests}
        due = {entry.name: amounts.get(entry.meter, 0) for entry in account.entries}
        reported = self._sessions.fill(session, used, used, account.entries, due)
        self.charging.pay(account, due, hold.owner)
        account.requests = 1
        account.told = [
            min(told + used.of(meter), MAX_INTEGER)
            for meter, told in zip(TOLD, account.told, strict=True)
        ]
        self.reservations.save(hold)
        return reported

    # -- time -------------------------------------------------------------------------------

    def _reap(self) -> None:
        """End what is overdue."""
        overdue = self.reservations.expire(self._turn.now, _REAP)
        for _, _, app, written, request in sorted(overdue):
            account = read_account(written)
            for entry in account.entries:
                if entry.held:
                    cell = self.counters.of(app, entry)
                    self.counters.hold(cell, entry.bucket, -entry.held)
                    if account.charges and entry.meter != MeterKind.CONCURRENCY:
                        self.charging.count_use(app, cell, entry, entry.held)
            for draw in account.draws:
                if draw.held:
                    owner = app, user_of(request)
                    if account.charges:
                        self.grants.use_held(owner, draw.grant, draw.held)
                        self.charging.note_paid(app, account, draw, draw.held)
                    else:
                        self.grants.give_back(owner, draw.grant, draw.held)
        self.settle()
        mine = self._turn.now, self._turn.app
        if len(overdue) == _REAP and self.connection.execute(_HAS_DUE, mine).fetchone():
            raise Unfinished


def _above(counter: Counter, cell: Cell) -> int:
    """How much of an amount is above the allowance."""
    if counter.bound is None:
        return 0
    return min(counter.amount, max(0, cell.used + cell.held + counter.amount - counter.bound))
