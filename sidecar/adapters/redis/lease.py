"""What of the units that were held in advance is free, and who has the rest?

Nothing here waits: the store is spoken to in `leased.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sidecar.adapters.redis.account import account_of
from sidecar.adapters.redis.keys import session_name
from sidecar.domain.counting import Counter, Layout, lay_out
from sidecar.domain.limits import Charge, Reading
from sidecar.domain.request import UNTOLD, Amounts, Subject
from sidecar.domain.usage import Hold

HOT: Final = 5
"""Checks of one user within `LONGEST_S` from which units are held in advance.

A lease takes two calls of Redis, of which the second shares its way with others; what it answers
takes none. Who asks so often asks about as often in the seconds that follow: of the checks of the
slowest who have a lease two thirds are answered in memory, and nearly all of the others'.
"""
LONGEST_S: Final = 10
"""How long a lease answers at most, in whole seconds.

In half the time half as many users ask often enough: of a thousand users whose shares are as
unequal as words' in a text, and who ask for 4,000 checks a second together, 13 ask 50 times in one
second, and all ask five times in ten. Longer, and units that nobody took are missed by others for
longer when a process has died.
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
    return maximum is not None and _is_near(maximum, reading.granted, taken)


def _is_near(maximum: int, granted: int, taken: int) -> bool:
    return granted > 0 or (maximum - taken) * _NEAR <= maximum


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
        is_followed: whether another one is to take its place, or need not.
    """

    def __init__(
        self,
        subject: Subject,
        id_: str,
        charges: Sequence[Charge],
        readings: Sequence[Reading],
        held: Slice,
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
        self._charges = tuple(charges)
        # Limits that share a counter ask the same of it.
        self._firsts = [indexes.index(i) for i in range(len(counters))]
        self._held = held
        self._made_ms = made_ms
        self._limits = tuple(
            (charge.limit, index) for charge, index in zip(charges, indexes, strict=True)
        )
        self._granted = [told.granted for told in readings]
        # Used, held, and when it resets, by counter.
        self._levels: list[_Level] = [(0, 0, None)] * len(counters)
        for told, index in zip(readings, indexes, strict=True):
            self._levels[index] = told.used, told.reserved + held.units[index], told.resets_at

    def now_ms(self, now_s: float) -> int:
        """What the store's clock shows, or a little more."""
        # A float may lack a hair of a whole millisecond.
        return self._made_ms + int((now_s - self.began_s) * 1_000 + 0.001)

    def is_late(self, now_s: float) -> bool:
        """Whether it will be over soon, and was asked for often enough to be followed."""
        if self.is_followed or self.pace.checks < HOT:
            return False
        if now_s >= self._late_s:
            return True
        for left, held in zip(self.left, self._held.units, strict=True):
            if left < held * (1 - _LATE):
                return True
        return False

    def issue(
        self, hold: Hold, charges: Sequence[Charge], now_s: float
    ) -> tuple[Child, tuple[Reading, ...]] | None:
        """A child, with the limits as they were before it; None if the store must be asked."""
        if now_s >= self.ends_s or not self._is_for(charges):
            self.is_over = True
        amounts = tuple([charges[first].amount for first in self._firsts])
        if self.is_over or not self._takes(amounts):
            return None
        readings = self.readings(charges)
        left, out, units = self.left, self.out, self.pace.units
        for index, amount in enumerate(amounts):
            left[index] -= amount
            out[index] += amount
            units[index] += amount
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
        if len(charges) != len(self._charges):
            return False
        for mine, theirs in zip(self._charges, charges, strict=True):
            if mine.limit is not theirs.limit and mine.limit != theirs.limit:
                return False
            if mine.cycle is not theirs.cycle and mine.cycle != theirs.cycle:
                return False
        return True

    def _takes(self, amounts: Sequence[int]) -> bool:
        for amount, left, mean in zip(amounts, self.left, self._held.mean, strict=True):
            if amount > left:
                # A large request asks for itself; where an average one has no room, it is over.
                self.is_over = self.is_over or amount <= mean
                return False
        return True
