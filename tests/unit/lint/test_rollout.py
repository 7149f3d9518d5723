"""Which modes, graces and trials change nothing?"""

from pathlib import Path

import pytest

from tests.unit.lint.world import FREE, FREE_AND_PRO, codes

LATE = "  - {id: late, when: now.getHours() > 21, message: Late., effect: deny, on_error: skip"
EARLY = LATE.replace("late", "early").replace("> 21", "< 5")


@pytest.mark.parametrize(
    "text",
    [
        f"mode: enforce\n{FREE}rules:\n{LATE}}}\n",
        f"mode: enforce\n{FREE}rules:\n{LATE}, mode: advisory}}\n{EARLY}}}\n",
        f"mode: advisory\n{FREE}rules:\n{LATE}}}\n",
        f"mode: off\n{FREE}rules:\n{LATE}}}\n",
        f"mode: enforce\n{FREE}",
        'mode: enforce\nplans: {free: {plugins: ["a*"]}}\nrules:\n' + f"{LATE}, mode: advisory}}\n",
        'mode: enforce\nplans: {free: {plugins: ["*"], tokens_per_month: 5}}\nrules:\n'
        f"{LATE}, mode: advisory}}\n",
        'mode: enforce\nplans: {free: {plugins: ["*"], features: {export: false}}}\nrules:\n'
        f"{LATE}, mode: advisory}}\n",
    ],
)
def test_a_mode_that_something_keeps_is_left_alone(tmp_path: Path, text: str) -> None:
    assert codes(tmp_path, text) == []


@pytest.mark.parametrize(
    "text",
    [
        f"mode: enforce\n{FREE}rules:\n{LATE}, mode: advisory}}\n",
        'mode: enforce\nplans: {free: {plugins: ["*"], tokens_per_month: null}}\nrules:\n'
        f"{LATE}, mode: advisory}}\n",
    ],
)
def test_a_mode_in_vain_is_reported(tmp_path: Path, text: str) -> None:
    assert codes(tmp_path, text) == ["J4"]


def test_a_file_of_rules_that_is_off_is_silent(tmp_path: Path) -> None:
    head = "apiVersion: sidecar/v1\nkind: Policy\nmetadata: {name: plans}\n"
    tmp_path.joinpath("plans.yaml").write_text(head + FREE)
    assert codes(tmp_path, f"mode: off\nrules:\n{LATE}}}\n") == ["J4"]


@pytest.mark.parametrize(
    ("subscription", "found"),
    [
        ("{grace: {past_due: 3d}}", []),
        ("{active: [active, past_due], grace: {past_due: 3d}}", ["M3"]),
        ("{grace: {trialing: 3d}}", ["M3"]),
        ("{trial: {plan: pro, days: 14}}", []),
        ("{trial: {days: 14}}", []),
        ("{trial: {plan: free}}", ["M4"]),
    ],
)
def test_statuses_and_trials(tmp_path: Path, subscription: str, found: list[str]) -> None:
    text = f"defaults: {{plan: free}}\nsubscription: {subscription}\n{FREE_AND_PRO}"
    assert codes(tmp_path, text) == found


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("effect: warn", []),
        ("effect: warn, status: 402", ["M5"]),
        ("effect: warn, on_error: deny, status: 403", []),
        ("effect: deny, on_error: skip, status: 429", []),
    ],
)
def test_a_status_belongs_to_what_can_refuse(
    tmp_path: Path, written: str, found: list[str]
) -> None:
    rule = "  - {id: late, when: now.getHours() > 21, message: Late., "
    assert codes(tmp_path, f"mode: enforce\n{FREE}rules:\n{rule}{written}}}\n") == found
