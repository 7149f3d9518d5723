"""What does one counter hold, as far as it counts?"""

from collections import deque
from dataclasses import dataclass, field

from sidecar.domain.counting import Content


@dataclass(slots=True, eq=False)
class Cell:
    """One counter in memory.

    Attributes:
        b: end of the period or length of the window; a period may have become longer under
            the same start: a month that is now a year.
        turn: the number of the last one that looked at it.
        used, held: what counts; what is held counts whatever its bucket is.
        first: the first bucket of a sliding window.
        parts: of a sliding window, [bucket, used] of each that holds use, the oldest first.
        more: rows in front of a sliding window; until when a period's row is kept, if it has one.
        is_stored: whether a period has a row in the file.
        is_changed, is_used: whether it was by the present turn.
        is_prolonged: whether its row is to be kept for longer than the file says.
        changes: units used and held in each bucket since it was written.
    """

    app: str
    name: str
    kind: str
    a: int
    b: int
    turn: int
    used: int = 0
    held: int = 0
    first: int = 0
    parts: deque[list[int]] = field(default_factory=deque)
    more: int = 0
    is_stored: bool = False
    is_changed: bool = False
    is_used: bool = False
    is_prolonged: bool = False
    changes: dict[int, list[int]] = field(default_factory=dict)

    @property
    def content(self) -> Content:
        """What it holds, as a reading shows it."""
        if self.kind == "p":
            return Content(self.used, self.held, self.b)
        parts = self.parts
        return Content(self.used, self.held, (parts[0][0] + 1) * self.a + self.b if parts else 0)

    def slide(self, first: int) -> None:
        """Let a sliding window begin with a later bucket."""
        parts = self.parts
        while parts and parts[0][0] < first:
            self.used -= parts.popleft()[1]
            self.more += 1
        self.first = first

    def fits_at(self, now_ms: int, excess: int) -> int:
        """When so many units have left a sliding window.

        What is held counts as if it were used up in the present bucket: it cannot leave the
        window later than that.
        """
        for bucket, used in self.parts:
            excess -= used
            if excess <= 0:
                return (bucket + 1) * self.a + self.b
        return (now_ms // self.a + 1) * self.a + self.b

    def add(self, bucket: int, units: int) -> None:
        """Count use in a bucket of a sliding window."""
        self.used += units
        parts = self.parts
        if parts and parts[-1][0] == bucket:
            parts[-1][1] += units
            return
        place = len(parts)
        while place and parts[place - 1][0] > bucket:
            place -= 1
        if place and parts[place - 1][0] == bucket:
            parts[place - 1][1] += units
        else:
            parts.insert(place, [bucket, units])

    def take(self, bucket: int, units: int) -> int:
        """Take use out of a bucket, as far as it is there and counts; how much."""
        if self.kind == "p":
            taken = min(units, self.used)
            self.used -= taken
            return taken
        for part in self.parts:
            if part[0] == bucket:
                taken = min(units, part[1])
                part[1] -= taken
                self.used -= taken
                if not part[1]:
                    self.parts.remove(part)
                return taken
        return 0
