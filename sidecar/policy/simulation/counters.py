"""What do the counters of one policy hold at an instant of the replay?

As a store counts: use stands in the bucket of its time, what is held in that of its hold. What no
question can reach any more is forgotten, so that memory follows those who are active.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heappop, heappush

from sidecar.domain.counting import Content, Counter
from sidecar.domain.request import MAX_INTEGER, Amounts, MeterKind
from sidecar.policy.simulation.counts import Counts, hash_of
from sidecar.policy.simulation.windows import SlidingWindows

_DAY_MS = 86_400_000
_FOR_EVER = -1
_SWEEP_EVERY_MS = 600_000
"""Of the replay's own time."""

Begins = Callable[[], int | None]


@dataclass(slots=True)
class Part:
    """What a hold has in one counter, and in which bucket."""

    key: int
    counter: Counter
    at_ms: int
    held: int


@dataclass(slots=True)
class Hold:
    """A reservation of the replay.

    Attributes:
        id: empty for a run that was not let through live, so that nothing names it.
        ends_ms: when it gives back what it holds.
        is_request: whether a report has counted its one request.
    """

    id: str
    ends_ms: int
    parts: list[Part]
    is_request: bool = False


class Counters:
    """Counts by (app, counter)."""

    def __init__(self) -> None:
        # By the day on which a period ends, so that a day's periods are forgotten together.
        self._periods: dict[int, Counts] = {}
        self._windows = SlidingWindows()
        self._held: dict[int, int] = {}
        self._only_here: dict[int, int] = {}
        self._holds: dict[str, Hold] = {}
        self._ends: list[tuple[int, int, Hold]] = []
        self._swept_ms = 0
        self._numbers = 0

    def content(
        self, app: str, counter: Counter, now_ms: int, begins: Begins, held_then: int | None = None
    ) -> Content:
        """What a counter holds now; a period's holds at first what it begins with.

        Args:
            held_then: what was held live, where that is known: it shows which holds had ended.
        """
        key = _key(app, counter)
        if counter.kind == "s":
            used = self._windows.used(key, counter, now_ms)
        else:
            period = self._period(counter)
            known = period.get(key)
            if known is None:
                known = begins()
                if known is not None:
                    period.set(key, known)
            used = known or 0
        held = self._held.get(key, 0)
        if held_then is not None:
            held = min(held, held_then + self._only_here.get(key, 0))
        return Content(used, held, 0)

    def use(self, app: str, counter: Counter, at_ms: int, now_ms: int, units: int) -> None:
        """Count use in the window of its time."""
        self._use(_key(app, counter), counter, at_ms, now_ms, units)

    def hold(
        self, hold_id: str, app: str, counters: Iterable[Counter], now_ms: int, ends_ms: int
    ) -> None:
        """Hold what counters are asked for, until an instant; a hold that lives holds more."""
        hold = self._holds.get(hold_id)
        if hold is None:
            hold = Hold(hold_id, ends_ms, [])
            if hold_id:
                self._holds[hold_id] = hold
        for counter in counters:
            if counter.amount:
                key = _key(app, counter)
                self._held[key] = self._held.get(key, 0) + counter.amount
                if not hold_id:
                    self._only_here[key] = self._only_here.get(key, 0) + counter.amount
                hold.parts.append(Part(key, counter, now_ms, counter.amount))
        hold.ends_ms = max(hold.ends_ms, ends_ms)
        self._numbers += 1
        heappush(self._ends, (hold.ends_ms, self._numbers, hold))

    def draw(self, hold_id: str, used: Amounts, now_ms: int) -> bool:
        """Turn what a hold holds into use, and count the rest beside it; whether it still lives."""
        hold = self._holds.get(hold_id)
        if hold is None:
            return False
        due: dict[int, int] = {}
        for part in hold.parts:
            due.setdefault(part.key, _due(part.counter.meter, used, hold))
        last = {part.key: part for part in hold.parts}
        for part in hold.parts:
            units = min(due[part.key], part.held)
            due[part.key] -= units
            self._let_go(part, units)
            if part is last[part.key]:
                units += due[part.key]
            self._use(part.key, part.counter, part.at_ms, now_ms, units)
        hold.is_request = True
        return True

    def reach(self, now_ms: int) -> None:
        """Let time pass: what has lived its time gives back what it holds."""
        ends = self._ends
        while ends and ends[0][0] <= now_ms:
            at_ms, _, hold = heappop(ends)
            if at_ms < hold.ends_ms:
                continue  # It was extended, and stands further back once more.
            for part in hold.parts:
                if not hold.id:
                    _take(self._only_here, part.key, part.held)
                self._let_go(part, part.held)
            self._holds.pop(hold.id, None)
        if now_ms - self._swept_ms >= _SWEEP_EVERY_MS:
            self._swept_ms = now_ms
            self._windows.sweep(now_ms)
            today = now_ms // _DAY_MS
            for day in [day for day in self._periods if _FOR_EVER < day < today]:
                del self._periods[day]

    def _use(self, key: int, counter: Counter, at_ms: int, now_ms: int, units: int) -> None:
        if counter.kind == "s":
            self._windows.use(key, counter, at_ms, now_ms, units)
        elif units:
            period = self._period(counter)
            period.set(key, min((period.get(key) or 0) + units, MAX_INTEGER))

    def _period(self, counter: Counter) -> Counts:
        day = counter.b // _DAY_MS if counter.b else _FOR_EVER
        period = self._periods.get(day)
        if period is None:
            period = self._periods[day] = Counts()
        return period

    def _let_go(self, part: Part, units: int) -> None:
        part.held -= units
        _take(self._held, part.key, units)


def _take(held: dict[int, int], key: int, units: int) -> None:
    left = held.get(key, 0) - units
    if left > 0:
        held[key] = left
    else:
        held.pop(key, None)


def _due(meter: MeterKind, used: Amounts, hold: Hold) -> int:
    if meter is MeterKind.REQUESTS:
        return 0 if hold.is_request else used.requests
    return used.of(meter)


def _key(app: str, counter: Counter) -> int:
    # A period's counter belongs to its start.
    return hash_of((app, counter.name, counter.a))
