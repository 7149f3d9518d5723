"""Is every example of policies/README.md right, and every counter-example wrong as it says?"""

import re
from pathlib import Path

import pytest

from sidecar.policy.testing import Outcome, run_tests
from tests.documents import commands_of, run_command
from tests.e2e.guide import GUIDE, Example, examples, said_of
from tests.processes import ROOT

TEXT = GUIDE.read_text(encoding="utf-8")
EXAMPLES = examples()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"line {example.line}")
def test_of_each_example_is_said_what_the_guide_says(example: Example, tmp_path: Path) -> None:
    assert said_of(example, tmp_path) == example.answer


@pytest.mark.parametrize(
    "example",
    [example for example in EXAMPLES if "policy_test.yaml" in example.files],
    ids=lambda example: f"line {example.line}",
)
def test_the_tests_in_the_guide_pass(example: Example, tmp_path: Path) -> None:
    said_of(example, tmp_path)
    report = run_tests(tmp_path)
    assert report.results
    assert {result.outcome for result in report.results} == {Outcome.PASSED}


def test_there_are_examples_and_counter_examples() -> None:
    assert len([example for example in EXAMPLES if example.answer is None]) >= 12
    assert len([example for example in EXAMPLES if example.answer is not None]) >= 12


def test_every_command_of_the_guide_prints_what_the_guide_shows(tmp_path: Path) -> None:
    for name in ("policies", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    commands = commands_of(TEXT)
    assert len(commands) >= 10

    for command, shown in commands:
        done = run_command(command, tmp_path)
        said = done.stdout + done.stderr
        assert "Traceback" not in said
        at = 0
        for line in filter(lambda it: it != "…", map(str.strip, shown.splitlines())):
            at = said.find(line, at)
            assert at >= 0, (command, line, said)


def test_every_link_of_the_guide_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    anchors = re.findall(r"\]\(#([^)]+)\)", TEXT)
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    assert links
    assert [link for link in links if not (GUIDE.parent / link).exists()] == []
    assert set(anchors) <= {heading.lower().replace(" ", "-") for heading in headings}
