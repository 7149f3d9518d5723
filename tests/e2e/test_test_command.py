"""`sidecar test` as a person and as a build server run it."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from xml.etree import ElementTree as ET

import pytest

from tests.commands import sidecar
from tests.processes import ROOT, clean_environment

POLICY = """
    apiVersion: sidecar/v1
    kind: Policy
    metadata: {name: small}
    mode: enforce
    defaults: {plan: free}
    plans:
      free: {plugins: ["basic_*"], tokens_per_month: 1000}
    rules:
      - {id: mini-only, when: '!request.model.contains("mini")', effect: warn, message: Costly.}
    """
TESTS = """
    apiVersion: sidecar/v1
    kind: PolicyTest
    now: "2026-05-05T21:30:00Z"
    tests:
      - name: over the month
        given: {used: {free-tokens-per-month: 900}}
        check: {app_id: acme, user_id: bob, model: mini, estimated_tokens: 200}
        expect: {effect: deny, reasons: [free-tokens-per-month]}
      - name: within the month
        check: {app_id: acme, user_id: bob, model: [large, mini]}
        expect: {effect: EFFECT}
    """


def run(cwd: Path, *arguments: str) -> tuple[int, str, str]:
    return sidecar(cwd, "test", *arguments)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A directory with a policy and a test that fails in one of two cases."""
    (tmp_path / "small.yaml").write_text(dedent(POLICY).lstrip())
    (tmp_path / "small_test.yaml").write_text(dedent(TESTS).lstrip().replace("EFFECT", "allow"))
    return tmp_path


def test_the_platforms_policies_are_seen_at_work_in_every_way() -> None:
    code, told, _ = run(ROOT, "policies/platform", "--coverage")

    assert code == 0
    assert "100 % of conditions seen both true and false" in told
    shares = [line for line in told.splitlines() if " % of " in line]
    assert len(shares) == 4
    assert all(line.strip().startswith("100 %") for line in shares)


def test_a_failed_case_is_told_with_what_was_expected_and_where_the_rule_stands(
    small: Path,
) -> None:
    code, told, error = run(small, ".")

    assert (code, error) == (4, "")
    lines = [line.rstrip() for line in told.splitlines()]
    assert lines[:5] == [
        "small_test.yaml",
        "  ✓ over the month",
        "  ✗ within the month › large",
        "      effect: expected allow, got warn",
        "      small_test.yaml:9: the answer is warn under plan free",
    ]
    (rule,) = (line for line in lines if " ! mini-only " in line)
    assert "its when is true" in rule
    assert rule.endswith("small.yaml:9")
    assert lines[-2:] == ["  ✓ within the month › mini", "2 passed, 1 failed"]


def test_a_case_that_cannot_be_judged_is_told_with_the_line_to_write(small: Path) -> None:
    file = small / "small_test.yaml"
    file.write_text(file.read_text().replace(", model: [large, mini]", ""))
    code, told, _ = run(small, "small_test.yaml", "--filter", "within*")

    assert code == 4
    assert told.splitlines()[-1] == "0 passed, 1 error"
    assert "'within the month' does not state request.model" in told
    assert "small.yaml:9:29: it is read here, by the rule 'mini-only'" in told


def test_all_is_well(small: Path) -> None:
    code, told, _ = run(small, "small_test.yaml", "--filter", "*mini", "--filter", "over*")

    assert code == 0
    assert told.splitlines()[-1] == "2 passed"


def test_a_test_of_several_cases_is_chosen_by_its_name_in_the_file(small: Path) -> None:
    code, told, _ = run(small, "small_test.yaml", "--filter", "within the month")

    assert (code, told.count("within the month › ")) == (4, 2)


def test_a_build_server_reads_xml(small: Path) -> None:
    code, told, _ = run(small, ".", "--format", "junit")

    root = ET.fromstring(told)
    assert code == 4
    assert (root.attrib["tests"], root.attrib["failures"]) == ("3", "1")
    assert [suite.attrib["name"] for suite in root] == ["small_test.yaml"]


def test_a_program_reads_json(small: Path) -> None:
    code, told, _ = run(small, ".", "--format", "json", "--coverage")

    report = json.loads(told)
    assert code == 4
    assert (report["good"], report["passed"], report["failed"]) == (False, 2, 1)
    assert [gap["unseen"] for gap in report["coverage"]["gaps"]] == [["allowed", "refused"]]


@pytest.mark.parametrize("form", ["text", "json", "junit"])
def test_what_does_not_load_exits_3(form: str, small: Path) -> None:
    (small / "small.yaml").write_text("kind: Policy\nplans: {free: {plugin: []}}\n")
    code, told, _ = run(small, ".", "--format", form)

    assert code == 3
    assert "unknown field 'plugin'" in told.replace("&apos;", "'")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "nowhere: there is no such file or directory"),
        (("small.yaml",), "small.yaml: this is no test file"),
        ((".", "--filter", "none*"), ".: no test matches --filter none*"),
    ],
)
def test_what_there_is_nothing_to_run_of_is_said(
    arguments: tuple[str, ...], words: str, small: Path
) -> None:
    code, told, error = run(small, *arguments)

    assert (code, told) == (3, "")
    assert error.startswith(words)


def test_a_directory_without_tests_is_no_success(small: Path) -> None:
    (small / "small_test.yaml").unlink()

    assert run(small, ".")[0] == 3


def test_a_terminal_is_told_in_colour(small: Path) -> None:
    outer, inner = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", "test", "."],
        cwd=small,
        env=clean_environment() | {"TERM": "xterm-256color"},
        stdout=inner,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    os.close(inner)
    told = os.read(outer, 65_536).decode()
    os.close(outer)

    assert done.returncode == 4
    assert "\x1b[32m  ✓ over the month" in told
