"""Documents on Redis that many change at once: whoever has seen an old one looks again."""

from collections.abc import Callable
from typing import Final, Generic, TypeVar

from sidecar.adapters.redis.changes import announce
from sidecar.adapters.redis.connection import RedisConnection, Script
from sidecar.errors import Unavailable

T = TypeVar("T")

REPLACE: Final = Script("replace.lua")
_MAX_TRIES: Final = 16


class RedisDocuments(Generic[T]):
    """Text under a key each.

    Args:
        failure: what is raised where a document cannot be had or changed in time.
    """

    def __init__(
        self, connection: RedisConnection, failure: type[Unavailable] = Unavailable
    ) -> None:
        self._connection = connection
        self._failure = failure

    async def get(self, key: str, since: float) -> str | None:
        """A document, None where there is none."""
        try:
            document = await self._connection.command("GET", key, since=since)
        except Unavailable as error:
            raise self._failure(str(error)) from error
        return None if document is None else str(document)

    async def change(
        self,
        key: str,
        merge: Callable[[str | None], tuple[str | None, T]],
        since: float,
        *,
        change: tuple[str, str],
    ) -> T:
        """Put something else in the place of a document, however many do so at once.

        Args:
            change: its kind and key, announced to all; also where the document stays, because
                whoever changed it before may have been cut off at this point.
            merge: from what stands there to what is to stand there, None to leave it, and to
                what the caller gets.
        """
        for _ in range(_MAX_TRIES):
            stored = await self.get(key, since)
            document, result = merge(stored)
            if document is None or await self._replace(key, stored or "", document, since):
                break
        else:
            raise self._failure(f"too many pushes at once for {key!r}")
        try:
            await announce(self._connection, *change, since)
        except Unavailable as error:
            raise self._failure(str(error)) from error
        return result

    async def _replace(self, key: str, seen: str, document: str, since: float) -> bool:
        try:
            replaced = await self._connection.run(REPLACE, (key,), (seen, document), since=since)
        except Unavailable as error:
            raise self._failure(str(error)) from error
        return replaced == 1
