"""Is there a text that all of these patterns match, and none of those?"""

from __future__ import annotations

import re
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.cel.logic.texts import ONE, RUN, Pattern, containing, covers, globbed, may_match

WORDS = ["".join(letters) for length in range(8) for letters in product("abx", repeat=length)]


def matching(pattern: Pattern) -> re.Pattern[str]:
    """The pattern as a regular expression."""
    wild: dict[object, str] = {ONE: ".", RUN: ".*"}
    return re.compile("".join(wild.get(part) or str(part) for part in pattern), re.DOTALL)


GLOBS = st.text(alphabet="ab*?*", max_size=4)


@given(st.lists(GLOBS, max_size=2), st.lists(GLOBS, max_size=3), st.booleans())
def test_the_search_agrees_with_trying_all_words(
    wanted: list[str], refused: list[str], empty: bool
) -> None:
    all_of, none_of = [*map(globbed, wanted)], [*map(globbed, refused)]

    tried = any(
        all(matching(pattern).fullmatch(word) for pattern in all_of)
        and not any(matching(pattern).fullmatch(word) for pattern in none_of)
        for word in WORDS
        if word or empty
    )
    # Two patterns of three characters and a run each are met by a word of six at the latest.
    assert may_match(all_of, none_of, empty=empty) == tried


@pytest.mark.parametrize(
    ("wide", "narrow", "is_covered"),
    [
        ("gh.*", "gh.search", True),
        ("gh.*", "gh.search.*", True),
        ("gh.*", "gh.", True),
        ("gh.?*", "gh.*", False),
        ("gh.*", "gh*", False),
        ("*", "a?b*", True),
        ("?*", "*", True),
        ("??*", "*a?", True),
        ("a*b", "a*c*b", True),
        ("a*b*b", "a*b", False),
        ("*_search", "basic_*_search", True),
        ("*_search", "basic_*", False),
        ("search", "search", True),
        ("search", "research", False),
        ("???", "??", False),
        ("???", "abc", True),
    ],
)
def test_a_glob_covers_another_or_leaves_some_of_its_names(
    wide: str, narrow: str, is_covered: bool
) -> None:
    assert covers(globbed(wide), globbed(narrow)) is is_covered


def test_several_globs_cover_together_what_none_covers_alone() -> None:
    refused = [globbed("a*"), globbed("*b")]
    assert may_match([globbed("a?*")], [refused[1]])
    assert not may_match([globbed("a*"), globbed("*c*")], refused)


def test_characters_that_no_pattern_names_are_thought_of() -> None:
    every_letter = [globbed(f"{letter}*") for letter in "abcdefghijklmnopqrstuvwxyz\x00\x01"]
    assert may_match([], every_letter, empty=False)


def test_a_star_in_a_text_is_a_character() -> None:
    assert not may_match([containing("*")], [globbed("*")])
    assert may_match([containing("*")], [containing("**")])


def test_a_hard_question_is_left_open_in_good_time() -> None:
    hard = [globbed("*a" + "?" * 60 + "b*")]
    assert may_match([globbed("*c*")], hard)
    assert may_match([globbed("*a" * 64)], [globbed("*b" * 64), globbed("*a" * 65)])
