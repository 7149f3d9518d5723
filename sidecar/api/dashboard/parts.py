"""One part of a page: its values with where they are from, and the last ones if there are none now.

What several people look at is made once; and what was shown before is kept for a while, so that a
page stays readable while the store is away.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

from sidecar.api.dashboard.asking import Source
from sidecar.errors import RequestFault, Unavailable
from sidecar.ports import Clock

T = TypeVar("T")

_MOST: Final = 128
"""Values that are kept; each is bounded by whoever makes it."""


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """What there is to show.

    Attributes:
        source: None where no call tells just this.
        value: None where there never was any.
        at: when it was made.
        fault: why there is nothing newer, empty where it is new.
    """

    source: Source | None
    value: T | None
    at: datetime
    fault: str = ""


@dataclass(slots=True)
class _Kept:
    value: Any
    at: datetime
    at_s: float


class Parts:
    """Makes parts, and remembers what they came to."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._made: dict[Hashable, asyncio.Lock] = {}

    async def make(
        self,
        source: Source | None,
        make: Callable[[], Awaitable[T]],
        *,
        lasts_s: float = 0.0,
        key: Hashable = None,
    ) -> Part[T]:
        """A part.

        Args:
            lasts_s: how long what was made is good enough.
            key: what tells it from others, where the source alone does not.
        """
        key = (source, key)
        # Whoever asks meanwhile waits for the same.
        lock = self._made.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                return await self._part(source, make, lasts_s, key)
        finally:
            if not lock.locked():
                self._made.pop(key, None)

    async def _part(
        self,
        source: Source | None,
        make: Callable[[], Awaitable[T]],
        lasts_s: float,
        key: Hashable,
    ) -> Part[T]:
        kept = self._kept.get(key)
        if kept is not None and self._clock.monotonic() < kept.at_s + lasts_s:
            return Part(source, kept.value, kept.at)
        now = self._clock.now()
        try:
            value = await make()
        except (Unavailable, RequestFault) as error:
            if kept is None:
                return Part(source, None, now, str(error))
            return Part(source, kept.value, kept.at, str(error))
        self._kept[key] = _Kept(value, now, self._clock.monotonic())
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST:
            self._kept.popitem(last=False)
        return Part(source, value, now)
