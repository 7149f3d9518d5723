"""Users, requests and values are written once; a test is asked of each combination."""

from pathlib import Path

from sidecar.domain.decision import Effect
from sidecar.policy.testing import Outcome, run_tests
from tests.unit.testing.world import POLICY, mistakes, one, report_of
from tests.unit.world import write

PEOPLE = """
    users:
      ann: {app_id: acme, subscription: {plan: pro, status: active}}
      bob: {app_id: acme, user_id: u_2, subscription: {plan: free, status: active}}
    requests:
      search: {plugin: basic_search, estimated_tokens: 500}
      users: {plugin: admin_users, estimated_tokens: 1}
    tests:
"""


def test_each_user_makes_each_request(tmp_path: Path) -> None:
    tests = """
      - name: they ask
        given: {users: [ann, bob]}
        check: {requests: [search, users]}
        expect: {errors: 0}
    """
    report = report_of(tmp_path, POLICY, PEOPLE + tests)

    asked = {result.name: result.decision for result in report.results}
    effects = {name: decision and decision.effect for name, decision in asked.items()}
    assert effects == {
        "they ask › ann › search": Effect.ALLOW,
        "they ask › ann › users": Effect.ALLOW,
        "they ask › bob › search": Effect.ALLOW,
        "they ask › bob › users": Effect.DENY,
    }


def test_a_list_of_values_is_a_case_for_each(tmp_path: Path) -> None:
    tests = """
      - name: they ask
        given: {users: [bob]}
        check: {plugin: [basic_a, ""], estimated_tokens: [0, 500]}
        expect: {effect: allow}
    """
    report = report_of(tmp_path, POLICY, PEOPLE + tests)

    assert [result.name for result in report.results] == [
        "they ask › bob › basic_a › 0",
        "they ask › bob › basic_a › 500",
        'they ask › bob › "" › 0',
        'they ask › bob › "" › 500',
    ]
    assert report.is_good


def test_what_a_test_says_comes_before_what_is_written_once(tmp_path: Path) -> None:
    tests = """
      - name: it
        given: {users: [ann], subscription: {plan: free, status: active}}
        check: {requests: [search], estimate: {output_tokens: 3000}}
        expect: {plan: free, limits: {burst: {requested: 3000}}}
    """

    assert one(report_of(tmp_path, POLICY, PEOPLE + tests)).outcome is Outcome.PASSED


def test_counters_of_a_user_are_those_of_a_test_together(tmp_path: Path) -> None:
    tests = """
    users:
      bob: {app_id: acme, used: {burst: 10, free-tokens-per-month: 20}}
    tests:
      - name: it
        given: {users: [bob], used: {burst: 30}}
        check: {}
        expect: {limits: {burst: {used: 30}, free-tokens-per-month: {used: 20}}}
    """

    assert one(report_of(tmp_path, POLICY, tests)).outcome is Outcome.PASSED


def test_a_test_that_is_left_out_says_why_and_asks_nothing(tmp_path: Path) -> None:
    tests = """
    tests:
      - name: it
        skip: until the plan is named
        check: {app_id: acme, user_id: bob}
        expect: {effect: deny}
    """
    report = report_of(tmp_path, POLICY, tests)

    assert one(report).outcome is Outcome.SKIPPED
    assert one(report).skipped == "until the plan is named"
    assert report.is_good


def test_too_many_combinations_are_a_mistake(tmp_path: Path) -> None:
    many = ", ".join(f"m{number}" for number in range(100))
    tests = f"""
    tests:
      - name: it
        check: {{app_id: acme, user_id: bob, model: [{many}], agent: [{many}]}}
        expect: {{effect: allow}}
    """

    assert mistakes(report_of(tmp_path, POLICY, tests)) == [
        "policy_test.yaml:6:11 B5 this test has 10,000 combinations; 1,000 are allowed "
        "(make several tests of it)"
    ]


def test_a_file_is_about_the_policies_that_it_names(tmp_path: Path) -> None:
    head = "apiVersion: sidecar/v1\nkind: PolicyTest\n"
    check = "check: {app_id: acme, user_id: bob}"
    write(tmp_path, 'defaults: {plan: one}\nplans: {one: {plugins: ["*"]}}', "one.yaml")
    write(tmp_path, 'plans: {two: {plugins: ["*"]}}\nmode: enforce', "two.yaml")
    (tmp_path / "one_test.yaml").write_text(
        f"{head}policies: [one.yaml]\ntests: [{{name: it, {check}, expect: {{plan: one}}}}]\n"
    )
    (tmp_path / "two_test.json").write_text(
        '{"apiVersion": "sidecar/v1", "kind": "PolicyTest", "policies": ["two.yaml"], "tests": [{'
        '"name": "it", "check": {"app_id": "acme", "user_id": "bob"},'
        '"expect": {"effect": "deny", "codes": ["subscription_inactive"]}}]}'
    )
    (tmp_path / "both_test.yml").write_text(
        f"{head}tests: [{{name: it, {check}, expect: {{effect: allow, plan: one}}}}]\n"
    )
    report = run_tests(tmp_path)

    assert report.findings == ()
    assert [Path(result.file).name for result in report.results] == [
        "both_test.yml",
        "one_test.yaml",
        "two_test.json",
    ]
    assert report.is_good
