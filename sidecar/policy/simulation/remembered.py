"""Which ids came before? Of the latest ones it is known, in bounded memory."""

from collections.abc import Hashable

from sidecar.policy.simulation.counts import Counts, hash_of


class Remembered:
    """Remembers at least so many ids, and at most twice as many."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._new, self._old = Counts(), Counts()

    def __contains__(self, key: Hashable) -> bool:
        digest = hash_of(key)
        return self._new.get(digest) is not None or self._old.get(digest) is not None

    def add(self, key: Hashable) -> bool:
        """Remember an id; whether it was not known."""
        if key in self:
            return False
        if len(self._new) >= self._least:
            self._old, self._new = self._new, Counts()
        self._new.set(hash_of(key), 1)
        return True
