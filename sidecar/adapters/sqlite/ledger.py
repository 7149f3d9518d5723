"""What happens to counters and holds, as steps inside one SQLite transaction.

The same promises as the Redis scripts keep: read all, decide, only then write; holds apart
from use; each operation once. Times are milliseconds since 1970.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.adapters.counting import Content, Counter, Layout, lay_out
from sidecar.adapters.documents import digest
from sidecar.domain.limits import Charge
from sidecar.domain.request import MAX_INTEGER, UNTOLD, Amounts, MeterKind
from sidecar.domain.usage import ChargedEvent, Tally
from sidecar.domain.windows import to_ms

DAY_MS = 86_400_000
KEPT_MS = 7 * DAY_MS
EVENTS_REMEMBERED_MS = 8 * DAY_MS
REQUESTS_REMEMBERED_MS = 600_000
_NEVER = 2**62


@dataclass(frozen=True, slots=True)
class Entry:
    """What a reservation holds in one counter, and what was charged from it there."""

    position: int
    counter: Counter
    bucket: int
    held: int
    drawn: int


class Ledger:
    """The counters of one app at one instant, inside a transaction."""

    def __init__(self, connection: sqlite3.Connection, app_id: str, now_ms: int) -> None:
        self._connection = connection
        self._app = app_id
        self._now = now_ms
        self._reap()

    # -- reading ----------------------------------------------------------------------------

    def content(self, counter: Counter) -> Content:
        """What a counter holds now."""
        first = self._first_bucket(counter)
        last = counter.a if counter.kind == "p" else _NEVER
        used, oldest = self._connection.execute(
            "SELECT SUM(used), MIN(bucket) FROM counter "
            "WHERE app = ? AND name = ? AND bucket BETWEEN ? AND ?",
            (self._app, counter.name, first, last),
        ).fetchone()
        (held,) = self._connection.execute(
            "SELECT SUM(held) FROM entry "
            "WHERE app = ? AND name = ? AND held > 0 AND bucket BETWEEN ? AND ?",
            (self._app, counter.name, counter.a if counter.kind == "p" else 0, last),
        ).fetchone()
        if counter.kind == "p":
            resets_at = counter.b
        else:
            resets_at = 0 if oldest is None else (oldest + 1) * counter.a + counter.b
        return Content(min(used or 0, MAX_INTEGER), min(held or 0, MAX_INTEGER), resets_at)

    def fits_at(self, counter: Counter, content: Content, maximum: int, need: int) -> int:
        """When so many units more fit under a maximum, 0 if they never do.

        What is held counts as if it were used up in the present bucket: it cannot leave the
        window later than that.
        """
        if counter.kind == "p":
            return counter.b
        excess = content.used + content.held + need - maximum
        for bucket, used in self._connection.execute(
            "SELECT bucket, used FROM counter "
            "WHERE app = ? AND name = ? AND bucket >= ? ORDER BY bucket",
            (self._app, counter.name, self._first_bucket(counter)),
        ):
            excess -= used
            if excess <= 0:
                at_ms: int = (bucket + 1) * counter.a + counter.b
                return at_ms
        if need > maximum:
            return 0
        return (self._now // counter.a + 1) * counter.a + counter.b

    def fits(
        self, charges: Sequence[Charge], layout: Layout, contents: Sequence[Content]
    ) -> list[int]:
        """When each charge will fit, 0 for those that do."""
        instants = []
        for charge, index in zip(charges, layout.indexes, strict=True):
            maximum, content = charge.limit.maximum, contents[index]
            over = maximum is not None and content.used + content.held + charge.need > maximum
            instants.append(
                self.fits_at(layout.counters[index], content, maximum, charge.need)
                if over and maximum is not None
                else 0
            )
        return instants

    # -- holding ----------------------------------------------------------------------------

    def hold(self, reservation_id: str, counters: Sequence[Counter]) -> None:
        """Hold each counter's amount for a reservation, no more than a counter can count."""
        (last,) = self._connection.execute(
            "SELECT COALESCE(MAX(position), -1) FROM entry WHERE reservation = ?",
            (reservation_id,),
        ).fetchone()
        self._connection.executemany(
            "INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
            [
                (
                    reservation_id, last + 1 + index, self._app, counter.name, counter.kind,
                    counter.a, counter.b, counter.meter.value, counter.bucket(self._now),
                    min(counter.amount, MAX_INTEGER - self.content(counter).held),
                )
                for index, counter in enumerate(counters)
            ],
        )  # fmt: skip

    def let_go(self, reservation_id: str) -> None:
        """Give back all that a reservation still holds."""
        self._connection.execute(
            "UPDATE entry SET held = 0 WHERE reservation = ? AND held > 0", (reservation_id,)
        )

    def entries(self, reservation_id: str) -> list[Entry]:
        """What a reservation holds, in the order of its making."""
        rows = self._connection.execute(
            "SELECT position, name, kind, a, b, meter, bucket, held, drawn FROM entry "
            "WHERE reservation = ? ORDER BY position",
            (reservation_id,),
        )
        return [
            Entry(position, Counter(name, kind, a, b, MeterKind(meter), 0), bucket, held, drawn)
            for position, name, kind, a, b, meter, bucket, held, drawn in rows
        ]

    # -- charging ---------------------------------------------------------------------------

    def use(self, counter: Counter, bucket: int, units: int) -> None:
        """Count use in one bucket; what lies before a sliding window changes nothing."""
        units = min(units, MAX_INTEGER - self.content(counter).used)
        if units == 0 or bucket < self._first_bucket(counter):
            return
        if counter.kind == "s":
            ends_at = (bucket + 2) * counter.a + counter.b
        else:
            ends_at = counter.b + KEPT_MS + DAY_MS if counter.b else _NEVER
        self._connection.execute(
            "INSERT INTO counter VALUES (?, ?, ?, ?, ?) "
            # A period may have become longer under the same start: a month that is now a year.
            "ON CONFLICT DO UPDATE SET used = used + excluded.used, "
            "ends_at = MAX(ends_at, excluded.ends_at)",
            (self._app, counter.name, bucket, units, ends_at),
        )

    def is_more(self, reservation_id: str, amounts: Mapping[MeterKind, int]) -> bool:
        """Whether a total is more than what a hold was charged."""
        entries = self.entries(reservation_id)
        told, _ = _sums(entries)
        return any(
            amounts.get(entry.counter.meter, 0) > told[entry.counter.name] for entry in entries
        )

    def draw(
        self,
        reservation_id: str,
        amounts: Mapping[MeterKind, int],
        *,
        additional: bool = False,
        finishes: bool = False,
    ) -> None:
        """Charge a hold, in the buckets in which it was made.

        Args:
            amounts: the total so far, of which what was told before is part; with
                `additional`, what comes to it. Of what is UNTOLD nothing is charged, unless
                the reservation `finishes`: then it is what is held, within the tokens in all.
        """
        entries = self.entries(reservation_id)
        told, held = _sums(entries)
        due: dict[str, int] = {}
        last: dict[str, int] = {}
        for entry in entries:
            name, amount = entry.counter.name, amounts.get(entry.counter.meter, 0)
            if amount == UNTOLD:
                tokens = amounts.get(MeterKind.TOKENS, 0)
                amount = min(told[name] + held[name], tokens) if finishes else 0
            due[name] = amount if additional else max(0, amount - told[name])
            last[name] = entry.position
        for entry in entries:
            name = entry.counter.name
            is_last = entry.position == last[name]
            units = due[name] if is_last else min(due[name], entry.held)
            if units == 0:
                continue
            due[name] -= units
            self.use(entry.counter, entry.bucket, units)
            self._connection.execute(
                "UPDATE entry SET held = ?, drawn = ? WHERE reservation = ? AND position = ?",
                (
                    max(0, entry.held - units), min(entry.drawn + units, MAX_INTEGER),
                    reservation_id, entry.position,
                ),
            )  # fmt: skip

    def record(self, events: Sequence[ChargedEvent]) -> Tally:
        """Count events that were not counted before."""
        accepted = 0
        for charged in events:
            seen = self._connection.execute(
                "INSERT INTO event VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (self._app, digest(charged.event.id), self._now + EVENTS_REMEMBERED_MS),
            )
            if seen.rowcount == 1:
                accepted += 1
                self._charge(charged)
        return Tally(accepted, len(events) - accepted)

    def _charge(self, charged: ChargedEvent) -> None:
        event, hold = charged.event, charged.event.reservation_id
        state = self._connection.execute(
            "SELECT state FROM reservation WHERE id = ? AND app = ?", (hold, self._app)
        ).fetchone()
        if state is not None and state[0] in ("held", "expired"):
            # The reservation is the request: it is counted once, however many events it has.
            counted = any(
                entry.drawn and entry.counter.meter is MeterKind.REQUESTS
                for entry in self.entries(hold)
            )
            amounts = _by_meter(event.used) | {MeterKind.REQUESTS: 0 if counted else 1}
            self.draw(hold, amounts, additional=True)
        elif state is None or state[0] != "committed":
            at_ms = to_ms(event.at)
            for counter in lay_out(charged.charges, at_ms).counters:
                self.use(counter, counter.bucket(at_ms), counter.amount)

    # -- time -------------------------------------------------------------------------------

    def _first_bucket(self, counter: Counter) -> int:
        return counter.a if counter.kind == "p" else (self._now - counter.b) // counter.a

    def _reap(self) -> None:
        overdue = self._connection.execute(
            "UPDATE reservation SET state = 'expired' "
            "WHERE state = 'held' AND expires_at <= ? RETURNING id",
            (self._now,),
        ).fetchall()
        for (reservation_id,) in overdue:
            self.let_go(reservation_id)


