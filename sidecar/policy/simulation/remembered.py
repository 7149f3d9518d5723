"""Which ids came before, and what was noted of each? The latest are known, in bounded memory."""

from collections.abc import Hashable

from sidecar.policy.simulation.counts import Counts, hash_of


class Remembered:
    """Remembers at least so many ids, and at most twice as many, with a number for each."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._new, self._old = Counts(), Counts()

    def __contains__(self, key: Hashable) -> bool:
        return self.of(key) is not None

    def of(self, key: Hashable) -> int | None:
        """The number of an id, None where it is not known, or not any more."""
        digest = hash_of(key)
        found = self._new.get(digest)
        return self._old.get(digest) if found is None else found

    def add(self, key: Hashable, number: int = 0) -> bool:
        """Remember an id; whether it was not known."""
        if key in self:
            return False
        if len(self._new) >= self._least:
            self._old, self._new = self._new, Counts()
        self._new.set(hash_of(key), number)
        return True
