"""Which characters deceive, and which do people simply write?"""

from pathlib import Path

import pytest

from sidecar.domain.modes import Ceiling
from sidecar.policy.lint import lint
from sidecar.policy.load import examine
from tests.broken.pages import TODAY

HEAD = (
    'apiVersion: sidecar/v1\nkind: Policy\nmetadata: {name: t}\nplans: {free: {plugins: ["*"]}}\n'
)
RULE = 'rules:\n  - {id: r, effect: warn, message: "%s", when: \'request.action == "run"\'}\n'


def codes_of(directory: Path, text: str) -> list[str]:
    (directory / "policy.yaml").write_text(HEAD + text, encoding="utf-8")
    found = lint(examine(directory, ceiling=Ceiling.AS_WRITTEN), TODAY)
    return [it.code for it in found]


@pytest.mark.parametrize(
    "message",
    [
        "Schön langsam, José.",
        "Не так быстро.",
        "Πιο αργά.",
        "慢一点",
        "לאט\u200f יותר!",
        "می\u200cخواهم",
        "👩\u200d💻 Slow down 🦉",
        "5 µs of Ω",
    ],
)
def test_what_people_write_is_let_alone(message: str, tmp_path: Path) -> None:
    assert codes_of(tmp_path, RULE % message) == []


@pytest.mark.parametrize(
    "message",
    [
        "Slоw down",
        "Slow\u200b down",
        "Slow\u200d down",
        "\u202eSlow",
        "Slow\u2066 down",
        "Slow\u00addown",
    ],
)
def test_what_deceives_is_found(message: str, tmp_path: Path) -> None:
    assert codes_of(tmp_path, RULE % message) == ["A5"]


def test_in_a_comment_only_what_cannot_be_seen_deceives(tmp_path: Path) -> None:
    assert codes_of(tmp_path, "# Δt and аdmin\n") == []
    assert codes_of(tmp_path, "# \u202eadmin\n") == ["A5"]


def test_a_file_full_of_them_is_told_of_the_first(tmp_path: Path) -> None:
    assert len(codes_of(tmp_path, "# \u202eadmin\n" * 500)) == 20
