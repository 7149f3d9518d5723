"""How often may somebody try a key? A few times a minute from one address, or with one browser."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

MOST: Final = 10
"""Wrong keys within a minute."""
_MINUTE_S: Final = 60.0
_ADDRESSES: Final = 1_000


class Patience:
    """Counts wrong keys by where they come from.

    Args:
        monotonic: seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._tried: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def wait_s(self, address: str) -> int:
        """Seconds until it may try again, 0 for now."""
        began, times = self._tried.get(address, (0.0, 0))
        left = began + _MINUTE_S - self._monotonic()
        return max(1, int(left)) if times >= MOST and left > 0 else 0

    def note(self, address: str) -> None:
        """Note that a key was wrong."""
        now = self._monotonic()
        began, times = self._tried.get(address, (now, 0))
        if began + _MINUTE_S <= now:
            began, times = now, 0
        self._tried[address] = began, times + 1
        self._tried.move_to_end(address)
        if len(self._tried) > _ADDRESSES:
            self._tried.popitem(last=False)
