"""What of a file is kept in memory, so that it need not be read each time?

It is true as long as nobody else writes the file; whoever begins a transaction sees whether
somebody has.
"""

from collections.abc import Hashable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(dict[K, V]):
    """What was looked at of late, by its key; an item is sought as in any dict.

    Args:
        most: after so many new ones what was not looked at meanwhile is forgotten.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._before: dict[K, V] = {}

    def known(self, key: K) -> V | None:
        """What is remembered."""
        value = self.get(key)
        if value is None and self._before:
            value = self._before.pop(key, None)
            if value is not None:
                self[key] = value
        return value

    def drop(self, key: K) -> None:
        """Forget it, if it is remembered."""
        self.pop(key, None)
        self._before.pop(key, None)

    def tidy(self) -> None:
        """Forget what was not looked at for long; when all that is remembered is written."""
        if len(self) >= self._most:
            self._before = dict(self)
            super().clear()

    def clear(self) -> None:
        """Forget all."""
        super().clear()
        self._before.clear()
