"""`sidecar validate`, `lint` and `explain-code` as a person, an editor and a pipeline run them."""

import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.policy.codes import CODES
from tests.commands import sidecar
from tests.processes import clean_environment

HEAD = "apiVersion: sidecar/v1\nkind: Policy\nmetadata: {name: small}\n"
PLANS = 'plans:\n  free: {plugins: ["*"]}\n'
UNUSED = f"{HEAD}constants: {{soft: 0.8}}\n{PLANS}"


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    (tmp_path / "p").mkdir()
    return tmp_path / "p/policy.yaml"


def test_what_is_fine_is_summed_up(policies: Path) -> None:
    policies.write_text(HEAD + PLANS)

    for command in (("validate", "p"), ("lint", "p", "--strict")):
        code, told, _ = sidecar(policies.parent.parent, *command)
        assert code == 0
        assert told.startswith("p: 1 file, 1 plan, sha256:")


def test_a_warning_is_shown_by_lint_and_fails_only_where_strictness_is_asked_for(
    policies: Path,
) -> None:
    policies.write_text(UNUSED)
    cwd = policies.parent.parent

    code, told, error = sidecar(cwd, "lint", "p")

    assert (code, error) == (0, "1 warning\n")
    assert told.startswith("p/policy.yaml:4:13: warning[C4] no expression of this file uses")
    assert sidecar(cwd, "lint", "p", "--strict")[0] == 5
    assert sidecar(cwd, "validate", "p")[0] == 0


def test_all_mistakes_are_shown_in_order_of_place(policies: Path) -> None:
    policies.write_text(f"{HEAD}modee: off\n{PLANS}rules:\n  - {{id: 1a, effect: alow}}\n")
    (policies.parent / "another.yaml").write_text(f"{HEAD}mode: on\n")
    (policies.parent / "policy_test.yaml").write_text("kind: PolicyTest\ntests: 5\n")

    code, told, error = sidecar(policies.parent.parent, "lint", "p")
    places = [line.split(" ")[0] for line in told.splitlines() if line.startswith("p/")]

    assert code == 3
    assert error == "7 mistakes\n"
    assert places == [
        "p/another.yaml:4:7:",
        "p/policy.yaml:4:1:",
        "p/policy.yaml:8:5:",
        "p/policy.yaml:8:10:",
        "p/policy.yaml:8:22:",
        "p/policy_test.yaml:1:1:",
        "p/policy_test.yaml:2:8:",
    ]


def test_a_mistake_in_a_test_hides_no_warning_of_the_policies(policies: Path) -> None:
    policies.write_text(UNUSED)
    (policies.parent / "policy_test.yaml").write_text("kind: PolicyTest\n")

    code, told, error = sidecar(policies.parent.parent, "lint", "p", "--require-tests")

    assert (code, error) == (3, "2 mistakes and 1 warning\n")
    assert told.startswith("p/policy.yaml:4:13: warning[C4]")


def test_a_program_is_told_in_its_own_form(policies: Path) -> None:
    policies.write_text(UNUSED)
    cwd = policies.parent.parent

    (found,) = json.loads(sidecar(cwd, "lint", "p", "--format", "json")[1])
    assert (found["code"], found["severity"], found["path"]) == ("C4", "warning", "constants.soft")
    (run,) = json.loads(sidecar(cwd, "lint", "p", "--format", "sarif")[1])["runs"]
    assert [it["ruleId"] for it in run["results"]] == ["C4"]
    code, annotation, _ = sidecar(cwd, "lint", "p", "--format", "github", "--strict")
    assert code == 5
    assert annotation.startswith("::warning file=p/policy.yaml,line=4,col=13,endColumn=17,title=C4")


def test_nothing_wrong_is_an_empty_list_for_a_program(policies: Path) -> None:
    policies.write_text(HEAD + PLANS)

    assert sidecar(policies.parent.parent, "validate", "p", "--format", "json")[1] == "[]\n"


