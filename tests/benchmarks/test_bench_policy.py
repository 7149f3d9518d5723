"""A short form of the benchmark: tables are printed, and of 2,000 rules 20 are touched."""

from contextlib import redirect_stdout
from io import StringIO

import pytest

from sidecar.policy.snapshot import PolicySet
from tests.benchmarks import policy

Run = tuple[str, PolicySet]


@pytest.fixture(scope="module")
def run() -> Run:
    # How fast it is on a busy machine is for a person to read, not for a test.
    shown = StringIO()
    with redirect_stdout(shown):
        _, large, _ = policy.main(["--quick"])
    return shown.getvalue(), large.policies


def test_the_tables_are_printed(run: Run) -> None:
    shown, _ = run
    assert shown.count("validate") == shown.count("decide") == 3


def test_of_2000_rules_a_decision_touches_the_20_that_concern_it(run: Run) -> None:
    _, large = run
    (plan,) = (plan for plan in large.plans if plan.id == "pro")

    counts = policy.explained(large).counts
    concerned = plan.concerns.find(policy.PLUGIN).rules

    assert (counts.rules, counts.rules_of_plan) == (policy.RULES, policy.RULES)
    assert counts.rules_touched == len(concerned) == policy.CONCERNED
    assert [rule.id for rule in concerned] == [
        rule.id for rule in plan.rules if rule.plugins is None or rule.plugins.match(policy.PLUGIN)
    ]
