"""Is what a machine may repair gone after it, and is the rest of the file as it was?"""

import shutil
from pathlib import Path

import pytest

from sidecar.policy.diagnostics import Diagnostic
from sidecar.policy.lint.fixes import repaired
from sidecar.policy.lint.inspecting import inspected, warned
from tests.broken.museum import PRICES, ROOM, exhibits, prices_for
from tests.broken.pages import TODAY

POLICIES = [exhibit for exhibit in exhibits() if exhibit.parent != PRICES]


def found_in(path: Path) -> tuple[Diagnostic, ...]:
    return warned(
        inspected(path, prices_for(path)), TODAY, require_tests=any(path.glob("*_test.yaml"))
    )


REPAIRABLE = [exhibit for exhibit in POLICIES if any(found.fix for found in found_in(exhibit))]


@pytest.mark.parametrize("exhibit", REPAIRABLE, ids=lambda exhibit: exhibit.stem)
def test_a_repaired_mistake_is_gone_and_makes_no_other(exhibit: Path, tmp_path: Path) -> None:
    place = tmp_path / exhibit.name
    if exhibit.is_dir():
        shutil.copytree(exhibit, place)
    else:
        shutil.copyfile(exhibit, place)
    (found,) = found_in(place)
    assert found.fix is not None
    file = Path(found.fix.file)
    text = file.read_bytes().decode("utf-8")

    done = repaired(str(file), text, [found])

    assert done is not None
    kept = len(text) - (found.fix.end - found.fix.start)
    assert len(done.text) == kept + len(found.fix.replacement)
    file.write_bytes(done.text.encode("utf-8"))
    left = found_in(place)
    assert [str(it) for it in left if it.code == found.code or it.severity == "error"] == []


@pytest.mark.parametrize(
    "exhibit",
    [
        "byte-order-mark",
        "condition-with-escaped-quotes",
        "ignore-of-nothing",
        "number-that-others-read-as-octal",
        "plan-called-on",
        "word-that-others-read-as-false",
    ],
)
def test_another_way_of_writing_says_the_same(exhibit: str, tmp_path: Path) -> None:
    place = tmp_path / "policy.yaml"
    shutil.copyfile(ROOM / f"{exhibit}.yaml", place)
    (said,) = inspected(place).examined.units
    done = repaired(str(place), place.read_bytes().decode("utf-8"), found_in(place))
    assert done is not None

    place.write_bytes(done.text.encode("utf-8"))

    assert inspected(place).examined.units[0].file == said.file


def test_many_mistakes_can_be_repaired() -> None:
    assert len(REPAIRABLE) >= 30
