"""Subscriptions remembered for a moment, so that a busy user is not looked up at every check."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.domain.request import Subject
from sidecar.domain.subscription import Subscription, SyncOutcome
from sidecar.ports import Subscriptions

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Entry:
    until: float
    subscription: Subscription


class CachedSubscriptions:
    """Remembers what was found, asks once for all who ask at the same time.

    A push through this process is seen at once, one through another when the entry is old.

    Args:
        lifetime_s: how long an entry is believed; more than 0.
        capacity: entries kept, the oldest goes first.
    """

    def __init__(
        self,
        inner: Subscriptions,
        *,
        lifetime_s: float = 0.5,
        capacity: int = 50_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._lifetime_s = lifetime_s
        self._capacity = capacity
        self._monotonic = monotonic
        # By app and user: a tenant plays no part. All live equally long, so the oldest stand first.
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._asked: dict[_Key, asyncio.Task[Subscription]] = {}
        self._pushes = 0

    async def find(self, subject: Subject, *, since: float) -> Subscription:
        """What is remembered, else what the store says."""
        key = subject.app_id, subject.user_id
        entry = self._entries.get(key)
        if entry is not None and self._monotonic() < entry.until:
            return entry.subscription
        asked = self._asked.get(key)
        if asked is None:
            asked = asyncio.create_task(self._ask(key, since))
            self._asked[key] = asked
            asked.add_done_callback(lambda task: self._answered(key, task))
        # One caller that goes away does not take the others' answer.
        return await asyncio.shield(asked)

    async def sync(self, pushed: Subscription, *, since: float) -> tuple[SyncOutcome, Subscription]:
        """Pass a push on, and forget what it makes old."""
        try:
            return await self._inner.sync(pushed, since=since)
        finally:
            self._pushes += 1
            self._asked.clear()
            for key in [key for key in self._entries if key[1] == pushed.user_id]:
                del self._entries[key]

    async def _ask(self, key: _Key, since: float) -> Subscription:
        pushes = self._pushes
        subscription = await self._inner.find(Subject(*key), since=since)
        if pushes == self._pushes:
            # An answer that a push has overtaken is given, but not kept.
            self._keep(key, subscription)
        return subscription

    def _keep(self, key: _Key, subscription: Subscription) -> None:
        now = self._monotonic()
        self._entries[key] = _Entry(now + self._lifetime_s, subscription)
        self._entries.move_to_end(key)
        while len(self._entries) > self._capacity or self._oldest.until <= now:
            self._entries.popitem(last=False)

    @property
    def _oldest(self) -> _Entry:
        return next(iter(self._entries.values()))

    def _answered(self, key: _Key, task: asyncio.Task[Subscription]) -> None:
        if self._asked.get(key) is task:
            del self._asked[key]
        if not task.cancelled():
            # Whoever still waits is told; if nobody does, nobody need complain.
            task.exception()
