"""Tests that stand beside policies: read, run, compared, and what they cover."""

from sidecar.policy.testing.report import Outcome, Report, Result
from sidecar.policy.testing.running import run_contents, run_tests

__all__ = ["Outcome", "Report", "Result", "run_contents", "run_tests"]
