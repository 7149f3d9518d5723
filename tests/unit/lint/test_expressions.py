"""What is said of the parts of an expression, and what is left alone?"""

from pathlib import Path

import pytest

from sidecar.policy.lint.fixes import repaired
from tests.unit.lint.world import FREE, FREE_AND_PRO, codes, limits, rule, warned

ONE = rule('request.model == "o1"', name="one")
OTHER = rule('request.model == "O1"')
DAY = limits("id: day, meter: tokens, max: 500, window: day")


def about(directory: Path, when: str, before: str = FREE) -> list[str]:
    """The codes for a rule with this condition."""
    return codes(directory, f"{before}rules:\n{rule(when)}")


@pytest.mark.parametrize(
    "when",
    [
        'request.model in ["a", "b"]',
        "size([1, 2]) == request.estimated_tokens",
        "has(request.attributes.a) && request.attributes.a in [request.attributes.a, 1]",
        "request.estimated_tokens / 2 > 1",
        "request.estimated_tokens + 1 > 5",
        "request.estimated_tokens / request.estimate.input_tokens > 5",
        'now > timestamp("2026-05-05T00:00:00Z")',
        'has(subscription.trial_end) && subscription.trial_end - now < duration("72h")',
        'has(subscription.trial_end) && now + duration("72h") > subscription.trial_end',
        'request.plugin.matches("a.*")',
        'request.plugin.startsWith("*")',
        'has(request.attributes.role) && request.attributes.role in ["*", "any?"]',
        'request.model == "gpt-4" || request.action == "GPT-4"',
        '["a"].exists(m, m == "b") || ["b"].exists(m, m == "B")',
        'request.model.lowerAscii() == "gpt-4" || request.model == "GPT-4"',
        'subscription.plan == "" || subscription.plan == "free"',
        "[1, 2].exists(a, [3, 4].exists(b, request.estimated_tokens == a * b))",
        "[1, 2].map(a, a + 1).exists(c, c == request.estimated_tokens)",
    ],
)
def test_an_ordinary_expression_is_left_alone(tmp_path: Path, when: str) -> None:
    assert about(tmp_path, when) == []


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ('request.model in ["a", 1]', ["G7"]),
        ("request.estimated_tokens in [1, 2u]", ["G7"]),
        ('{"a": 1, "b": "c"}.exists(k, k == request.model)', ["G7"]),
        ("request.estimated_tokens % 0 == 1", ["G9"]),
        ("request.estimated_tokens > 9223372036854775807 + 1", ["G9"]),
        ('request.model == "x".substring(5)', ["G9"]),
        ('now - now > duration("1s")', ["G11"]),
        ('now == now - duration("1s")', ["G11"]),
        ('request.plugin in ["a*", "b"]', ["G12"]),
        ('request.plugin != "a?"', ["G12"]),
        ('request.model == "o1" || request.model == "O1"', ["G13"]),
        ('subscription.plan == "team"', ["G5"]),
    ],
)
def test_what_nobody_means_is_reported(tmp_path: Path, when: str, found: list[str]) -> None:
    assert about(tmp_path, when) == found


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ("limits.day.ratio == 0.5", ["G10"]),
        ("limits.day.ratio != 1.0", ["G10"]),
        ("limits.day.ratio == 0.0", []),
        ("math.floor(limits.day.ratio) == 1.0", []),
        ("limits.day.ratio >= 0.5", []),
        ("limits.day.ratio > 1.5", []),
        ("limits.day.ratio > 80.0", ["G14"]),
        ("95.5 <= limits.day.ratio", ["G14"]),
    ],
)
def test_fractions_are_compared_by_order(tmp_path: Path, when: str, found: list[str]) -> None:
    assert about(tmp_path, when, DAY) == found


@pytest.mark.parametrize(
    ("when", "repair"),
    [
        ("!!(request.model == \"o1\")", "(request.model == \"o1\")"),
        ("!!subscription.cancel_at_period_end", "subscription.cancel_at_period_end"),
        ("subscription.cancel_at_period_end == true", "subscription.cancel_at_period_end"),
        ("subscription.cancel_at_period_end != true", "!subscription.cancel_at_period_end"),
        ("false == (request.model == \"o1\")", "!(request.model == \"o1\")"),
        ('request.model.startsWith("a") == false', '!request.model.startsWith("a")'),
        ('request.model == "o1" ? true : false', '(request.model == "o1")'),
        ("(subscription.cancel_at_period_end ? false : true) && request.model == \"a\"",
         "(!subscription.cancel_at_period_end) && request.model == \"a\""),
    ],
)  # fmt: skip
def test_a_roundabout_condition_is_written_plainly(tmp_path: Path, when: str, repair: str) -> None:
    found = warned(tmp_path, f"{FREE}rules:\n{rule(when)}")
    assert [it.code for it in found] == ["I7"]
    path = tmp_path / "policy.yaml"
    mended = repaired(str(path), path.read_text(), found)
    assert mended is not None
    path.write_text(mended.text)
    assert f"when: '{repair}'" in mended.text
    assert codes(tmp_path, mended.text.partition("{name: test}\n")[2]) == []


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ("has(request.model)", ["I7"]),
        ("has(request.attributes.a)", []),
        ("has(request.attributes.a) && request.attributes.a == true", []),
        ("has(subscription.trial_end)", []),
        ("has(subscription.metadata.a)", []),
        ('request.model == "o1" && request.action == "x" && request.model == "o1"', ["I7"]),
        ('request.model == "o1" && request.action == "o1"', []),
        ('!(!subscription.cancel_at_period_end && request.model == "a")', []),
        ('request.model == "a" ? request.action == "b" : true', []),
    ],
)
def test_what_is_said_twice_is_told_from_what_is_not(
    tmp_path: Path, when: str, found: list[str]
) -> None:
    assert about(tmp_path, when) == found


def test_a_roundabout_condition_over_two_lines_is_not_mended_by_a_machine(tmp_path: Path) -> None:
    text = f"{FREE}rules:\n  - id: odd\n    effect: warn\n    message: Look here.\n"
    text += '    when: |\n      !!(request.model == "a"\n        || request.model == "b")\n'
    (found,) = warned(tmp_path, text)
    assert (found.code, found.line, found.column, found.fix) == ("I7", 10, 7, None)


def test_words_of_one_thing_are_compared_over_all_files(tmp_path: Path) -> None:
    tmp_path.joinpath("a.yaml").write_text(
        f"apiVersion: sidecar/v1\nkind: Policy\nmetadata: {{name: a}}\n{FREE_AND_PRO}rules:\n{ONE}"
    )
    (found,) = warned(tmp_path, f"rules:\n{OTHER}")
    assert found.code == "G13"
    assert [it.file for it in found.related] == [str(tmp_path / "a.yaml")]


@pytest.mark.parametrize("places", [3, 4])
def test_many_loops_in_a_row_are_as_hard_to_read_as_nested_ones(
    tmp_path: Path, places: int
) -> None:
    when = "[1, 2]" + ".map(a, a + 1)" * (places - 1) + ".exists(c, c == request.estimated_tokens)"
    assert about(tmp_path, when) == ["H2"]
