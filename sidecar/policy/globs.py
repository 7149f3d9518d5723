"""Does a name match one of these globs? `*` is any run of characters, `?` is one, case counts."""

import re
from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import re2

_TOGETHER = 64
"""Globs in one automaton; very many in one would outgrow re2's memory."""


class Globs:
    """Several globs, matched in linear time; a name must match one of them as a whole.

    Attributes:
        match_wild: whether one with `*` or `?` matches a name; nothing of it is remembered.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self.patterns = tuple(patterns)
        self._everything = "*" in self.patterns
        self._exact = frozenset(glob for glob in patterns if not is_wild(glob))
        wild = [glob for glob in patterns if is_wild(glob)]
        automata = [
            _automaton(wild[start : start + _TOGETHER]) for start in range(0, len(wild), _TOGETHER)
        ]
        # Plugin names repeat and are few; the bound is for callers who invent them. It knows
        # nothing of this object: policies that nobody uses any more shall be gone at once.
        self.match_wild = partial(_any_matches, automata)
        self._matches_wild = lru_cache(maxsize=1024)(self.match_wild)

    def match(self, name: str) -> bool:
        """Whether the whole name matches."""
        return self._everything or name in self._exact or self._matches_wild(name)


def _any_matches(automata: Sequence[Any], name: str) -> bool:
    return any(automaton.fullmatch(name) for automaton in automata)


def is_wild(glob: str) -> bool:
    """Whether it may match more than one name."""
    return re.search(r"[*?]", glob) is not None


def _automaton(globs: Sequence[str]) -> Any:
    return re2.compile("(?s)(?:" + "|".join(map(_to_regex, globs)) + ")")


def _to_regex(glob: str) -> str:
    wild = {"*": ".*", "?": "."}
    return "".join(wild.get(character) or re2.escape(character) for character in glob)
