"""What are scripts told of limits, whoever asks, and for how much?

Most requests fall under one of a few sets of limits. What is written of these is prepared once,
and each request fills in the blanks.
"""

import struct
from collections.abc import Hashable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final

import orjson

from sidecar.adapters.documents import (
    fingerprint,
    text_of,
    write_briefly,
    write_limits,
    write_request,
)
from sidecar.adapters.redis.keys import quoted, session_name, suffix_of
from sidecar.adapters.redis.lines import dimensions, entry_of, read_readings
from sidecar.domain.counting import Counter, instant_or_none, is_lasting, lay_out
from sidecar.domain.limits import Charge, Limit, Reading
from sidecar.domain.usage import PLACE, Hold, token_of
from sidecar.domain.windows import Fixed

_MOST: Final = 4_096
"""Of each thing that is kept here; what is used will soon be there again."""
_LATE_MS: Final = 8 * 86_400_000
"""For so long events may come when a period is over."""
_EVER_MS: Final = 2**62
_limit_of, _counter_of = attrgetter("limit"), attrgetter("counter")
_BILLED: Final = frozenset({Fixed.BILLING_MONTH, Fixed.BILLING_PERIOD})
"""Windows whose periods are those of a subscription."""


class Form:
    """What is written of some limits, for as long as the periods of their counters last.

    Args:
        charges: what anybody is asked by these limits.
        at_ms: when that is.
        charges_on_expiry: whether an expired reservation counts as used.

    Attributes:
        begins_ms, ends_ms: from when it holds, and before when.
        limits: as a commit shows them.
    """

    __slots__ = (
        "_amounts", "_at_ms", "_firsts", "_needs", "_numbers", "_packed", "_places", "_reads",
        "_record", "_told", "_zeros", "begins_ms", "ends_ms", "limits",
    )  # fmt: skip

    def __init__(self, charges: Sequence[Charge], at_ms: int, *, charges_on_expiry: bool) -> None:
        layout, limits = lay_out(charges, at_ms), [charge.limit for charge in charges]
        counters, indexes = layout
        begins_ms, ends_ms = layout.span
        self.begins_ms, self.ends_ms = begins_ms, ends_ms or _EVER_MS
        self._at_ms = at_ms
        # Of limits that share a counter the first one speaks for it.
        self._firsts = [indexes.index(i) for i in range(len(counters))]
        self._places = [(i, suffix_of(it)) for i, it in zip(self._firsts, counters, strict=True)]
        numbers: list[int] = [0, begins_ms, ends_ms, len(counters)]
        # Where whose amount stands, and what somebody needs.
        self._amounts = [(len(numbers) + 2 + 3 * i, first) for i, first in enumerate(self._firsts)]
        for counter in counters:
            numbers += _span(counter)
        self._needs = [(len(numbers) + 2 + 4 * i, i) for i in range(len(limits))]
        for limit, index in zip(limits, indexes, strict=True):
            numbers += (index + 1, -1 if limit.most is None else limit.most, 0, limit.is_enforced)
        self._numbers, self._packed = numbers, struct.Struct(f"<{len(numbers)}d")
        self._told = struct.Struct(f"<{3 * len(counters)}d")
        self._zeros = struct.pack("<dddd", 0, 0, 3 * len(counters), 0) + bytes(self._told.size)
        self.limits = write_limits(limits, indexes)
        entries = ",".join(map(_entry, counters))
        self._record = (
            f"held %s {charges_on_expiry:d} 0 0 0 0 0 %s %s\n%s\n%s\n%s\n%s %s\n%s\n[{entries}]"
            f"\n\n\n{_fixed(self.limits)}\n\n%s"
        )
        self._reads = [(i, 3 * index, *_resets(counters[index])) for i, index in enumerate(indexes)]
        if any(limit.base is not None for limit in limits):
            # What is used of a balance takes a calculation.
            self._reads.clear()

    def keys(self, prefix: str, charges: Sequence[Charge]) -> list[str]:
        """Where the counters stand."""
        return [f"{prefix}:c:{charges[first].counter}{suffix}" for first, suffix in self._places]

    def numbers(self, charges: Sequence[Charge]) -> bytes:
        """The counters and limits, as readings.lua reads them."""
        return self.hold_numbers(charges, 0)[8:]

    def hold_numbers(self, charges: Sequence[Charge], ttl_s: int) -> bytes:
        """The same, behind how long a hold lives."""
        numbers = self._numbers.copy()
        numbers[0] = ttl_s * 1_000
        for at, first in self._amounts:
            numbers[at] = charges[first].amount
        for at, i in self._needs:
            # As `Charge.need`, for which each check would wait.
            numbers[at] = charges[i].amount or charges[i].is_asked
        return self._packed.pack(*numbers)

    def record(self, hold: Hold, charges: Sequence[Charge]) -> bytes:
        """A reservation as records.lua keeps it, with zeros for what only the script knows."""
        request, rates = hold.request, hold.rates
        user_id, document = request.subject.user_id, write_briefly(request)
        counters: list[object] = []
        for first in self._firsts:
            charge = charges[first]
            counters += (text_of(charge.counter), charge.amount)
        text = self._record % (
            request.estimate.tokens, rates.input, rates.output,
            token_of(hold.reservation_id)[PLACE:],
            # Nothing else comes to the place of a request without an id.
            fingerprint(write_request(request)) if request.request_id else "",
            hold.decision_id, quoted(user_id), session_name(user_id, request.session_id),
            dimensions(request), *counters, document,
        )  # fmt: skip
        return self._zeros + text.encode()

    def readings(self, charges: Sequence[Charge], told: bytes) -> tuple[Reading, ...]:
        """What readings.lua tells, one for each charge."""
        if len(told) != self._told.size or not self._reads:
            return read_readings(charges, lay_out(charges, self._at_ms), told)
        numbers, readings = self._told.unpack(told), []
        # No grant is there and everything fits: nothing else is to be known.
        for i, at, width, length, end in self._reads:
            charge, used, resets_at = charges[i], int(numbers[at]), end
            if width and used:
                resets_at = instant_or_none((int(numbers[at + 2]) + 1) * width + length)
            held, asked = int(numbers[at + 1]), charge.is_asked
            readings.append(Reading(charge.limit, used, held, charge.amount, resets_at, asked))
        return tuple(readings)


