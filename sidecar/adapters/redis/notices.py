"""Notices on Redis: what waits is shared by all replicas, and an occasion told once by all."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sidecar.adapters.redis.connection import Argument, RedisConnection, Script
from sidecar.adapters.redis.keys import EVERY_APP
from sidecar.domain.notices import Message
from sidecar.domain.windows import to_ms

NOTICE: Final = Script("notice.lua")
_QUEUE: Final = (f"{EVERY_APP}:n:due", f"{EVERY_APP}:n:bodies")


class RedisNotices:
    """What waits to be told to the outside."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def add(
        self, message: Message, occasion: str, at: datetime, until: datetime, *, since: float
    ) -> bool:
        """Let a message wait, unless its occasion was told before."""
        digest = hashlib.blake2b(occasion.encode(), digest_size=16).hexdigest()
        times = to_ms(at), max(to_ms(until), to_ms(at) + 1)
        arguments = ("add", message.id, message.body, *times)
        return await self._run((f"{EVERY_APP}:n:told:{digest}",), arguments, since) == 1

    async def take(
        self, now: datetime, until: datetime, most: int, *, since: float
    ) -> Sequence[Message]:
        """Messages that are due; nobody else gets them before `until`."""
        reply = await self._run((), ("take", to_ms(now), to_ms(until), most), since)
        assert isinstance(reply, list)  # as the script says
        told = [text.decode() if isinstance(text, bytes) else str(text) for text in reply]
        rows = zip(told[::3], told[1::3], told[2::3], strict=True)
        return [Message(name, body, int(tries)) for name, tries, body in rows]

    async def settle(self, message_id: str, again_at: datetime | None, *, since: float) -> None:
        """Forget a message that was taken or given up, or try it again later."""
        again: Argument = "" if again_at is None else to_ms(again_at)
        await self._run((), ("settle", message_id, again), since)

    async def _run(
        self, keys: tuple[str, ...], arguments: Sequence[Argument], since: float
    ) -> object:
        return await self._connection.run(NOTICE, (*_QUEUE, *keys), arguments, since=since)
