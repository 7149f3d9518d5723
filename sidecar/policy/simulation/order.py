"""In which order did it happen? By time, as far as one looks ahead in what is read."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from heapq import heappop, heappush, heappushpop

from sidecar.policy.simulation.events import Event


class InOrder:
    """Events by their time.

    So many are held back and sorted. What comes later than that is handed on at once, and counted:
    use still counts in the window of its time, a check is decided at the time that is reached.

    Attributes:
        late: events that came too late to be sorted in.
    """

    def __init__(self, events: Iterable[Event], held_back: int = 10_000) -> None:
        self._events = events
        self._held_back = held_back
        self.late = 0

    def __iter__(self) -> Iterator[Event]:
        waiting: list[tuple[datetime, int, Event]] = []
        reached: datetime | None = None
        for number, event in enumerate(self._events):
            item = event.at, number, event
            if len(waiting) < self._held_back:
                heappush(waiting, item)
                continue
            at, _, first = heappushpop(waiting, item)
            if reached is not None and at < reached:
                self.late += 1
            else:
                reached = at
            yield first
        while waiting:
            yield heappop(waiting)[2]