class Forms:
    """Forms by their limits, as far as these were asked for of late.

    Args:
        charges_on_expiry: as for a `Form`.
    """

    def __init__(self, *, charges_on_expiry: bool) -> None:
        self._charges_on_expiry = charges_on_expiry
        self._kept = 0
        self._sets: dict[Hashable, _Set] = {}
        # By identity they are found at once; they stand beside it, so that no others can have it.
        self._same: dict[tuple[int, ...], tuple[list[Limit], _Set]] = {}

    def at(self, charges: Sequence[Charge], at_ms: int) -> Form:
        """What is written of the limits of these charges at an instant."""
        key = tuple(map(id, map(_limit_of, charges)))
        if len(set(map(_counter_of, charges))) < len(charges):
            key += lay_out(charges, at_ms).indexes
        _, found = self._same.get(key) or self._look_up(key, charges, at_ms)
        cycles = found.cycles_of(charges) if found.billed else None
        # Most subscriptions say nothing of their periods, all with the same word.
        latest, form = found.latest
        if latest is not cycles:
            form = found.forms.get(cycles)
        if form is None or not form.begins_ms <= at_ms < form.ends_ms:
            form = Form(charges, at_ms, charges_on_expiry=self._charges_on_expiry)
            if not all(is_lasting(charges[i].cycle, at_ms) for i in found.billed):
                return form
            self._count()
            found.forms[cycles] = form
        found.latest = cycles, form
        return form

    def _look_up(
        self, key: tuple[int, ...], charges: Sequence[Charge], at_ms: int
    ) -> tuple[list[Limit], "_Set"]:
        """Limits that equal others in everything are written alike."""
        self._count()
        limits, indexes = [charge.limit for charge in charges], lay_out(charges, at_ms).indexes
        equal = (indexes, *[(limit, limit.is_stated) for limit in limits])
        known = self._same[key] = limits, self._sets.setdefault(equal, _Set(limits))
        return known

    def _count(self) -> None:
        self._kept += 1
        if self._kept > _MOST:
            self._kept = 0
            self._same.clear()
            self._sets.clear()


class _Set:
    """Forms of the same limits, by the subscriptions' own periods."""

    __slots__ = ("billed", "forms", "latest")

    def __init__(self, limits: Sequence[Limit]) -> None:
        self.billed = [i for i, limit in enumerate(limits) if limit.window in _BILLED]
        self.forms: dict[Hashable, Form] = {}
        self.latest: tuple[Hashable, Form | None] = (None, None)

    def cycles_of(self, charges: Sequence[Charge]) -> Hashable:
        """Whose periods play a part."""
        if len(self.billed) == 1:
            return charges[self.billed[0]].cycle
        first, *others = [charges[i].cycle for i in self.billed]
        return first if all(cycle is first for cycle in others) else (first, *others)


def _entry(counter: Counter) -> str:
    """A counter as records.lua reads it, with blanks for its name and for what is held in it."""
    _, *rest = entry_of(counter)
    before, behind = (_fixed(orjson.dumps(part).decode()[1:-1]) for part in (rest[:6], rest[7:]))
    return f"[%s,{before},%s{behind and ','}{behind}]"


def _fixed(text: str) -> str:
    """Text as it stands where nothing is to be filled in."""
    return text.replace("%", "%%")


def _span(counter: Counter) -> tuple[int, int, int]:
    """What a script is told of a counter, with a blank for the amount."""
    if counter.kind == "s":
        return counter.a, counter.b, 0
    return 0, counter.b and counter.b + _LATE_MS, 0


def _resets(counter: Counter) -> tuple[int, int, datetime | None]:
    """When a counter resets: by its window or, where it has none, at an instant."""
    if counter.kind == "s":
        return counter.a, counter.b, None
    return 0, 0, instant_or_none(counter.b)
