"""What does use come to: which counter or grant pays for it, and where is it reported?

A unit is paid by the allowance of each counter or, above that, by a grant; then it is neither
used nor held in the counters that draw the grant.
"""

from collections.abc import Iterator, Mapping, Sequence
from operator import sub

from sidecar.adapters.sqlite.accounts import Account, Draw, Entry
from sidecar.adapters.sqlite.cells import Cell
from sidecar.adapters.sqlite.counters import Counters
from sidecar.adapters.sqlite.finishing import finish
from sidecar.adapters.sqlite.grants import Grants, Owner
from sidecar.adapters.sqlite.reservations import Record
from sidecar.adapters.sqlite.rollups import Rollups
from sidecar.adapters.sqlite.sessions import Sessions
from sidecar.adapters.sqlite.statements import Statements
from sidecar.adapters.sqlite.times import HOUR_MS
from sidecar.adapters.sqlite.turn import Turn
from sidecar.domain.request import MAX_INTEGER, UNTOLD, Amounts, MeterKind
from sidecar.domain.usage import ReservationState


class Charging:
    """Charges use, at the instant of the present turn."""

    def __init__(
        self,
        turn: Turn,
        counters: Counters,
        grants: Grants,
        statements: Statements,
        rollups: Rollups,
        sessions: Sessions,
    ) -> None:
        self._turn = turn
        self.counters = counters
        self._grants = grants
        self.statements = statements
        self.rollups = rollups
        self._sessions = sessions

    @property
    def now(self) -> int:
        """The instant of the present turn, in milliseconds since 1970."""
        return self._turn.now

    def charge(self, record: Record, used: Amounts, *, model: str, finishes: bool) -> None:
        """Charge the total use so far, of which what was told before is part.

        Of what is UNTOLD nothing is charged, unless the reservation `finishes`: then it is
        what is held, within the tokens in all.
        """
        amounts = totals_by_meter(used)
        if finishes and finish(self, record, amounts, used, model):
            return
        self.correct(record)
        account = record.account
        told, held = account.sums()
        due: dict[str, int] = {}
        for entry in account.entries:
            name, amount = entry.name, amounts.get(entry.meter, 0)
            if amount == UNTOLD:
                amount = min(told[name] + held[name], used.tokens) if finishes else 0
            due[name] = max(0, amount - told[name])
        before = account.told
        account.told = list(map(max, before, _totals_of(used)))
        tokens, received, sent, cost = map(sub, account.told, before)
        news = Amounts(tokens, received, sent, 1 - account.requests, cost)
        account.requests = 1
        reported = self._sessions.fill(record.session, news, used, account.entries, due)
        self.pay(account, due, record.owner)
        self.rollups.add(self._turn.now // HOUR_MS, record.user, record.dimensions(model), reported)

    def knows(self, record: Record, used: Amounts) -> bool:
        """Whether a total is no more than what a reservation was told before."""
        if record.is_little(self._turn.now):
            return used.tokens <= record.account.told[0]
        return record.account.knows(totals_by_meter(used))

    def correct(self, record: Record) -> None:
        """Let an expired reservation hold nothing, and take back what its expiry charged."""
        if record.state is not ReservationState.EXPIRED:
            return
        account = record.account
        if account.charges:
            estimates = [
                (entry, entry.bucket, entry.held)
                for entry in account.entries
                if entry.held and entry.meter != MeterKind.CONCURRENCY
            ]
            if estimates:
                taken = self.counters.take_back(record.app, estimates)
                for (entry, _, _), units in zip(estimates, taken, strict=True):
                    self.statements.add(record.app, entry, used=-units)
            for draw in account.draws:
                if draw.held:
                    self._grants.take_back(record.owner, draw.grant, draw.held)
                    self.note_paid(record.app, account, draw, -draw.held)
        for entry in account.entries:
            entry.held = 0
        for draw in account.draws:
            draw.held = 0

    def pay(self, account: Account, due: dict[str, int], owner: Owner) -> None:
        """Charge what is due, by the names of the counters.

        First what is held of the allowance, then what is held of grants, then, as when units
        are held, what is free of the allowance, then what is left in grants. What nobody pays
        for is charged past the maximum.
        """
        entries = account.entries
        cells = self.counters.load(owner[0], entries)
        for entry, cell in zip(entries, cells, strict=True):
            units = min(due[entry.name], entry.held)
            if units:
                self.counters.hold(cell, entry.bucket, -units)
                entry.held -= units
                due[entry.name] -= units
                self.count_use(owner[0], cell, entry, units)
                entry.told = min(entry.told + units, MAX_INTEGER)
        if account.draws:
            self._pay_from_draws(account, due, owner)
        excess = {name: units for name, units in due.items() if units}
        if excess:
            self._pay_excess(entries, excess, owner)

    def _pay_from_draws(self, account: Account, due: dict[str, int], owner: Owner) -> None:
        last = {entry.name: entry for entry in account.entries}
        for draw in account.draws:
            names = account.names(draw)
            units = min(draw.held, max(due[name] for name in names))
            if units:
                self._grants.use_held(owner, draw.grant, units)
                draw.held -= units
                for entry, paid in _settle(last, due, names, units):
                    self.statements.add(owner[0], entry, paid=paid)

    def _pay_excess(self, entries: Sequence[Entry], due: dict[str, int], owner: Owner) -> None:
        """Charge what nobody held: what is above the allowances to grants, the rest as use."""
        last = {entry.name: entry for entry in entries}
        cells = {name: self.counters.of(owner[0], last[name]) for name in due}
        over = {
            name: max(0, units - self._room(cells[name], last[name])) for name, units in due.items()
        }
        paid = dict.fromkeys(due, 0)
        if any(over.values()):
            for purse in self._grants.drawable(owner):
                drawing = {entry.name for entry in entries if purse.scope in entry.scopes}
                drawing &= due.keys()
                units = min(purse.left, max((over[name] for name in drawing), default=0))
                if units > 0:
                    self._grants.use(owner, purse, units)
                    for name in drawing:
                        paid[name] = min(due[name], paid[name] + units)
                        over[name] = max(0, over[name] - units)
        for name, units in due.items():
            entry = last[name]
            self.count_use(owner[0], cells[name], entry, units - paid[name])
            self.statements.add(owner[0], entry, paid=paid[name])
            entry.told = min(entry.told + units, MAX_INTEGER)

    def _room(self, cell: Cell, entry: Entry) -> int:
        """Units of the allowance that nobody used or holds."""
        if entry.bound is None or self.counters.is_past(cell, entry.bucket):
            return MAX_INTEGER
        return max(0, entry.bound - cell.used - cell.held)

    def count_use(self, app: str, cell: Cell, entry: Entry, units: int) -> None:
        """Count use of the allowance, for statements too."""
        is_new = cell.more == 0
        counted = self.counters.use(cell, entry.bucket, units)
        self.statements.add(app, entry, is_new=is_new, used=counted)

    def note_paid(self, app: str, account: Account, draw: Draw, units: int) -> None:
        """Note what a grant pays for in its counters until somebody says better."""
        last = {account.entries[position].name: position for position in reversed(draw.entries)}
        for position in last.values():
            self.statements.add(app, account.entries[position], paid=units)


def _settle(
    last: Mapping[str, Entry], due: dict[str, int], names: set[str], units: int
) -> Iterator[tuple[Entry, int]]:
    """Units that a grant pays are paid in every counter that draws it; how many in each."""
    for name in names:
        paid = min(due[name], units)
        due[name] -= paid
        entry = last[name]
        entry.told = min(entry.told + paid, MAX_INTEGER)
        yield entry, paid


def _totals_of(used: Amounts) -> tuple[int, int, int, int]:
    """Of the meters of `TOLD`."""
    return used.tokens, used.input_tokens, used.output_tokens, used.cost


def totals_by_meter(used: Amounts) -> dict[str, int]:
    """What a commit states, by meter; a run is one request, and concurrency uses nothing up."""
    return {
        "tokens": used.tokens,
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cost": used.cost,
        "requests": 1,
    }
