"""Which rules are called superfluous beside which others?"""

from pathlib import Path

import pytest

from tests.unit.lint.world import FREE_AND_PRO, codes, rule, warned

LARGE = "request.estimated_tokens > 5000"
HUGE = "request.estimated_tokens > 9000"
WARN = "effect: warn"
DENY = "effect: deny, on_error: deny"
SOFT = "effect: deny, on_error: deny, mode: advisory"


def two(one: tuple[str, str], other: tuple[str, str], mode: str = "enforce") -> str:
    """Two rules in one file."""
    first, second = rule(*one, name="one"), rule(*other, name="two")
    return f"mode: {mode}\n{FREE_AND_PRO}rules:\n{first}{second}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((LARGE, WARN), (HUGE, WARN)),  # both messages are shown
        ((LARGE, WARN), (HUGE, DENY)),
        ((HUGE, DENY), (LARGE, WARN)),
        ((HUGE, DENY), (LARGE, DENY)),  # the narrow one speaks first
        ((LARGE, SOFT), (LARGE, WARN)),
        ((LARGE, SOFT), (HUGE, DENY)),
        ((LARGE, f"{DENY}, match: {{plans: [free]}}"), (HUGE, DENY)),
        (
            (LARGE, f"{WARN}, match: {{plans: [free]}}"),
            (LARGE, f"{WARN}, match: {{plans: [pro]}}"),
        ),
        (
            (LARGE, f'{DENY}, match: {{plugins: ["a*"]}}'),
            (HUGE, f'{DENY}, match: {{plugins: ["*a"]}}'),
        ),
        ((LARGE, WARN), (LARGE.replace("5000", "5001"), WARN)),
        (
            ("request.estimated_tokens + 1 > 0", "effect: deny, on_error: skip"),
            ("request.estimated_tokens + 1 > 0", DENY),
        ),
        (
            ("request.estimated_tokens + 1 > 0", DENY),
            ('request.model == "o1"', WARN),
        ),
        ((LARGE, f"{WARN}, mode: off"), (LARGE, WARN)),
    ],
)
def test_rules_that_each_change_an_answer_are_left_alone(
    tmp_path: Path, one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert codes(tmp_path, two(one, other)) == []


@pytest.mark.parametrize(
    ("one", "other", "found", "path"),
    [
        ((LARGE, WARN), (LARGE, WARN), "I3", "rules[1].id"),
        ((LARGE, DENY), (LARGE, DENY), "I3", "rules[1].id"),
        ((LARGE, DENY), (HUGE, DENY), "I3", "rules[1].id"),
        ((LARGE, f"{WARN}, match: {{plans: [free]}}"), (LARGE, WARN), "I3", "rules[0].id"),
        ((LARGE, WARN), (LARGE, f'{WARN}, match: {{plugins: ["a*"]}}'), "I3", "rules[1].id"),
        ((LARGE, SOFT), (LARGE, DENY), "I3", "rules[0].id"),
        ((LARGE, DENY), (LARGE, WARN), "I4", "rules[1].id"),
        ((LARGE, WARN), (LARGE, DENY), "I4", "rules[0].id"),
        ((LARGE, DENY), (HUGE, WARN), "I6", "rules[1].id"),
        ((HUGE, WARN), (LARGE, DENY), "I6", "rules[0].id"),
        (
            (LARGE, DENY),
            (f'{HUGE} && request.model == "o1"', f"{WARN}, match: {{plans: [pro]}}"),
            "I6",
            "rules[1].id",
        ),
    ],
)
def test_a_rule_that_changes_no_answer_is_reported(
    tmp_path: Path, one: tuple[str, str], other: tuple[str, str], found: str, path: str
) -> None:
    (warning,) = warned(tmp_path, two(one, other))
    assert (warning.code, warning.path) == (found, path)
    assert len(warning.related) == 1


def test_what_is_only_tried_out_refuses_nothing_yet(tmp_path: Path) -> None:
    assert codes(tmp_path, two((LARGE, DENY), (HUGE, WARN), mode="advisory")) == []


def test_a_refusal_without_a_condition_forestalls_all_others(tmp_path: Path) -> None:
    closed = "  - {id: closed, effect: deny, message: Closed., match: {plugins: [search]}}\n"
    near = rule(LARGE, f"{WARN}, match: {{plugins: [search]}}")
    other = rule(LARGE, f"{WARN}, match: {{plugins: [read]}}", "other")
    text = f"mode: enforce\n{FREE_AND_PRO}rules:\n{closed}{near}{other}"
    (warning,) = warned(tmp_path, text)
    assert (warning.code, warning.path) == ("I6", "rules[1].id")


def test_rules_of_several_files_are_compared_by_what_their_own_names_mean(tmp_path: Path) -> None:
    head = "apiVersion: sidecar/v1\nkind: Policy\nmetadata: {name: a}\n"
    when = "request.estimated_tokens > constants.most || constants.live"
    one = f"constants: {{most: 5, live: false}}\nrules:\n{rule(when, name='one')}"
    tmp_path.joinpath("a.yaml").write_text(f"{head}{FREE_AND_PRO}{one}")
    # A switch belongs to its file, whatever it stands at.
    for constants in ("{most: 5, live: false}", "{most: 6, live: true}"):
        two = f"constants: {constants}\nrules:\n{rule(when, name='two')}"
        assert codes(tmp_path, two) == []
    same = rule(when.replace("constants.live", "false"), name="two")
    assert "I3" not in codes(tmp_path, f"constants: {{most: 6}}\nrules:\n{same}")
    tmp_path.joinpath("a.yaml").write_text(
        f"{head}{FREE_AND_PRO}constants: {{most: 5}}\nrules:\n"
        f"{rule('request.estimated_tokens > constants.most', name='one')}"
    )
    assert codes(tmp_path, f"rules:\n{rule('request.estimated_tokens > 5', name='two')}") == ["I3"]
