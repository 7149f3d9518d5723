"""What the tests have seen at work of each condition, limit, rule, override and plan."""

from pathlib import Path

import pytest

from sidecar.policy.load import SHIPPED_SETS, shipped
from sidecar.policy.testing import Report, run_tests
from tests.unit.testing.world import POLICY, report_of

RULES = """
    defaults: {plan: free}
    variables:
      - {name: small, expr: 'request.model.contains("mini")'}
      - {name: share, expr: request.estimated_tokens / 10}
    plans:
      free: {plugins: ["*"]}
    rules:
      - {id: busy, when: !WHEN, effect: warn, message: Careful.}
    """


def seen(directory: Path, when: str, *checks: str) -> list[str]:
    """What is missing after these requests were checked, as `9:27 never true: TEXT`."""
    tests = "tests:\n"
    for number, check in enumerate(checks):
        tests += f"  - name: case {number}\n    check: {{app_id: a, user_id: u, {check}}}\n"
        tests += "    expect: {errors: 0}\n"
    policy = RULES.replace("!WHEN", "'" + when + "'")
    return gaps(report_of(directory, policy, tests))


def gaps(report: Report) -> list[str]:
    assert report.is_good, report
    return [
        f"{gap.spot.kind} never {' nor '.join(gap.unseen)}: {gap.spot.text}"
        for gap in report.coverage.gaps
        if gap.spot.kind != "plugins"
    ]


@pytest.mark.parametrize(
    ("when", "checks", "missing"),
    [
        (
            "request.estimated_tokens > 5",
            ["estimated_tokens: 9"],
            ["condition never false: request.estimated_tokens > 5"],
        ),
        ("request.estimated_tokens > 5", ["estimated_tokens: 9", "estimated_tokens: 2"], []),
        (
            'request.estimated_tokens > 5 && request.model == "m"',
            ["estimated_tokens: 9, model: m", "estimated_tokens: 2"],
            ['part never false: request.model == "m"'],
        ),
        (
            'request.estimated_tokens > 5 || request.model == "m"',
            ["estimated_tokens: 9", "estimated_tokens: 2, model: n"],
            ['part never true: request.model == "m"'],
        ),
        (
            '!(request.model == "m")',
            ["model: m"],
            [
                'condition never true: !(request.model == "m")',
                'part never false: request.model == "m"',
            ],
        ),
        (
            'request.estimated_tokens > 5 ? request.model == "m" : request.agent == "a"',
            ["estimated_tokens: 9, model: m", "estimated_tokens: 9, model: n"],
            ["part never false: request.estimated_tokens > 5", "part never true nor false: "
             'request.agent == "a"'],
        ),
        (
            '["a", "b"].exists(name, name == request.model && request.agent == "x")',
            ['model: a, agent: x', 'model: b, agent: x', 'model: c'],
            ['part never false: request.agent == "x"'],
        ),
    ],
)  # fmt: skip
def test_both_values_of_every_part_are_wanted(
    when: str, checks: list[str], missing: list[str], tmp_path: Path
) -> None:
    unread = ['condition never true nor false: request.model.contains("mini")']

    assert seen(tmp_path, when, *checks) == [*unread, *missing]


def test_a_variable_is_seen_where_an_evaluated_part_reads_it(tmp_path: Path) -> None:
    when = "request.estimated_tokens > 5 && vars.small"

    assert seen(tmp_path, when, "estimated_tokens: 2", "estimated_tokens: 9, model: m") == [
        'condition never true: request.model.contains("mini")',
        "condition never true: request.estimated_tokens > 5 && vars.small",
        "part never true: vars.small",
    ]


def test_of_what_was_never_evaluated_no_part_is_told(tmp_path: Path) -> None:
    report = report_of(
        tmp_path,
        RULES.replace("!WHEN", '\'request.model == "m" && request.agent == "a"\'').replace(
            "id: busy", "id: busy, match: {plugins: [x]}"
        ),
        "tests: [{name: it, check: {app_id: a, user_id: u}, expect: {effect: allow}}]",
    )

    assert gaps(report) == [
        'condition never true nor false: request.model.contains("mini")',
        'condition never true nor false: request.model == "m" && request.agent == "a"',
    ]
    parts = next(share for share in report.coverage.shares if share.kind == "part")
    assert (parts.covered, parts.total, parts.percent) == (0, 2, 0)


