"""Where an expression reads and where it turns, by place."""

import pytest

from sidecar import cel
from sidecar.cel import (
    BOOL,
    DYN,
    INT,
    STRING,
    Environment,
    List,
    Map,
    Member,
    Object,
    Program,
)

ENVIRONMENT = Environment(
    {
        "a": BOOL,
        "b": BOOL,
        "n": INT,
        "o": Object("o", {"x": Member(STRING), "m": Member(Map(STRING, DYN), optional=True)}),
        "names": List(STRING),
    }
)


def program(source: str) -> Program:
    compiled = cel.compile(source, ENVIRONMENT)
    assert isinstance(compiled, Program), compiled
    return compiled


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("n > 1", []),
        ("a && b", ["a", "b"]),
        ("!(a || n > 1)", ["a || n > 1", "a", "n > 1"]),
        ('a ? n > 1 : o.x == "y"', ["a", "n > 1", 'o.x == "y"']),
        ("a ? 1 : 2", ["a"]),
        ("a && true", []),
        ("names.exists(it, it == o.x || b)", ["it == o.x", "b"]),
    ],
)
def test_operands_are_where_an_expression_turns(source: str, expected: list[str]) -> None:
    assert [source[start:end] for start, end in program(source).branches] == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a && b", [("a", False), ("b", False)]),
        ('o.x == "y"', [("o.x", False)]),
        ("has(o.m) && has(o.m.k)", [("o.m", True), ("o.m.k", True)]),
        ('has(o.m) && "k" in o.m', [("o.m", True), ("o.m.k", True)]),
        ("has(o.m) && o.x in o.m", [("o.m", True), ("o.x", False), ("o.m", False)]),
        ("has(o.m) && o.m[o.x] == 1", [("o.m", True), ("o.m", False), ("o.x", False)]),
        ("has(o.m) ? o.m.?k.hasValue() : a", [("o.m", True), ("o.m.k", True), ("a", False)]),
        ("names.exists(it, it == o.x)", [("names", False), ("o.x", False)]),
        ("true || a", []),
    ],
)
def test_every_place_that_looks_at_an_input_is_a_read(
    source: str, expected: list[tuple[str, bool]]
) -> None:
    reads = program(source).reads

    assert [(".".join(read.path), read.asks) for read in reads] == expected


def test_a_read_has_the_place_of_the_step_that_evaluates_it() -> None:
    either = program('a || o.x == "y"')

    places = {(step.start, step.end) for step in either.trace({"a": True, "o": {"x": "y"}})}
    assert [(read.start, read.end) in places for read in either.reads] == [True, False]


def test_an_expression_is_traced_again_with_other_inputs() -> None:
    both = program("a && b")

    for inputs in ({"a": True, "b": False}, {"a": True, "b": True}):
        assert both.trace(inputs)[-1].value is inputs["b"]
