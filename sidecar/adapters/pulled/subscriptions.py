"""Pushed states first; whoever has none is asked for."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from sidecar.adapters.pulled.answers import USUAL, Answers, Memory
from sidecar.domain.request import Subject
from sidecar.domain.subscription import Status, Subscription, SyncOutcome
from sidecar.errors import SubscriptionsUnavailable
from sidecar.ports import Clock, Subscriptions


class Source(Protocol):
    """Who is asked."""

    async def ask(self, subject: Subject) -> Subscription:
        """The state as it is told now.

        Raises:
            SubscriptionsUnavailable: no state could be had.
        """
        ...


class PulledSubscriptions:
    """Answers with what was pushed, else with what the billing side tells when it is asked."""

    def __init__(
        self,
        pushed: Subscriptions,
        source: Source,
        clock: Clock,
        memory: Memory = USUAL,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pushed = pushed
        self._source = source
        self._clock = clock
        self._answers = Answers(self._ask, "subscription_not_told", memory, monotonic)

    async def find(self, subject: Subject, *, since: float) -> Subscription:
        """The state; an old one rather than none while the billing side is away.

        Raises:
            SubscriptionsUnavailable: nothing was pushed, and nothing is told in time.
        """
        stored = await self._pushed.find(subject, since=since)
        if stored.status is not Status.NONE or stored.history:
            return stored
        state = await self._answers.find(subject)
        if state is None:
            raise SubscriptionsUnavailable("the billing side has not told of this user")
        return state

    async def sync(self, pushed: Subscription, *, since: float) -> tuple[SyncOutcome, Subscription]:
        """Store a push; from then on nobody is asked."""
        return await self._pushed.sync(pushed, since=since)

    async def _ask(self, subject: Subject, known: Subscription | None) -> Subscription:
        return _dated(await self._source.ask(subject), known, self._clock.now())


def _dated(told: Subscription, known: Subscription | None, now: datetime) -> Subscription:
    """The state with the time since when it is known: a grace period is counted from there."""
    if known is not None and known.status is told.status:
        return replace(told, updated_at=known.updated_at)
    return replace(told, updated_at=now)
