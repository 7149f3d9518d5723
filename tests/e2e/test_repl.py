"""`sidecar repl`, typed at and piped into."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.commands import sidecar
from tests.processes import clean_environment
from tests.unit.world import write

POLICY = """
    mode: enforce
    defaults: {plan: free}
    constants: {soft: 0.5}
    variables:
      - {name: big, expr: request.estimated_tokens > 400}
    plans:
      free:
        plugins: ["*"]
        limits: [{id: daily, meter: tokens, max: 1000, window: day}]
      pro: {extends: free}
    rules:
      - {id: large, match: {plugins: [x]}, when: vars.big, effect: warn, message: m}
"""
DAILY = '{"used": 0, "reserved": 0, "remaining": 1000, "max": 1000, "ratio": 0.0}'
OTHER = """
    constants: {hard: 7}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two files of policy in `p`."""
    (tmp_path / "p").mkdir()
    write(tmp_path / "p", POLICY, "a.yaml")
    write(tmp_path / "p", OTHER, "b.yaml")
    return tmp_path


def repl(folder: Path, *lines: str, sample: Mapping[str, Any] | None = None) -> list[str]:
    """What is answered to these lines."""
    arguments = ["--policies", "p"]
    if sample is not None:
        (folder / "sample.json").write_text(json.dumps(sample))
        arguments += ["--context", "sample.json"]
    code, told, error = sidecar(folder, "repl", *arguments, typed="\n".join(lines))
    assert (code, error) == (0, "")
    return told.splitlines()


def test_an_expression_has_a_value_a_type_a_cost_and_parts(folder: Path) -> None:
    told = repl(folder, 'vars.big || limits["daily"].ratio > constants.soft')

    assert told[0].startswith("false   bool, cost ")
    assert told[1:] == [
        "  vars.big = false",
        f'  limits["daily"] = {DAILY}',
        '  limits["daily"].ratio = 0.0',
        "  constants.soft = 0.5",
        '  limits["daily"].ratio > constants.soft = false',
    ]


def test_what_fails_says_where(folder: Path) -> None:
    told = repl(folder, "[1][3] == 1 / request.estimated_tokens", "1 / request.estimated_tokens")

    assert told[0].startswith("fails: ")
    assert told[-2:] == ["fails: division by zero   int, cost 3", "  request.estimated_tokens = 0"]


def test_a_mistake_has_a_caret_and_a_suggestion(folder: Path) -> None:
    told = repl(folder, 'request.modle == "x"', 'limits["dayly"].used > 1', "1 +", "\x07")

    assert told[:3] == [
        "error: request has no member 'modle' (did you mean 'model'?)",
        '   | request.modle == "x"',
        "   |         ^^^^^",
    ]
    assert told[3] == "error: no limit 'dayly' (did you mean 'daily'?)"
    assert [line for line in told if line.startswith("error:")] == told[0::3][:4]


def test_what_is_set_is_seen_by_what_follows(folder: Path) -> None:
    told = repl(
        folder,
        ":set request.estimated_tokens = 200 + 300",
        ":set request.attributes.region = 'eu'",
        ':set limits["daily"].used = 900',
        ':set now = timestamp("2026-05-05T21:30:00Z")',
        ':set subscription.status = "past_due"',
        "vars.big",
        'has(request.attributes.region) && request.attributes.region == "eu"',
        "limits.daily.used",
        "now",
        "subscription.plan + subscription.status",
        ":set request.estimate.input_tokens = 7",
        "request.estimate.total_tokens + request.estimated_tokens",
    )

    values = [line.split("   ")[0] for line in told if not line.startswith(" ")]
    assert values == [
        "true", "true", "900", 'timestamp("2026-05-05T21:30:00Z")', '"freepast_due"', "14",
    ]  # fmt: skip


def test_what_cannot_be_done_is_said_and_changes_nothing(folder: Path) -> None:
    impossible = {
        ":set request.modle = 1": "modle: unknown field; did you mean 'model'?",
        ":set request.model = 1": "model: Input should be a valid string",
        ":set request.model.x = 1": "model: Input should be a valid string",
        ":set request.app_id.x = 1": "app_id has no members",
        ':set limits["dayly"].used = 1': "no limit 'dayly' (did you mean 'daily'?)",
        ':set plan.id = "pro"': "plan.id follows from the policies; set a member of",
        ":set request[0] = 1": "request[0] follows from the policies",
        ":set request.model": "write :set PATH = EXPRESSION",
        ':set request.attributes.a = duration("1s")': "a request holds text, numbers",
        ":set request.model = 1 / 0 == 1 ? '' : ''": "the expression fails: division by zero",
        ":let 1a = 1": "'1a' is no name",
        ":lod x": "no command :lod (did you mean ':load'?)",
        ":qiut": "no command :qiut (did you mean ':quit'?)",
        "exit": "type :quit to leave",
        "quit()": "type :quit to leave",
        ":exec larg": "no rule or limit 'larg' (did you mean 'large'?)",
        ":in aa.yaml": "no file 'aa.yaml' (did you mean 'a.yaml'?)",
        ":load nowhere": "nowhere: there is no such policy directory",
    }

    told = repl(folder, *impossible, "request.model")

    errors = [line for line in told if line.startswith("error: ")]
    for error, expected in zip(errors, impossible.values(), strict=True):
        assert error.startswith(f"error: {expected}")
    assert told[-1].startswith('""   string')


def test_a_name_is_declared_as_a_variable_of_the_file(folder: Path) -> None:
    told = repl(folder, ":let share = limits.daily.ratio", "vars.share > 0.1", ":context")

    assert told[0].startswith("vars.share: double, cost ")
    assert told[1].startswith("false   bool")
    assert told[2] == "  vars.share = 0.0"
    assert told[-2:] == ["vars.big = false", "vars.share = 0.0"]


def test_a_rule_and_a_limit_are_tried_on_the_sample(folder: Path) -> None:
    told = repl(
        folder,
        ":set request.estimated_tokens = 500",
        ":exec large",
        ':set request.plugin = "x"',
        ":exec large",
        ":exec daily",
        ":explain",
    )

    assert told[0].startswith(" · large  for x, and no plugin is asked for ")
    assert told[0].endswith("p/a.yaml:16")
    assert [" ".join(line.split()[:5]) for line in told[1:3]] == [
        "vars.big request.estimated_tokens > 400 =",
        "request.estimated_tokens = 500 p/a.yaml:9:23",
    ]
    assert any(line.startswith(" ! large  its when is true: m") for line in told)
    assert any(line.startswith(" ✓ daily  0 used + 500 asked ≤ 1,000; day") for line in told)
    assert "WARN  plan free" in told


def test_each_file_has_constants_of_its_own(folder: Path) -> None:
    told = repl(folder, "constants.hard", ":in b.yaml", "constants.hard", ":context")

    assert told[0].startswith("error: constants has no member 'hard'")
    assert "7   int, cost 2" in told
    assert "file = p/b.yaml" in told


def test_a_sample_is_the_body_of_explain(folder: Path) -> None:
    sample = {
        "app_id": "a",
        "user_id": "u",
        "model": "gpt-4",
        "given": {"subscription": {"plan": "pro"}, "used": {"daily": 250}},
    }

    told = repl(folder, "[plan.id, request.model]", "limits.daily.ratio", sample=sample)

    assert told[0].startswith('["pro", "gpt-4"]   list(string), cost ')
    assert any(line.startswith("0.25   double") for line in told)


def test_policies_and_samples_are_loaded_later_too(folder: Path) -> None:
    (folder / "q").mkdir()
    write(folder / "q", 'plans: {only: {plugins: ["*"]}}\ndefaults: {plan: only}\n')
    (folder / "s.json").write_text('{"app_id": "a", "user_id": "zoe"}')

    told = repl(folder, ":load s.json", ":load q", "plan.id + request.user_id", ":quit", "1")

    assert told[0].startswith('"onlyzoe"   string')
    assert told[-1] == '  request.user_id = "zoe"'


def test_a_sample_that_is_none_is_refused_at_the_start(folder: Path) -> None:
    (folder / "s.json").write_text('{"app_id": "a", "usr_id": "zoe"}')

    code, _, error = sidecar(folder, "repl", "--policies", "p", "--context", "s.json")

    assert code == 3
    assert "usr_id: unknown field; did you mean 'user_id'?" in error


def test_a_person_has_a_prompt(folder: Path) -> None:
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "sidecar", "repl", "--policies", "p"],
        cwd=folder,
        env=clean_environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    told = b""
    while not told.endswith(b"> "):
        told += os.read(mine, 1024)
    os.write(mine, b"1 + 1\n")
    while told.count(b"> ") < 2:
        told += os.read(mine, 1024)
    os.write(mine, b"\x04")
    code = process.wait(20)
    os.close(mine)

    assert code == 0
    assert b"An expression, or :help" in told
    assert b"2   int, cost " in told
