"""A short form of the benchmark: tables are printed, and of 2,000 rules 20 are touched."""

from pathlib import Path

import pytest

from sidecar.domain.modes import Ceiling
from sidecar.policy.load import load
from tests.benchmarks import policy


def test_the_tables_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    # How fast it is on a busy machine is for a person to read, not for a test.
    policy.main(["--quick"])

    shown = capsys.readouterr().out
    assert shown.count("validate") == shown.count("decide") == 3


def test_of_2000_rules_a_decision_touches_the_20_that_concern_it(tmp_path: Path) -> None:
    large = load(policy.large_set(tmp_path / "large"), ceiling=Ceiling.AS_WRITTEN)
    (plan,) = (plan for plan in large.plans if plan.id == "pro")

    counts = policy.explained(large).counts
    concerned = plan.concerns.find(policy.PLUGIN).rules

    assert (counts.rules, counts.rules_of_plan) == (policy.RULES, policy.RULES)
    assert counts.rules_touched == len(concerned) == policy.CONCERNED
    assert [rule.id for rule in concerned] == [
        rule.id for rule in plan.rules if rule.plugins is None or rule.plugins.match(policy.PLUGIN)
    ]
