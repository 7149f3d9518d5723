"""Which apps are in the file? Found from one to the next, however many rows each of them has."""

import sqlite3
from collections.abc import Sequence
from typing import Final

from sidecar.adapters.sqlite.database import Database

# https://sqlite.org/optoverview.html has no skip-scan for DISTINCT without statistics: each step
# seeks the next app in the key.
_NAMES: Final = """
WITH RECURSIVE known (app) AS (
    SELECT MIN(app) FROM usage
    UNION ALL SELECT (SELECT MIN(app) FROM usage WHERE app > known.app) FROM known
    WHERE known.app IS NOT NULL
)
SELECT app FROM known WHERE app IS NOT NULL LIMIT ?"""


class SqliteApps:
    """Apps that have used anything within what is kept of reports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest(self, most: int, *, since: float) -> Sequence[str]:
        """Some of them, by their names."""

        def work(connection: sqlite3.Connection) -> list[str]:
            return [str(app) for (app,) in connection.execute(_NAMES, (most,))]

        return await self._database.run(work, since=since)
