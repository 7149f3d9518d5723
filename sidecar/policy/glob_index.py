"""Which of very many sets of globs match a name, without trying them all?"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from sidecar.policy.globs import Globs, is_wild

_WILD = re.compile(r"[*?]")
_Entry = tuple[int, Callable[[str], bool]]


class GlobIndex:
    """Sets of globs by how a name must begin or end to match one of them.

    An exact name is looked up; a glob is tried on names alone that have its letters before the
    first, or behind the last, `*` or `?`, whichever are more. None in the place of a set matches
    every name, the empty one too, which no glob matches.
    """

    def __init__(self, sets: Sequence[Globs | None]) -> None:
        self._always: list[int] = []
        self._named: list[int] = []
        self._exact: dict[str, list[int]] = {}
        self._beginning, self._ending = _Edges(), _Edges()
        for position, globs in enumerate(sets):
            if globs is None:
                self._always.append(position)
                continue
            if "*" in globs.patterns:
                self._named.append(position)
                continue
            for glob in globs.patterns:
                if not is_wild(glob):
                    self._exact.setdefault(glob, []).append(position)
                    continue
                parts = _WILD.split(glob)
                first, last = parts[0], parts[-1]
                test = globs.match_wild
                if len(parts) == 2 and "*" in glob:
                    test = partial(_lies_around, first, last)
                if len(last) > len(first):
                    self._ending.add(last[::-1], position, test)
                else:
                    self._beginning.add(first, position, test)

    def find(self, name: str) -> tuple[int, ...]:
        """The positions of those that match, in order."""
        if not name:
            return tuple(self._always)
        found = {*self._always, *self._named, *self._exact.get(name, ())}
        for edges, read in ((self._beginning, name), (self._ending, name[::-1])):
            for position, matches in edges.of(read):
                if position not in found and matches(name):
                    found.add(position)
        return tuple(sorted(found))


class _Edges:
    """What is to be tried on names that begin in a certain way."""

    def __init__(self) -> None:
        self._entries: dict[str, list[_Entry]] = {}
        self._lengths: list[int] = []

    def add(self, edge: str, position: int, test: Callable[[str], bool]) -> None:
        self._entries.setdefault(edge, []).append((position, test))
        if len(edge) not in self._lengths:
            self._lengths.append(len(edge))

    def of(self, name: str) -> Iterator[_Entry]:
        for length in self._lengths:
            if length <= len(name):
                yield from self._entries.get(name[:length], ())


def _lies_around(first: str, last: str, name: str) -> bool:
    """Whether a name is one of `first*last`."""
    return len(name) >= len(first) + len(last) and name.startswith(first) and name.endswith(last)
