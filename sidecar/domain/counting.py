"""Which counters does a set of charges touch, and what do their contents mean as readings?

Several limits may share one counter; it is held and charged once.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from sidecar.domain.limits import Charge, Limit, Reading
from sidecar.domain.request import MeterKind
from sidecar.domain.windows import BillingCycle, Fixed, Period, Sliding, from_ms


class Counter(NamedTuple):
    """One counter over one window, at one instant.

    Attributes:
        kind: "p" for a period, "s" for a sliding window.
        a, b: start and end (0 for never) of the period, or width of a bucket and length of
            the window, in milliseconds.
        amount: units to hold or charge.
        bound: the allowance, above which grants are drawn; None where none ever are.
        scopes: of the grants that its limits draw.
        is_enforced: whether it is refused above the bound.
        limit, included: what statements name beside it; an empty id where there are none.
    """

    name: str
    kind: str
    a: int
    b: int
    meter: MeterKind
    amount: int
    bound: int | None = None
    scopes: tuple[str, ...] = ()
    is_enforced: bool = False
    limit: str = ""
    included: int | None = None

    def bucket(self, at_ms: int) -> int:
        """The bucket in which an instant counts: a number, or the period's start."""
        return self.a if self.kind == "p" else at_ms // self.a

    def contains(self, at_ms: int) -> bool:
        """Whether an instant lies in the period; a sliding window contains every one."""
        return self.kind == "s" or (self.a <= at_ms and (self.b == 0 or at_ms < self.b))


class Layout(NamedTuple):
    """The counters of some charges, each once, and which of them each charge reads."""

    counters: tuple[Counter, ...]
    indexes: tuple[int, ...]

    @property
    def span(self) -> tuple[int, int]:
        """From when to before when, 0 for ever, all periods of the counters hold."""
        starts = [counter.a for counter in self.counters if counter.kind == "p"]
        ends = [counter.b for counter in self.counters if counter.kind == "p" and counter.b]
        return max(starts, default=0), min(ends, default=0)


def lay_out(charges: Sequence[Charge], at_ms: int) -> Layout:
    """The counters that these charges touch at an instant."""
    position: dict[str, int] = {}
    counters: list[Counter] = []
    indexes: list[int] = []
    for charge in charges:
        index = position.get(charge.counter)
        if index is None:
            index = position[charge.counter] = len(counters)
            counters.append(_counter(charge, at_ms))
        else:
            counters[index] = _shared(counters[index], charge)
        indexes.append(index)
    return Layout(tuple(counters), tuple(indexes))


def _counter(charge: Charge, at_ms: int) -> Counter:
    limit = charge.limit
    if isinstance(limit.window, Sliding):
        kind, a, b = "s", limit.window.bucket_ms, limit.window.length_ms
    else:
        period = _period(limit.window, charge.cycle, at_ms)
        kind, a, b = "p", period.start_ms, period.end_ms or 0
    scopes = limit.scopes
    bound = limit.maximum if scopes else None
    name, included = (limit.id, limit.included) if limit.is_stated else ("", None)
    return Counter(
        charge.counter, kind, a, b, limit.meter, charge.amount, bound, scopes, limit.is_enforced,
        name, included,
    )  # fmt: skip


def _shared(counter: Counter, charge: Charge) -> Counter:
    """A counter that a further limit reads too.

    Grants are drawn where the first limit would refuse; if none would, above the highest bound.
    """
    limit = charge.limit
    if limit.is_stated and _is_stricter(limit, counter):
        counter = counter._replace(limit=limit.id, included=limit.included)
    if limit.maximum is None or not limit.scopes:
        return counter
    bound = limit.maximum
    if counter.bound is not None and counter.is_enforced == limit.is_enforced:
        choose = min if limit.is_enforced else max
        bound = choose(bound, counter.bound)
    elif counter.bound is not None and counter.is_enforced:
        bound = counter.bound
    return counter._replace(
        bound=bound,
        scopes=tuple(dict.fromkeys((*counter.scopes, *limit.scopes))),
        is_enforced=counter.is_enforced or limit.is_enforced,
    )


def _is_stricter(limit: Limit, counter: Counter) -> bool:
    """Whether a statement names this limit rather than those before it.

    The lowest that is enforced; if none is, the highest, as for grants.
    """
    if limit.is_enforced != counter.is_enforced:
        return limit.is_enforced
    if limit.included is None or counter.included is None:
        return limit.included is not None
    if limit.is_enforced:
        return limit.included < counter.included
    return limit.included > counter.included


class Content(NamedTuple):
    """What a counter holds; `resets_at_ms` is 0 where nothing ends."""

    used: int
    held: int
    resets_at_ms: int


def readings_of(
    charges: Sequence[Charge],
    layout: Layout,
    contents: Sequence[Content],
    fits_at_ms: Sequence[int],
    granted: Sequence[int],
) -> tuple[Reading, ...]:
    """One reading for each charge.

    Args:
        contents: one for each counter.
        fits_at_ms: one for each charge: when it will fit, 0 where it fits or never will.
        granted: one for each charge: units left in the grants that it draws.
    """
    return tuple(
        reading_of(charge, contents[index], fits, left)
        for charge, index, fits, left in zip(
            charges, layout.indexes, fits_at_ms, granted, strict=True
        )
    )


def reading_of(charge: Charge, content: Content, fits_at_ms: int, granted: int) -> Reading:
    """A counter's content as the reading of one limit."""
    limit, (used, held, resets_ms) = charge.limit, content
    used = limit.counted(used)
    if limit.window is Fixed.LIFETIME:
        resets_ms = 0
    elif limit.maximum is not None:
        free = limit.maximum + granted - used - held
        if charge.need > max(0, free):
            resets_ms = fits_at_ms
    return Reading(
        limit, used, held, charge.amount, instant_or_none(resets_ms), charge.is_asked, granted
    )


_PERIODS_KEPT = 10_000
_periods: dict[tuple[Fixed, BillingCycle], Period] = {}


def _period(window: Fixed, cycle: BillingCycle, at_ms: int) -> Period:
    """The window's span that contains an instant; the latest one of each cycle is kept."""
    known = _periods.get((window, cycle))
    if known is not None and known.contains(at_ms):
        return known
    period = window.period(at_ms, cycle)
    if is_lasting(cycle, at_ms):
        if len(_periods) >= _PERIODS_KEPT:
            _periods.clear()
        _periods[window, cycle] = period
    return period


def is_lasting(cycle: BillingCycle, at_ms: int) -> bool:
    """Whether the periods of this instant are those of every instant within them.

    Beside a stated period others may lie that overlap with it.
    """
    start, end = cycle.start, cycle.end
    return start is None or (end is not None and start <= from_ms(at_ms) < end)


@lru_cache(4096)
def instant_or_none(at_ms: int) -> datetime | None:
    """An instant from milliseconds, None from 0."""
    return from_ms(at_ms) if at_ms else None
