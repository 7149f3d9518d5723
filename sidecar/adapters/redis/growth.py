"""How fast do limits fill up, whoever uses them, and how long is what is known of them good?

Use that nobody asked for, reports and other processes, shows in what the store tells, and not
before. So what it told is good until half of what was left would be taken at the fastest pace of
late. Of a limit of which nothing is known yet, half is taken for what a second may take.
"""

from collections.abc import Sequence
from math import inf
from typing import Final

from sidecar.domain.limits import Reading

_MOMENT_S: Final = 0.05
"""Over less time nobody knows how fast anything grows."""
_HALF: Final = 2


class Growth:
    """What is known of some limits of one user.

    Args:
        maxima: of those with a bound.

    Attributes:
        good_s: how long it may be believed what the store told.
        again_s: from when on it helps to hear of them again, of the monotonic clock.
    """

    def __init__(self, maxima: Sequence[int]) -> None:
        self.maxima = tuple(maxima)
        self.good_s = 0.0
        self.again_s = -inf
        self._rates = [maximum / _HALF for maximum in self.maxima]
        self._taken: Sequence[int] = ()
        self._heard_s = 0.0

    def hear(self, taken: Sequence[int], now_s: float) -> None:
        """Note how much of each is used and held."""
        if now_s < self.again_s:
            return
        if self._taken:
            passed_s = now_s - self._heard_s
            self._rates = [
                # After a pause it may go on as before.
                max((now - before) / passed_s, rate / _HALF)
                for now, before, rate in zip(taken, self._taken, self._rates, strict=True)
            ]
        self._taken, self._heard_s, self.again_s = taken, now_s, now_s + _MOMENT_S
        self.good_s = min(
            (
                (maximum - used) / (_HALF * rate)
                for maximum, used, rate in zip(self.maxima, taken, self._rates, strict=True)
                if rate > 0
            ),
            default=inf,
        )


def taken_of(readings: Sequence[Reading]) -> list[int]:
    """What is used and held of each limit with a bound, with what was asked just now."""
    return [
        reading.used + reading.reserved + reading.requested
        for reading in readings
        if reading.limit.maximum is not None
    ]


def growth_of(readings: Sequence[Reading]) -> Growth:
    """Nothing known of these limits yet."""
    return Growth([it.limit.maximum for it in readings if it.limit.maximum is not None])
