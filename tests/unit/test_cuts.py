"""What goes from a file's text with a field or an item, and what stays?"""

from pathlib import Path

import pytest

from sidecar.domain.modes import Ceiling
from sidecar.policy.files import content_of
from sidecar.policy.lint.cuts import without
from sidecar.policy.load import examine_contents
from sidecar.policy.source import Path as Steps
from sidecar.policy.unit import Unit

TEXT = """\ufeffapiVersion: sidecar/v1
kind: Policy
metadata:
  name: t
  owner: 'us'   # all of us
constants:
  staff:
    - ann
    - bob  # since May
    - eve
  regions: [eu, us , "as"]
plans: {free: {plugins: ["*"], tokens_per_month: 5}}
rules:
  - id: r
    when: |
      request.plugin == "a"
        || request.plugin == "b"
    effect: warn
    message: m
  - {id: s, effect: warn, message: m}
"""


@pytest.fixture
def unit(tmp_path: Path) -> Unit:
    (tmp_path / "policy.yaml").write_text(TEXT, encoding="utf-8")
    contents = [(tmp_path / "policy.yaml", content_of(tmp_path / "policy.yaml"))]
    return examine_contents(contents, ceiling=Ceiling.AS_WRITTEN).units[0]


@pytest.mark.parametrize(
    ("path", "gone"),
    [
        (("constants", "staff", 0), "    - ann\n"),
        (("constants", "staff", 1), "    - bob  # since May\n"),
        (("constants", "regions", 0), "eu, "),
        (("constants", "regions", 2), ' , "as"'),
        (("metadata", "owner"), "  owner: 'us'   # all of us\n"),
        (("plans", "free", "tokens_per_month"), ", tokens_per_month: 5"),
        (("rules", 1, "effect"), "effect: warn, "),
        (("rules", 1), "  - {id: s, effect: warn, message: m}\n"),
        (
            ("rules", 0, "when"),
            '    when: |\n      request.plugin == "a"\n        || request.plugin == "b"\n',
        ),
    ],
)
def test_a_value_goes_with_all_that_is_its_own(path: Steps, gone: str, unit: Unit) -> None:
    fix = without(unit, path)

    assert fix is not None
    assert fix.replacement == ""
    assert TEXT[fix.start : fix.end] == gone


@pytest.mark.parametrize(
    "path", [("plans", "free"), ("rules", 0, "id"), ("constants", "nothing"), ("plans", "x", "y")]
)
def test_what_would_leave_something_else_is_left_to_a_person(path: Steps, unit: Unit) -> None:
    assert without(unit, path) is None
