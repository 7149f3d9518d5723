"""Is there a name that two globs both match?"""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.policy.globs import Globs
from sidecar.policy.overlaps import common_name


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [
        ("gpt-4*", "*-mini", "gpt-4-mini"),
        ("gpt-4*", "gpt-4?", "gpt-4x"),
        ("gpt-4*", "gpt-5*", None),
        ("*-mini", "*-nano", None),
        ("a?c", "?b?", "abc"),
        ("a?", "a", None),
        ("*", "**", ""),
        ("?*", "*?", "x"),
        ("a*a", "aa*", "aa"),
        ("ab", "ab", "ab"),
    ],
)
def test_two_globs_have_a_name_in_common_or_none(one: str, other: str, name: str | None) -> None:
    assert common_name(one, other) == name
    assert common_name(other, one) == name


_GLOBS = st.text(alphabet="ab*?", max_size=5)


@given(_GLOBS, _GLOBS)
def test_the_common_name_is_as_short_as_trying_all_names_finds(one: str, other: str) -> None:
    found = common_name(one, other)

    tried = ("".join(letters) for length in range(11) for letters in product("ab", repeat=length))
    both = [Globs([one]), Globs([other])]
    shortest = next((name for name in tried if all(globs.match(name) for globs in both)), None)
    assert (found is None) == (shortest is None)
    if found is not None and shortest is not None:
        assert all(globs.match(found) for globs in both)
        assert len(found) == len(shortest)


def test_long_globs_with_many_stars_are_compared_in_good_time() -> None:
    assert common_name("*a" * 64, "*b" * 64) is None
    assert common_name("*a" * 64 + "*", "*b" * 64 + "*") is not None
