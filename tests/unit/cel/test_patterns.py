"""Patterns: what Python's engine is given instead of RE2 says what RE2 says."""

# ruff: noqa: E501  expressions are data, and read best in one piece

from __future__ import annotations

import random
import time
from collections.abc import Callable
from functools import partial

import pytest

from sidecar.cel.patterns import BadPattern, compiled, finder
from sidecar.cel.simple_patterns import simple_form

SIMPLE = (
    "^gpt-4(o|-turbo)?(-mini)?$", "^svc-[0-9]+$", "gh[.]search", "^a.*", "[a-f]x$", "(ab|cd)e", "^(?:x|yz)?w\\.",
    "^[^abc]+$", "\\d\\d", "^\\w+", "a?b?c", "^日本?", "\\s$", "^$", "x\\$$", "^a|b$", "(a|b)(c|d)",
)  # fmt: skip
NOT_SIMPLE = ("(a+)+$", "a*", "^a*b*$", "(a|b)*", "a{3}", "^(a?)(b?)(c?)(d?)(e?)$", "(?i)abc", "\\bword\\b",
              "[[:alpha:]]", "^a*?", "((a))", "[\\d]", "\\pL", "(?P<n>a)", "a??")  # fmt: skip
PIECES = (
    "a",
    "b",
    "ab",
    "gh.",
    "gpt-4",
    "o",
    "-mini",
    "svc-",
    "7",
    "é",
    "日",
    "\n",
    " ",
    "x",
    "$",
    "\\",
    ".",
    "",
)


def fastest(work: Callable[[], object]) -> float:
    """Seconds of the quickest of three turns."""

    def once() -> float:
        start = time.thread_time()
        work()
        return time.thread_time() - start

    return min(once() for _ in range(3))


def texts(count: int) -> list[str]:
    """Texts that such patterns may or may not occur in."""
    pick = random.Random(5)
    return ["", "\n", "a\n"] + [
        "".join(pick.choice(PIECES) for _ in range(pick.randrange(6))) for _ in range(count)
    ]


@pytest.mark.parametrize(
    "pattern", [*SIMPLE, *NOT_SIMPLE, "plain", "^plain", "plain$", "^plain$", "", "^", "$"]
)
def test_the_quick_test_agrees_with_re2(pattern: str) -> None:
    exact, quick = compiled(pattern).search, finder(pattern).occurs_in
    for text in texts(400):
        assert quick(text) is (exact(text) is not None), text


@pytest.mark.parametrize("pattern", [each for each in SIMPLE if each != "^a|b$"])
def test_a_simple_pattern_goes_to_python_s_engine(pattern: str) -> None:
    assert simple_form(pattern) is not None


def test_a_pattern_of_a_few_words_is_known_as_such() -> None:
    simple = simple_form("^gpt-4(o|-turbo)?(-mini)?$")
    assert simple is not None
    assert set(simple.words or ()) == {
        "gpt-4",
        "gpt-4o",
        "gpt-4-turbo",
        "gpt-4-mini",
        "gpt-4o-mini",
        "gpt-4-turbo-mini",
    }


@pytest.mark.parametrize("pattern", [*NOT_SIMPLE, "^a|b$"])
def test_what_may_backtrack_or_differ_is_left_to_re2(pattern: str) -> None:
    assert simple_form(pattern) is None


def test_generated_simple_patterns_agree_and_stay_linear() -> None:
    pick = random.Random(3)
    atoms = ("a", "b", ".", "[ab]", "[^a]", "\\w", "\\.", "(a|b)", "(?:ab|c)?", "a?", "é", "-")
    long = "ab" * 128
    seen = 0
    for _ in range(2_000):
        count = pick.randrange(1, 7)
        body = "".join(
            pick.choice(atoms) + pick.choice(("", "", "", "?", "*", "+")) for _ in range(count)
        )
        pattern = pick.choice(("", "^")) + body + pick.choice(("", "$"))
        form = simple_form(pattern)
        if form is None:
            continue
        seen += 1
        exact = compiled(pattern).search
        occurs_in = finder(pattern).occurs_in
        for text in ("", "a", "ab\n", "bab", "é-.", "cab", long[:9]):
            assert occurs_in(text) is (exact(text) is not None), (pattern, text)
        assert fastest(partial(occurs_in, long)) < 0.005, pattern
    assert seen > 300


@pytest.mark.parametrize(
    "pattern", ["(", "a{1001}", "(?=a)", "\\1", "[z-a]", "*", "((a{100}){100}){100}", "\ud800"]
)
def test_what_re2_refuses_is_refused(pattern: str) -> None:
    with pytest.raises(BadPattern):
        compiled(pattern)
