"""Statements on Redis: what statements.lua notes, in the order of users and counters."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import unquote

from sidecar.adapters.redis.connection import Argument, RedisConnection, Script
from sidecar.adapters.redis.keys import app_prefix
from sidecar.adapters.redis.script import LEDGER
from sidecar.domain.limits import escaped
from sidecar.domain.statements import Amended, Statement, StatementKey, StatementPage
from sidecar.errors import MeterUnavailable, Unavailable

STATED: Final = Script(*LEDGER, "stated.lua")


class RedisStatements:
    """What counters came to, as the meter on the same Redis noted it.

    Args:
        now_ms: a clock instead of the server's, for tests.
    """

    def __init__(
        self, connection: RedisConnection, now_ms: Callable[[], int] | None = None
    ) -> None:
        self._connection = connection
        self._now_ms = now_ms

    async def page(
        self,
        app_id: str,
        user_id: str | None,
        after: StatementKey | None,
        count: int,
        *,
        since: float,
    ) -> StatementPage:
        """At most so many statements behind one of them."""
        first, end = "-", "+"
        if user_id is not None:
            # The mark of exclamation follows the blank.
            first, end = f"[{escaped(user_id)} ", f"({escaped(user_id)}!"
        if after is not None and (user_id is None or after.owner == escaped(user_id)):
            first = f"[{after.owner} {after.counter}"
        epoch, lines = await self._read(app_id, (first, end, count + 1), since)
        counted_from_ms = int(epoch) // 1_000 if epoch else None
        counters, found = 0, list[Statement]()
        key = StatementKey("", "", 0)
        for owner, counter, fields in _counters(lines):
            counters, key = counters + 1, StatementKey(owner, counter, 0)
            found += _statements(owner, counter, fields)
        if after is not None:
            found = [each for each in found if each.key > after]
        if len(found) > count:
            found = found[:count]
            return StatementPage(tuple(found), found[-1].key, counted_from_ms)
        # All that there is of the last counter was told, unless it was told before.
        last = None if counters <= count else key._replace(start_ms=2**53)
        return StatementPage(tuple(found), last, counted_from_ms)

    async def _read(
        self, app_id: str, asked: tuple[str, str, int], since: float
    ) -> tuple[str, Sequence[str]]:
        """Since when the app is counted, and what the script has found."""
        now: Argument = "" if self._now_ms is None else self._now_ms()
        while True:
            try:
                reply = await self._connection.run(
                    STATED, (app_prefix(app_id),), (now, *asked), since=since
                )
            except Unavailable as error:
                raise MeterUnavailable(str(error)) from error
            assert isinstance(reply, str)  # as the script says
            outcome, epoch, *lines = reply.split("\n")
            if outcome == "ok":
                return epoch, lines
            if self._connection.is_over(since):
                raise MeterUnavailable("more reservations are overdue than can be ended in time")


def _counters(lines: Iterable[str]) -> Iterator[tuple[str, str, list[str]]]:
    """The owner, the name and the fields of each counter."""
    owner, counter, fields = "", "", list[str]()
    for line in lines:
        if line.startswith("#"):
            if counter:
                yield owner, counter, fields
            owner, _, counter = line[1:].partition(" ")
            fields = []
        else:
            fields.append(line)
    if counter:
        yield owner, counter, fields


def _statements(owner: str, counter: str, fields: Sequence[str]) -> Iterator[Statement]:
    """The statements of one counter, the earliest first."""
    late: dict[int, list[Amended]] = {}
    written: dict[int, str] = {}
    for line in fields:
        field, value = line.split(" ", 1)
        start, plus, hour = field.partition("+")
        if plus:
            used, granted = map(int, value.split(" "))
            late.setdefault(int(start), []).append(Amended(int(hour), used, granted))
        else:
            written[int(start)] = value
    for start_ms in sorted(written):
        lasts, _, used_in_all, granted_in_all, included, flags, limit = written[start_ms].split(" ")
        yield Statement(
            key=StatementKey(owner, counter, start_ms),
            end_ms=start_ms + int(lasts),
            limit=unquote(limit),
            included=None if included == "-1" else int(included),
            used=int(used_in_all),
            granted=int(granted_in_all),
            late=tuple(sorted(late.get(start_ms, ()), key=lambda amended: amended.hour)),
            is_cut="c" in flags,
            overlaps="o" in flags,
            is_lost="l" in flags,
        )
