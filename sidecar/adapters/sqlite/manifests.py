"""Manifests in SQLite: one JSON document for each app."""

import sqlite3

from sidecar.adapters.changes import MANIFEST
from sidecar.adapters.manifest_documents import read_manifest, write_manifest
from sidecar.adapters.sqlite.changes import announce
from sidecar.adapters.sqlite.database import Database
from sidecar.domain.manifest import Manifest, merge
from sidecar.ports import ManifestSync


class SqliteManifests:
    """What the platform said of each app, seen by every process on the same file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, app_id: str, *, since: float) -> Manifest | None:
        """What holds for an app, None where nothing was ever said."""
        return await self._database.look(lambda connection: _get(connection, app_id), since=since)

    async def any(self, *, since: float) -> bool:
        """Whether one was ever pushed, for whatever app."""

        def work(connection: sqlite3.Connection) -> bool:
            return connection.execute("SELECT 1 FROM manifest LIMIT 1").fetchone() is not None

        return await self._database.look(work, since=since)

    async def sync(self, pushed: Manifest, *, since: float) -> ManifestSync:
        """Put a manifest in the place of what is stored, unless that is newer."""

        def work(connection: sqlite3.Connection) -> ManifestSync:
            previous = _get(connection, pushed.app_id)
            outcome, state = merge(previous, pushed)
            connection.execute(
                "INSERT OR REPLACE INTO manifest VALUES (?, ?)",
                (state.app_id, write_manifest(state)),
            )
            announce(connection, MANIFEST, pushed.app_id)
            return ManifestSync(outcome, previous, state)

        return await self._database.run(work, since=since)


def _get(connection: sqlite3.Connection, app_id: str) -> Manifest | None:
    row = connection.execute("SELECT document FROM manifest WHERE app = ?", (app_id,)).fetchone()
    return None if row is None else read_manifest(row[0])
