"""What is claimed of an expression, and is it so?"""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidecar.cel.logic.facts import Fact
from sidecar.cel.logic.terms import key_of, term_of
from sidecar.cel.typed import Apply
from tests.unit.cel.logic.fuzz import wrong_claims
from tests.unit.cel.logic.world import claim, conjunction, program


@settings(max_examples=400, deadline=None)
@given(st.integers(min_value=0))
def test_no_context_refutes_a_claim(seed: int) -> None:
    pick = random.Random(seed)
    _, refuted = wrong_claims(conjunction(pick), conjunction(pick), pick, contexts=40)
    assert refuted == []


@pytest.mark.parametrize(
    "text",
    [
        'o.status == "active" && o.status == "paused"',
        'o.status != "active" && o.status != "paused" && o.status != "past_due"',
        'o.status in ["active", "paused"] && o.status == "past_due"',
        "o.tokens > 10 && o.tokens < 5",
        "o.tokens > 5 && o.tokens < 6",
        "o.tokens < 0",
        "now.getDayOfWeek() == 7",
        "now.getHours() in [24, 25]",
        "o.count > 9223372036854775807",
        "o.ratio > 0.5 && o.ratio < 0.5",
        "o.ratio >= 0.5 && o.ratio <= 0.5 && o.ratio != 0.5",
        'o.name == "a" && o.name == "b"',
        'o.name.startsWith("gpt") && o.name.startsWith("claude")',
        'o.name == "gpt-4" && o.name.endsWith("mini")',
        'o.name.startsWith("gpt-4") && !o.name.startsWith("gpt")',
        'o.name.startsWith("gpt") && !o.name.contains("pt")',
        'o.name.lowerAscii() == "GPT-4"',
        "o.flag && !o.flag",
        "o.flag && o.flag == false",
        "has(o.seen) && !has(o.seen)",
        'has(o.free.a) && !("a" in o.free)',
        'has(o.free.a) && o.free.a == 1 && o.free.a == "1"',
        'now < timestamp("2026-01-01T00:00:00Z") && now > timestamp("2027-01-01T00:00:00Z")',
        "o.count < o.tokens && o.tokens < o.count",
        "o.count == o.tokens && o.count != o.tokens",
        "size(o.name) < 0",
        "(o.count > 5 ? o.flag : false) && !o.flag",
        "cel.bind(n, o.count, n > 5 && n < 5)",
        "false",
        "!(o.flag || !o.flag)",
    ],
)
def test_what_contradicts_itself_is_never_true(text: str) -> None:
    assert claim(text).is_never_true


@pytest.mark.parametrize(
    "text",
    [
        "o.tokens >= 0",
        "o.flag || !o.flag",
        "o.count < 5 || o.count >= 5",
        "o.count <= 5 || o.count > 3",
        'o.status in ["active", "paused", "past_due"]',
        'o.name == "a" || o.name != "a"',
        'o.name.startsWith("")',
        "now.getHours() < 24",
        "o.count <= o.tokens || o.count > o.tokens",
        '!(o.name == "a" && o.name == "b")',
        "o.name == o.name",
        "true",
    ],
)
def test_what_leaves_nothing_out_is_always_true(text: str) -> None:
    assert claim(text).is_always_true


@pytest.mark.parametrize(
    "text",
    [
        'o.status == "active"',
        "o.tokens > 10 || o.tokens < 5",
        "o.count > 5 && o.count < 7",
        "o.count >= 0",
        "o.ratio < 0.5 || o.ratio >= 0.5",  # NaN is neither
        "!(o.ratio < 0.5) && !(o.ratio >= 0.5)",
        "o.ratio == o.ratio",
        'o.name.startsWith("a") && o.name.endsWith("b")',
        'o.name.startsWith("gpt") && !o.name.startsWith("gpt-4")',
        'o.name.lowerAscii() == "gpt-4" && o.name != "gpt-4"',
        "x < 5 && x > 4",  # 4.5
        "x > 9007199254740992 && x < 9007199254740994",
        "x == 9007199254740992.0 && x > 9007199254740992",  # 2**53 + 1, rounded
        'x == 1 && x != "1"',
        "has(o.free.a) && has(o.free.b) && o.free.a == 1 && o.free.b == 2",
        "size(o.name) > 1 && size(o.model) < 1",
        'o.name.matches("a+") && o.name.matches("b+")',
        'o.name == "a" || o.model == "a"',
    ],
)
def test_what_depends_on_the_facts_is_neither(text: str) -> None:
    assert not claim(text).is_never_true
    assert not claim(text).is_always_true


