"""Does every example of policies/examples mean what its tests say, and is none of it untested?"""

import re
from pathlib import Path

import pytest

from sidecar.cli import cli
from sidecar.errors import ConfigurationError
from sidecar.policy.load import policy_files
from tests.documents import commands_of, run_command
from tests.processes import ROOT

ROOM = ROOT / "policies/examples"
EXAMPLES = sorted(folder for folder in ROOM.iterdir() if folder.is_dir())


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the checkout, with no settings but those of the commands."""
    monkeypatch.chdir(ROOT)
    for name in ("MOZAIKS_MODE", "SIDECAR_PRICES", "SIDECAR_POLICIES"):
        monkeypatch.delenv(name, raising=False)


def sidecar(*arguments: str) -> int:
    code = cli.main(arguments, standalone_mode=False)
    return code if isinstance(code, int) else 0


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_is_free_of_warnings_and_wholly_tested(
    example: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(example.relative_to(ROOT))
    prices = [f"--prices={file}" for file in example.glob("prices/*.yaml")]

    linted = sidecar("lint", "--strict", "--require-tests", *prices, folder)
    said = capsys.readouterr()
    assert (linted, said.err) == (0, ""), said.out

    tested = sidecar("test", "--coverage", folder)
    said = capsys.readouterr()
    assert tested == 0, said.out
    shares = re.findall(r"^ +(\d+) % of", said.out, re.MULTILINE)
    assert shares
    assert set(shares) == {"100"}, said.out


def test_the_index_lists_every_example_and_no_other() -> None:
    index = (ROOM / "README.md").read_text(encoding="utf-8")

    assert len(EXAMPLES) >= 8
    assert sorted(re.findall(r"^\| \[([a-z-]+)\]\(\1\) ", index, re.MULTILINE)) == [
        example.name for example in EXAMPLES
    ]


def test_the_commands_of_the_index_find_nothing_wrong() -> None:
    commands = commands_of((ROOM / "README.md").read_text(encoding="utf-8"))
    assert commands
    for command, _ in commands:
        done = run_command(command, ROOT)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("folder", ["policies", "policies/examples"])
def test_no_example_is_taken_for_a_policy_of_the_directories_around_it(folder: str) -> None:
    with pytest.raises(ConfigurationError, match="no policy in this directory"):
        policy_files(ROOT / folder)
