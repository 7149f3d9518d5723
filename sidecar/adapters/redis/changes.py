"""Which of the things that are remembered here was changed through another replica?

Each push announces its change in one script: a new version, and a message that names both the
version before and the change. Who listens forgets what the message names. A version that does not
follow from the last one says that a message was lost, and so does a version in the store that no
message came for: it is looked at four times a second. So a cut connection, a failover or a flushed
server is never older news than half a second, and a check waits for none of this.

On a Cluster the messages are broadcast, and not sharded: pushes are rare beside checks, one
connection to any node hears all of them, and no slot that moves has to be followed.
https://redis.io/docs/latest/develop/pubsub/
"""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from urllib.parse import quote, unquote

import structlog

from sidecar.adapters.changes import WatchedChanges
from sidecar.adapters.redis.connection import RedisConnection, Script, StoreUnavailable
from sidecar.adapters.redis.keys import CHANGES
from sidecar.beside import kept_up

ANNOUNCE: Final = Script("announce.lua")

_LOOK_EACH_S: Final = 0.25
_UNDER_WAY_S: Final = 0.03
"""So long a message may come later than the version of the same push."""
_AGAIN_S: Final = 0.2
_SELDOM_S: Final = 5.0
_REMEMBERED: Final = 1_024

_log = structlog.get_logger("sidecar.redis")


async def announce(connection: RedisConnection, kind: str, key: str, since: float) -> None:
    """Tell every replica that what belongs to a key was changed.

    Raises:
        StoreUnavailable: nobody may have been told.
    """
    told = _topic(connection), secrets.token_urlsafe(9), quote(kind, safe=""), quote(key, safe="")
    await connection.run(ANNOUNCE, (CHANGES,), told, since=since)


class RedisChanges(WatchedChanges):
    """Changes that any replica on the same Redis announces."""

    def __init__(self, connection: RedisConnection) -> None:
        super().__init__(_LOOK_EACH_S)
        self._connection = connection
        # None before the first look: what is remembered by then nobody has vouched for.
        self._version: str | None = None
        # What was heard since the last look began, and the version before.
        self._heard: deque[str | None] = deque(maxlen=_REMEMBERED)
        self._listening: asyncio.Task[None] | None = None
        self._is_listening = False
        # A look has ended that began when this connection was there, so that whatever is new to
        # the next one must have been told.
        self._has_looked = False
        self._is_missed = False
        self._is_deaf = False

    @property
    def is_listening(self) -> bool:
        """Whether changes are told at once."""
        return self._is_listening

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Hear of changes as long as this is open."""
        self._begin_listening(0.0)
        try:
            async with super().opened():
                yield
        finally:
            if self._listening is not None:
                self._listening.cancel()
                await asyncio.gather(self._listening, return_exceptions=True)

    async def _look(self, since: float) -> None:
        if self._is_missed and self._listening is not None:
            # Nothing has come since the last look: it may be a connection that nothing comes
            # through any more.
            self._note_deafness("a change was not heard of")
            self._listening.cancel()
            self._begin_listening(_AGAIN_S)
        is_listening = self._is_listening
        self._heard.clear()
        self._heard.append(self._version)
        version = str(await self._connection.command("GET", CHANGES, since=since) or "")
        if version not in self._heard and is_listening:
            await asyncio.sleep(_UNDER_WAY_S)
        if version not in self._heard:
            self._is_missed = self._has_looked
            self._pass_over(version)
        self._has_looked = is_listening and self._is_listening

    def _begin_listening(self, wait_s: float) -> None:
        self._note_silence()
        work = partial(self._listen_on, wait_s)
        self._listening = asyncio.create_task(kept_up(work, "listening to changes"))

    async def _listen_on(self, wait_s: float) -> None:
        """Listen for good, over one connection after another."""
        while True:
            self._note_silence()
            await asyncio.sleep(wait_s)
            try:
                async with self._connection.hearing(_topic(self._connection)) as messages:
                    self._is_listening = True
                    async for message in messages:
                        self._note_hearing()
                        self._take(message)
                        wait_s = 0.0
            except StoreUnavailable as error:
                self._note_deafness(error)
            wait_s = min(max(2 * wait_s, _AGAIN_S), _SELDOM_S)

    def _take(self, message: str) -> None:
        before, _, rest = message.partition(" ")
        version, _, change = rest.partition(" ")
        kind, _, key = change.partition(" ")
        if before == self._version or version in self._heard:
            # A look that has seen it first has had all forgotten, or waits for this.
            self.note(unquote(kind), unquote(key))
            self._follow(version)
        else:
            self._pass_over(version)

    def _pass_over(self, version: str) -> None:
        """Go on from a version, without knowing what was changed until it."""
        is_first = self._version is None
        self._follow(version)
        if is_first:
            self.begin()
        else:
            self.note_loss()

    def _follow(self, version: str) -> None:
        self._version = version
        self._heard.append(version)

    def _note_silence(self) -> None:
        if self._is_listening:
            # Perhaps a server is gone, and with it pushes whose traces were read already.
            self.begin()
        self._is_listening = self._has_looked = self._is_missed = False

    def _note_deafness(self, cause: object) -> None:
        if not self._is_deaf:
            self._is_deaf = True
            _log.warning("changes_not_heard", cause=str(cause), hint="they are looked for instead")

    def _note_hearing(self) -> None:
        self._is_missed = False
        if self._is_deaf:
            self._is_deaf = False
            _log.info("changes_heard_again")


def _topic(connection: RedisConnection) -> str:
    return f"s3:changes:{connection.database}"
