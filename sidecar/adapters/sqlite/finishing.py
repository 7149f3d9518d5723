"""Is this the commit that nearly all are, and what does it charge then?

The first thing that is told of a hold is what it came to, no grant is drawn and no session is
filled: then each counter is changed once. What it comes to is what charging makes of any commit.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sidecar.adapters.sqlite.accounts import Account
from sidecar.adapters.sqlite.times import HOUR_MS
from sidecar.domain.request import MAX_INTEGER, Amounts
from sidecar.domain.usage import ReservationState

if TYPE_CHECKING:
    from sidecar.adapters.sqlite.charging import Charging
    from sidecar.adapters.sqlite.reservations import Record


def finish(
    charging: "Charging", record: "Record", amounts: Mapping[str, int], used: Amounts, model: str
) -> bool:
    """Charge a total and let go of the rest, if it is one of these; whether it is.

    Args:
        amounts: the total by meter.
    """
    account, user, session = record.account, *record.session
    if session or record.state is not ReservationState.HELD or not _is_plain(account, amounts):
        return False
    app, counters, statements = record.app, charging.counters, charging.statements
    for entry, cell in zip(account.entries, counters.load(app, account.entries), strict=True):
        due, is_new = amounts.get(entry.meter, 0), cell.more == 0
        counted = counters.finish(cell, entry.bucket, entry.held, due)
        entry.held, entry.told = 0, min(due, MAX_INTEGER)
        if counted and entry.limit:
            statements.add(app, entry, is_new=is_new, used=counted)
    tokens, received, sent, cost = account.told = [
        max(0, used.tokens), max(0, used.input_tokens), max(0, used.output_tokens),
        max(0, used.cost),
    ]  # fmt: skip
    account.requests = 1
    units = tokens, received, sent, 1, cost
    charging.rollups.add_units(charging.now // HOUR_MS, user, record.dimensions(model), units)
    return True


def _is_plain(account: Account, amounts: Mapping[str, int]) -> bool:
    if account.requests or account.draws:
        return False
    names = set()
    for entry in account.entries:
        due = amounts.get(entry.meter, 0)
        # What is above the hold may be a grant's to pay, where any are drawn.
        if due < 0 or entry.told or (due > entry.held and entry.bound is not None):
            return False
        names.add(entry.name)
    return len(names) == len(account.entries) and not any(account.told)