def test_a_gap_is_told_with_its_place(tmp_path: Path) -> None:
    tests = "tests: [{name: it, check: {app_id: a, user_id: u, model: m}, expect: {effect: warn}}]"
    policy = RULES.replace("!WHEN", 'request.model == "m"')
    report = report_of(tmp_path, policy, tests)

    assert str(report.coverage.gaps[-1]) == (
        f'{tmp_path}/policy.yaml:12:22: never false: request.model == "m" in rule busy'
    )


def test_limits_are_seen_kept_and_exceeded_and_plugins_allowed_and_refused(tmp_path: Path) -> None:
    tests = """
    tests:
      - name: kept
        check: {app_id: a, user_id: u, plugin: basic_x}
        expect: {effect: allow}
      - name: exceeded
        check: {app_id: a, user_id: u, estimated_tokens: 5000}
        expect: {effect: warn}
    """
    report = report_of(tmp_path, POLICY, tests)

    told = [f"{gap.spot.name}: {' '.join(gap.unseen)}" for gap in report.coverage.gaps]
    assert told == [
        "free.plugins: refused",
        "free-tokens-per-month: exceeded",
        "pro.plugins: allowed",
        "pro-tokens-per-month: exceeded kept",
    ]
    assert [(share.kind, share.covered, share.total) for share in report.coverage.shares] == [
        ("limit", 1, 3),
        ("plugins", 0, 2),
    ]


def test_what_a_plan_inherits_is_seen_where_it_is_seen_at_work(tmp_path: Path) -> None:
    policy = """
    defaults: {plan: team}
    plans:
      solo: {plugins: ["basic_*"], tokens_per_month: null}
      team: {extends: solo}
    """
    tests = """
    tests:
      - name: both
        check: {app_id: a, user_id: u, plugin: [basic_x, other]}
        expect: {errors: 0}
    """

    assert report_of(tmp_path, policy, tests).coverage.is_full


def test_what_cannot_be_seen_is_not_wanted(tmp_path: Path) -> None:
    policy = """
    defaults: {plan: free}
    plans:
      free:
        plugins: {allow: ["*"], deny: ["*"]}
        tokens_per_month: null
        limits: [{id: closed, meter: tokens, max: 0, window: day}]
    rules:
      - {id: note, effect: warn, message: Noted.}
    """
    tests = "tests: [{name: it, check: {app_id: a, user_id: u, plugin: x}, expect: {errors: 0}}]"

    assert report_of(tmp_path, policy, tests).coverage.is_full


def test_rules_without_a_condition_are_seen_to_match_and_not_to(tmp_path: Path) -> None:
    policy = """
    defaults: {plan: free}
    plans:
      free: {plugins: ["*"]}
      pro: {plugins: ["*"]}
    rules:
      - {id: of-free, match: {plans: [free]}, effect: warn, message: Noted.}
      - {id: of-search, match: {plugins: ["search_*"]}, effect: warn, message: Noted.}
    """
    check = "check: {app_id: a, user_id: u, plugin: search_it}, expect: {errors: 0}"
    free = f"tests:\n  - {{name: free, {check}}}\n"
    given = "given: {subscription: {plan: pro, status: active}}"
    pro = f"  - {{name: pro, {given}, {check.replace('search_it', 'other')}}}\n"

    assert gaps(report_of(tmp_path, policy, free)) == [
        "rule never not matched: of-free",
        "rule never not matched: of-search",
    ]
    assert gaps(report_of(tmp_path, policy, free + pro)) == []


def test_an_override_is_seen_applied(tmp_path: Path) -> None:
    policy = """
    defaults: {plan: free}
    plans: {free: {plugins: ["*"], tokens_per_month: null}}
    overrides: [{id: more, for: {apps: [acme]}, limit: free-tokens-per-month, max: 5}]
    """
    of = "tests: [{name: it, check: {app_id: APP, user_id: u}, expect: {effect: allow}}]"

    assert gaps(report_of(tmp_path, policy, of.replace("APP", "other"))) == [
        "override never applied: more"
    ]
    assert gaps(report_of(tmp_path, policy, of.replace("APP", "acme"))) == []


@pytest.mark.parametrize("name", SHIPPED_SETS)
def test_a_shipped_set_is_seen_at_work_in_every_way(name: str) -> None:
    report = run_tests(shipped(name))

    assert report.findings == ()
    assert report.failures == []
    assert report.skipped == []
    assert list(map(str, report.coverage.gaps)) == []
    assert len(report.passed) >= 4
