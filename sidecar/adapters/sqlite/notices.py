"""Notices in SQLite: what waits is shared by all processes on the file."""

import hashlib
import sqlite3
from collections.abc import Sequence
from datetime import datetime

from sidecar.adapters.sqlite.database import Database
from sidecar.domain.notices import Message
from sidecar.domain.windows import to_ms


class SqliteNotices:
    """What waits to be told to the outside."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, message: Message, occasion: str, at: datetime, until: datetime, *, since: float
    ) -> bool:
        """Let a message wait, unless its occasion was told before."""
        digest = hashlib.blake2b(occasion.encode(), digest_size=16).digest()

        def work(connection: sqlite3.Connection) -> bool:
            connection.execute("DELETE FROM occasion WHERE until <= ?", (to_ms(at),))
            told = connection.execute(
                "SELECT message FROM occasion WHERE digest = ?", (digest,)
            ).fetchone()
            if told is not None:
                # The same call again finds its own.
                return bool(told[0] == message.id)
            connection.execute(
                "INSERT INTO occasion VALUES (?, ?, ?)", (digest, message.id, to_ms(until))
            )
            connection.execute(
                "INSERT INTO notice VALUES (?, ?, 0, ?)", (message.id, message.body, to_ms(at))
            )
            return True

        return await self._database.run(work, since=since)

    async def take(
        self, now: datetime, until: datetime, most: int, *, since: float
    ) -> Sequence[Message]:
        """Messages that are due; nobody else gets them before `until`."""

        def work(connection: sqlite3.Connection) -> Sequence[Message]:
            rows = connection.execute(
                "SELECT id, body, tries FROM notice WHERE due_at <= ? ORDER BY due_at LIMIT ?",
                (to_ms(now), most),
            ).fetchall()
            connection.executemany(
                "UPDATE notice SET due_at = ? WHERE id = ?",
                [(to_ms(until), row[0]) for row in rows],
            )
            return [Message(*row) for row in rows]

        return await self._database.run(work, since=since)

    async def settle(self, message_id: str, again_at: datetime | None, *, since: float) -> None:
        """Forget a message that was taken or given up, or try it again later."""

        def work(connection: sqlite3.Connection) -> None:
            if again_at is None:
                connection.execute("DELETE FROM notice WHERE id = ?", (message_id,))
            else:
                connection.execute(
                    "UPDATE notice SET tries = tries + 1, due_at = ? WHERE id = ?",
                    (to_ms(again_at), message_id),
                )

        await self._database.run(work, since=since)
