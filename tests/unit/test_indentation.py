"""How many spaces stand for a tab?"""

import pytest

from sidecar.policy.indentation import untabbed


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
