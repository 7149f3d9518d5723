"""Which statements are in the file, page by page?"""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.ledger import Ledger
from sidecar.adapters.sqlite.times import system_ms
from sidecar.domain.limits import escaped
from sidecar.domain.statements import Amended, Statement, StatementKey, StatementPage
from sidecar.errors import MeterUnavailable, Unavailable

_PAGE: Final = """
SELECT owner, counter, start, ends_at, name, included, used, granted, flags FROM statement
WHERE app = ?1{} AND (owner, counter, start) > (?3, ?4, ?5)
ORDER BY owner, counter, start LIMIT ?6"""
_BEGINNING: Final = StatementKey("", "", 0)


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
            asked = (app_id, owner, *(after or _BEGINNING), count + 1)
            page = _PAGE.format("" if owner is None else " AND owner = ?2")
            rows = connection.execute(page, asked).fetchall()
            counted = "SELECT since FROM counted WHERE app = ?"
            since_then = connection.execute(counted, (app_id,)).fetchone()
            counted_from = int(since_then[0]) if since_then else None
            found = [_statement(connection, app_id, *row) for row in rows[:count]]
            last = found[-1].key if len(rows) > count else None
            return StatementPage(tuple(found), last, counted_from)

        try:
            return await self._database.count(work, since=since)
        except Unavailable as error:
            raise MeterUnavailable(str(error)) from error


def _statement(
    connection: sqlite3.Connection,
    app: str,
    owner: str,
    counter: str,
    start: int,
    ends_at: int,
    name: str,
    included: int | None,
    used: int,
    granted: int,
    flags: str,
) -> Statement:
    late: Sequence[tuple[int, int, int]] = connection.execute(
        "SELECT hour, used, granted FROM amended "
        "WHERE app = ? AND counter = ? AND start = ? ORDER BY hour",
        (app, counter, start),
    ).fetchall()
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
