"""Which tests are run, in which time, and where nothing can be run."""

from itertools import count
from pathlib import Path

import pytest

from sidecar.domain.modes import Ceiling
from sidecar.errors import ConfigurationError
from sidecar.policy.testing import run_tests
from tests.unit.testing.world import POLICY, report_of
from tests.unit.world import write

TWO = """
    tests:
      - name: first
        check: {app_id: a, user_id: u}
        expect: {effect: allow}
      - name: second
        check: {app_id: a, user_id: u}
        expect: {effect: deny}
"""


def test_of_two_tests_one_may_fail(tmp_path: Path) -> None:
    report = report_of(tmp_path, POLICY, TWO)

    assert [it.name for it in report.passed] == ["first"]
    assert [it.name for it in report.failures] == ["second"]
    assert not report.is_good


def test_only_what_is_wanted_is_run(tmp_path: Path) -> None:
    report_of(tmp_path, POLICY, TWO)
    report = run_tests(tmp_path, wanted=lambda file, name: name == "first")

    assert [it.name for it in report.results] == ["first"]
    assert report.is_good


def test_what_there_was_no_time_for_is_counted(tmp_path: Path) -> None:
    report_of(tmp_path, POLICY, TWO)
    instants = count()
    report = run_tests(tmp_path, time_cap_s=1.5, seconds=lambda: next(instants))

    assert [it.name for it in report.results] == ["first"]
    assert report.unfinished == 1
    assert not report.is_good


def test_one_file_may_be_named(tmp_path: Path) -> None:
    report_of(tmp_path, POLICY, TWO)
    (tmp_path / "wrong_test.yaml").write_text("tests: 5\n")

    assert len(run_tests(tmp_path / "policy_test.yaml").results) == 2
    assert run_tests(tmp_path).findings


def test_the_operators_ceiling_may_be_told(tmp_path: Path) -> None:
    tests = """
    tests:
      - name: over the month
        given: {used: {free-tokens-per-month: 10000}}
        check: {app_id: a, user_id: u}
        expect: {effect: deny}
    """
    assert report_of(tmp_path, POLICY, tests).is_good
    assert not run_tests(tmp_path, ceiling=Ceiling.CAPPED).is_good


def test_a_directory_without_tests_is_good_as_far_as_anybody_knows(tmp_path: Path) -> None:
    report = run_tests(write(tmp_path, POLICY))

    assert report.files == []
    assert report.is_good
    assert report.coverage.gaps


@pytest.mark.parametrize(
    ("name", "words"),
    [("nowhere", "no such file or directory"), ("policy.yaml", "no test file")],
)
def test_what_is_no_test_is_said_to_be_none(name: str, words: str, tmp_path: Path) -> None:
    write(tmp_path, POLICY)

    with pytest.raises(ConfigurationError, match=words):
        run_tests(tmp_path / name)


def test_a_test_that_is_no_text_is_told(tmp_path: Path) -> None:
    write(tmp_path, POLICY)
    (tmp_path / "policy_test.yaml").write_bytes(b"tests: \xff")

    (found,) = run_tests(tmp_path).findings
    assert found.code == "A1"
