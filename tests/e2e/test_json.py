"""Does each command print JSON where it is asked to, and plain text into a pipe?"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click
import pytest

from sidecar.cli import cli
from sidecar.cli.commands import LISTED
from tests.commands import sidecar as run
from tests.processes import ROOT, Sidecar

POLICIES: Final = str(ROOT / "policies/starter")
WITHOUT: Final = {"serve", "repl", "completion"}
"""They print what is no answer: a log, a conversation, a script."""
ASKED: Final = ("--app", "demo", "--user", "ann", "--policies", POLICIES)
ALONE: Final[Mapping[str, tuple[str, ...]]] = {
    "check": ASKED,
    "decisions list": ("log",),
    "decisions show": ("log", "dec_1"),
    "decisions verify": ("log",),
    "explain": ASKED,
    "explain-code": ("B1",),
    "import": ("old.json",),
    "init": ("fresh",),
    "lint": (POLICIES,),
    "openapi": (),
    "outbox drop": ("--all", "--store", "sqlite:///./store.db"),
    "outbox list": ("--store", "sqlite:///./store.db"),
    "outbox retry": ("--all", "--store", "sqlite:///./store.db"),
    "schema": (),
    "simulate": (
        "--policies", POLICIES, "--events", str(ROOT / "tests/simulation/example.ndjson"),
    ),
    "test": (POLICIES,),
    "validate": (POLICIES,),
}  # fmt: skip
OF_A_SERVER: Final[Mapping[str, tuple[str, ...]]] = {
    "status": (),
    "top": ("--interval", "0.1", "--app", "demo"),
    "usage": ("--app", "demo", "--user", "ann"),
}
DECISION: Final = {
    "decision_id": "dec_1", "at": "2026-05-05T21:30:00Z", "effect": "deny",
    "request": {"app_id": "demo", "user_id": "ann \N{SNOWMAN}"}, "reasons": [{"id": "why"}],
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    folder = tmp_path_factory.mktemp("server")
    with Sidecar(store="sqlite:///./store.db", cwd=folder) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path, server: Sidecar) -> Path:
    """Where every command finds what it reads."""
    (tmp_path / "log").mkdir()
    line = json.dumps(DECISION, ensure_ascii=False, separators=(",", ":"))
    (tmp_path / "log/decisions-20260505T213000-00000001.ndjson").write_text(f"{line}\n")
    (tmp_path / "old.json").write_text('{"plans": {"free": {"plugins": [], "price": 1}}}')
    (tmp_path / "store.db").symlink_to(Path(server._cwd) / "store.db")
    return tmp_path


def leaves(group: click.Group, above: tuple[str, ...] = ()) -> Iterator[str]:
    """Every command that is no group, as it is typed."""
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            if isinstance(command, click.Group):
                yield from leaves(command, (*above, name))
            else:
                yield " ".join((*above, name))


def test_every_command_is_looked_at_here() -> None:
    assert ALONE.keys() | OF_A_SERVER.keys() | WITHOUT == set(leaves(cli))
    assert {*LISTED} >= WITHOUT


def typed(name: str, server: Sidecar) -> tuple[str, ...]:
    words = (*name.split(), *(ALONE.get(name) or OF_A_SERVER.get(name) or ()))
    return (*words, "--url", server.url) if name in OF_A_SERVER else words


@pytest.mark.parametrize("name", [*ALONE, *OF_A_SERVER])
def test_with_json_a_command_prints_one_document_and_nothing_else(
    name: str, server: Sidecar, folder: Path
) -> None:
    code, told, errors = run(folder, *typed(name, server), "--json")

    assert (code, errors) == (0, "")
    document = json.loads(told)
    assert isinstance(document, dict | list)
    # Two spaces, and letters as they are: laid out alike whichever command it is from.
    assert told == json.dumps(document, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", [*ALONE, *OF_A_SERVER])
def test_into_a_pipe_a_command_prints_plain_text(name: str, server: Sidecar, folder: Path) -> None:
    code, told, _ = run(folder, *typed(name, server))

    assert code == 0
    assert told
    assert "\x1b" not in told
    # Lines, corners, blocks, and the spaces that fill up a column.
    assert not any("\u2500" <= letter <= "\u259f" for letter in told)
    assert all(line == line.rstrip() for line in told.splitlines())


@pytest.mark.parametrize("name", ["validate", "lint", "test", "simulate"])
def test_json_is_the_format_of_that_name(name: str, server: Sidecar, folder: Path) -> None:
    words = typed(name, server)

    assert run(folder, *words, "--json") == run(folder, *words, "--format", "json")
    code, _, told = run(folder, *words, "--json", "--format", "text")
    assert (code, "leave out --format text" in told) == (64, True)
