"""Subscriptions on Redis: one JSON document for each user and app."""

import asyncio

from sidecar.adapters.changes import SUBSCRIPTION
from sidecar.adapters.documents import read_subscription, write_subscription
from sidecar.adapters.redis.connection import RedisConnection
from sidecar.adapters.redis.documents import RedisDocuments
from sidecar.adapters.redis.keys import subscription_key
from sidecar.domain.request import Subject
from sidecar.domain.subscription import Subscription, SyncOutcome, merge, never_synced
from sidecar.errors import SubscriptionsUnavailable


class RedisSubscriptions:
    """What the billing side said, seen by every replica on the same Redis."""

    def __init__(self, connection: RedisConnection) -> None:
        self._documents: RedisDocuments[tuple[SyncOutcome, Subscription]] = RedisDocuments(
            connection, SubscriptionsUnavailable
        )

    async def find(self, subject: Subject, *, since: float) -> Subscription:
        """The state for the subject's app, else for all its apps, else one that says `none`."""
        own, general = await asyncio.gather(
            self._documents.get(subscription_key(subject.app_id, subject.user_id), since),
            self._documents.get(subscription_key("", subject.user_id), since),
        )
        document = own or general
        return never_synced(subject) if document is None else read_subscription(document)

    async def sync(self, pushed: Subscription, *, since: float) -> tuple[SyncOutcome, Subscription]:
        """Merge a pushed state with what is stored, however many push at once."""

        def merged(stored: str | None) -> tuple[str | None, tuple[SyncOutcome, Subscription]]:
            outcome, state = merge(read_subscription(stored) if stored else None, pushed)
            is_same = outcome is SyncOutcome.DUPLICATE
            return None if is_same else write_subscription(state), (outcome, state)

        key = subscription_key(pushed.app_id, pushed.user_id)
        change = SUBSCRIPTION, pushed.user_id
        return await self._documents.change(key, merged, since, change=change)
