"""How many of each of millions of keys? In 24 to 48 bytes for each: a dict would take a hundred."""

from array import array
from collections.abc import Hashable
from typing import Final

_LEAST: Final = 8
_WORD: Final = 8


class Counts:
    """A number for each key; a key is a hash, see `hash_of`. Nothing is ever taken out.

    Open addressing with linear probing: keys stand where they hash to, or in the next free place.
    """

    def __init__(self) -> None:
        self._size = 0
        self._allocate(_LEAST)

    def __len__(self) -> int:
        return self._size

    def get(self, key: int) -> int | None:
        """The number of a key, None if it has none."""
        keys, mask = self._keys, self._mask
        place = key & mask
        while (found := keys[place]) != key:
            if not found:
                return None
            place = place + 1 & mask
        return self._numbers[place]

    def set(self, key: int, number: int) -> None:
        """Give a key its number, between -2^63 and 2^63-1."""
        keys, mask = self._keys, self._mask
        place = key & mask
        while (found := keys[place]) != key and found:
            place = place + 1 & mask
        self._numbers[place] = number
        if not found:
            keys[place] = key
            self._size += 1
            if self._size * 3 > (mask + 1) * 2:
                self._grow()

    def _grow(self) -> None:
        keys, numbers = self._keys, self._numbers
        self._allocate(2 * len(keys))
        mask = self._mask
        for place, key in enumerate(keys):
            if key:
                new = key & mask
                while self._keys[new]:
                    new = new + 1 & mask
                self._keys[new] = key
                self._numbers[new] = numbers[place]

    def _allocate(self, places: int) -> None:
        self._mask = places - 1
        self._keys = array("q", bytes(_WORD * places))
        self._numbers = array("q", bytes(_WORD * places))


def hash_of(key: Hashable) -> int:
    """64 bits that stand for a key, never 0.

    Two of a million keys share theirs once in some thirty million runs.
    """
    return hash(key) or 1
