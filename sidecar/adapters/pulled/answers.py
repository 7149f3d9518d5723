"""What others tell when they are asked: once for all who wait, and remembered."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Generic, TypeVar

import structlog

from sidecar.domain.request import Subject
from sidecar.errors import Unavailable

V = TypeVar("V")
_Key = tuple[str, str]


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


USUAL: Final = Memory()


@dataclass(frozen=True, slots=True)
class _Entry(Generic[V]):
    """What is known of a user; instants are monotonic.

    Attributes:
        told: None where nothing was told yet.
        gone_at: when it is too old to be given.
        ask_at: when it is asked for again.
    """

    told: V | None
    gone_at: float
    ask_at: float


class Answers(Generic[V]):
    """The latest answers of another server, by app and user.

    Args:
        ask: what is told of a subject now, from what was told before, None for nothing; raises
            `Unavailable` where nothing can be had.
        event: under which it is logged that nothing could be had.
    """

    def __init__(
        self,
        ask: Callable[[Subject, V | None], Awaitable[V]],
        event: str,
        memory: Memory,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = ask
        self._event = event
        self._memory = memory
        self._monotonic = monotonic
        self._entries: OrderedDict[_Key, _Entry[V]] = OrderedDict()
        self._asked: dict[_Key, asyncio.Task[None]] = {}
        self._log = structlog.get_logger("sidecar.pulled")

    async def find(self, subject: Subject) -> V | None:
        """What is told of a subject; an old answer rather than none, None for none in time."""
        key = subject.app_id, subject.user_id
        if self._is_due(key):
            asked = self._ask(key)
            if self._remembered(key) is None:
                # Whoever goes away does not take the answer of the others along.
                await asyncio.wait({asked}, timeout=self._memory.wait_s)
        return self._remembered(key)

    def _is_due(self, key: _Key) -> bool:
        entry = self._entries.get(key)
        return entry is None or self._monotonic() >= entry.ask_at

    def _remembered(self, key: _Key) -> V | None:
        entry = self._entries.get(key)
        return entry.told if entry is not None and self._monotonic() < entry.gone_at else None

    def _ask(self, key: _Key) -> asyncio.Task[None]:
        asked = self._asked.get(key)
        if asked is None:
            asked = asyncio.create_task(self._learn(key))
            self._asked[key] = asked
            asked.add_done_callback(lambda _: self._asked.pop(key, None))
        return asked

    async def _learn(self, key: _Key) -> None:
        try:
            told = await self._source(Subject(*key), self._remembered(key))
        except Unavailable as error:
            self._log.warning(self._event, app_id=key[0], error=str(error))
            known = self._entries.get(key) or _Entry(None, 0.0, 0.0)
            self._keep(key, replace(known, ask_at=self._monotonic() + self._memory.rest_s))
            return
        now, memory = self._monotonic(), self._memory
        self._keep(key, _Entry(told, now + memory.stale_s, now + memory.fresh_s))

    def _keep(self, key: _Key, entry: _Entry[V]) -> None:
        self._entries[key] = entry
        self._entries.move_to_end(key)
        while len(self._entries) > self._memory.capacity:
            self._entries.popitem(last=False)
