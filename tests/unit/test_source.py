"""Does every value know its place in the file?"""

import pytest

from sidecar.policy.source import Place, SourceFile, dotted
from sidecar.policy.yaml_reading import MAX_DEPTH


def source(text: str) -> SourceFile:
    return SourceFile("p.yaml", text)


def test_a_value_and_its_key_have_places() -> None:
    file = source("plans:\n  free:\n    limits:\n      - {id: a, max: 50}\n")
    path = ("plans", "free", "limits", 0, "max")
    assert file.place(path) == Place(4, 22, 2)
    assert file.place(path, key=True) == Place(4, 17, 3)
    assert file.place(()) == Place(1, 1, 1)


def test_what_is_not_there_is_placed_at_what_would_hold_it() -> None:
    file = source("plans:\n  free: {name: x}\n")
    assert file.place(("plans", "free", "limits", 3)) == Place(2, 9, 9)
    assert file.node(("plans", "gold")) is None


def test_a_path_is_written_as_people_write_it() -> None:
    assert dotted(("plans", "free", "limits", 0, "max")) == "plans.free.limits[0].max"
    assert dotted(()) == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("true", True),
        ("True", "True"),
        ("null", None),
        ("~", None),
        ("", None),
        ("010", "010"),
        ("0", 0),
        ("-7", -7),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        ("12:30:00", "12:30:00"),
        ("2026-12-31", "2026-12-31"),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("9" * 60, "9" * 60),
        ("'5'", "5"),
        ('"true"', "true"),
        ("5.", 5.0),
        ("-1.5e-3", -0.0015),
        (".", "."),
        ("e3", "e3"),
        ("1e", "1e"),
    ],
)
def test_plain_scalars_are_what_they_look_like(text: str, value: object) -> None:
    plain = source(f"a: {text}\n").plain()
    assert plain == {"a": value}
    assert isinstance(plain, dict)
    assert type(plain["a"]) is type(value)


WRITTEN = [
    ("when: a && bb", 5, 7, "bb"),
    ("when: 'a && bb'", 5, 7, "bb"),
    ("when: 'x == ''y'' && bb'", 12, 14, "bb"),
    ('when: "a && bb"', 5, 7, "bb"),
    ('when: "x == \\"y\\" && bb"', 12, 14, "bb"),
    ('when: "x == \\u0041 \\x41 && bb"', 12, 14, "bb"),
    ("when: '🦉 && bb'", 5, 7, "bb"),
    ("when: |\n  a &&\n    bb\n", 7, 9, "bb"),
    ("when: |-\n\n      a &&\n      bb\n", 6, 8, "bb"),
    ("when: |  # why\n  a\n  && bb\n", 5, 7, "bb"),
    ("x: 1\r\nwhen: |\r\n  a &&\r\n  bb\r\n", 5, 7, "bb"),
    ("\ufeffwhen: a && bb", 5, 7, "bb"),
]


@pytest.mark.parametrize(("text", "start", "end", "found"), WRITTEN)
def test_a_part_of_an_expression_is_found_however_it_is_written(
    text: str, start: int, end: int, found: str
) -> None:
    file = source(text)
    place = file.expression_place(("when",), start, end)
    line = file.lines[place.line - 1]
    assert line[place.column - 1 : place.column - 1 + place.length] == found


@pytest.mark.parametrize(
    ("text", "is_awkward"),
    [
        ("when: a && b", False),
        ("when: 'a'", False),
        ('when: "a \\" b"', False),
        ("when: |\n  a\n  b", False),
        ("when: |-\n  a", False),
        ("when: |2\n   a", True),
        ("when: >\n  a\n  b", True),
        ("when: a\n  b", True),
        ("when: 'a\n  b'", True),
        ("when: a  # | 2 lines?\nb: 1", False),
    ],
)
def test_expressions_whose_columns_are_lost_are_called_awkward(text: str, is_awkward: bool) -> None:
    assert (source(text).awkward_expression(("when",)) is not None) is is_awkward


def test_what_is_pruned_is_gone_and_the_rest_keeps_its_places() -> None:
    file = source("rules:\n  - {id: a}\n  - {id: b, x: 1}\n  - {id: c}\n")
    file.prune([("rules", 0), ("rules", 1, "x")])
    assert file.plain() == {"rules": [{"id": "b"}, {"id": "c"}]}
    assert file.place(("rules", 1, "id")) == Place(4, 10, 1)
    found = file.report("B1", "m", ("rules", 1, "id"))
    assert (found.line, found.path) == (4, "rules[2].id")
    assert file.is_damaged(("rules", 0))
    assert not file.is_damaged(("rules", 1))
    assert file.names() == {"a", "b", "c"}


def test_what_is_missing_can_be_stood_in_for() -> None:
    file = source("rules:\n  - {id: a}\n")
    file.stand_in(("rules", 0), "effect", "warn")
    assert file.plain() == {"rules": [{"id": "a", "effect": "warn"}]}
    assert file.is_damaged(("rules", 0, "effect"))


@pytest.mark.parametrize("bracket", ["[", "{a: ", "- ", "? "])
def test_text_that_nests_without_end_is_not_read_to_its_end(bracket: str) -> None:
    file = source(bracket * 200_000)
    [found] = file.diagnostics
    assert found.message == f"nested deeper than {MAX_DEPTH} levels"


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\r"])
def test_lines_end_as_their_editor_ends_them(separator: str) -> None:
    file = source(separator.join(["a: 1", "b: 2", "a: 3", ""]))
    [found] = file.diagnostics
    assert (found.code, found.line, found.source_line) == ("A2", 3, "a: 3")


def test_a_long_line_is_shown_around_the_finding() -> None:
    file = source("a: " + "x" * 5000 + "; y")
    shown = str(file.finding("B1", "m", Place(1, 2500, 3))).splitlines()
    assert len(shown[1]) < 200
    assert shown[2].index("^") < 120
