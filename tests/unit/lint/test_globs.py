"""Which globs are called redundant, in vain or unreachable, and which are not?"""

from pathlib import Path

import pytest

from tests.unit.lint.world import codes, warned


def plan(plugins: str) -> str:
    """One plan with these plugins."""
    return f"plans: {{free: {{plugins: {plugins}}}}}\n"


@pytest.mark.parametrize(
    "plugins",
    [
        '["gh.*", "gh?search"]',  # ghxsearch
        '["gh.*", "gh*x"]',
        '["a*b", "b*a", "a*c"]',
        '["Search", search]',
        '{allow: ["gh.*"], deny: ["gh.*.admin"]}',
        '{allow: ["*"], deny: ["*_*", "a*"]}',
        '{allow: ["basic_*"], deny: ["admin_*"]}',
        '{allow: [], deny: ["*"]}',
        "[]",
        "[search]",
    ],
)
def test_globs_that_say_something_each_are_left_alone(tmp_path: Path, plugins: str) -> None:
    assert codes(tmp_path, plan(plugins)) == []


@pytest.mark.parametrize(
    ("plugins", "found"),
    [
        ('["*", "gh.*"]', ["D3"]),
        ('["gh.*", gh.search, gh.read]', ["D3", "D3"]),
        ('["**", "*"]', ["D3"]),
        ('["?*", "*?"]', ["D3"]),
        ('{allow: ["*"], deny: ["admin_*", admin_users]}', ["D3"]),
        ('{allow: ["gh.*"], deny: ["*"]}', ["D4"]),
        ('{allow: ["a*", "b*"], deny: ["?*"]}', ["D4"]),
        ('{allow: [ab, "c*"], deny: ["a*", "b*"]}', ["D4"]),
    ],
)
def test_a_glob_that_changes_nothing_is_reported(
    tmp_path: Path, plugins: str, found: list[str]
) -> None:
    assert codes(tmp_path, plan(plugins)) == found


def test_of_two_globs_that_match_the_same_the_second_goes(tmp_path: Path) -> None:
    (found,) = warned(tmp_path, plan('["a?*", "a*?"]'))
    assert found.path == "plans.free.plugins[1]"
    assert found.fix is not None


def rule(match: str, mode: str = "enforce", own: str = "") -> str:
    """A rule about plugins, beside a plan with a few."""
    return f"""
        mode: {mode}
        plans:
          free: {{plugins: {{allow: ["basic_*", search], deny: ["basic_admin_*"]}}}}
          pro: {{plugins: ["basic_*", "pro_*"]}}
        rules:
          - {{id: odd, match: {{{match}}}, effect: warn, message: Look here., {own}}}
        """


@pytest.mark.parametrize(
    "match",
    [
        'plugins: ["basic_admin*"]',  # basic_admin itself, and those of pro
        'plugins: ["*_search"]',
        'plans: [free], plugins: ["basic_admin*"]',
        'plugins: ["pro_*"]',
        'plans: [free, pro], plugins: ["pro_*"]',
        "plugins: [search]",
        "plans: [free]",
    ],
)
def test_a_rule_that_can_meet_a_plugin_is_left_alone(tmp_path: Path, match: str) -> None:
    assert codes(tmp_path, rule(match)) == []


@pytest.mark.parametrize(
    ("match", "found"),
    [
        ('plugins: ["admin_*"]', "D5"),
        ('plans: [free], plugins: ["pro_*"]', "D5"),
        ('plans: [free], plugins: ["basic_admin_*"]', "D5"),
        ('plugins: ["admin_*", "basic_x*"]', "D5"),
        ("plugins: [serach]", "D2"),
        ("plugins: [zebra]", "D5"),
    ],
)
def test_a_rule_about_what_its_plans_refuse_is_reported(
    tmp_path: Path, match: str, found: str
) -> None:
    assert codes(tmp_path, rule(match)) == [found]


def test_a_rule_that_is_stricter_than_the_refusal_of_the_plan_is_left_alone(
    tmp_path: Path,
) -> None:
    plans = "apiVersion: sidecar/v1\nkind: Policy\nmetadata: {name: plans}\nmode: advisory\n"
    tmp_path.joinpath("a.yaml").write_text(plans + 'plans: {free: {plugins: ["basic_*"]}}\n')
    strict = "rules: [{id: odd, match: {plugins: [admin]}, effect: deny, message: No.}]\n"
    assert codes(tmp_path, f"mode: enforce\n{strict}") == []
    assert codes(tmp_path, f"mode: advisory\n{strict}") == ["D5"]
