"""Which statements are in the file, page by page?"""

import sqlite3
from collections.abc import Callable
from typing import Any, Final

import orjson

from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.ledger import Ledger
from sidecar.adapters.sqlite.times import system_ms
from sidecar.domain.limits import escaped
from sidecar.domain.statements import Amended, Statement, StatementKey, StatementPage
from sidecar.errors import MeterUnavailable, Unavailable

# What came late is in a table of its own; most statements have nothing there.
_PAGE: Final = """
SELECT owner, counter, start, ends_at, name, included, used, granted, flags, (
    SELECT json_group_array(json_array(hour, late.used, late.granted)) FROM amended AS late
    WHERE late.app = statement.app AND late.counter = statement.counter
        AND late.start = statement.start)
FROM statement WHERE app = ?1 AND {}
ORDER BY owner, counter, start LIMIT ?5"""
_OF_ALL: Final = _PAGE.format("(owner, counter, start) > (?2, ?3, ?4)")
_OF_ONE: Final = _PAGE.format("owner = ?2 AND (counter, start) > (?3, ?4)")
_BEGINNING: Final = StatementKey("", "", 0)
_NOTHING_LATE: Final = "[]"


class SqliteStatements:
    """What counters came to, as the meter in the same file noted it.

    Args:
        now_ms: a clock instead of the machine's, for tests.
    """

    def __init__(self, database: Database, now_ms: Callable[[], int] = system_ms) -> None:
        self._database = database
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
        owner = None if user_id is None else escaped(user_id)

        def work(ledger: Ledger) -> StatementPage:
            # What has expired may be charged to a period by that.
            ledger.take_turn(app_id, self._now_ms())
            ledger.write()
            connection = ledger.connection
            rows = _rows(connection, app_id, owner, after or _BEGINNING, count + 1)
            counted = "SELECT since FROM counted WHERE app = ?"
            since_then = connection.execute(counted, (app_id,)).fetchone()
            counted_from = int(since_then[0]) if since_then else None
            found = [_statement(*row) for row in rows[:count]]
            last = found[-1].key if len(rows) > count else None
            return StatementPage(tuple(found), last, counted_from)

        try:
            return await self._database.count(work, since=since)
        except Unavailable as error:
            raise MeterUnavailable(str(error)) from error


def _rows(
    connection: sqlite3.Connection, app: str, owner: str | None, after: StatementKey, most: int
) -> list[tuple[Any, ...]]:
    """Some behind a key, of one owner or of all."""
    if owner is None:
        return connection.execute(_OF_ALL, (app, *after, most)).fetchall()
    if owner < after.owner:
        return []
    behind = after if owner == after.owner else _BEGINNING
    return connection.execute(_OF_ONE, (app, owner, *behind[1:], most)).fetchall()


def _statement(
    owner: str,
    counter: str,
    start: int,
    ends_at: int,
    name: str,
    included: int | None,
    used: int,
    granted: int,
    flags: str,
    amended: str,
) -> Statement:
    late = [] if amended == _NOTHING_LATE else sorted(orjson.loads(amended))
    return Statement(
        key=StatementKey(owner, counter, start),
        end_ms=ends_at,
        limit=name,
        included=included,
        used=used,
        granted=granted,
        late=tuple(Amended(*row) for row in late),
        is_cut="c" in flags,
        overlaps="o" in flags,
        is_lost="l" in flags,
    )
