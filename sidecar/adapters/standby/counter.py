"""What does a counter hold, by its last reading and by what this process has seen since?"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from sidecar.domain.counting import Content, Counter
from sidecar.domain.request import MAX_INTEGER, MeterKind

_RUN_MS: Final = 60_000
"""So long a run of another process is taken to go on that ran when the counter was last read."""


@dataclass(slots=True)
class RememberedCounter:
    """One counter.

    Attributes:
        read_ms: when it was last read, 0 for never.
        used, reserved, granted: what was read then.
        seen: units used since, in buckets of the window, the newest last.
        held: units that this process has let through since, and that are not settled.
    """

    read_ms: int = 0
    used: int = 0
    reserved: int = 0
    granted: int = 0
    seen: deque[tuple[int, int]] = field(default_factory=deque)
    held: int = 0

    def note(self, now_ms: int, used: int, reserved: int, granted: int) -> None:
        """Remember a reading; it has seen what was used until then."""
        self.read_ms, self.used, self.reserved, self.granted = now_ms, used, reserved, granted
        self.seen.clear()

    def use(self, counter: Counter, units: int, now_ms: int) -> None:
        """Note units that were used."""
        bucket = counter.bucket(now_ms)
        if self.seen and self.seen[-1][0] == bucket:
            units += self.seen.pop()[1]
        self.seen.append((bucket, min(units, MAX_INTEGER)))
        self._forget(counter, now_ms)

    def content(self, counter: Counter, now_ms: int) -> Content:
        """What it holds now, as far as that is known; rather too much than too little."""
        self._forget(counter, now_ms)
        used, reserved = sum(units for _, units in self.seen), self.held
        ends_ms = counter.b if counter.kind == "p" else 0
        if self.read_ms and self._still_counts(counter, now_ms):
            used += self.used
            if counter.meter is not MeterKind.CONCURRENCY or now_ms < self.read_ms + _RUN_MS:
                reserved += self.reserved
        if counter.kind == "s" and used + reserved:
            # When the first of it may leave the window; of what was read nobody knows where it is.
            first = self.seen[0][0] * counter.a if self.seen else now_ms
            ends_ms = min(self.read_ms or now_ms, first) + counter.b
        return Content(min(used, MAX_INTEGER), min(reserved, MAX_INTEGER), max(ends_ms, 0))

    def _still_counts(self, counter: Counter, now_ms: int) -> bool:
        if counter.kind == "p":
            return self.read_ms >= counter.a
        return now_ms < self.read_ms + counter.b

    def _forget(self, counter: Counter, now_ms: int) -> None:
        """Let go what has left the window; of a period, all that was before it."""
        while self.seen:
            bucket = self.seen[0][0]
            if counter.kind == "p":
                is_past = bucket != counter.a
            else:
                is_past = (bucket + 1) * counter.a + counter.b <= now_ms
            if not is_past:
                return
            self.seen.popleft()
