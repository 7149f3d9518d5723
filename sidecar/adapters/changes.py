"""What is remembered here, and was changed by a push elsewhere?

Each store has its way to hear of pushes. Whatever it may have missed, it says so: then nobody
believes anything any more that is not asked for again.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from sidecar.beside import beside
from sidecar.errors import Unavailable

SUBSCRIPTION: Final = "subscription"
"""The kind of a change of what holds for a user; its key is the user's id."""
MANIFEST: Final = "manifest"
"""The kind of a change of what holds for an app; its key is the app's id."""
WALLET: Final = "wallet"
"""The kind of a change of a user's balance; its key is the user's id."""

SURE_S: Final = 0.5
"""So long after a look nothing that was remembered is older than it looked then."""

Forget = Callable[[str | None], None]
"""Forgets what belongs to a key, or with None all."""


class Changes:
    """Tells those who remember something what of it is old.

    Attributes:
        sure_until: until then, of the monotonic clock, every change that was made half a second
            ago or earlier has been told.
        losses: how often all was forgotten because some changes were not heard of.
    """

    def __init__(self) -> None:
        self.sure_until = float("-inf")
        self.losses = 0
        self._told: dict[str, list[Forget]] = {}

    def tell(self, kind: str, forget: Forget) -> None:
        """Have something forgotten whenever a change of a kind is heard of."""
        self._told.setdefault(kind, []).append(forget)

    def note(self, kind: str, key: str) -> None:
        """A push has changed what belongs to a key."""
        for forget in self._told.get(kind, ()):
            forget(key)

    def note_loss(self) -> None:
        """Some changes were not heard of: whatever is remembered may be old."""
        self.losses += 1
        self.begin()

    def begin(self) -> None:
        """Have all forgotten: from here on it is known what is old."""
        for told in self._told.values():
            for forget in told:
                forget(None)


class WatchedChanges(Changes, ABC):
    """Changes that are looked for in a store again and again.

    Args:
        look_each_s: from one look to the next.
    """

    def __init__(self, look_each_s: float) -> None:
        super().__init__()
        self._look_each_s = look_each_s

    @property
    def is_sure(self) -> bool:
        """Whether changes are heard of just now."""
        return time.monotonic() < self.sure_until

    @property
    def is_listening(self) -> bool | None:
        """Whether changes are told at once; None where they never are."""
        return None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Hear of changes as long as this is open; before and after that, nobody is sure."""
        try:
            async with beside(self._look_on):
                yield
        finally:
            self.sure_until = float("-inf")

    async def _look_on(self) -> None:
        was_away = False
        while True:
            began = time.monotonic()
            try:
                await self._look(began)
            except Unavailable:
                # Nobody is sure until the next look; each asks for himself meanwhile.
                was_away = True
            else:
                if was_away:
                    # Another store may have its place, without what was read in it last.
                    self.begin()
                    was_away = False
                self.sure_until = began + SURE_S
            await asyncio.sleep(self._look_each_s)

    @abstractmethod
    async def _look(self, since: float) -> None:
        """Tell of all changes that were made before now and are not told of yet.

        Raises:
            Unavailable: the store does not say.
        """
