"""Manifests on Redis: one JSON document for each app."""

from sidecar.adapters.changes import MANIFEST
from sidecar.adapters.manifest_documents import read_manifest, write_manifest
from sidecar.adapters.redis.connection import RedisConnection
from sidecar.adapters.redis.documents import RedisDocuments
from sidecar.adapters.redis.keys import MANIFESTS, manifest_key
from sidecar.domain.manifest import Manifest, merge
from sidecar.domain.subscription import SyncOutcome
from sidecar.ports import ManifestSync


class RedisManifests:
    """What the platform said of each app, seen by every replica on the same Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._documents: RedisDocuments[ManifestSync] = RedisDocuments(connection)

    async def find(self, app_id: str, *, since: float) -> Manifest | None:
        """What holds for an app, None where nothing was ever said."""
        document = await self._documents.get(manifest_key(app_id), since)
        return None if document is None else read_manifest(document)

    async def any(self, *, since: float) -> bool:
        """Whether one was ever pushed, for whatever app."""
        return await self._documents.get(MANIFESTS, since) is not None

    async def sync(self, pushed: Manifest, *, since: float) -> ManifestSync:
        """Put a manifest in the place of what is stored, unless that is newer."""

        def merged(stored: str | None) -> tuple[str | None, ManifestSync]:
            previous = read_manifest(stored) if stored else None
            outcome, state = merge(previous, pushed)
            is_stale = outcome is SyncOutcome.STALE
            synced = ManifestSync(outcome, previous, state)
            return None if is_stale else write_manifest(state), synced

        # Before the manifest: whoever finds that there are none must be right.
        await self._connection.command("SET", MANIFESTS, "1", since=since)
        key, change = manifest_key(pushed.app_id), (MANIFEST, pushed.app_id)
        return await self._documents.change(key, merged, since, change=change)
