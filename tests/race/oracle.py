"""Were the counters right? The exact log says it."""

import bisect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from tests.race.course import Course
from tests.race.ledger import NEVER, ExactLog, Granted, Unasked, UserLog

_LIVES_MS: Final = 2_000
"""Holds that are older are taken for what they were charged in the end: less, never more."""


@dataclass(frozen=True, slots=True)
class Overrun:
    """Units over a maximum in the worst true window; below 0 is what was left of the fullest.

    Attributes:
        charged: of what a limit had let through.
        decided: as it was certainly to be seen at the moment of a grant: with what was still
            held then, and with all that was charged unasked and known by then.
        total: of all that was ever charged: late, reported, more than was held.
        bound: in that window, what nobody had asked for; `total` is never more.
    """

    charged: int
    decided: int
    total: int
    bound: int


def overrun(course: Course, log: ExactLog) -> Overrun:
    """The worst window; a window is every span (t - length, t] of milliseconds."""
    charged = decided = total = -NEVER
    bound = 0
    windows = tuple(zip((*course.windows_ms, NEVER), course.maxima, strict=True))
    for user in log.users.values():
        asked = _Sums((each.part.at_ms, each.charged) for each in user.granted)
        unasked = _Sums((each.at_ms, each.units) for each in user.unasked)
        for at_ms in {at_ms for at_ms, _ in user.charges}:
            for length_ms, maximum in windows:
                within = asked.within(at_ms, length_ms)
                others = unasked.within(at_ms, length_ms)
                charged = max(charged, within - maximum)
                if within + others - maximum > total:
                    total, bound = within + others - maximum, others
        for first, last in _moments(user.granted):
            seen = _decided(user, first, last, asked, [length_ms for length_ms, _ in windows])
            for units, (_, maximum) in zip(seen, windows, strict=True):
                decided = max(decided, units - maximum)
    return Overrun(charged, decided, total, bound)


class _Sums:
    """Units by instant, for the sum of any span."""

    def __init__(self, charges: Iterable[tuple[int, int]]) -> None:
        ordered = sorted(charges)
        self._at_ms = [at_ms for at_ms, _ in ordered]
        self._sums = [0]
        for _, units in ordered:
            self._sums.append(self._sums[-1] + units)

    def within(self, until_ms: int, length_ms: int) -> int:
        """Units in (until - length, until]."""
        first = bisect.bisect_right(self._at_ms, until_ms - length_ms)
        last = bisect.bisect_right(self._at_ms, until_ms)
        return self._sums[last] - self._sums[first]


def _moments(granted: tuple[Granted, ...]) -> Iterator[tuple[int, int]]:
    """Where the parts of each millisecond begin and end."""
    first = 0
    for _, together in groupby(granted, key=lambda each: each.part.at_ms):
        last = first + sum(1 for _ in together)
        yield first, last
        first = last


def _decided(
    user: UserLog, first: int, last: int, asked: _Sums, lengths_ms: Iterable[int]
) -> Iterator[int]:
    """The least that each window held when the last of one millisecond's parts was granted.

    Which of them was the last is not known, and need not be: it saw all others. What nobody
    had begun to settle when all of them had been told was then held in full; the rest was
    held or charged for no less than what it was charged in the end.
    """
    together = user.granted[first:last]
    at_ms = together[0].part.at_ms
    began_ns = min(each.part.began_ns for each in together)
    told_ns = max(each.part.told_ns for each in together)
    held = [
        each
        for each in _since(user.granted, at_ms - _LIVES_MS, last)
        if each.settling_ns > told_ns and each.part.expires_ms > at_ms
    ]
    for length_ms in lengths_ms:
        edge_ms = at_ms - length_ms
        more = sum(
            each.part.units - (each.charged if each.part.at_ms > edge_ms else 0) for each in held
        )
        known = sum(
            each.units for each in _within(user.unasked, edge_ms, at_ms) if each.known_ns < began_ns
        )
        yield asked.within(at_ms, length_ms) + more + known


def _since(granted: tuple[Granted, ...], from_ms: int, last: int) -> Iterator[Granted]:
    """The parts from an instant to a position."""
    while last > 0 and granted[last - 1].part.at_ms >= from_ms:
        last -= 1
        yield granted[last]


def _within(unasked: tuple[Unasked, ...], after_ms: int, until_ms: int) -> tuple[Unasked, ...]:
    first = bisect.bisect_right(unasked, after_ms, key=lambda each: each.at_ms)
    return unasked[first : bisect.bisect_right(unasked, until_ms, key=lambda each: each.at_ms)]


def totals(log: ExactLog) -> Mapping[str, int]:
    """Units of each user over all time."""
    return {name: user.total for name, user in log.users.items()}


def recent(
    log: ExactLog, length_ms: int, bucket_ms: int, at_ms: tuple[int, int]
) -> Mapping[str, tuple[int, int]]:
    """The least and the most that each user's sliding window shows between two instants."""
    early, late = ((edge - length_ms) // bucket_ms for edge in at_ms)
    return {
        name: (
            sum(units for at_ms, units in user.charges if at_ms // bucket_ms >= late),
            sum(units for at_ms, units in user.charges if at_ms // bucket_ms >= early),
        )
        for name, user in log.users.items()
    }
