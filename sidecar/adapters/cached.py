"""Subscriptions remembered for a moment, so that a busy user is not looked up at every check."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.domain.request import Subject
from sidecar.domain.subscription import Subscription, SyncOutcome
from sidecar.ports import Subscriptions


@dataclass(frozen=True, slots=True)
class _Entry:
    until: float
    subscription: Subscription


class CachedSubscriptions:
    """Remembers what was found, asks once for all who ask at the same time.

    A push through this process is seen at once, one through another when the entry is old.

    Args:
        lifetime_s: how long an entry is believed.
        capacity: entries kept, the longest unused goes first.
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
        self._entries: OrderedDict[Subject, _Entry] = OrderedDict()
        self._asked: dict[Subject, asyncio.Task[Subscription]] = {}
        self._pushes = 0

    async def find(self, subject: Subject, *, since: float) -> Subscription:
        """What is remembered, else what the store says."""
        entry = self._entries.get(subject)
        if entry is not None and self._monotonic() < entry.until:
            self._entries.move_to_end(subject)
            return entry.subscription
        asked = self._asked.get(subject)
        if asked is None:
            asked = asyncio.create_task(self._ask(subject, since))
            self._asked[subject] = asked
            asked.add_done_callback(lambda task: self._answered(subject, task))
        # One caller that goes away does not take the others' answer.
        return await asyncio.shield(asked)

    async def sync(self, pushed: Subscription, *, since: float) -> tuple[SyncOutcome, Subscription]:
        """Pass a push on, and forget what it makes old."""
        try:
            return await self._inner.sync(pushed, since=since)
        finally:
            self._pushes += 1
            self._asked.clear()
            for subject in [
                subject for subject in self._entries if subject.user_id == pushed.user_id
            ]:
                del self._entries[subject]

    async def _ask(self, subject: Subject, since: float) -> Subscription:
        pushes = self._pushes
        subscription = await self._inner.find(subject, since=since)
        if pushes == self._pushes:
            # An answer that a push has overtaken is given, but not kept.
            self._entries[subject] = _Entry(self._monotonic() + self._lifetime_s, subscription)
            self._entries.move_to_end(subject)
            if len(self._entries) > self._capacity:
                self._entries.popitem(last=False)
        return subscription

    def _answered(self, subject: Subject, task: asyncio.Task[Subscription]) -> None:
        if self._asked.get(subject) is task:
            del self._asked[subject]
        if not task.cancelled():
            # Whoever still waits is told; if nobody does, nobody need complain.
            task.exception()
