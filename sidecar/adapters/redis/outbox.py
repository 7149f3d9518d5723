"""The outbox on Redis: how far each app's log of events was delivered.

Which apps are to be looked at stands in a schedule for all. An app without anything new is looked
at ever more seldom, and no more at all when nobody can be about to log something for it.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

import orjson

from sidecar.adapters.redis.connection import Argument, RedisConnection, Script
from sidecar.adapters.redis.event_log import RedisEventLog, received_at, texts
from sidecar.adapters.redis.keys import SCHEDULE, app_prefix
from sidecar.domain.event_log import AppLine, Backlog, LoggedEvent, SetAside, Settled, Taken
from sidecar.domain.windows import from_ms

OUTBOX: Final = Script("outbox.lua")

LEASE_MS: Final = 15_000
"""How long nobody else takes what is being delivered; longer than any answer takes."""
_SOON_MS, _SELDOM_MS = 5_000, 3_600_000
_FORGOTTEN_MS: Final = 2 * 86_400_000
_AT_ONCE: Final = 200


class RedisOutbox:
    """What of the log the control plane does not have yet.

    Args:
        kept_ms: how long delivered events are kept.
        log: is told how many wait in all, where it has to know.
        now_ms: a clock instead of the servers', for tests.
    """

    def __init__(
        self,
        connection: RedisConnection,
        kept_ms: int = 0,
        log: RedisEventLog | None = None,
        now_ms: Callable[[], int] | None = None,
    ) -> None:
        self._connection = connection
        self._kept_ms = kept_ms
        self._log = log
        self._now_ms = now_ms

    async def due(self, most: int, *, everywhere: bool = False, since: float) -> Sequence[str]:
        """Apps of which something may wait that can be delivered now."""
        if everywhere:
            return await self._apps(since)
        now = self._local_ms()
        # What is further away than can be was said before the clock was set back.
        spans: tuple[tuple[Argument, Argument], ...] = (
            ("-inf", now), (now + _SELDOM_MS + LEASE_MS, "+inf"),
        )  # fmt: skip
        due, misled = await asyncio.gather(
            *(
                self._connection.command(
                    "ZRANGEBYSCORE", SCHEDULE, begin, end, "LIMIT", 0, most, since=since
                )
                for begin, end in spans
            )
        )
        return (texts(due) + texts(misled))[:most]

    async def take(self, app_id: str, holder: str, most: int, *, since: float) -> Taken | None:
        """The next events of an app, which are then this holder's for a while."""
        reply = texts(await self._run(app_id, since, "take", holder, LEASE_MS, most))
        match reply:
            case ["taken", tries, *told]:
                await self._look_again(app_id, self._local_ms() + LEASE_MS, since)
                entries = zip(told[::2], told[1::2], strict=True)
                events = [_event(app_id, place, body) for place, body in entries]
                return Taken(events, int(tries)) if events else None
            case ["empty", last, now, refused]:
                idle_ms = int(now) - int(last)
                pause_ms = min(max(idle_ms // 2, _SOON_MS), _SELDOM_MS)
                is_over = idle_ms > _FORGOTTEN_MS and refused == "0"
                again_at = None if is_over else self._local_ms() + pause_ms
                await self._look_again(app_id, again_at, since)
            case [_, until]:
                await self._look_again(app_id, int(until), since)
        return None

    async def settle(
        self, app_id: str, holder: str, settled: Settled, *, let_go: bool, since: float
    ) -> None:
        """Note what became of what was taken, unless another has it by now."""
        again_in = settled.again_in
        wait_ms = -1 if again_in is None else int(again_in.total_seconds() * 1_000)
        told = [settled.done, list(settled.aside.items()), wait_ms, settled.fault]
        lasts: Argument = "" if let_go else LEASE_MS
        written = orjson.dumps(told).decode()
        done = await self._run(app_id, since, "settle", holder, lasts, self._kept_ms, written)
        if done == 1 and self._log is not None:
            self._log.has_gone(len(settled.done))
        if done == 1 and let_go:
            await self._look_again(app_id, self._local_ms() + max(wait_ms, 0), since)

    async def backlog(self, *, since: float) -> Backlog:
        """How much waits, and for how long."""
        whole = Backlog()
        for line in await self._all_lines(since):
            one = line.backlog
            whole = Backlog(
                whole.waiting + one.waiting,
                whole.set_aside + one.set_aside,
                min(filter(None, (whole.oldest_at, one.oldest_at)), default=None),
            )
        if self._log is not None:
            self._log.note_waiting(whole.waiting + whole.set_aside)
        return whole

    async def lines(self, most: int, *, since: float) -> Sequence[AppLine]:
        """Apps of which something waits or is set aside."""
        return (await self._all_lines(since))[:most]

    async def set_aside(self, most: int, *, since: float) -> Sequence[SetAside]:
        """Events that were refused."""
        found: list[SetAside] = []
        for line in await self._all_lines(since):
            prefix = app_prefix(line.app_id)
            again, cursor = await self._again(prefix, since), "0"
            while len(found) < most:
                reply = await self._connection.command(
                    "HSCAN", f"{prefix}:a", cursor, "COUNT", 100, since=since
                )
                assert isinstance(reply, list)  # as Redis says
                entries = texts(reply[1])
                for place, told in zip(entries[::2], entries[1::2], strict=True):
                    status, at, body = told.split(" ", 2)
                    event = _event(line.app_id, place, body)
                    if place not in again:
                        found.append(SetAside(event, int(status), from_ms(int(at))))
                cursor = texts(reply[:1])[0]
                if cursor == "0":
                    break
        return sorted(found, key=lambda each: each.at)[:most]

    async def retry(self, app_id: str, place: str, *, since: float) -> bool:
        """Try an event that is set aside again, before the others; or the first one now."""
        done = await self._run(app_id, since, "retry", place) == 1
        if done:
            await self._look_again(app_id, self._local_ms(), since)
        return done

    async def drop(self, app_id: str, place: str, *, since: float) -> bool:
        """Never deliver an event that is set aside, or the first that waits."""
        done = await self._run(app_id, since, "drop", place, self._kept_ms) == 1
        if done:
            await self._look_again(app_id, self._local_ms(), since)
            if self._log is not None:
                self._log.has_gone(1)
        return done

    async def _all_lines(self, since: float) -> list[AppLine]:
        apps = await self._apps(since)
        lines: list[AppLine] = []
        for begin in range(0, len(apps), _AT_ONCE):
            some = apps[begin : begin + _AT_ONCE]
            # However many apps there are, each step has its own time.
            now = time.monotonic() if begin else since
            lines += await asyncio.gather(*(self._line(app_id, now) for app_id in some))
        return [line for line in lines if line.backlog.waiting or line.backlog.set_aside]

    async def _line(self, app_id: str, since: float) -> AppLine:
        told = texts(await self._run(app_id, since, "look"))
        now, _, waiting, aside, tries, due, fault, first, first_ms = told
        oldest_at = from_ms(int(first_ms)) if first_ms else None
        again_ms = int(due or 0)
        return AppLine(
            app_id,
            Backlog(int(waiting), int(aside), oldest_at),
            LoggedEvent(app_id, first, from_ms(0), "").id if first else None,
            from_ms(again_ms) if again_ms > int(now) else None,
            int(tries or 0),
            fault,
        )

    async def _apps(self, since: float) -> list[str]:
        return sorted(texts(await self._connection.command("ZRANGE", SCHEDULE, 0, -1, since=since)))

    async def _again(self, prefix: str, since: float) -> set[str]:
        return set(
            texts(await self._connection.command("LRANGE", f"{prefix}:b", 0, -1, since=since))
        )

    async def _look_again(self, app_id: str, at_ms: int | None, since: float) -> None:
        if at_ms is None:
            await self._connection.command("ZREM", SCHEDULE, app_id, since=since)
        else:
            await self._connection.command("ZADD", SCHEDULE, at_ms, app_id, since=since)

    async def _run(self, app_id: str, since: float, action: str, *rest: Argument) -> object:
        now: Argument = "" if self._now_ms is None else self._now_ms()
        arguments = (now, action, *rest)
        return await self._connection.run(OUTBOX, (app_prefix(app_id),), arguments, since=since)

    def _local_ms(self) -> int:
        return time.time_ns() // 1_000_000 if self._now_ms is None else self._now_ms()


def _event(app_id: str, place: str, body: str) -> LoggedEvent:
    return LoggedEvent(app_id, place, received_at(place), body)
