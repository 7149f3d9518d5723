"""`sidecar completion`: what is typed is completed, in a real shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import sidecar as run
from tests.processes import ROOT, clean_environment

ASKED = """
eval "$(sidecar completion bash)"
COMP_WORDS=({words} "{last}")
COMP_CWORD={at}
_sidecar_completion sidecar
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def completed(folder: Path, *words: str) -> list[str]:
    """What bash offers for the last of these words."""
    program = folder / "bin/sidecar"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m sidecar "$@"\n')
    program.chmod(0o755)
    *before, last = words
    script = ASKED.format(words=" ".join(before), last=last, at=len(words) - 1)
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=folder,
        env=clean_environment() | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_commands_and_options_are_completed(tmp_path: Path) -> None:
    assert completed(tmp_path, "sidecar", "expl") == ["explain", "explain-code"]
    assert completed(tmp_path, "sidecar", "outbox", "") == ["drop", "list", "retry"]
    assert completed(tmp_path, "sidecar", "usage", "--gran") == ["--granularity"]
    assert completed(tmp_path, "sidecar", "usage", "--granularity", "") == ["hour", "day"]
    assert completed(tmp_path, "sidecar", "--ver") == ["--version"]


def test_plans_codes_and_groups_are_completed(tmp_path: Path) -> None:
    policies = str(ROOT / "policies/platform")
    check = ("sidecar", "check", "--policies")

    assert completed(tmp_path, *check, policies, "--plan", "f") == ["free"]
    assert completed(tmp_path, *check, "/nowhere", "--plan", "") == []
    assert completed(tmp_path, "sidecar", "explain-code", "b1") >= ["B1"]
    assert completed(tmp_path, "sidecar", "usage", "--by", "model,w") == ["model,workflow"]


@pytest.mark.parametrize(
    ("shell", "line"),
    [("bash", "complete -o nosort"), ("zsh", "#compdef sidecar"), ("fish", "complete --no-files")],
)
def test_each_shell_gets_a_script(shell: str, line: str, tmp_path: Path) -> None:
    code, told, _ = run(tmp_path, "completion", shell)

    assert code == 0
    assert line in told
    assert "_SIDECAR_COMPLETE" in told


def test_a_shell_that_nobody_knows_is_wrong_use(tmp_path: Path) -> None:
    assert run(tmp_path, "completion", "tcsh")[0] == 64
