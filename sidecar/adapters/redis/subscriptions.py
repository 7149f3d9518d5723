"""Subscriptions on Redis: one JSON document for each user and app."""

import asyncio

from sidecar.adapters.documents import read_subscription, write_subscription
from sidecar.adapters.redis.connection import RedisConnection, Script
from sidecar.adapters.redis.keys import subscription_key
from sidecar.domain.request import Subject
from sidecar.domain.subscription import Subscription, SyncOutcome, merge, never_synced
from sidecar.errors import SubscriptionsUnavailable, Unavailable

REPLACE = Script("replace.lua")
_MAX_TRIES = 16


class RedisSubscriptions:
    """What the billing side said, seen by every replica on the same Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection

    async def find(self, subject: Subject, *, since: float) -> Subscription:
        """The state for the subject's app, else for all its apps, else one that says `none`."""
        own, general = await asyncio.gather(
            self._get(subscription_key(subject.app_id, subject.user_id), since),
            self._get(subscription_key("", subject.user_id), since),
        )
        document = own or general
        return never_synced(subject) if document is None else read_subscription(document)

    async def sync(self, pushed: Subscription, *, since: float) -> tuple[SyncOutcome, Subscription]:
        """Merge a pushed state with what is stored, however many push at once."""
        key = subscription_key(pushed.app_id, pushed.user_id)
        for _ in range(_MAX_TRIES):
            stored = await self._get(key, since)
            outcome, state = merge(read_subscription(stored) if stored else None, pushed)
            if outcome is SyncOutcome.DUPLICATE:
                return outcome, state
            document = write_subscription(state)
            if await self._replace(key, stored or "", document, since):
                return outcome, state
        raise SubscriptionsUnavailable(f"too many pushes at once for {pushed.user_id!r}")

    async def _get(self, key: str, since: float) -> str | None:
        try:
            document = await self._connection.command("GET", key, since=since)
        except Unavailable as error:
            raise SubscriptionsUnavailable(str(error)) from error
        return None if document is None else str(document)

    async def _replace(self, key: str, seen: str, document: str, since: float) -> bool:
        try:
            replaced = await self._connection.run(REPLACE, (key,), (seen, document), since=since)
        except Unavailable as error:
            raise SubscriptionsUnavailable(str(error)) from error
        return replaced == 1