def test_what_is_mechanical_is_repaired_in_the_file(policies: Path) -> None:
    """Repairs uncover others: below the tab stands a field that could not be seen before."""
    policies.write_text(
        "\ufeff# Ours.\nkind: Policy\nmetadata: {name: small}   # kept\nplans:\n"
        '\tfree: {plugns: ["*"]}\nrules:\n  - id: r\n    effect: warn\n    message: |\n      Hi.\n'
        "    when: request.plugin = 'a'\n",
        newline="",
    )
    policies.chmod(0o640)

    code, told, error = sidecar(policies.parent.parent, "lint", "p", "--fix", "--strict")

    assert policies.read_text() == (
        "# Ours.\napiVersion: sidecar/v1\nkind: Policy\nmetadata: {name: small}   # kept\nplans:\n"
        '  free: {plugins: ["*"]}\nrules:\n  - id: r\n    effect: warn\n    message: >-\n'
        "      Hi.\n    when: request.plugin == 'a'\n"
    )
    assert code == 0
    assert told.startswith("p: 1 file, 1 plan")
    assert "p/policy.yaml:5:1: fixed[A1] this is not YAML: a tab begins the line" in error
    assert "fixed[B1] unknown field 'plugns': 'plugns' became 'plugins'\n" in error
    assert "lacks the field 'apiVersion': wrote 'apiVersion: sidecar/v1\\n'\n" in error
    assert stat.S_IMODE(policies.stat().st_mode) == 0o640
    assert [file.name for file in policies.parent.iterdir()] == ["policy.yaml"]


def test_without_fix_no_file_is_touched(policies: Path) -> None:
    policies.write_text(f"{HEAD}modee: off\n{PLANS}")
    before = policies.stat()

    sidecar(policies.parent.parent, "lint", "p")

    assert (policies.stat().st_mtime_ns, policies.stat().st_ino) == (
        before.st_mtime_ns,
        before.st_ino,
    )


def test_a_repair_that_would_break_the_file_is_not_made(policies: Path) -> None:
    text = f"{HEAD}mode: off\nmodee: off\n{PLANS}"
    policies.write_text(text)

    code, _, error = sidecar(policies.parent.parent, "lint", "p", "--fix")

    assert (code, error) == (3, "1 mistake\n")
    assert policies.read_text() == text


def test_a_link_stays_a_link_to_the_repaired_file(policies: Path) -> None:
    target = policies.parent.parent / "kept.yaml"
    target.write_text(f"{HEAD}modee: off\n{PLANS}")
    policies.symlink_to(target)

    assert sidecar(policies.parent.parent, "lint", "p", "--fix")[0] == 0
    assert policies.is_symlink()
    assert "\nmode: off\n" in target.read_text()


def test_what_no_test_is_about_is_told_where_tests_are_required(policies: Path) -> None:
    rule = "rules:\n  - {id: r, when: request.plugin == 'a', effect: warn, message: Hi.}\n"
    policies.write_text(HEAD + PLANS + rule)
    cwd = policies.parent.parent

    code, told, _ = sidecar(cwd, "lint", "p", "--strict", "--require-tests")

    assert code == 5
    assert "warning[L1] no test is about the condition of rule r" in told
    assert sidecar(cwd, "lint", "p", "--strict")[0] == 0


def test_a_terminal_is_told_in_colour(policies: Path) -> None:
    policies.write_text(UNUSED)
    outer, inner = pty.openpty()
    environment = clean_environment() | {"TERM": "xterm-256color"}
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", "lint", "p"],
        cwd=policies.parent.parent,
        env=environment,
        stdout=inner,
        stderr=subprocess.PIPE,
        timeout=60,
    )
    os.close(inner)
    told = os.read(outer, 65_536).decode()
    os.close(outer)

    assert done.returncode == 0
    assert "\x1b[1;33mwarning[C4] \x1b[0m" in told


def test_a_code_is_explained_by_its_page_and_all_of_them_by_a_list(tmp_path: Path) -> None:
    code, page, _ = sidecar(tmp_path, "explain-code", "a1")
    assert code == 0
    assert page.startswith("# A1: the file is no text")
    assert all(heading in page for heading in ("## Avoid", "## Prefer", "## Why"))

    _, listed, _ = sidecar(tmp_path, "explain-code")
    assert [line.split()[0] for line in listed.splitlines()] == sorted(
        CODES, key=lambda it: (it[0], int(it[1:]))
    )

    code, _, error = sidecar(tmp_path, "explain-code", "A11")
    assert code == 64
    assert "no code 'A11'; did you mean 'A1'?" in error
