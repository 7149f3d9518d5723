"""What of the units that were held in advance is free, and who has the rest?

Nothing here waits: the store is spoken to in `leased.py`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sidecar.adapters.redis.keys import session_name
from sidecar.domain.counting import Counter, Layout, lay_out
from sidecar.domain.limits import Charge, Reading
from sidecar.domain.request import UNTOLD, Amounts, MeterKind
from sidecar.domain.usage import Hold

HOT: Final = 50
"""Checks of one user within a second from which units are held in advance."""
LONGEST_S: Final = 2
"""How long a lease answers at most, in whole seconds."""
_FEWEST: Final = 8
"""Requests that a lease must be able to answer, or it is not worth its calls."""
_NEAR: Final = 5
"""Units are held in advance only where more than a fifth of a limit is left."""
_SHARE: Final = 20
"""At most a twentieth of what is left is held in advance."""
_Level = tuple[int, int, datetime | None]
_MARK: Final = "~"
"""Between the id of a lease and the rest of its child's; other reservations have none."""


def parent_of(reservation_id: str) -> str:
    """The id of the lease that answered a reservation, empty if the store did."""
    parent, mark, _ = reservation_id.partition(_MARK)
    return parent if mark else ""


@dataclass(slots=True)
class Pace:
    """How many checks came within one second, and their units by counter.

    Attributes:
        is_vain: there was not enough room for a lease; it is not tried again for this second.
    """

    units: list[int]
    checks: int = 0
    is_vain: bool = False

    def add(self, amounts: Sequence[int]) -> None:
        """Note one more."""
        self.checks += 1
        units = self.units
        for index, amount in enumerate(amounts):
            units[index] += amount


@dataclass(frozen=True, slots=True)
class Slice:
    """Units by counter to hold in advance, and those of one request on average."""

    units: tuple[int, ...]
    mean: tuple[int, ...]


