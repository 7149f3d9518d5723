"""How many spaces stand for a tab, and what is said of text that ends too soon?"""

import pytest

from sidecar.policy.indentation import untabbed
from sidecar.policy.source import SourceFile


@pytest.mark.parametrize(
    ("lines", "mended"),
    [
        (["plans:", "\tfree:", "\t\tplugins: []"], ["plans:", "  free:", "    plugins: []"]),
        (
            ["  free:", "    plugins: []", "\tname: A"],
            ["  free:", "    plugins: []", "    name: A"],
        ),
        (["  free:", "\tname: A", "      mode: b"], ["  free:", "      name: A", "      mode: b"]),
        (["rules:", "  - id: a", "\tmessage: M"], ["rules:", "  - id: a", "    message: M"]),
        (["rules:", "  - id: a", "\t- id: b"], ["rules:", "  - id: a", "  - id: b"]),
        (["  free:", "    plugins: []", "\tpro:"], None),
    ],
)
def test_a_tab_becomes_what_the_lines_around_it_have(
    lines: list[str], mended: list[str] | None
) -> None:
    assert untabbed(lines) == mended


def test_text_that_ends_anywhere_is_answered_with_a_place() -> None:
    whole = 'plans:\n  free: {plugins: ["*"], name: \'A\'}\nrules:\n  - {id: a, when: "true"}\n'
    for end in range(len(whole)):
        for found in SourceFile("p.yaml", whole[:end]).diagnostics:
            assert 1 <= found.line <= 5, f"{found} of {whole[:end]!r}"


@pytest.mark.parametrize("text", ["plans: {\u00a0free: {}}\n", "rules:\n  - \u00a0id: a\n"])
def test_an_odd_space_in_the_middle_of_a_line_is_a_part_of_a_name(text: str) -> None:
    assert SourceFile("p.yaml", text).root is not None
