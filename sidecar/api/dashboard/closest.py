"""Which users of an app are near a limit by the month, or over it?

No store keeps users in the order of what they have left: that would cost each request something.
What it keeps is what each billing period comes to, user by user. Whoever looks at an app goes
through that a little further each time, so that it costs nothing while nobody looks, and little
while somebody does.
"""

import asyncio
import heapq
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Final
from urllib.parse import unquote

from sidecar.domain.statements import Statement, StatementKey
from sidecar.domain.windows import from_ms, to_ms
from sidecar.ports import Clock, Statements

NEAR: Final = 0.8
SHOWN: Final = 15
_PAGE: Final = 100
_AT_ONCE: Final = 25
"""Periods that are looked at for whoever comes first: the page is there soon, and looks on."""
_FIRST_S: Final = 0.02
"""How long it is looked further at a time, until all was looked at once."""
_LATER_S: Final = 0.008
"""The same, by a page that is open and asks what is new."""
_MOST: Final = 100_000
"""Periods of one app that are looked at; it is said where there are more."""
_FRESH_S: Final = 10.0
_OLD_S: Final = 30.0
"""Whoever opens a page is shown what was found before, unless it is older."""
_APPS: Final = 32
_MET: Final = 500


@dataclass(frozen=True, slots=True)
class Near:
    """How far somebody is with a limit.

    Attributes:
        user_id: empty where users share the limit.
        used, included: as the limit was last counted.
        ends_at: None for what has no end.
    """

    user_id: str
    limit: str
    meter: str
    window: str
    used: int
    included: int
    ends_at: datetime | None

    @property
    def part(self) -> float:
        """Of what is included, how much is used."""
        return self.used / self.included if self.included else float(self.used > 0)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found so far.

    Attributes:
        lines: the closest first.
        near, over: how many there are in all.
        looked_at: periods that run.
        is_whole: whether all of them were looked at.
        first_user: any user of the app, None where none has used anything.
        at: when that was.
    """

    lines: tuple[Near, ...] = ()
    near: int = 0
    over: int = 0
    looked_at: int = 0
    is_whole: bool = False
    first_user: str | None = None
    at: datetime | None = None


@dataclass(slots=True)
class _Round:
    """One way through all that an app has."""

    after: StatementKey | None = None
    heap: list[tuple[float, int, Near]] = field(default_factory=list)
    number: "count[int]" = field(default_factory=count)
    near: int = 0
    over: int = 0
    looked_at: int = 0
    first_user: str | None = None

    def add(self, statement: Statement, now_ms: int) -> None:
        """Look at one period."""
        if self.first_user is None and statement.key.owner:
            self.first_user = unquote(statement.key.owner)
        if not statement.key.start_ms <= now_ms < statement.end_ms:
            return
        self.looked_at += 1
        if statement.included is None:
            return
        line = Near(
            unquote(statement.key.owner), statement.limit, statement.meter, statement.window,
            statement.used, statement.included, from_ms(statement.end_ms),
        )  # fmt: skip
        part = line.part
        if part >= 1:
            self.over += 1
        elif part >= NEAR:
            self.near += 1
        kept = (part, -next(self.number), line)
        if len(self.heap) < SHOWN:
            heapq.heappush(self.heap, kept)
        elif kept > self.heap[0]:
            heapq.heapreplace(self.heap, kept)

    def found(self, at: datetime, *, is_whole: bool) -> Found:
        """What it came to."""
        lines = tuple(line for _, _, line in sorted(self.heap, reverse=True))
        return Found(
            lines, self.near, self.over, self.looked_at, is_whole, self.first_user, at
        )  # fmt: skip


@dataclass(slots=True)
class _App:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    told: Found = field(default_factory=Found)
    told_s: float = float("-inf")
    round: _Round | None = None
    met: "deque[str]" = field(default_factory=lambda: deque(maxlen=_MET))


class Closest:
    """Goes through what billing periods come to."""

    def __init__(self, statements: Statements, clock: Clock) -> None:
        self._statements = statements
        self._clock = clock
        self._apps: OrderedDict[str, _App] = OrderedDict()

    async def of(self, app_id: str, *, is_live: bool = False) -> Found:
        """The closest ones, after some milliseconds of looking further.

        Args:
            is_live: whether a page is open already, and asks what is new.

        Raises:
            Unavailable: the store did not answer in time.
        """
        app = self._apps.setdefault(app_id, _App())
        self._apps.move_to_end(app_id)
        if len(self._apps) > _APPS:
            self._apps.popitem(last=False)
        async with app.lock:
            age_s = self._clock.monotonic() - app.told_s
            is_due = is_live and (app.round is not None or age_s >= _FRESH_S)
            if not app.told.is_whole or is_due or age_s >= _OLD_S:
                await self._look(app_id, app)
            return app.told

    def met(self, app_id: str) -> tuple[str, ...]:
        """Users that were met on the way through an app: the closest, then the latest."""
        app = self._apps.get(app_id)
        if app is None:
            return ()
        closest = (line.user_id for line in app.told.lines if line.user_id)
        return tuple(dict.fromkeys((*closest, *map(unquote, app.met))))

    async def _look(self, app_id: str, app: _App) -> None:
        at_a_time_s, count = _LATER_S if app.told.is_whole else _FIRST_S, _PAGE
        if app.told.at is None:
            at_a_time_s, count = 0.0, _AT_ONCE
        going = app.round = app.round or _Round()
        now, until = self._clock.now(), self._clock.monotonic() + at_a_time_s
        now_ms = to_ms(now)
        while True:
            page = await self._statements.page(
                app_id, None, going.after, count, since=self._clock.monotonic()
            )
            for statement in page.statements:
                going.add(statement, now_ms)
            app.met.extend({each.key.owner: None for each in page.statements if each.key.owner})
            going.after = page.last
            is_over = page.last is None
            if is_over or going.looked_at >= _MOST:
                app.told = going.found(now, is_whole=is_over)
                app.round, app.told_s = None, self._clock.monotonic()
                return
            if self._clock.monotonic() >= until:
                break
        if not app.told.is_whole:
            # What was found of a whole round stays until the next one is done.
            app.told = going.found(now, is_whole=False)