def end_of_buckets(counters: Sequence[Counter], at_ms: int) -> int:
    """Until when what is held at an instant may be handed out, in milliseconds.

    It is charged in the buckets and periods of that instant: used later, it would leave its
    windows before its time.
    """
    ends = [at_ms + LONGEST_S * 1_000]
    for counter in counters:
        if counter.kind == "s":
            ends.append((at_ms // counter.a + 1) * counter.a)
        elif counter.b:
            ends.append(counter.b)
    return min(ends)


def slice_for(
    pace: Pace, layout: Layout, readings: Sequence[Reading], life_s: float
) -> Slice | None:
    """What to hold for requests of so long; None where there is too little time or room."""
    requests = int(pace.checks * min(life_s, 1.0))
    if requests < _FEWEST:
        return None
    mean = tuple(-(-units // pace.checks) for units in pace.units)
    for index, reading in zip(layout.indexes, readings, strict=True):
        remaining, maximum = reading.remaining, reading.limit.maximum
        if remaining is None or maximum is None or not mean[index]:
            continue
        free = remaining - reading.requested
        requests = min(
            requests, free // _SHARE // mean[index], (free - maximum // _NEAR - 1) // mean[index]
        )
    if requests < _FEWEST or any(map(is_near, readings)):
        pace.is_vain = True
        return None
    return Slice(tuple(requests * units for units in mean), mean)


def is_near(reading: Reading) -> bool:
    """Whether each request must ask for itself: little is left, or grants are drawn."""
    maximum = reading.limit.maximum
    taken = reading.used + reading.reserved + reading.requested
    return maximum is not None and _is_near(maximum, reading.granted, taken)


def _is_near(maximum: int, granted: int, taken: int) -> bool:
    return granted > 0 or (maximum - taken) * _NEAR <= maximum


@dataclass(slots=True, eq=False)
class Child:
    """A reservation that a lease has answered; it never changes.

    Attributes:
        amounts: units by counter.
    """

    lease: "Lease"
    id: str
    hold: Hold
    charges: Sequence[Charge]
    amounts: tuple[int, ...]
    expires_ms: int

    def used(self, told: Amounts) -> Amounts:
        """All units of a final commit; of what it does not tell, what was held counts."""
        estimate, rates = self.hold.request.estimate, self.hold.rates
        tokens, received, sent, cost = (
            told.tokens, told.input_tokens, told.output_tokens, told.cost,
        )  # fmt: skip
        if cost == UNTOLD:
            is_free = rates.input == rates.output == 0
            cost = 0 if is_free else rates.cost(tokens, received, sent)
        return Amounts(
            tokens,
            min(estimate.input_tokens, tokens) if received == UNTOLD else received,
            min(estimate.output_tokens, tokens) if sent == UNTOLD else sent,
            1,
            cost,
        )


class Lease:
    """Units that one reservation holds for requests that are still to come.

    Args:
        id_: of that reservation.
        charges: what was asked for it, and `readings`, what was read before.
        made_ms, expires_ms: of it, by the store's clock.
        began_s: of the monotonic clock, before it was asked for.

    Attributes:
        left: units by counter that nobody has.
        live: the children of which no end is known, by id.
        promoted: ids of children that have records of their own.
        withdrawn: ids of children that are forgotten.
        is_over: nothing more is handed out.
    """

    def __init__(
        self,
        app_id: str,
        id_: str,
        charges: Sequence[Charge],
        readings: Sequence[Reading],
        held: Slice,
        *,
        made_ms: int,
        expires_ms: int,
        began_s: float,
    ) -> None:
        layout = lay_out(charges, made_ms)
        self.app_id = app_id
        self.id = id_
        self.expires_ms = expires_ms
        self.ends_s = began_s + (end_of_buckets(layout.counters, made_ms) - made_ms) / 1_000
        self.left = list(held.units)
        self.live: dict[str, Child] = {}
        self.promoted: set[str] = set()
        self.withdrawn: set[str] = set()
        self.is_over = False
        self._charges = tuple(charges)
        self._indexes = layout.indexes
        self._meters = tuple(counter.meter for counter in layout.counters)
        self._mean = held.mean
        self._made_ms = made_ms
        self._began_s = began_s
        self._issued = 0
        self._limits = tuple(
            (charge.limit, index) for charge, index in zip(charges, layout.indexes, strict=True)
        )
        self._granted = [told.granted for told in readings]
        # Used, held, and when it resets, by counter.
        self._levels: list[_Level] = [(0, 0, None)] * len(layout.counters)
        for told, index in zip(readings, layout.indexes, strict=True):
            self._levels[index] = told.used, told.reserved + held.units[index], told.resets_at

    def now_ms(self, now_s: float) -> int:
        """What the store's clock shows, or a little more."""
        # A float may lack a hair of a whole millisecond.
        return self._made_ms + int((now_s - self._began_s) * 1_000 + 0.001)

    def issue(
        self, hold: Hold, charges: Sequence[Charge], amounts: tuple[int, ...], now_s: float
    ) -> tuple[Child, tuple[Reading, ...]] | None:
        """A child, with the limits as they were before it; None if the store must be asked."""
        if now_s >= self.ends_s or not self._is_for(charges):
            self.is_over = True
        if self.is_over or not self._takes(amounts):
            return None
        readings = self.readings(charges)
        left = self.left
        for index, amount in enumerate(amounts):
            left[index] -= amount
        self._issued += 1
        name = f"{self.id}{_MARK}{self._issued:x}"
        request = hold.request
        if request.session_id:
            # Whoever settles it knows of which one it is.
            name += f"{_MARK}{session_name(request.subject.user_id, request.session_id)}"
        expires_ms = self.now_ms(now_s) + request.ttl_s * 1_000
        child = self.live[name] = Child(self, name, hold, charges, amounts, expires_ms)
        return child, readings

    def readings(self, charges: Sequence[Charge] = ()) -> tuple[Reading, ...]:
        """The limits as they were told last, with what was handed out and came back since."""
        readings, levels, left, is_over = [], self._levels, self.left, self.is_over
        for i, (limit, index) in enumerate(self._limits):
            used, held, resets_at = levels[index]
            # When it is over, what nobody has is given back.
            reserved = held if is_over else max(0, held - left[index])
            amount = charges[i].amount if charges else 0
            readings.append(
                Reading(limit, used, reserved, amount, resets_at, True, self._granted[i])
            )
        return tuple(readings)

    def learn(self, levels: Sequence[_Level], granted: Sequence[int]) -> None:
        """Take what the store tells: used, held, and when it resets, by counter.

        Args:
            granted: of each limit; nothing where there is no grant.
        """
        self._levels = list(levels)
        self._granted = list(granted) or [0] * len(self._limits)
        for (limit, index), more in zip(self._limits, self._granted, strict=True):
            used, held, _ = levels[index]
            if limit.maximum is not None and _is_near(limit.maximum, more, used + held):
                self.is_over = True

    def settle(self, child: Child, used: Amounts | None) -> None:
        """Take back what a child leaves of its units, all if it used none."""
        if self.live.pop(child.id, None) is None:
            return
        for index, (meter, amount) in enumerate(zip(self._meters, child.amounts, strict=True)):
            is_spent = used is not None and meter is not MeterKind.CONCURRENCY
            self.left[index] += amount - (used.of(meter) if used and is_spent else 0)
        self.is_over = self.is_over or min(self.left, default=0) < 0

    def kept(self, without: Collection[str]) -> list[int]:
        """Units by counter that children may still take, but for some that end."""
        kept = [0] * len(self.left)
        for name, child in self.live.items():
            if name not in without:
                for index, amount in enumerate(child.amounts):
                    kept[index] += amount
        return kept

    def _is_for(self, charges: Sequence[Charge]) -> bool:
        """Whether these are the limits that it was made under, with the bounds of then."""
        if len(charges) != len(self._charges):
            return False
        for mine, theirs in zip(self._charges, charges, strict=True):
            if mine.limit is not theirs.limit and mine.limit != theirs.limit:
                return False
            if mine.cycle is not theirs.cycle and mine.cycle != theirs.cycle:
                return False
        return True

    def _takes(self, amounts: Sequence[int]) -> bool:
        for amount, left, mean in zip(amounts, self.left, self._mean, strict=True):
            if amount > left:
                # A large request asks for itself; where an average one has no room, it is over.
                self.is_over = self.is_over or amount <= mean
                return False
        return True
