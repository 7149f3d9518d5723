"""`sidecar import` as it is typed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands import sidecar

HERE = Path(__file__).parent
OLD: dict[str, Any] = {
    "plans": {
        "free": {
            "name": "Free", "tokens_per_month": 10000, "plugins": ["basic_*", "basic_x"], "price": 0
        },
        "Pro Plus": {"name": "Pro +", "tokens_per_month": -1, "plugins": ["*"], "price": 2900},
    },
    "enforcement": {"enabled": False, "mode": "enforce"},
}  # fmt: skip
RUNTIMES: dict[str, Any] = {
    "_comment": "feature gating only",
    "settings": {"show_cancel_button": True, "trial_period_days": 14, "trial_plan": "premium"},
    "subscription_plans": [
        {"name": "basic", "price": 9.99, "features": ["Notes"], "plugins_unlocked": ["notes"]},
        {"name": "premium", "price": 19.99, "plugins_unlocked": ["*"]},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "subscription_config.json").write_text(json.dumps(OLD))
    return tmp_path


@pytest.mark.parametrize(
    "old", [OLD, RUNTIMES, {"subscription_plans": []}], ids=["plans", "subscription_plans", "none"]
)
def test_what_is_imported_is_valid_and_free_of_warnings(
    old: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "old.json").write_text(json.dumps(old))

    code, _, _ = sidecar(tmp_path, "import", "old.json", "-o", "new/policy.yaml")
    assert code == 0

    code, _, complaints = sidecar(tmp_path, "lint", "--strict", "new")
    assert (code, complaints) == (0, "")


def test_the_policy_tells_at_its_head_what_was_dropped_assumed_and_renamed(folder: Path) -> None:
    code, policy, _ = sidecar(folder, "import", "subscription_config.json")

    assert code == 0
    assert policy == (HERE / "expected.yaml").read_text(encoding="utf-8")


def test_the_same_is_said_to_the_person_at_the_terminal(folder: Path) -> None:
    _, out, said = sidecar(folder, "import", "subscription_config.json", "-o", "policy.yaml")

    assert out == ""
    assert said == (HERE / "expected.txt").read_text(encoding="utf-8")


def test_a_file_that_is_there_is_left_alone_unless_it_is_forced(folder: Path) -> None:
    (folder / "policy.yaml").write_text("mine\n")
    command = ("import", "subscription_config.json", "-o", "policy.yaml")

    code, _, said = sidecar(folder, *command)
    assert code == 64
    assert "Error: policy.yaml: there already, and left as it is" in said
    assert (folder / "policy.yaml").read_text() == "mine\n"

    code, _, _ = sidecar(folder, *command, "--force")
    assert code == 0
    assert (folder / "policy.yaml").read_text().startswith("# Made by")


def test_wrong_input_exits_3_and_writes_nothing(folder: Path) -> None:
    (folder / "wrong.json").write_text('{"plans": {"free": {"tokens_per_month": "many"}}}')

    code, _, said = sidecar(folder, "import", "wrong.json", "-o", "policy.yaml")

    assert code == 3
    assert said.startswith("wrong.json:1:41: error[B5] expected a whole number of at least 0")
    assert not (folder / "policy.yaml").exists()


def test_a_folder_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / "here").write_text("")

    code, _, said = sidecar(folder, "import", "subscription_config.json", "-o", "here/policy.yaml")

    assert code == 3
    assert said.startswith("here/policy.yaml: cannot be written: ")


def test_everything_that_is_dropped_is_named(tmp_path: Path) -> None:
    plans = {name: {"badge": name, "price": 1} for name in ("free", "plus", "pro", "team", "max")}
    (tmp_path / "old.json").write_text(json.dumps({"plans": plans, "theme": "dark"}))

    code, policy, said = sidecar(tmp_path, "import", "old.json")

    assert code == 0
    dropped = [f"plans.{name}.{field}" for name in plans for field in ("badge", "price")]
    head = " ".join(line.removeprefix("#").strip() for line in policy.splitlines())
    for path in [*dropped, "theme"]:
        assert path in said
        assert path in head


@pytest.mark.parametrize("name", ["monthly_tokens", "token_limit", "tokensPerMonth", "tokens"])
def test_a_bound_by_another_name_is_refused_and_not_dropped(name: str, tmp_path: Path) -> None:
    old = {"subscription_plans": [{"name": "free", "plugins_unlocked": [], name: 10000}]}
    (tmp_path / "old.json").write_text(json.dumps(old))

    code, policy, said = sidecar(tmp_path, "import", "old.json")

    assert (code, policy) == (3, "")
    assert f"unknown field {name!r} (did you mean 'tokens_per_month'?)" in said
