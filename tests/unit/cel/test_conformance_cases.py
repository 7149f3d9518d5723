"""The language definition's own cases: how many pass, and that the list of failures is true."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sidecar.cel.conformance import Outcome, main, run_file
from tests.unit.cel.cases import CASES

KNOWN: dict[str, str] = json.loads(
    (Path(__file__).parent / "known_failures.json").read_text(encoding="utf-8")
)


def outcomes(name: str) -> list[Outcome]:
    """All cases of one file, run."""
    return list(run_file(CASES / name))


def share(of: list[Outcome]) -> float:
    """The part of them that pass."""
    return sum(not each.failure for each in of) / len(of)


def test_at_least_99_percent_of_the_core_cases_pass() -> None:
    core = outcomes("cel-core.json")
    assert len(core) == 762
    assert share(core) >= 0.99


@pytest.mark.parametrize(
    "extension", ["string_ext", "math_ext", "optionals", "bindings_ext", "encoders_ext"]
)
def test_at_least_97_percent_of_an_extension_pass(extension: str) -> None:
    of = [each for each in outcomes("cel-extensions.json") if each.case["file"] == extension]
    assert of
    assert share(of) >= 0.97


def test_the_failures_are_exactly_those_on_the_list() -> None:
    failed = {
        each.name
        for name in ("cel-core.json", "cel-extensions.json")
        for each in outcomes(name)
        if each.failure
    }
    assert failed == KNOWN.keys()
    assert all(KNOWN.values()), "a known failure needs its reason"


def test_the_command_prints_the_count_and_each_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(CASES / "cel-core.json")]) == 1
    printed = capsys.readouterr().out
    assert printed.endswith("passed 760 of 762\n")
    assert printed.count("FAIL ") == 2
