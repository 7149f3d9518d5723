"""Does a name match one of these globs? `*` is any run of characters, `?` is one, case counts."""

from collections.abc import Sequence
from functools import lru_cache

import re2


class Globs:
    """Several globs as one linear-time automaton; a name must match one of them as a whole."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(patterns)
        self._everything = "*" in self.patterns
        pattern = re2.compile("(?s)(?:" + "|".join(map(_to_regex, self.patterns)) + ")")
        # Plugin names repeat and are few; the bound is for callers who invent them.
        self._remembered = lru_cache(maxsize=1024)(
            lambda name: bool(self.patterns) and pattern.fullmatch(name) is not None
        )

    def match(self, name: str) -> bool:
        """Whether the whole name matches."""
        return self._everything or self._remembered(name)


def _to_regex(glob: str) -> str:
    wild = {"*": ".*", "?": "."}
    return "".join(wild.get(character) or re2.escape(character) for character in glob)
