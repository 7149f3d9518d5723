"""Does a name match a glob?"""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.policy.globs import Globs


@pytest.mark.parametrize(
    ("glob", "name", "matches"),
    [
        ("*", "", True),
        ("*", "anything at all\n", True),
        ("basic_*", "basic_search", True),
        ("basic_*", "basic_", True),
        ("basic_*", "basic", False),
        ("basic_*", "my_basic_search", False),
        ("basic_*", "Basic_search", False),
        ("*_search", "basic_search", True),
        ("*_search", "basic_search_2", False),
        ("gh.*", "ghx", False),
        ("gh.*", "gh.search", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("a?c", "a🦉c", True),
        ("a*c", "a\nc", True),
        ("a+b", "a+b", True),
        ("a+b", "aab", False),
        ("search", "search", True),
        ("search", "research", False),
        ("a*b*c", "axxbyyc", True),
        ("a*b*c", "acb", False),
    ],
)
def test_a_glob_speaks_of_the_whole_name(glob: str, name: str, matches: bool) -> None:
    assert Globs([glob]).match(name) is matches


def test_no_glob_matches_nothing() -> None:
    assert not Globs([]).match("")
    assert not Globs([]).match("a")


def test_one_of_several_is_enough() -> None:
    globs = Globs(["a_*", "exact", "b_*"])
    assert [globs.match(name) for name in ("a_x", "exact", "b_x", "c_x")] == [
        True,
        True,
        True,
        False,
    ]
    assert globs.patterns == ("a_*", "exact", "b_*")


@given(st.lists(st.text("ab*?.", min_size=1, max_size=5), max_size=4), st.text("ab.", max_size=6))
def test_globs_agree_with_those_of_the_shell(globs: list[str], name: str) -> None:
    assert Globs(globs).match(name) == any(fnmatchcase(name, glob) for glob in globs)


def test_very_many_globs_are_no_burden() -> None:
    globs = Globs([f"plugin_{number}_*" for number in range(20_000)])
    assert globs.match("plugin_19999_search")
    assert not globs.match("plugin_20000_search")


def test_many_stars_take_no_more_than_linear_time() -> None:
    assert not Globs(["*a" * 100]).match("a" * 99 + "b" * 100_000)
