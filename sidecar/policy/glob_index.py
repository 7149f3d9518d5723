"""Which of very many sets of globs match a name, without trying them all?"""

import re
from collections.abc import Callable, Sequence

from sidecar.policy.globs import Globs, is_wild

_LITERAL = re.compile(r"[^*?]*")


class GlobIndex:
    """Sets of globs by what a name must begin with to match one of them.

    An exact name is looked up; a glob is tried on names alone that begin with its letters before
    the first `*` or `?`. None in the place of a set matches every name, the empty one too, which
    no glob matches.
    """

    def __init__(self, sets: Sequence[Globs | None]) -> None:
        self._always: list[int] = []
        self._exact: dict[str, list[int]] = {}
        self._wild: dict[str, dict[int, Callable[[str], bool]]] = {}
        for position, globs in enumerate(sets):
            if globs is None:
                self._always.append(position)
                continue
            for glob in globs.patterns:
                if is_wild(glob):
                    beginning = _LITERAL.match(glob)[0]  # type: ignore[index] # it matches ""
                    self._wild.setdefault(beginning, {})[position] = globs.match_wild
                else:
                    self._exact.setdefault(glob, []).append(position)
        self._lengths = sorted({len(beginning) for beginning in self._wild})

    def find(self, name: str) -> tuple[int, ...]:
        """The positions of those that match, in order."""
        if not name:
            return tuple(self._always)
        found = {*self._always, *self._exact.get(name, ())}
        for length in self._lengths:
            if length > len(name):
                break
            for position, match in self._wild.get(name[:length], {}).items():
                if position not in found and match(name):
                    found.add(position)
        return tuple(sorted(found))
