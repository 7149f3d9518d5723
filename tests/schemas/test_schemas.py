"""Are the committed schemas current, and do they say of a file what the loader says?"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from sidecar.policy.diagnostics import Severity
from sidecar.policy.files import source_of
from sidecar.policy.json_schema import Kind, schema, schema_text
from sidecar.policy.source import SourceFile
from tests.broken.museum import PRICES, ROOM, exhibits
from tests.commands import sidecar
from tests.documents import texts_of
from tests.e2e.guide import examples
from tests.processes import ROOT

POLICIES = ROOT / "policies"
SHIPPED = sorted(POLICIES.rglob("*.yaml"))
VALIDATORS = {kind: Draft202012Validator(schema(kind)) for kind in Kind}
FIRST_LINE = re.compile(r"# yaml-language-server: \$schema=(\S+)")


def plain(file: Path) -> Any:
    """What an editor makes of a YAML file."""
    source = source_of(file, file.read_bytes())
    assert isinstance(source, SourceFile)
    assert not source.diagnostics, file
    return source.plain()


def faults(kind: Kind, value: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATORS[kind].iter_errors(value)]


@pytest.mark.parametrize("kind", Kind)
def test_the_committed_schema_is_the_one_that_the_models_give(kind: Kind) -> None:
    committed = POLICIES / "schema" / kind.file_name
    assert committed.read_text(encoding="utf-8") == schema_text(kind), (
        f"write it anew: sidecar schema --kind {kind.value} > {committed.relative_to(ROOT)}"
    )


@pytest.mark.parametrize("kind", Kind)
def test_each_schema_is_one_itself_and_describes_every_field(kind: Kind) -> None:
    found = schema(kind)
    Draft202012Validator.check_schema(found)
    assert [path for path, field in fields(found) if not described(field, found)] == []


def fields(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    sections = {"": found} | found["$defs"]
    for section, body in sections.items():
        for name, field in body.get("properties", {}).items():
            yield f"{section}.{name}", field


def described(field: dict[str, Any], found: dict[str, Any]) -> bool:
    target = found["$defs"].get(field.get("$ref", "").rpartition("/")[2], {})
    return bool(field.get("description") or target.get("description"))


@pytest.mark.parametrize("kind", Kind)
def test_the_command_prints_it(kind: Kind, tmp_path: Path) -> None:
    code, printed, _ = sidecar(tmp_path, "schema", "--kind", kind.value)
    assert (code, printed) == (0, schema_text(kind))


# -- good files ---------------------------------------------------------------------------------


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: str(file.relative_to(POLICIES)))
def test_every_shipped_file_names_its_schema_and_keeps_to_it(file: Path) -> None:
    named = FIRST_LINE.match(file.read_text(encoding="utf-8"))
    assert named is not None
    value = plain(file)
    kind = Kind(value["kind"])
    assert (file.parent / named[1]).resolve() == POLICIES / "schema" / kind.file_name
    assert faults(kind, value) == []


def test_every_example_of_the_readme_keeps_to_its_schema() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    policies = texts_of(readme, "yaml")
    assert policies
    for text in policies:
        value = SourceFile("README.md", text).plain()
        assert isinstance(value, dict)
        assert faults(Kind(value["kind"]), value) == []


def test_an_editor_underlines_no_example_of_the_guide_that_is_right() -> None:
    right = [example for example in examples() if example.answer is None]
    assert right
    for example in right:
        for name, text in example.files.items():
            value = SourceFile(name, text).plain()
            assert isinstance(value, dict)
            assert faults(Kind(value["kind"]), value) == [], example.line


# -- wrong files --------------------------------------------------------------------------------

WRONG_IN_FORM = Path(__file__).with_name("wrong_in_form.txt").read_text().split()
"""What an editor underlines before anything is run."""


@pytest.mark.parametrize("name", WRONG_IN_FORM)
def test_what_is_wrong_in_form_is_underlined_in_an_editor(name: str) -> None:
    assert faults(Kind.POLICY, plain(ROOM / f"{name}.yaml"))


def test_an_editor_underlines_nothing_that_loads() -> None:
    checked = 0
    for exhibit in exhibits():
        source = source_of(exhibit, exhibit.read_bytes()) if exhibit.is_file() else None
        if not isinstance(source, SourceFile) or source.diagnostics:
            continue
        kind = Kind.PRICES if exhibit.parent == PRICES else Kind.POLICY
        checked += 1
        if faults(kind, source.plain()):
            answer = exhibit.with_suffix(".txt").read_text(encoding="utf-8")
            assert f" {Severity.ERROR}[" in answer, exhibit
    assert checked >= 100


def test_an_editor_that_knows_draft_7_alone_underlines_the_same() -> None:
    older = Draft7Validator(schema(Kind.POLICY))
    files = [*(ROOM / f"{name}.yaml" for name in WRONG_IN_FORM), *POLICIES.glob("*/policy.yaml")]
    assert len(files) > len(WRONG_IN_FORM) >= 50
    for file in files:
        value = plain(file)
        found = [f"{error.json_path}: {error.message}" for error in older.iter_errors(value)]
        assert found == faults(Kind.POLICY, value), file
