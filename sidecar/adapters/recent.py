"""What was found of late, asked for once by all who ask at the same time."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from sidecar.adapters.changes import SURE_S, Changes
from sidecar.ports import Known

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_LONGEST_S: Final = 10.0
"""An entry is asked for again even where no change is heard of.

A push that is cut off before it is announced, and never comes again, is seen then. By now a busy
key is asked for once in ten seconds; twenty times as often is what it would be without changes.
"""


CAPACITY: Final = 25_000
"""Of 1.5 kB for what is usual, and at most of twice that."""


@dataclass(frozen=True, slots=True)
class _Entry(Generic[V]):
    """What was found; instants are monotonic.

    Attributes:
        until: it is believed by itself.
        at_most: it is believed as long as changes are heard of.
        weight: its part of the capacity.
    """

    until: float
    at_most: float
    weight: int
    known: Known[V]


class Recent(Generic[K, V]):
    """Remembers what was found, so that what is busy is not looked up each time.

    Args:
        ask: finds what is not known; its second argument is when the request began.
        belongs_to: the key of the changes that make an entry old.
        changes: while they are sure, an entry is believed until it is told of or ten seconds old.
        is_lasting: whether only a push changes a value, and time does not.
        weigh: how much of the capacity a value takes.
        lifetime_s: how long an entry is believed without changes; more than 0.
        capacity: what all entries may weigh together, the oldest goes first.

    Attributes:
        hits, misses: how often something was remembered, and how often it was not.
    """

    def __init__(
        self,
        ask: Callable[[K, float], Awaitable[V]],
        belongs_to: Callable[[K], str],
        changes: Changes | None = None,
        *,
        is_lasting: Callable[[V], bool] = lambda _: True,
        weigh: Callable[[V], int] = lambda _: 1,
        lifetime_s: float = SURE_S,
        capacity: int = CAPACITY,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = ask
        self._belongs_to = belongs_to
        self._changes = changes or Changes()
        self._is_lasting = is_lasting
        self._weigh = weigh
        self._weight = 0
        self._lifetime_s = lifetime_s
        self._capacity = capacity
        self._monotonic = monotonic
        # The oldest stand first.
        self._entries: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._belonging: dict[str, set[K]] = {}
        self._asked: dict[K, asyncio.Task[V]] = {}
        self.hits = self.misses = 0

    def __len__(self) -> int:
        """How many entries are kept."""
        return len(self._entries)

    def recall(self, key: K, since: float) -> Awaitable[V]:
        """What is remembered, else what is found; the search begins before it is awaited."""
        return self.known(key) or self._search(key, since)

    def known(self, key: K) -> Known[V] | None:
        """What is remembered and still believed."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        now = self._monotonic()
        if now < entry.until or now < min(entry.at_most, self._changes.sure_until):
            self.hits += 1
            return entry.known
        return None

    def forget(self, changed: str | None) -> None:
        """Believe nothing any more that a change makes old, nor what is being found now.

        Args:
            changed: its key; None where it may be any.
        """
        if changed is None:
            self._entries.clear()
            self._belonging.clear()
            self._asked.clear()
            self._weight = 0
            return
        for key in tuple(self._belonging.get(changed, ())):
            self._drop(key)
        for key in [key for key in self._asked if self._belongs_to(key) == changed]:
            del self._asked[key]

    def _search(self, key: K, since: float) -> Awaitable[V]:
        self.misses += 1
        asked = self._asked.get(key)
        if asked is None:
            asked = asyncio.ensure_future(self._ask(key, since))
            self._asked[key] = asked
            asked.add_done_callback(lambda task: self._answered(key, task))
        # One caller that goes away does not take the others' answer.
        shielded = asyncio.shield(asked)
        shielded.add_done_callback(_have_told)
        return shielded

    def _answered(self, key: K, task: asyncio.Future[V]) -> None:
        _have_told(task)
        if self._asked.get(key) is not task:
            # An answer that a push has overtaken is given, but not kept.
            return
        del self._asked[key]
        if not task.cancelled() and task.exception() is None:
            self._keep(key, task.result())

    def _keep(self, key: K, value: V) -> None:
        if key in self._entries:
            self._drop(key)
        now = self._monotonic()
        until = now + self._lifetime_s
        at_most = max(until, now + _LONGEST_S) if self._is_lasting(value) else until
        entry = _Entry(until, at_most, self._weigh(value), Known(value))
        self._entries[key] = entry
        self._weight += entry.weight
        self._belonging.setdefault(self._belongs_to(key), set()).add(key)
        while self._entries and (self._weight > self._capacity or self._oldest.at_most <= now):
            self._drop(next(iter(self._entries)))

    def _drop(self, key: K) -> None:
        self._weight -= self._entries.pop(key).weight
        whose = self._belongs_to(key)
        self._belonging[whose].discard(key)
        if not self._belonging[whose]:
            del self._belonging[whose]

    @property
    def _oldest(self) -> _Entry[V]:
        return next(iter(self._entries.values()))


def _have_told(future: asyncio.Future[V]) -> None:
    """Whoever still waits is told of a failure; if nobody does, nobody need complain."""
    if not future.cancelled():
        future.exception()
