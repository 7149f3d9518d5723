"""The sample of everything that a policy file may say, and the test that stands beside it."""

from pathlib import Path

from sidecar.domain.decision import Effect
from sidecar.policy.testing import run_tests
from tests.unit.testing.world import one


def test_the_sample_passes_and_is_told_what_it_leaves_out() -> None:
    report = run_tests(Path(__file__).parent / "sample")

    result = one(report)
    assert report.is_good
    assert result.decision is not None
    assert result.decision.effect is Effect.DENY
    assert [str(found.severity) for found in result.findings] == ["warning"]
