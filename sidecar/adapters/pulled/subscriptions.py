"""Pushed states first; whoever has none is asked for, once for all who wait, and remembered."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import structlog

from sidecar.domain.request import Subject
from sidecar.domain.subscription import Status, Subscription, SyncOutcome
from sidecar.errors import SubscriptionsUnavailable
from sidecar.ports import Clock, Subscriptions

_Key = tuple[str, str]


class Source(Protocol):
    """Who is asked."""

    async def ask(self, subject: Subject) -> Subscription:
        """The state as it is told now.

        Raises:
            SubscriptionsUnavailable: no state could be had.
        """
        ...


@dataclass(frozen=True, slots=True)
class Memory:
    """How long an answer is good for, in seconds.

    Attributes:
        fresh_s: it is given without asking.
        stale_s: it is given at once, and asked for again beside that.
        wait_s: how long a check waits for the first answer of a user.
        rest_s: between two questions of which the first was not answered.
        capacity: users remembered; who came first goes first.
    """

    fresh_s: float = 60.0
    stale_s: float = 86_400.0
    wait_s: float = 0.3
    rest_s: float = 5.0
    capacity: int = 50_000


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is known of a user; instants are monotonic.

    Attributes:
        state: None where nothing was told yet.
        gone_at: when the state is too old to be given.
        ask_at: when it is asked for again.
    """

    state: Subscription | None
    gone_at: float
    ask_at: float


class PulledSubscriptions:
    """Answers with what was pushed, else with what the billing side tells when it is asked."""

    def __init__(
        self,
        pushed: Subscriptions,
        source: Source,
        clock: Clock,
        memory: Memory = Memory(),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pushed = pushed
        self._source = source
        self._clock = clock
        self._memory = memory
        self._monotonic = monotonic
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._asked: dict[_Key, asyncio.Task[None]] = {}
        self._log = structlog.get_logger("sidecar.subscriptions")

    async def find(self, subject: Subject, *, since: float) -> Subscription:
        """The state; an old one rather than none while the billing side is away.

        Raises:
            SubscriptionsUnavailable: nothing was pushed, and nothing is told in time.
        """
        stored = await self._pushed.find(subject, since=since)
        if stored.status is not Status.NONE or stored.history:
            return stored
        key = subject.app_id, subject.user_id
        if self._is_due(key):
            asked = self._ask(key)
            if self._remembered(key) is None:
                # Whoever goes away does not take the answer of the others along.
                await asyncio.wait({asked}, timeout=self._memory.wait_s)
        state = self._remembered(key)
        if state is None:
            raise SubscriptionsUnavailable("the billing side has not told of this user")
        return state

    async def sync(self, pushed: Subscription, *, since: float) -> tuple[SyncOutcome, Subscription]:
        """Store a push; from then on nobody is asked."""
        return await self._pushed.sync(pushed, since=since)

    def _is_due(self, key: _Key) -> bool:
        entry = self._entries.get(key)
        return entry is None or self._monotonic() >= entry.ask_at

    def _remembered(self, key: _Key) -> Subscription | None:
        entry = self._entries.get(key)
        return entry.state if entry is not None and self._monotonic() < entry.gone_at else None

    def _ask(self, key: _Key) -> asyncio.Task[None]:
        asked = self._asked.get(key)
        if asked is None:
            asked = asyncio.create_task(self._learn(key))
            self._asked[key] = asked
            asked.add_done_callback(lambda _: self._asked.pop(key, None))
        return asked

    async def _learn(self, key: _Key) -> None:
        try:
            told = await self._source.ask(Subject(*key))
        except SubscriptionsUnavailable as error:
            self._log.warning("subscription_not_told", app_id=key[0], error=str(error))
            known = self._entries.get(key) or _Entry(None, 0.0, 0.0)
            self._keep(key, replace(known, ask_at=self._monotonic() + self._memory.rest_s))
            return
        state = _dated(told, self._remembered(key), self._clock.now())
        now, memory = self._monotonic(), self._memory
        self._keep(key, _Entry(state, now + memory.stale_s, now + memory.fresh_s))

    def _keep(self, key: _Key, entry: _Entry) -> None:
        self._entries[key] = entry
        self._entries.move_to_end(key)
        while len(self._entries) > self._memory.capacity:
            self._entries.popitem(last=False)


def _dated(told: Subscription, known: Subscription | None, now: datetime) -> Subscription:
    """The state with the time since when it is known: a grace period is counted from there."""
    if known is not None and known.status is told.status:
        return replace(told, updated_at=known.updated_at)
    return replace(told, updated_at=now)
