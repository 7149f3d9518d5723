"""Which ids came before? Of the latest ones it is known, in bounded memory."""

from collections.abc import Hashable


class Remembered:
    """Remembers at least so many ids, and at most twice as many, by their hashes.

    Two of a million ids have the same hash once in some thirty million runs.
    """

    def __init__(self, least: int) -> None:
        self._least = least
        self._new: set[int] = set()
        self._old: set[int] = set()

    def __contains__(self, key: Hashable) -> bool:
        digest = hash(key)
        return digest in self._new or digest in self._old

    def add(self, key: Hashable) -> bool:
        """Remember an id; whether it was not known."""
        if key in self:
            return False
        if len(self._new) >= self._least:
            self._old, self._new = self._new, set()
        self._new.add(hash(key))
        return True
