"""Is every mistake in a policy answered with its place, its cause and what to write instead?"""

import re
from pathlib import Path

import pytest

import sidecar.policy
from sidecar.policy.codes import CODES
from tests.broken.museum import answer, answer_of, exhibits

ANSWERS = "".join(answer_of(exhibit).read_text(encoding="utf-8") for exhibit in exhibits())


@pytest.mark.parametrize("exhibit", exhibits(), ids=lambda exhibit: exhibit.stem)
def test_a_wrong_policy_is_answered_with_exactly_these_words(exhibit: Path) -> None:
    assert answer(exhibit) == answer_of(exhibit).read_text(encoding="utf-8")


@pytest.mark.parametrize("exhibit", exhibits(), ids=lambda exhibit: exhibit.stem)
def test_an_exhibit_has_one_mistake(exhibit: Path) -> None:
    said = answer_of(exhibit).read_text(encoding="utf-8")
    assert len(re.findall(r": (?:error|warning)\[", said)) == 1


def test_a_typo_inside_a_block_is_shown_where_it_stands_in_the_file() -> None:
    exhibit = next(it for it in exhibits() if it.stem == "unknown-member-in-a-block")
    lines = exhibit.read_text(encoding="utf-8").splitlines()
    number = next(at for at, line in enumerate(lines, 1) if "pluginn" in line)
    column = lines[number - 1].index("pluginn") + 1
    assert any(line.endswith("when: |") for line in lines[: number - 1])

    place, source, caret = answer(exhibit).splitlines()

    assert place.startswith(f"{exhibit.name}:{number}:{column}: error[G2] ")
    assert place.endswith("(did you mean 'plugin'?)")
    assert source == f"   | {lines[number - 1]}"
    assert caret.index("^") == source.index("pluginn")


def test_the_museum_is_large() -> None:
    assert len(exhibits()) >= 75


@pytest.mark.parametrize("code", CODES)
def test_every_code_has_an_exhibit(code: str) -> None:
    assert f"error[{code}]" in ANSWERS or f"warning[{code}]" in ANSWERS


def test_every_code_in_the_source_is_explained() -> None:
    package = Path(sidecar.policy.__file__).parent
    source = "".join(file.read_text(encoding="utf-8") for file in package.rglob("*.py"))
    assert set(re.findall(r'"([A-M][0-9]{1,2})"', source)) == set(CODES)
