"""Balances in SQLite: one JSON document for each user of an app."""

import sqlite3
from dataclasses import replace

from sidecar.adapters.changes import WALLET
from sidecar.adapters.sqlite.changes import announce
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.spending import known_at
from sidecar.adapters.wallet_documents import read_wallet, write_wallet
from sidecar.domain.request import Subject
from sidecar.domain.subscription import SyncOutcome
from sidecar.domain.wallet import Wallet, merge, no_wallet, wallet_counter
from sidecar.domain.windows import to_ms


class SqliteWallets:
    """What others said of balances, seen by every process on the same file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, subject: Subject, *, since: float) -> Wallet:
        """The balance of a user as it was told last, or one that says that none was."""

        def work(connection: sqlite3.Connection) -> Wallet | None:
            return _get(connection, subject.app_id, subject.user_id)

        return await self._database.look(work, since=since) or no_wallet(subject)

    async def sync(self, told: Wallet, *, since: float) -> tuple[SyncOutcome, Wallet]:
        """Put a balance in the place of an older one, with what was used when it was that."""

        def work(connection: sqlite3.Connection) -> tuple[SyncOutcome, Wallet]:
            app, user = told.app_id, told.user_id
            base = known_at(connection, app, wallet_counter(told), to_ms(told.as_of))
            outcome, wallet = merge(_get(connection, app, user), replace(told, base=base))
            connection.execute(
                "INSERT OR REPLACE INTO wallet VALUES (?, ?, ?)", (app, user, write_wallet(wallet))
            )
            announce(connection, WALLET, user)
            return outcome, wallet

        return await self._database.run(work, since=since)


def _get(connection: sqlite3.Connection, app: str, user: str) -> Wallet | None:
    row = connection.execute(
        "SELECT document FROM wallet WHERE app = ? AND user = ?", (app, user)
    ).fetchone()
    return None if row is None else read_wallet(row[0])
