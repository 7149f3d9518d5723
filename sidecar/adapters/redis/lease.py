"""What of the units that were held in advance is free, and who has the rest?

Nothing here waits: the store is spoken to in `leased.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sidecar.adapters.redis.account import account_of
from sidecar.adapters.redis.growth import Growth
from sidecar.adapters.redis.keys import session_name
from sidecar.domain.counting import Counter, Layout, instant_or_none, lay_out
from sidecar.domain.limits import Charge, Reading
from sidecar.domain.request import UNTOLD, Amounts, Subject
from sidecar.domain.usage import Hold

HOT: Final = 3
"""Checks of one user within `LONGEST_S` from which units are held in advance.

A lease takes two calls of Redis, of which the second shares its way with others; what it answers
takes none. Of users who ask by chance, with a call of their own for each end of a lease, it comes
to so many calls a check:

    checks in ten seconds    1      2      3      5      10     20
    held from the second on  1.37   1.02   0.78   0.51   0.25   0.13
    from the third on        1.15   1.00   0.81   0.54   0.26   0.13
    from the fifth on        1.02   1.00   0.89   0.64   0.28   0.13

So it pays from two checks in ten seconds on, and the third is soon enough to know of them.
"""
LONGEST_S: Final = 10
"""How long a lease answers at most, in whole seconds.

Of a thousand users who ask as unequally often as words stand in a text, for 4,000 checks a second
together, one in a hundred checks asks Redis then, and 3 in a hundred make a lease. With half of
the time it is 4 and 5; with twice, half, but units that nobody takes are missed for as long.
"""
_MORE: Final = 1.5
"""A lease is for half as many again as were asked for before: nobody asks evenly."""
_FEWEST: Final = 4
"""Requests that a lease must be able to answer, or it is not worth its calls."""
_NEAR: Final = 5
"""Units are held in advance only where more than a fifth of a limit is left."""
_SHARE: Final = 20
"""At most a twentieth of what is left is held in advance."""
_PART: Final = 6
"""For at most a sixth of a sliding window: what nobody takes is missed in it no longer."""
_LATE: Final = 0.75
"""After so much of its time, or of its units, another one is made before a lease is over."""
_Level = tuple[int, int, datetime | None]
_MARK: Final = "~"
"""Between the id of a lease and the rest of its child's; other reservations have none."""


def parent_of(reservation_id: str) -> str:
    """The id of the lease that answered a reservation, empty if the store did."""
    parent, mark, _ = reservation_id.partition(_MARK)
    return parent if mark else ""


@dataclass(slots=True)
class Pace:
    """How many checks came within a time, and their units by counter.

    Attributes:
        is_vain: there was not enough room for a lease; it is not tried again in this time.
        growth: what is known of the limits, if anything is.
    """

    units: list[int]
    checks: int = 0
    is_vain: bool = False
    growth: Growth | None = None

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


