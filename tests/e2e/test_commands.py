"""Does a command import what it needs, and nothing that only a server or a store needs?"""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from sidecar.cli import cli
from sidecar.cli.commands import LISTED
from tests.commands import sidecar
from tests.processes import ROOT, clean_environment

SERVERS = ("starlette", "uvicorn", "redis", "hiredis", "sqlite3", "sidecar.bootstrap.server")
POLICIES = "policies/starter"
# A command that is a server (serve), or decides as one does (check, explain), needs its parts, and
# one that looks into the store (outbox) needs that.
ALONE = [
    ["completion", "fish"],
    ["decisions", "list", "{directory}"],
    ["explain-code", "B1"],
    ["import", "{directory}/subscription_config.json"],
    ["init", "{directory}/policies"],
    ["lint", POLICIES],
    ["openapi"],
    ["repl", "--policies", POLICIES],
    ["schema"],
    ["simulate", "--policies", POLICIES, "--events", "tests/simulation/example.ndjson"],
    ["test", POLICIES],
    ["validate", POLICIES],
]
WATCHED = """
import sys
from sidecar.cli import main
try:
    main()
finally:
    # One of another name would end the command with it.
    print(*sorted(sys.modules), file=sys.stderr)
"""


def imported_by(*arguments: str) -> set[str]:
    """The modules that were there when a command ended well."""
    done = subprocess.run(
        [sys.executable, "-c", WATCHED, *arguments],
        cwd=ROOT,
        env=clean_environment(),
        input="",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("arguments", ALONE, ids=lambda them: them[0])
def test_a_command_that_needs_no_server_imports_none(arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / "subscription_config.json").write_text('{"plans": {"free": {"plugins": []}}}')

    there = imported_by(*(each.format(directory=tmp_path) for each in arguments))

    assert "sidecar.cli" in there
    assert there.intersection(SERVERS) == set()


@pytest.mark.parametrize("asked", ["--version", "--help"])
def test_what_is_said_of_all_commands_imports_none_of_them(asked: str) -> None:
    own = {name for name in imported_by(asked) if name.startswith("sidecar")}

    assert own == {"sidecar", "sidecar.cli", "sidecar.cli.commands", "sidecar.errors"}


def test_every_command_is_looked_at_or_needs_a_server() -> None:
    needing = {"check", "explain", "outbox", "serve", "status", "top", "usage"}
    assert {name for name, *_ in ALONE} | needing == set(LISTED)


def test_every_module_with_a_command_is_listed() -> None:
    defining = {
        module.stem
        for module in (ROOT / "sidecar/cli").glob("*.py")
        if "@click.command(" in module.read_text() or "@click.group()" in module.read_text()
    }

    assert defining == {name.replace("-", "_").replace("import", "import_") for name in LISTED}


@pytest.mark.parametrize("name", LISTED)
def test_a_command_is_listed_with_the_first_sentence_of_its_help(name: str) -> None:
    with click.Context(cli) as context:
        command = cli.get_command(context, name)

    assert command is not None
    assert command.name == name
    assert command.help is not None
    first, *_ = command.help.split("\n\n")
    assert " ".join(first.split()) == LISTED[name]


def test_an_unknown_command_is_wrong_use(tmp_path: Path) -> None:
    code, _, told = sidecar(tmp_path, "lnt")

    assert (code, "No such command 'lnt'" in told) == (64, True)


def test_a_screen_of_few_letters_gets_the_others_by_their_numbers(tmp_path: Path) -> None:
    asked = ("explain", "--app", "demo", "--user", "ann", "--tokens", "99999")
    policies = ("--policies", str(ROOT / "policies/platform"))
    code, told, error = sidecar(tmp_path, *asked, *policies, env={"PYTHONIOENCODING": "ascii"})

    assert (code, error) == (0, "")
    assert told.startswith("DENY  402")
    assert "\\u2717 free-tokens-per-month" in told