def _sums(entries: Sequence[Entry]) -> tuple[dict[str, int], dict[str, int]]:
    """What was charged from a hold and what it still holds, by counter."""
    told: dict[str, int] = defaultdict(int)
    held: dict[str, int] = defaultdict(int)
    for entry in entries:
        told[entry.counter.name] += entry.drawn
        held[entry.counter.name] += entry.held
    return told, held


def total_of(used: Amounts) -> dict[MeterKind, int]:
    """What a commit states, by meter; a run is one request, and concurrency uses nothing up."""
    return _by_meter(used) | {MeterKind.REQUESTS: 1}


def forget(connection: sqlite3.Connection, now_ms: int, rows: int) -> None:
    """Delete some of what nobody needs any more, so that the file does not grow for ever."""
    for table, column, key in (
        ("counter", "ends_at", "app, name, bucket"),
        ("request", "forgotten_at", "app, digest"),
        ("event", "forgotten_at", "app, digest"),
    ):
        connection.execute(
            f"DELETE FROM {table} WHERE ({key}) IN "  # noqa: S608 # the names stand above
            f"(SELECT {key} FROM {table} WHERE {column} <= ? LIMIT ?)",
            (now_ms, rows),
        )
    for (reservation_id,) in connection.execute(
        "SELECT id FROM reservation WHERE forgotten_at <= ? AND state <> 'held' LIMIT ?",
        (now_ms, rows),
    ).fetchall():
        connection.execute("DELETE FROM entry WHERE reservation = ?", (reservation_id,))
        connection.execute("DELETE FROM reservation WHERE id = ?", (reservation_id,))


def _by_meter(used: Amounts) -> dict[MeterKind, int]:
    return {
        MeterKind.TOKENS: used.tokens,
        MeterKind.INPUT_TOKENS: used.input_tokens,
        MeterKind.OUTPUT_TOKENS: used.output_tokens,
        MeterKind.COST: used.cost,
    }
