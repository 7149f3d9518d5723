"""Regular expressions in linear time: RE2 behind ``matches``, and something quicker where that is as safe."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import re2

from sidecar.cel.simple_patterns import simple_form

# enough for any pattern of the allowed length without counted repetition of repetition
_MEMORY = 1 << 19
# texts of which it is remembered for each pattern; there may be thousands of patterns
_REMEMBERED = 64
_SHORT = 256


class BadPattern(Exception):
    """RE2 does not take the pattern."""


@dataclass(frozen=True, slots=True)
class Finder:
    """A test whether a pattern occurs in a text.

    Args:
        find: takes the text; gives a bool, or a match or None.
        gives_match: which of the two.
    """

    find: Callable[[str], Any]
    gives_match: bool

    def occurs_in(self, text: str) -> bool:
        """The answer as a bool."""
        return self.find(text) is not None if self.gives_match else bool(self.find(text))


def compiled(pattern: str) -> Any:
    """The pattern as RE2 holds it.

    Raises:
        BadPattern: it is malformed, or needs too much memory.
    """
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    # only whether it occurs is asked, never where
    options.never_capture = True
    try:
        return re2.compile(pattern, options=options)
    except (re2.error, ValueError, UnicodeError) as error:
        reason = error.args[0] if error.args else error
        raise BadPattern(
            reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        ) from error


def finder(pattern: str) -> Finder:
    """The quickest test that says what RE2 says.

    RE2's wrapper takes some 3 microseconds a call, most of it in Python. Patterns of a few words become set look-ups
    and string methods, those that cannot backtrack far go to Python's own engine (0.2 microseconds). Of all others is
    remembered what was found in the latest texts: models and plugins are few.

    Raises:
        BadPattern: RE2 would not take the pattern, so nothing else does.
    """
    exact = compiled(pattern)
    simple = simple_form(pattern)
    if simple is None:
        return Finder(_remembering(exact), gives_match=False)
    words, (start, end) = simple.words, (simple.start, simple.end)
    if words is not None and (start or end or len(words) == 1):
        return Finder(_word_test(words, start=start, end=end), gives_match=False)
    # anchors are left to the method: Python's $ would also match before a last newline, RE2's does not
    form = re.compile(simple.form if start else simple.form + ("\\Z" if end else ""))
    search = form.fullmatch if start and end else form.match if start else form.search
    return Finder(search, gives_match=True)


def _remembering(exact: Any) -> Callable[[str], bool]:
    search = exact.search

    @lru_cache(maxsize=_REMEMBERED)
    def occurs(text: str) -> bool:
        return search(text) is not None

    return lambda text: occurs(text) if len(text) <= _SHORT else search(text) is not None


def _word_test(words: tuple[str, ...], *, start: bool, end: bool) -> Callable[[str], bool]:
    if start and end:
        return frozenset(words).__contains__
    if start:
        return lambda text: text.startswith(words)
    if end:
        return lambda text: text.endswith(words)
    (word,) = words
    return lambda text: word in text
