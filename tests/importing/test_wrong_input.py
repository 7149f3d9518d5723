"""What is said to each wrong configuration: `wrong/NAME.json`, the answer in `wrong/NAME.txt`."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from sidecar.policy.diagnostics import InvalidFiles
from sidecar.policy.files import content_of
from sidecar.policy.json_schema import Kind
from sidecar.policy.legacy.config import read_old
from sidecar.policy.legacy.json_text import JsonFile
from sidecar.policy.legacy.policy_text import policy_text
from sidecar.policy.reader import read
from sidecar.policy.source import MAX_BYTES, SourceFile
from tests.schemas.test_schemas import faults

ROOM = Path(__file__).parent / "wrong"
OLD = Path("subscription_config.json")


def answer(file: Path) -> str:
    try:
        read_old(JsonFile(file, file.read_bytes()))
    except InvalidFiles as error:
        return f"{error}\n".replace(f"{file.parent}/", "")
    return "it is read\n"


@pytest.mark.parametrize("file", sorted(ROOM.glob("*.json")), ids=lambda file: file.stem)
def test_a_wrong_configuration_is_told_where_and_what_to_write(file: Path) -> None:
    said = answer(file)
    assert said == file.with_suffix(".txt").read_text(encoding="utf-8")
    assert all(found.line and found.column for found in findings(file.read_bytes()))


def test_a_file_that_is_much_too_large_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "subscription_config.json"
    file.write_text('{"plans": {}}' + " " * MAX_BYTES)
    with pytest.raises(InvalidFiles, match="the file is larger than 1,048,576 bytes"):
        JsonFile(file, content_of(file))


def findings(content: bytes) -> tuple[Any, ...]:
    with pytest.raises(InvalidFiles) as caught:
        read_old(JsonFile(OLD, content))
    return caught.value.diagnostics


# -- what nobody thought of ---------------------------------------------------------------------

SEED = {
    "_comment": "gating",
    "settings": {"trial_period_days": 14, "trial_plan": "premium", "default_plan": "free"},
    "enforcement": {"enabled": True, "mode": "enforce"},
    "subscription_plans": [
        {
            "name": "free",
            "display_name": "Fr\u00e9e \U0001f600",
            "price": 0,
            "plugins_unlocked": [],
        },
        {"name": "premium", "price": 19.99, "tokens_per_month": -1, "plugins_unlocked": ["*"]},
    ],
}
NAMES = some.sampled_from(
    ["plans", "subscription_plans", "settings", "enforcement", "enabled", "mode", "name", "price",
     "plugins", "plugins_unlocked", "features", "tokens_per_month", "trial_plan", "display_name",
     "trial_period_days", "default_plan", "description", "free", "", "null"]
)  # fmt: skip
LEAVES = some.one_of(
    some.none(), some.booleans(), some.integers(), some.floats(allow_nan=False), some.text(),
    some.sampled_from(["free", "*", "advisory", "Unlimited", -1]),
)  # fmt: skip
ANYTHING = some.recursive(
    LEAVES, lambda inner: some.lists(inner, max_size=4) | some.dictionaries(NAMES, inner)
)


def is_read_or_refused_with_a_place(content: bytes) -> None:
    try:
        found = read_old(JsonFile(OLD, content))
    except InvalidFiles as refused:
        found, wrong = None, refused.diagnostics
    if found is None:
        assert wrong
        assert all(each.message for each in wrong)
    else:
        source = SourceFile("policy.yaml", policy_text(found, OLD.name))
        policy, amiss = read(source)
        assert amiss == ()
        assert policy is not None
        assert faults(Kind.POLICY, source.plain()) == []


@settings(deadline=None, max_examples=60)
@given(some.dictionaries(NAMES, ANYTHING, max_size=4))
def test_whatever_json_is_given_is_read_or_refused(old: dict[str, object]) -> None:
    is_read_or_refused_with_a_place(json.dumps(old).encode())


@settings(deadline=None, max_examples=300)
@given(some.integers(0, len(json.dumps(SEED)) - 1), some.characters())
def test_one_wrong_character_is_read_or_refused(at: int, character: str) -> None:
    text = json.dumps(SEED, indent=1)
    edited = text[:at] + character + text[at + 1 :]
    is_read_or_refused_with_a_place(edited.encode("utf-8", "surrogatepass"))
