"""Which warnings does a comment take back, and which texts are no comments?"""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidecar.policy.lint.inspecting import inspected, warned

TODAY = datetime(2026, 6, 1, tzinfo=UTC)
HEAD = (
    'apiVersion: sidecar/v1\nkind: Policy\nmetadata: {name: t}\nplans: {free: {plugins: ["*"]}}\n'
)


def warnings_of(directory: Path, text: str) -> list[str]:
    (directory / "policy.yaml").write_text(HEAD + text, encoding="utf-8")
    found = warned(inspected(directory), TODAY, require_tests=False)
    return [f"{it.code}:{it.line}" for it in found]


def test_a_comment_behind_a_value_is_about_its_line(tmp_path: Path) -> None:
    text = "constants:\n  soft: 0.8  # lint:ignore C4 comes later\n  hard: 0.9\n"
    assert warnings_of(tmp_path, text) == ["C4:7"]


def test_a_comment_above_is_about_the_next_line_that_says_something(tmp_path: Path) -> None:
    comments = "  # lint:ignore C4 comes later\n\n  # and this is why\n"
    text = f"constants:\n{comments}  soft: 0.8\n  hard: 1\n"
    assert warnings_of(tmp_path, text) == ["C4:10"]


def test_several_comments_stand_above_one_another(tmp_path: Path) -> None:
    text = (
        "constants:\n  # lint:ignore A4 it is text\n  # lint:ignore C4 comes later\n  country: no\n"
    )
    assert warnings_of(tmp_path, text) == []


RULE = "rules:\n  - id: r\n    effect: warn\n    message: m\n"


@pytest.mark.parametrize("above", [True, False])
def test_a_comment_at_a_block_is_about_all_of_it(above: bool, tmp_path: Path) -> None:
    comment = "# lint:ignore A5 the customer is called so"
    header = f"    {comment}\n    when: |\n" if above else f"    when: |  {comment}\n"
    body = '      request.action == "run"\n      || request.app_id == "асе"\n'
    assert warnings_of(tmp_path, RULE + header + body) == []


@pytest.mark.parametrize(
    "text",
    [
        RULE + '    when: |\n      request.app_id ==\n      # lint:ignore A5 no\n      "асе"\n',
        RULE + "    when: 'request.app_id == \"асе # lint:ignore A5 no\"'\n",
    ],
)
def test_text_in_a_value_is_no_comment(text: str, tmp_path: Path) -> None:
    assert any(it.startswith(("A5", "G1")) for it in warnings_of(tmp_path, text))
    assert not any(it.startswith("M") for it in warnings_of(tmp_path, text))


def test_without_a_reason_the_warning_stays(tmp_path: Path) -> None:
    text = "constants:\n  soft: 0.8  # lint:ignore C4\n"
    assert warnings_of(tmp_path, text) == ["C4:6", "M1:6"]


def test_an_ignore_of_what_was_not_looked_for_is_not_called_unused(tmp_path: Path) -> None:
    text = (
        RULE + "    # lint:ignore L1 there is no test for it yet\n    when: request.action == 'a'\n"
    )
    assert warnings_of(tmp_path, text) == []


def test_a_mistake_cannot_be_ignored(tmp_path: Path) -> None:
    assert warnings_of(tmp_path, "modee: off  # lint:ignore B1 I like it\n") == ["B1:5"]


def test_a_file_with_windows_line_ends_is_read_the_same(tmp_path: Path) -> None:
    text = "constants:\r\n  soft: 0.8  # lint:ignore C4 comes later\r\n"
    (tmp_path / "policy.yaml").write_bytes((HEAD.replace("\n", "\r\n") + text).encode())
    assert warned(inspected(tmp_path), TODAY, require_tests=False) == ()
