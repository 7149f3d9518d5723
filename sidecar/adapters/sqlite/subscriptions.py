"""Subscriptions in SQLite: one JSON document for each user and app."""

import sqlite3

from sidecar.adapters.changes import SUBSCRIPTION
from sidecar.adapters.documents import read_subscription, write_subscription
from sidecar.adapters.sqlite.changes import announce
from sidecar.adapters.sqlite.database import Database
from sidecar.domain.request import Subject
from sidecar.domain.subscription import Subscription, SyncOutcome, merge, never_synced
from sidecar.errors import SubscriptionsUnavailable, Unavailable


class SqliteSubscriptions:
    """What the billing side said, seen by every process on the same file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, subject: Subject, *, since: float) -> Subscription:
        """The state for the subject's app, else for all its apps, else one that says `none`."""

        def work(connection: sqlite3.Connection) -> str | None:
            return _get(connection, subject.app_id, subject.user_id) or _get(
                connection, "", subject.user_id
            )

        try:
            document = await self._database.look(work, since=since)
        except Unavailable as error:
            raise SubscriptionsUnavailable(str(error)) from error
        return never_synced(subject) if document is None else read_subscription(document)

    async def sync(self, pushed: Subscription, *, since: float) -> tuple[SyncOutcome, Subscription]:
        """Merge a pushed state with what is stored."""

        def work(connection: sqlite3.Connection) -> tuple[SyncOutcome, Subscription]:
            stored = _get(connection, pushed.app_id, pushed.user_id)
            outcome, state = merge(read_subscription(stored) if stored else None, pushed)
            connection.execute(
                "INSERT OR REPLACE INTO subscription VALUES (?, ?, ?)",
                (pushed.app_id, pushed.user_id, write_subscription(state)),
            )
            announce(connection, SUBSCRIPTION, pushed.user_id)
            return outcome, state

        try:
            return await self._database.run(work, since=since)
        except Unavailable as error:
            raise SubscriptionsUnavailable(str(error)) from error


def _get(connection: sqlite3.Connection, app_id: str, user_id: str) -> str | None:
    row = connection.execute(
        "SELECT document FROM subscription WHERE app = ? AND user = ?", (app_id, user_id)
    ).fetchone()
    return None if row is None else str(row[0])