def test_what_may_err_is_never_called_always_true() -> None:
    assert claim("o.count + 1 > o.count || true").is_never_false
    assert claim("o.free.all(k, true) || o.flag || !o.flag").is_never_false
    assert not claim("o.free.all(k, true) || o.flag || !o.flag").is_always_true
    assert not claim("cel.bind(n, o.count + 1, true)").is_always_true


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        ("o.tokens > 10", "o.tokens > 5"),
        ("o.tokens == 10", "o.tokens > 5"),
        ("o.tokens in [7, 8]", "o.tokens > 5"),
        ('o.flag && o.status == "paused"', 'o.status == "paused"'),
        ('o.name.startsWith("gpt-4-")', 'o.name.startsWith("gpt")'),
        ('o.name == "gpt-4"', 'o.name in ["gpt-4", "gpt-5"]'),
        ('o.status == "paused"', 'o.status != "active"'),
        ("o.flag && o.tokens > 10", "o.tokens > 5 && o.flag"),
        ('"a" in o.free && o.free.a == 1', "has(o.free.a)"),
        ("o.flag", "o.flag || o.tokens > 5"),
    ],
)
def test_a_narrow_condition_implies_a_wide_one_and_not_the_other_way(
    narrow: str, wide: str
) -> None:
    assert claim(narrow).implies(claim(wide))
    if narrow != "o.flag && o.tokens > 10":
        assert not claim(wide).implies(claim(narrow))


def test_what_errs_is_not_implied_unless_it_is_the_same() -> None:
    assert not claim("o.count > 5").implies(claim("o.count + 1 > 0 || o.count > 5"))
    assert claim("o.count + 1 > 0").implies(claim("(o.count + 1) > 0"))


def test_many_alternatives_are_too_much_to_be_told_apart_and_nothing_is_claimed() -> None:
    either = " && ".join(f'(o.name != "{n}" || o.model == "{n}")' for n in range(40))
    one = claim(f"{either} && o.flag && !o.flag")
    assert one.is_never_true  # the rest is too much, this is not
    assert not claim(either).is_never_true
    assert not claim(either).is_always_true


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("o.flag && o.tokens > 10 && o.tokens < 5", ["o.tokens > 10", "o.tokens < 5"]),
        ("o.flag && o.tokens < 0", ["o.tokens < 0"]),
        ("o.flag || o.tokens < 0", []),
        ('!(o.flag || o.name == "a") && o.name == "a"', ['o.name == "a"', 'o.name == "a"']),
    ],
)
def test_a_contradiction_is_shown_by_two_of_its_parts(text: str, said: list[str]) -> None:
    facts = claim(text).contradiction()
    nodes = [fact.node for fact in facts if fact.node is not None]
    assert [text[node.start : node.end] for node in nodes] == said


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("o.flag && o.count > 5", "5 < o.count && o.flag", True),
        ("o.flag && o.count > 5", "o.flag || o.count > 5", False),
        ('o.name == "a"', '"a" == o.name', True),
        ("has(o.free.a)", '"a" in o.free', True),
        ("has(o.free.a) && o.free.a == 1", 'has(o.free.a) && o.free["a"] == 1', True),
        ("has(o.free.a) && o.free.a == 1", "has(o.free.a) && o.free.a == true", False),
        ("has(o.free.a) && o.free.a == 1", "has(o.free.a) && o.free.a == 1.0", False),
        ("o.free.all(k, k == o.name)", "o.free.all(other, other == o.name)", True),
        ("o.free.all(k, k == o.name)", "o.free.exists(k, k == o.name)", False),
        ("[1, 2].all(a, [1].all(b, a < b))", "[1, 2].all(b, [1].all(a, b < a))", True),
        ("[1, 2].all(a, [1].all(b, a < b))", "[1, 2].all(b, [1].all(a, a < b))", False),
    ],
)
def test_conditions_are_the_same_when_they_are_built_alike(
    one: str, other: str, same: bool
) -> None:
    assert (claim(one).key == claim(other).key) is same


def test_facts_about_true_and_one_are_told_apart() -> None:
    tree = program("has(o.free.a) && o.free.a == 1").tree
    equality = tree.operands[1]  # type: ignore[attr-defined] # a conjunction, as it is written
    assert isinstance(equality, Apply)
    term = term_of(equality.arguments[0])
    one = Fact.of(term, "==", 1, True, None)
    assert one != Fact.of(term, "==", True, True, None)
    assert one == Fact.of(term, "==", 1, True, equality)
    assert key_of(equality) != key_of(equality.arguments[0])
