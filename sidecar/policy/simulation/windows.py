"""What do sliding windows hold? The same buckets as a store has, in as little memory as they take.

One window is an array: the sum of what counts, then bucket and units of each bucket that holds
use, the oldest first.
"""

from array import array
from bisect import bisect_left

from sidecar.domain.counting import Counter
from sidecar.domain.request import MAX_INTEGER

_EMPTY = (0,)


class SlidingWindows:
    """The sliding windows of all counters, by the hash of each counter's name."""

    def __init__(self) -> None:
        self._windows: dict[int, tuple[int, int, array[int]]] = {}

    def used(self, key: int, counter: Counter, now_ms: int) -> int:
        """Units that count in the window that ends now."""
        found = self._windows.get(key)
        if found is None:
            return 0
        window = found[2]
        _forget(window, (now_ms - counter.b) // counter.a)
        return window[0]

    def use(self, key: int, counter: Counter, at_ms: int, now_ms: int, units: int) -> None:
        """Count units in the bucket of an instant, unless that lies before the window already."""
        first = (now_ms - counter.b) // counter.a
        found = self._windows.get(key)
        window = array("q", _EMPTY) if found is None else found[2]
        _forget(window, first)
        units = min(units, MAX_INTEGER - window[0])
        newest = window[-2] if len(window) > 1 else first
        bucket = min(at_ms // counter.a, max(now_ms // counter.a, newest))
        if units <= 0 or bucket < first:
            return
        if found is None:
            self._windows[key] = counter.a, counter.b, window
        window[0] += units
        place = 1 + 2 * bisect_left(window[1::2], bucket)
        if place < len(window) and window[place] == bucket:
            window[place + 1] += units
        else:
            window.insert(place, units)
            window.insert(place, bucket)

    def sweep(self, now_ms: int) -> None:
        """Forget the windows that all use has left."""
        self._windows = {
            key: found
            for key, found in self._windows.items()
            if len(found[2]) > 1 and found[2][-2] >= (now_ms - found[1]) // found[0]
        }


def _forget(window: "array[int]", first: int) -> None:
    """Take away the buckets in front of a window."""
    while len(window) > 1 and window[1] < first:
        window[0] -= window[2]
        del window[1:3]
