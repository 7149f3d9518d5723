"""Is there a text that all of these patterns match, and none of those?

A pattern is a row of characters, of `ONE` for any character and of `RUN` for any run of them. All
patterns are read from left to right at once, each as the set of places that it may have come to
(a number, one bit a place). Where a pattern takes any character, one that no pattern names is the
hardest to match for the others, so that no further ones have to be tried.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import pairwise

MOST_STATES = 4_000
"""States that are looked at before the question is left open; usual ones take a few dozen."""


class Wild(Enum):
    """What a pattern may hold beside characters."""

    ONE = "?"
    RUN = "*"


ONE, RUN = Wild.ONE, Wild.RUN
Pattern = tuple[str | Wild, ...]


def exactly(text: str) -> Pattern:
    """The text itself."""
    return tuple(text)


def beginning(text: str) -> Pattern:
    """Every text that begins so."""
    return (*text, RUN)


def ending(text: str) -> Pattern:
    """Every text that ends so."""
    return (RUN, *text)


def containing(text: str) -> Pattern:
    """Every text with this in it."""
    return (RUN, *text, RUN)


@lru_cache(maxsize=8192)
def globbed(glob: str) -> Pattern:
    """What a glob matches: `*` any run of characters, `?` one."""
    return tuple({"*": RUN, "?": ONE}.get(character, character) for character in glob)


def may_match(
    all_of: Iterable[Pattern], none_of: Iterable[Pattern] = (), *, empty: bool = True
) -> bool:
    """Whether there may be such a text; false only where there certainly is none.

    Args:
        empty: whether the empty text counts.
    """
    wanted = tuple(dict.fromkeys(all_of)) or ((RUN,),)
    if any(_clash(one, other) for one, other in pairwise(wanted)):
        return False
    refused = tuple(
        each for each in dict.fromkeys(none_of) if not any(_clash(each, one) for one in wanted)
    )
    return _search(wanted, refused, empty)


def covers(wide: Pattern, narrow: Pattern) -> bool:
    """Whether the one certainly matches all non-empty texts that the other matches."""
    return _begins_alike(wide, narrow) and not may_match([narrow], [wide], empty=False)


def _begins_alike(wide: Pattern, narrow: Pattern) -> bool:
    """Whether what a pattern begins with stands at the beginning of the other too."""
    for position, each in enumerate(wide):
        if isinstance(each, Wild):
            return True
        if narrow[position : position + 1] != (each,):
            return False
    return len(wide) == len(narrow)


def _clash(one: Pattern, other: Pattern) -> bool:
    """Whether two patterns begin or end with different characters, as most do that never meet."""
    return _differ(one, other) or _differ(one[::-1], other[::-1])


def _differ(one: Pattern, other: Pattern) -> bool:
    for a, b in zip(one, other, strict=False):
        if RUN in (a, b):
            return False
        if a != b and ONE not in (a, b):
            return True
    return False


@dataclass(frozen=True, slots=True)
class _Automaton:
    """A pattern as bits: bit `i` of a state says that its first `i` parts may have been read."""

    runs: int
    ones: int
    characters: dict[str, int]
    end: int

    def closed(self, state: int) -> int:
        """With the places that are reached by an empty run."""
        return state | (state & self.runs) << 1

    def after(self, state: int, character: str) -> int:
        """The places after one more character."""
        moved = state & (self.characters.get(character, 0) | self.ones)
        return self.closed(moved << 1 | state & self.runs)

    def next_characters(self, state: int) -> Iterable[str]:
        """What it may ask for by name."""
        return [each for each, places in self.characters.items() if places & state]

    def takes_all(self, state: int) -> bool:
        """Whether it matches whatever follows."""
        return bool(state & self.runs & self.end >> 1)


@lru_cache(maxsize=8192)
def _automaton(pattern: Pattern) -> _Automaton:
    runs = ones = length = 0
    characters: dict[str, int] = {}
    previous: object = None
    for each in pattern:
        if each is RUN and previous is RUN:
            continue
        previous = each
        if each is RUN:
            runs |= 1 << length
        elif each is ONE:
            ones |= 1 << length
        else:
            characters[str(each)] = characters.get(str(each), 0) | 1 << length
        length += 1
    return _Automaton(runs, ones, characters, 1 << length)


@lru_cache(maxsize=65536)
def _search(wanted: tuple[Pattern, ...], refused: tuple[Pattern, ...], empty: bool) -> bool:
    asking = [_automaton(each) for each in wanted]
    automata = [*asking, *(_automaton(each) for each in refused)]
    unnamed = _unnamed({each for automaton in automata for each in automaton.characters})
    start = tuple(automaton.closed(1) for automaton in automata)
    pending = [start]
    seen: set[tuple[int, ...]] = set()  # the start is not: it may be come back to by a character
    if empty and _accepted(automata, start, len(asking)):
        return True
    for state in pending:
        letters = {unnamed}
        for automaton, places in zip(asking, state, strict=False):
            letters.update(automaton.next_characters(places))
        for letter in sorted(letters):
            following = tuple(
                automaton.after(places, letter)
                for automaton, places in zip(automata, state, strict=True)
            )
            if following in seen or _is_lost(automata, following, len(asking)):
                continue
            if _accepted(automata, following, len(asking)) or len(seen) >= MOST_STATES:
                return True
            seen.add(following)
            pending.append(following)
    return False


def _accepted(automata: Sequence[_Automaton], state: tuple[int, ...], wanted: int) -> bool:
    pairs = zip(automata, state, strict=True)
    return all(
        bool(places & automaton.end) is (number < wanted)
        for number, (automaton, places) in enumerate(pairs)
    )


def _is_lost(automata: Sequence[_Automaton], state: tuple[int, ...], wanted: int) -> bool:
    """Whether no further characters can make it one."""
    return 0 in state[:wanted] or any(
        automaton.takes_all(places)
        for automaton, places in zip(automata[wanted:], state[wanted:], strict=True)
    )


def _unnamed(characters: set[str]) -> str:
    return next(each for each in map(chr, range(len(characters) + 1)) if each not in characters)
