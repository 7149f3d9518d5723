"""The log of accepted events on Redis: a stream for each app, written in the step that counts.

Pages of all apps go through them by their names. Each round ends at an instant that all servers
have passed, so that nothing can come any more before it; the next round begins there.
"""

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

import orjson

from sidecar.adapters.arrivals import Arrivals
from sidecar.adapters.cursors import read_cursor, write_cursor
from sidecar.adapters.event_bodies import body_of
from sidecar.adapters.redis.connection import Argument, RedisConnection, Reply, Script
from sidecar.adapters.redis.keys import APPS, SCHEDULE, app_prefix
from sidecar.domain.event_log import Asked, Keeping, LoggedEvent, Page
from sidecar.domain.usage import ChargedEvent
from sidecar.domain.windows import from_ms, to_ms
from sidecar.errors import NothingKept, OutboxFull, Unavailable, UnknownCursor

COMING: Final = Script("apps.lua")
PAGE: Final = Script("page.lua")

_AGAIN_S: Final = 600.0
"""How long an app that was announced need not be announced again."""
_APPS: Final = 16_384
_MARGIN_MS: Final = 2 * 86_400_000
_STANDS_MS: Final = 2_000
"""How far clocks of servers may be apart."""
_ROUND_MS: Final = 1_000
"""What came in a shorter time is worth no round of its own at once."""
_PLACE: Final = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")
_CHUNK: Final = 500
_VISITS: Final = 200
"""Apps that one page looks at, at most."""