def end_of_life(counters: Sequence[Counter], at_ms: int, *, is_charged: bool) -> int:
    """Until when what is held at an instant may be handed out, in milliseconds.

    Within the periods of that instant, in which it is held. Of a sliding window that does not
    matter: what is used of it counts from when it was handed out.

    Args:
        is_charged: whether what is held is charged when it expires. That counts from when it was
            held: handed out in a later bucket, it would leave its window before its time.
    """
    ends = [at_ms + LONGEST_S * 1_000]
    for counter in counters:
        if counter.kind == "s" and is_charged:
            ends.append((at_ms // counter.a + 1) * counter.a)
        elif counter.kind == "s":
            ends.append(at_ms + counter.b // _PART)
        elif counter.b:
            ends.append(counter.b)
    return min(ends)


def slice_for(
    pace: Pace, requests: float, layout: Layout, readings: Sequence[Reading]
) -> Slice | None:
    """What to hold where so many requests are to be expected; None where there is no room."""
    count = int(requests * _MORE) + _FEWEST
    mean = tuple(-(-units // pace.checks) for units in pace.units)
    for index, reading in zip(layout.indexes, readings, strict=True):
        remaining, maximum = reading.remaining, reading.limit.maximum
        if remaining is None or maximum is None or not mean[index]:
            continue
        free = remaining - reading.requested
        count = min(
            count, free // _SHARE // mean[index], (free - maximum // _NEAR - 1) // mean[index]
        )
    if count < _FEWEST or any(map(is_near, readings)):
        pace.is_vain = True
        return None
    return Slice(tuple(count * units for units in mean), mean)


def is_near(reading: Reading) -> bool:
    """Whether each request must ask for itself: little is left, or grants are drawn."""
    maximum = reading.limit.maximum
    taken = reading.used + reading.reserved + reading.requested
    return maximum is not None and (reading.granted > 0 or (maximum - taken) * _NEAR <= maximum)


@dataclass(slots=True, eq=False)
class Child:
    """A reservation that a lease has answered.

    Attributes:
        amounts: units by counter.
        issued_ms: when it was answered, by the store's clock.
        is_plain: whether it has no record of its own, nor was one asked for, and no session.
    """

    lease: "Lease"
    id: str
    hold: Hold
    charges: Sequence[Charge]
    amounts: tuple[int, ...]
    issued_ms: int
    expires_ms: int
    is_plain: bool

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
        growth: what is known of its limits.
        made_ms, expires_ms: of it, by the store's clock.
        began_s: of the monotonic clock, before it was asked for.
        is_charged: see `end_of_life`.

    Attributes:
        pace: what it was asked for since.
        left: units by counter that nobody has.
        out: those that children have of which no end is known.
        live: these children, by id.
        promoted: ids of children that have records of their own.
        withdrawn: ids of children that are forgotten.
        is_over: nothing more is handed out.
        sure_s: until when what the store told is good enough to answer by, of the monotonic clock.
        is_followed: whether another one is to take its place, or need not.
    """

    def __init__(
        self,
        subject: Subject,
        id_: str,
        charges: Sequence[Charge],
        readings: Sequence[Reading],
        held: Slice,
        growth: Growth,
        *,
        made_ms: int,
        expires_ms: int,
        began_s: float,
        is_charged: bool,
    ) -> None:
        layout = lay_out(charges, made_ms)
        counters, indexes = layout
        self.app_id = subject.app_id
        self.id = id_
        self.expires_ms = expires_ms
        self.began_s = began_s
        lives_s = (end_of_life(counters, made_ms, is_charged=is_charged) - made_ms) / 1_000
        self.ends_s = began_s + lives_s
        self.account = account_of(subject.app_id, subject.user_id, id_, counters, held.units)
        self.pace = Pace([0] * len(counters))
        self.left = list(held.units)
        self.out = [0] * len(counters)
        self.live: dict[str, Child] = {}
        self.promoted: set[str] = set()
        self.withdrawn: set[str] = set()
        self.is_over = False
        self.is_followed = False
        self._late_s = began_s + lives_s * _LATE
        # Below this of any counter it will be used up soon.
        self._low = [int(units * (1 - _LATE)) for units in held.units]
        self._is_low = False
        self._under = tuple((charge.limit, charge.cycle) for charge in charges)
        # Limits that share a counter ask the same of it.
        self._firsts = [indexes.index(i) for i in range(len(counters))]
        self._mean = held.mean
        self._made_ms = made_ms
        self._limits = tuple(
            (charge.limit, index) for charge, index in zip(charges, indexes, strict=True)
        )
        self._bounds = tuple(
            (index, limit.maximum) for limit, index in self._limits if limit.maximum is not None
        )
        self._granted = [told.granted for told in readings]
        # Used, held, and when it resets, by counter.
        self._levels: list[_Level] = [(0, 0, None)] * len(counters)
        for told, index in zip(readings, indexes, strict=True):
            self._levels[index] = told.used, told.reserved + held.units[index], told.resets_at
        taken = [sum(self._levels[index][:2]) for index, _ in self._bounds]
        is_same = growth.maxima == tuple(maximum for _, maximum in self._bounds)
        self.growth = growth if is_same else Growth([maximum for _, maximum in self._bounds])
        self.growth.hear(taken, began_s)
        self.sure_s = began_s + self.growth.good_s

    def now_ms(self, now_s: float) -> int:
        """What the store's clock shows, or a little more."""
        # A float may lack a hair of a whole millisecond.
        return self._made_ms + int((now_s - self.began_s) * 1_000 + 0.001)

    def is_late(self, now_s: float) -> bool:
        """Whether it will be over soon, and was asked for often enough to be followed."""
        is_late = self._is_low or now_s >= self._late_s
        return is_late and not self.is_followed and self.pace.checks >= HOT

    def issue(
        self, hold: Hold, charges: Sequence[Charge], now_s: float
    ) -> tuple[Child, tuple[Reading, ...]] | None:
        """A child, with the limits as they were before it; None if the store must be asked."""
        if now_s >= self.ends_s or not self._is_for(charges):
            self.is_over = True
        elif now_s >= self.sure_s:
            return None
        amounts = tuple([charges[first].amount for first in self._firsts])
        if self.is_over or not self._takes(amounts):
            return None
        readings = self.readings(charges)
        left, low, out, units = self.left, self._low, self.out, self.pace.units
        for index, amount in enumerate(amounts):
            rest = left[index] = left[index] - amount
            out[index] += amount
            units[index] += amount
            if rest < low[index]:
                self._is_low = True
        self.pace.checks = number = self.pace.checks + 1
        issued_ms, request = self.now_ms(now_s), hold.request
        # Whoever settles it knows since when it counts.
        name = f"{self.id}{_MARK}{number:x}-{issued_ms - self._made_ms:x}"
        session = request.session_id
        if session:
            # And of which session it is.
            name += f"{_MARK}{session_name(request.subject.user_id, session)}"
        expires_ms = issued_ms + request.ttl_s * 1_000
        child = self.live[name] = Child(
            self, name, hold, charges, amounts, issued_ms, expires_ms, not session
        )
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

    def learn(self, numbers: Sequence[int], now_s: float, granted: Sequence[int] = ()) -> None:
        """Take what the store tells.

        Args:
            numbers: used, held, and when it resets in milliseconds, of one counter after another.
            granted: of each limit; nothing where there is no grant.
        """
        # Each commit waits for it, and slices of a sequence take longer.
        told = iter(numbers)
        self._take([(used, next(told), instant_or_none(next(told))) for used in told], now_s)
        if granted or any(self._granted):
            self._granted = list(granted) or [0] * len(self._limits)
            for (limit, _), units in zip(self._limits, self._granted, strict=True):
                if units > 0 and limit.maximum is not None:
                    self.is_over = True

    def hear(self, readings: Sequence[Reading], now_s: float) -> None:
        """Take what the store told of a request that it held itself."""
        levels = self._levels.copy()
        for told, (_, index) in zip(readings, self._limits, strict=True):
            levels[index] = told.used, told.reserved + told.requested, told.resets_at
        self._take(levels, now_s)

    def _take(self, levels: list[_Level], now_s: float) -> None:
        self._levels = levels
        for index, maximum in self._bounds:
            used, held, _ = levels[index]
            if (maximum - used - held) * _NEAR <= maximum:
                self.is_over = True
        growth = self.growth
        if now_s >= growth.again_s:
            growth.hear([sum(levels[index][:2]) for index, _ in self._bounds], now_s)
        self.sure_s = now_s + growth.good_s

    def settle(self, child: Child, used: Amounts | None) -> None:
        """Take back what a child leaves of its units, all if it used none."""
        if not self.forget(child):
            return
        left = self.left
        for index, (meter, amount) in enumerate(
            zip(self.account.meters, child.amounts, strict=True)
        ):
            left[index] += amount - (getattr(used, meter) if used and meter else 0)
            if left[index] < 0:
                self.is_over = True

    def forget(self, child: Child) -> bool:
        """Take a child for ended, and its units for gone; whether it was not before."""
        if self.live.pop(child.id, None) is None:
            return False
        out = self.out
        for index, amount in enumerate(child.amounts):
            out[index] -= amount
        return True

    def kept(self, without: Iterable[Child] = ()) -> list[int]:
        """Units by counter that children may still take, but for some that end."""
        kept = self.out.copy()
        for child in set(without):
            if child.id in self.live:
                for index, amount in enumerate(child.amounts):
                    kept[index] -= amount
        return kept

    def _is_for(self, charges: Sequence[Charge]) -> bool:
        """Whether these are the limits that it was made under, with the bounds of then."""
        if len(charges) != len(self._under):
            return False
        for (limit, cycle), charge in zip(self._under, charges, strict=True):
            if charge.limit is not limit and charge.limit != limit:
                return False
            if charge.cycle is not cycle and charge.cycle != cycle:
                return False
        return True

    def _takes(self, amounts: Sequence[int]) -> bool:
        for index, left in enumerate(self.left):
            if amounts[index] > left:
                # A large request asks for itself; where an average one has no room, it is over.
                self.is_over = self.is_over or amounts[index] <= self._mean[index]
                return False
        return True
