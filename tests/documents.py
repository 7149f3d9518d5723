"""What in a document can be run: its fenced blocks, and the commands in them."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.processes import clean_environment

_FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the words behind its fence, and its text.

    Attributes:
        line: in the document, of the fence.
        name: of the file that it is, where one is said.
    """

    line: int
    language: str
    name: str
    text: str


def blocks_of(document: str) -> Sequence[Block]:
    """Every fenced block, in order."""
    return [
        Block(document.count("\n", 0, found.start()) + 1, found[1], found[2] or "", found[3])
        for found in _FENCE.finditer(document)
    ]


def texts_of(document: str, language: str) -> Sequence[str]:
    """The text of each block in one language."""
    return [block.text for block in blocks_of(document) if block.language == language]


def commands_of(document: str) -> Sequence[tuple[str, str]]:
    """Each command of a console block with the output that the document shows for it."""
    found = []
    for text in texts_of(document, "console"):
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            found.append((command, shown.strip()))
    return found


def run_command(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command as a person types it, with the project's own programs at hand."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=clean_environment() | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
