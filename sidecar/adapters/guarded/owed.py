"""What must be given back to a store that does not answer? It waits here until it does.

A hold whose answer came too late may stand in the store all the same, and nobody knows of it: it
would take room from others until it expires.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import islice
from typing import Final

from sidecar.adapters.guarded.breaker import Breaker
from sidecar.errors import RequestFault, Unavailable

_PAUSE_S: Final = 0.25
_AT_ONCE: Final = 32
_MOST: Final = 20_000
"""Holds that wait; of more, the oldest have expired or will soon."""


class Owed:
    """Withdraws holds as soon as that can be done.

    Args:
        withdraw: gives a reservation back; harmless to repeat.
    """

    def __init__(self, withdraw: Callable[[str], Awaitable[None]], breaker: Breaker) -> None:
        self._withdraw = withdraw
        self._breaker = breaker
        self._doubtful: OrderedDict[str, None] = OrderedDict()
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._returning: asyncio.Task[None] | None = None

    def note_doubt(self, reservation_id: str) -> None:
        """Note that a hold was asked for, and that nobody knows what became of it."""
        _keep(self._doubtful, reservation_id)

    def add_doubtful(self, reservation_id: str) -> None:
        """Let a hold wait to be given back, if the store may have it."""
        if reservation_id not in self._doubtful:
            return
        del self._doubtful[reservation_id]
        _keep(self._waiting, reservation_id)
        if self._returning is None or self._returning.done():
            self._returning = asyncio.create_task(self._give_back())

    async def close(self) -> None:
        """Leave what still waits to its expiry."""
        if self._returning is not None:
            self._returning.cancel()
            with suppress(asyncio.CancelledError):
                await self._returning

    async def _give_back(self) -> None:
        while self._waiting:
            if self._breaker.is_open:
                await asyncio.sleep(_PAUSE_S)
                continue
            some = list(islice(self._waiting, _AT_ONCE))
            if not all(await asyncio.gather(*map(self._is_given_back, some))):
                await asyncio.sleep(_PAUSE_S)

    async def _is_given_back(self, reservation_id: str) -> bool:
        try:
            with suppress(RequestFault):
                await self._withdraw(reservation_id)
        except Unavailable:
            return False
        self._waiting.pop(reservation_id, None)
        return True


def _keep(names: OrderedDict[str, None], name: str) -> None:
    names[name] = None
    if len(names) > _MOST:
        names.popitem(last=False)
