"""Is every slip of a finger in a shipped policy either harmless or told with its place?"""

import random
import shutil
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.policy.lint.fixes import repaired
from sidecar.policy.lint.inspecting import inspected, warned
from sidecar.policy.load import SHIPPED_SETS
from tests.broken.museum import EXAMPLE_PRICES, STARTING_POINTS
from tests.broken.pages import TODAY

_CHARACTERS = string.printable + "é🦉\u202e\u200b\ufeff\x85\u2028\x00\x7f"
_OF_A_POLICY = 200
_OF_OTHER_FILES = 40


def _written_files() -> Iterator[tuple[Path, int]]:
    for directory in STARTING_POINTS:
        for file in sorted(directory.glob("*.yaml")):
            is_shipped = directory.name in SHIPPED_SETS and not file.stem.endswith("_test")
            yield file, _OF_A_POLICY if is_shipped else _OF_OTHER_FILES


def _slip(text: str, chance: random.Random) -> str:
    """The text with one character replaced, inserted or deleted."""
    at = chance.randrange(len(text))
    new = chance.choice(_CHARACTERS)
    return chance.choice(
        (text[:at] + new + text[at + 1 :], text[:at] + new + text[at:], text[:at] + text[at + 1 :])
    )


@pytest.mark.parametrize(
    ("file", "slips"),
    list(_written_files()),
    ids=lambda it: f"{it.parent.name}/{it.name}" if isinstance(it, Path) else "",
)
def test_a_slip_of_one_character_loads_or_is_told_with_its_place(
    file: Path, slips: int, tmp_path: Path
) -> None:
    directory = tmp_path / file.parent.name
    shutil.copytree(file.parent, directory)
    text = file.read_text(encoding="utf-8")
    chance = random.Random(f"{file.parent.name}/{file.name}")
    told = 0
    for _ in range(slips):
        slipped = _slip(text, chance)
        (directory / file.name).write_text(slipped, encoding="utf-8", newline="")
        findings = warned(inspected(directory, EXAMPLE_PRICES), TODAY, require_tests=False)
        repaired(str(directory / file.name), slipped, findings)
        for found in findings:
            told += 1
            lines = len((directory / Path(found.file).name).read_text("utf-8").splitlines())
            assert 1 <= found.line <= max(1, lines), f"{found}\n{slipped}"
            assert found.column >= 1
            assert str(found)
    assert told > slips / 10
