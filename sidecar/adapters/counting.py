"""Which counters does a set of charges touch, and what do their contents mean as readings?

Several limits may share one counter; it is held and charged once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sidecar.domain.limits import Charge, Reading
from sidecar.domain.request import MeterKind
from sidecar.domain.windows import Fixed, Sliding, from_ms


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter over one window, at one instant.

    Attributes:
        kind: "p" for a period, "s" for a sliding window.
        a, b: start and end (0 for never) of the period, or width of a bucket and length of
            the window, in milliseconds.
        amount: units to hold or charge.
    """

    name: str
    kind: str
    a: int
    b: int
    meter: MeterKind
    amount: int

    def bucket(self, at_ms: int) -> int:
        """The bucket in which an instant counts: a number, or the period's start."""
        return self.a if self.kind == "p" else at_ms // self.a

    def contains(self, at_ms: int) -> bool:
        """Whether an instant lies in the period; a sliding window contains every one."""
        return self.kind == "s" or (self.a <= at_ms and (self.b == 0 or at_ms < self.b))


@dataclass(frozen=True, slots=True)
class Layout:
    """The counters of some charges, each once, and which of them each charge reads."""

    counters: tuple[Counter, ...]
    indexes: tuple[int, ...]


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
        indexes.append(index)
    return Layout(tuple(counters), tuple(indexes))


def _counter(charge: Charge, at_ms: int) -> Counter:
    limit = charge.limit
    if isinstance(limit.window, Sliding):
        kind, a, b = "s", limit.window.bucket_ms, limit.window.length_ms
    else:
        period = limit.window.period(at_ms, charge.cycle)
        kind, a, b = "p", period.start_ms, period.end_ms or 0
    return Counter(charge.counter, kind, a, b, limit.meter, charge.amount)


@dataclass(frozen=True, slots=True)
class Content:
    """What a counter holds; `resets_at_ms` is 0 where nothing ends."""

    used: int
    held: int
    resets_at_ms: int


def readings_of(
    charges: Sequence[Charge],
    layout: Layout,
    contents: Sequence[Content],
    fits_at_ms: Sequence[int],
) -> tuple[Reading, ...]:
    """One reading for each charge.

    Args:
        contents: one for each counter.
        fits_at_ms: one for each charge: when it will fit, 0 where it fits or never will.
    """
    return tuple(
        reading_of(charge, contents[index], fits)
        for charge, index, fits in zip(charges, layout.indexes, fits_at_ms, strict=True)
    )


def reading_of(charge: Charge, content: Content, fits_at_ms: int) -> Reading:
    """A counter's content as the reading of one limit."""
    reading = Reading(
        charge.limit, content.used, content.held, charge.amount, None, charge.is_asked
    )
    resets = fits_at_ms if reading.is_exceeded else content.resets_at_ms
    if charge.limit.window is Fixed.LIFETIME:
        resets = 0
    return replace(reading, resets_at=instant_or_none(resets))


def instant_or_none(at_ms: int) -> datetime | None:
    """An instant from milliseconds, None from 0."""
    return from_ms(at_ms) if at_ms else None