class RedisEventLog:
    """Accepted events on Redis.

    Args:
        now_ms: a clock instead of the servers', for tests.
    """

    def __init__(
        self,
        connection: RedisConnection,
        keeping: Keeping,
        arrivals: Arrivals | None = None,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self._connection = connection
        self._keeping = keeping
        self._arrivals = arrivals or Arrivals()
        self._now_ms = now_ms
        self._announced: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._waiting = 0

    async def about_to_come(
        self, app_id: str, events: Sequence[ChargedEvent], *, since: float
    ) -> str:
        """What record.lua is told of events; the app can be found before it has them.

        Raises:
            OutboxFull: of all apps together too many wait.
        """
        if not self._keeping.is_on:
            return ""
        bodies = list(map(body_of, events))
        if not any(bodies):
            return ""
        most = self._keeping.most_waiting
        if most is not None and self._waiting >= most:
            raise OutboxFull
        at, _ = self._announced.get(app_id, (float("-inf"), ""))
        if at < time.monotonic() - _AGAIN_S:
            await self._announce(app_id, since)
        mark = "k" if most is None else "w"
        return orjson.dumps([mark, most or 0, self._keeping.kept_ms, bodies]).decode()

    async def has_come_again(self, app_id: str, *, since: float) -> None:
        """Let an app be found once more, of which the store has lost all that it had."""
        self._announced.pop(app_id, None)
        # If the store does not answer, the next event does it.
        with suppress(Unavailable):
            await self._announce(app_id, since)

    async def has_come(self, app_id: str, accepted: int, epoch: str, *, since: float) -> None:
        """Note that so many events were logged.

        Args:
            epoch: of the app; with another one than before the store has lost what it had.
        """
        at, known = self._announced.get(app_id, (0.0, epoch))
        if known not in ("", epoch):
            # If the store does not answer now, the next event lets the app be found.
            del self._announced[app_id]
            with suppress(Unavailable):
                await self._announce(app_id, since)
        elif at:
            self._announced[app_id] = at, epoch
        if accepted and self._keeping.most_waiting is not None:
            self._waiting += accepted
            self._arrivals.note(app_id)

    def has_gone(self, delivered: int) -> None:
        """Note that so many events wait no more."""
        self._waiting = max(0, self._waiting - delivered)

    def note_waiting(self, events: int) -> None:
        """Note how many wait in all apps together, as they were counted just now."""
        self._waiting = events

    async def page(self, asked: Asked, *, since: float) -> Page:
        """Some of them, in the order in which they came, app by app or of one app."""
        if not self._keeping.kept:
            raise NothingKept
        if asked.app_id:
            return await self._page_of_app(asked, since)
        return await self._page_of_all(asked, since)

    async def _announce(self, app_id: str, since: float) -> None:
        now = self._local_ms()
        if self._keeping.kept:
            horizon = now - self._keeping.kept_ms - _MARGIN_MS
            await self._connection.run(COMING, APPS, (app_id, now, horizon), since=since)
        if self._keeping.most_waiting is not None:
            await self._connection.command("ZADD", SCHEDULE, "NX", now, app_id, since=since)
        self._announced[app_id] = time.monotonic(), ""
        self._announced.move_to_end(app_id)
        if len(self._announced) > _APPS:
            self._announced.popitem(last=False)

    async def _page_of_app(self, asked: Asked, since: float) -> Page:
        app_id, place = asked.app_id, ""
        if asked.cursor:
            match read_cursor(asked.cursor):
                case ["app", str(of), str(place)] if of == app_id and _is_place(place):
                    pass
                case _:
                    raise UnknownCursor
        begin = f"({place}" if place else str(_ms(asked.begin, 0))
        end = "+" if asked.end is None else str(to_ms(asked.end) - 1)
        found, _ = await self._read(app_id, begin, end, asked.most + 1, since)
        events = found[: asked.most]
        place = events[-1].place if events else place
        return Page(events, write_cursor("app", app_id, place), has_more=len(found) > asked.most)

    async def _page_of_all(self, asked: Asked, since: float) -> Page:
        told, until, app_id, place = _ms(asked.begin, 0) - 1, 0, "", ""
        if asked.cursor:
            match read_cursor(asked.cursor):
                case ["all", int(told), int(until), str(app_id), str(place)] if _is_place(place):
                    pass
                case _:
                    raise UnknownCursor
        until = until or self._stands_until(asked)
        if until <= told:
            return Page((), write_cursor("all", told, 0, "", ""), has_more=False)
        events: list[LoggedEvent] = []
        for _ in range(_VISITS):
            room = asked.most - len(events)
            if not room:
                break
            # With a place it is the app that is gone through, without one it is done.
            current = app_id if place else await self._next_app(app_id, since)
            if current is None:
                more = self._stands_until(asked) - until > _ROUND_MS
                return Page(events, write_cursor("all", until, 0, "", ""), has_more=more)
            begin = f"({place}" if place else str(told + 1)
            found, now = await self._read(current, begin, str(until), room + 1, since)
            if now <= until:
                # Its server's clock is behind: what comes there now may still be of this round.
                cursor = write_cursor("all", told, until, app_id, place)
                return Page(events, cursor, has_more=False)
            events += found[:room]
            app_id, place = current, events[-1].place if len(found) > room else ""
            since = time.monotonic()
        return Page(events, write_cursor("all", told, until, app_id, place), has_more=True)

    def _stands_until(self, asked: Asked) -> int:
        """The instant up to which nothing can come any more."""
        return min(self._local_ms() - _STANDS_MS, _ms(asked.end, 1 << 52) - 1)

    async def _next_app(self, app_id: str, since: float) -> str | None:
        begin = f"({app_id}" if app_id else "-"
        found = await self._connection.command(
            "ZRANGEBYLEX", APPS[0], begin, "+", "LIMIT", 0, 1, since=since
        )
        assert isinstance(found, list)  # as Redis says
        return texts(found)[0] if found else None

    async def _read(
        self, app_id: str, begin: str, end: str, most: int, since: float
    ) -> tuple[list[LoggedEvent], int]:
        """Events of an app, and the time before which no other can come any more."""
        events: list[LoggedEvent] = []
        while True:
            arguments: tuple[Argument, ...] = (self._now(), begin, end, min(_CHUNK, most))
            reply = await self._connection.run(PAGE, (app_prefix(app_id),), arguments, since=since)
            now, *told = texts(reply)
            found = [
                LoggedEvent(app_id, place, received_at(place), body)
                for place, body in zip(told[::2], told[1::2], strict=True)
            ]
            events += found
            most -= len(found)
            if len(found) < _CHUNK or most <= 0:
                return events, int(now)
            begin, since = f"({found[-1].place}", time.monotonic()

    def _local_ms(self) -> int:
        return time.time_ns() // 1_000_000 if self._now_ms is None else self._now_ms()

    def _now(self) -> Argument:
        return "" if self._now_ms is None else self._now_ms()


def texts(reply: Reply) -> list[str]:
    """The texts that a script returns."""
    assert isinstance(reply, list)  # as they say
    return [each.decode() if isinstance(each, bytes) else str(each) for each in reply]


def received_at(place: str) -> datetime:
    """When an entry came."""
    return from_ms(int(place.partition("-")[0]))


def _is_place(place: str) -> bool:
    return not place or _PLACE.fullmatch(place) is not None


def _ms(at: datetime | None, otherwise: int) -> int:
    return otherwise if at is None else to_ms(at)
