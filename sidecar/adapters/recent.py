"""What was found of late, asked for once by all who ask at the same time."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Known(Generic[V]):
    """A value that nobody has to wait for."""

    value: V

    def __await__(self) -> Generator[None, None, V]:
        """The value, at once."""
        yield from ()
        return self.value


@dataclass(frozen=True, slots=True)
class _Entry(Generic[V]):
    until: float
    value: V


class Recent(Generic[K, V]):
    """Remembers for a moment what was found, so that what is busy is not looked up each time.

    Args:
        ask: finds what is not known; its second argument is when the request began.
        lifetime_s: how long an entry is believed; more than 0.
        capacity: entries kept, the oldest goes first.
    """

    def __init__(
        self,
        ask: Callable[[K, float], Awaitable[V]],
        *,
        lifetime_s: float = 0.5,
        capacity: int = 50_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._lifetime_s = lifetime_s
        self._capacity = capacity
        self._monotonic = monotonic
        # All live equally long, so the oldest stand first.
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._asked: dict[K, asyncio.Task[V]] = {}
        self._pushes = 0

    def recall(self, key: K, since: float) -> Awaitable[V]:
        """What is remembered, else what is found; the search begins before it is awaited."""
        entry = self._entries.get(key)
        if entry is not None and self._monotonic() < entry.until:
            return Known(entry.value)
        asked = self._asked.get(key)
        if asked is None:
            asked = asyncio.create_task(self._search(key, since))
            self._asked[key] = asked
            asked.add_done_callback(lambda task: self._answered(key, task))
        # One caller that goes away does not take the others' answer.
        shielded = asyncio.shield(asked)
        shielded.add_done_callback(_have_told)
        return shielded

    def forget(self, is_old: Callable[[K], bool]) -> None:
        """Believe no entry any more that a push makes old, nor what is being found now."""
        self._pushes += 1
        self._asked.clear()
        for key in [key for key in self._entries if is_old(key)]:
            del self._entries[key]

    async def _search(self, key: K, since: float) -> V:
        pushes = self._pushes
        value = await self._ask(key, since)
        if pushes == self._pushes:
            # An answer that a push has overtaken is given, but not kept.
            self._keep(key, value)
        return value

    def _keep(self, key: K, value: V) -> None:
        now = self._monotonic()
        self._entries[key] = _Entry(now + self._lifetime_s, value)
        self._entries.move_to_end(key)
        while len(self._entries) > self._capacity or self._oldest.until <= now:
            self._entries.popitem(last=False)

    @property
    def _oldest(self) -> _Entry[V]:
        return next(iter(self._entries.values()))

    def _answered(self, key: K, task: asyncio.Task[V]) -> None:
        if self._asked.get(key) is task:
            del self._asked[key]
        _have_told(task)


def _have_told(future: asyncio.Future[V]) -> None:
    """Whoever still waits is told of a failure; if nobody does, nobody need complain."""
    if not future.cancelled():
        future.exception()
