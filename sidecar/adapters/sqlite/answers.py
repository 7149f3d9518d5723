"""How is a caller answered, at first and when the same is asked again?"""

from collections.abc import Sequence

import orjson

from sidecar.adapters.documents import read_limits, write_limits
from sidecar.adapters.sqlite.accounts import Entry
from sidecar.adapters.sqlite.ledger import Ledger
from sidecar.adapters.sqlite.reservations import Answer, Record
from sidecar.domain.counting import Content, instant_or_none, lay_out, readings_of
from sidecar.domain.decision import Reservation
from sidecar.domain.limits import Charge, Reading
from sidecar.domain.usage import Metering, Settlement
from sidecar.domain.windows import from_ms


class Look:
    """What the limits of some charges are seen to hold, before anything is held for them."""

    def __init__(self, ledger: Ledger, user: str, charges: Sequence[Charge], now: int) -> None:
        self._limits = [charge.limit for charge in charges]
        self.layout = lay_out(charges, now)
        self.cells = ledger.cells(self.layout.counters)
        self._contents = [cell.content for cell in self.cells]
        self._granted = ledger.granted(user, self._limits)
        self._fits = ledger.fits(charges, self.layout, self._contents, self._granted)
        self.readings = readings_of(charges, self.layout, self._contents, self._fits, self._granted)

    @property
    def is_refused(self) -> bool:
        """Whether an enforced limit has no room."""
        return any(reading.is_exceeded and reading.limit.is_enforced for reading in self.readings)

    @property
    def answer(self) -> Answer:
        """The same again, as text."""
        shown = [[each.used, each.held, each.resets_at_ms] for each in self._contents]
        return Answer(
            write_limits(self._limits, self.layout.indexes),
            orjson.dumps([shown, self._fits, self._granted]).decode(),
        )


def told_again(
    ledger: Ledger,
    record: Record,
    decision: str,
    answer: Answer,
    charges: Sequence[Charge],
    now: int,
) -> Metering:
    """An answer again; the readings of now where it was given under other limits."""
    layout = lay_out(charges, now)
    if answer.limits == write_limits([charge.limit for charge in charges], layout.indexes):
        shown, fits, granted = orjson.loads(answer.readings)
        contents = [Content(*numbers) for numbers in shown]
        readings = readings_of(charges, layout, contents, fits, granted)
    else:
        readings = Look(ledger, record.user, charges, now).readings
    return Metering(readings, reservation_of(record), decision_id=decision)


def reservation_of(record: Record) -> Reservation:
    """What the caller is told of what it holds."""
    return Reservation(record.id, from_ms(record.expires_at), record.tokens)


def settlement_of(ledger: Ledger, record: Record, *, is_little: bool) -> Settlement:
    """What a commit or a release tells; of what ended long ago `is_little` more than its end."""
    if is_little:
        expires_at = from_ms(record.expires_at // 1_000 * 1_000)
        return Settlement(record.id, record.state, expires_at, record.tokens, ())
    entries: dict[str, Entry] = {}
    for entry in record.account.entries:
        entries.setdefault(entry.name, entry)
    contents = [cell.content for cell in ledger.cells(tuple(entries.values()))]
    shown = read_limits(record.limits)
    granted = ledger.granted(record.user, [limit for limit, _ in shown])
    readings = []
    for (limit, index), left in zip(shown, granted, strict=True):
        content = contents[index]
        used, resets_at = limit.counted(content.used), instant_or_none(content.resets_at_ms)
        readings.append(Reading(limit, used, content.held, 0, resets_at, granted=left))
    return Settlement(
        record.id, record.state, from_ms(record.expires_at), record.tokens, tuple(readings)
    )
