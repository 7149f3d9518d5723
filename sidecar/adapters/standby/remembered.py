"""The last readings of limits that are decided by them while the store is away, within bounds.

Each process remembers for itself: several may together let through as often as much.
"""

import heapq
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from sidecar.adapters.standby.counter import RememberedCounter
from sidecar.domain.counting import Counter, lay_out, reading_of
from sidecar.domain.limits import Charge
from sidecar.domain.manifest import Manifest
from sidecar.domain.modes import FailureMode
from sidecar.domain.request import Amounts, MeterKind, Subject
from sidecar.domain.subscription import Subscription
from sidecar.domain.usage import Metering
from sidecar.domain.windows import to_ms

V = TypeVar("V")
_Name = tuple[str, str]
_Facts = tuple[Subscription, Manifest | None]

_MOST: Final = 50_000
"""Counters, and users, that are remembered; those that were asked for longest ago go first."""


@dataclass(frozen=True, slots=True)
class _Held:
    """What one run was let through for: each counter once, with its units."""

    counters: tuple[tuple[_Name, Counter], ...]


class RememberedFacts:
    """What this process knows by itself; see `Standby`."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._counters: OrderedDict[_Name, RememberedCounter] = OrderedDict()
        self._facts: OrderedDict[_Name, _Facts] = OrderedDict()
        self._holds: dict[str, _Held] = {}
        self._ends: list[tuple[int, str]] = []

    def note(
        self,
        subject: Subject,
        facts: _Facts,
        charges: Sequence[Charge],
        metering: Metering,
        now: datetime,
    ) -> None:
        """Remember what others said, and what the store read and holds."""
        self._facts[subject.app_id, subject.user_id] = facts
        self._facts.move_to_end((subject.app_id, subject.user_id))
        _bound(self._facts, self._most)
        now_ms, is_held = to_ms(now), metering.reservation is not None
        readings = {reading.limit.id: reading for reading in metering.readings}
        for charge in _local(charges):
            reading = readings.get(charge.limit.id)
            if reading is not None:
                reserved = reading.reserved + (charge.amount if is_held else 0)
                counter = self._counter((subject.app_id, charge.counter))
                counter.note(now_ms, reading.used, reserved, reading.granted)

    def facts(self, subject: Subject) -> _Facts | None:
        """What others last said of a subject, None where that is not known."""
        return self._facts.get((subject.app_id, subject.user_id))

    def read(self, subject: Subject, charges: Sequence[Charge], now: datetime) -> Metering:
        """The readings of those limits that are decided by what is remembered."""
        now_ms = to_ms(now)
        self._end_overdue(now_ms)
        readings, oldest_ms = [], now_ms
        is_known = False
        for charge in _local(charges):
            (counter,), _ = lay_out((charge,), now_ms)
            known = self._counters.get((subject.app_id, charge.counter)) or RememberedCounter()
            content = known.content(counter, now_ms)
            fits_ms = content.resets_at_ms
            readings.append(reading_of(charge, content, fits_ms, known.granted))
            if known.read_ms:
                is_known, oldest_ms = True, min(oldest_ms, known.read_ms)
        age_s = max(0, now_ms - oldest_ms) / 1000 if is_known else None
        return Metering(tuple(readings), is_remembered=True, age_s=age_s)

    def hold(
        self,
        reservation_id: str,
        subject: Subject,
        charges: Sequence[Charge],
        now: datetime,
        until: datetime,
    ) -> None:
        """Note units that were let through without the store."""
        counters = self._laid_out(subject, charges, to_ms(now))
        if not counters or len(self._holds) >= self._most:
            return
        for name, counter in counters:
            self._counter(name).held += counter.amount
        self._holds[reservation_id] = _Held(counters)
        if len(self._ends) >= 2 * self._most:
            # Of most of them something was heard long before their time.
            self._ends = [end for end in self._ends if end[1] in self._holds]
            heapq.heapify(self._ends)
        heapq.heappush(self._ends, (to_ms(until), reservation_id))

    def settle(self, reservation_id: str, used: Amounts, now: datetime) -> None:
        """Note what a run has used, or with nothing that it gave all back."""
        held = self._holds.pop(reservation_id, None)
        if held is None:
            return
        now_ms, is_used = to_ms(now), used.tokens or used.requests
        for name, counter in held.counters:
            known = self._counter(name)
            known.held = max(0, known.held - counter.amount)
            units = 0
            if counter.meter is MeterKind.REQUESTS:
                units = counter.amount if is_used else 0
            elif counter.meter is not MeterKind.CONCURRENCY:
                told = used.of(counter.meter)
                units = counter.amount if told < 0 else told
            if units:
                known.use(counter, units, now_ms)

    def use(self, subject: Subject, charges: Sequence[Charge], now: datetime) -> None:
        """Note what was reported without the store."""
        now_ms = to_ms(now)
        for name, counter in self._laid_out(subject, charges, now_ms):
            if counter.amount:
                self._counter(name).use(counter, counter.amount, now_ms)

    def _laid_out(
        self, subject: Subject, charges: Sequence[Charge], now_ms: int
    ) -> tuple[tuple[_Name, Counter], ...]:
        counters = lay_out(_local(charges), now_ms).counters
        return tuple(((subject.app_id, counter.name), counter) for counter in counters)

    def _counter(self, name: _Name) -> RememberedCounter:
        counter = self._counters.get(name)
        if counter is None:
            counter = self._counters[name] = RememberedCounter()
            _bound(self._counters, self._most)
        self._counters.move_to_end(name)
        return counter

    def _end_overdue(self, now_ms: int) -> None:
        """Give back what runs hold of which nothing was heard in time."""
        while self._ends and self._ends[0][0] <= now_ms:
            held = self._holds.pop(heapq.heappop(self._ends)[1], None)
            for name, counter in held.counters if held is not None else ():
                known = self._counter(name)
                known.held = max(0, known.held - counter.amount)


def _local(charges: Sequence[Charge]) -> list[Charge]:
    return [charge for charge in charges if charge.limit.failure_mode is FailureMode.LOCAL]


def _bound(entries: OrderedDict[_Name, V], most: int) -> None:
    while len(entries) > most:
        entries.popitem(last=False)
