"""What expressions come to: values, errors as values, and never an exception."""

# ruff: noqa: E501  expressions are data, and read best in one piece

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from sidecar.cel import (
    BOOL,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    UINT,
    CelError,
    CelType,
    Duration,
    Environment,
    List,
    Map,
    Object,
    String,
    Timestamp,
    Type,
    Uint,
)
from sidecar.cel import (
    compile as compile_cel,
)
from tests.unit.cel.world import ENVIRONMENT, bindings, program, value


def evaluated(source: str, types: Mapping[str, Type], bound: Mapping[str, Any]) -> object:
    return program(source, Environment(types)).evaluate(bound)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("now.getDayOfWeek() in [0, 6]", True),
        (
            "now.getDayOfWeek() in [0, 6] && !(has(request.attributes.staff) && request.attributes.staff == true)",
            True,
        ),
        ('request.model.startsWith("gpt-4")', True),
        ('"free-burst" in limits && limits["free-burst"].ratio > 0.9', True),
        ('"nothing" in limits && limits["nothing"].ratio > 0.9', False),
        ("has(subscription.trial_end) && subscription.trial_end < now", False),
        ("!has(subscription.trial_end) || subscription.trial_end > now", True),
        ('has(request.note) ? request.note : "none"', "none"),
        ('has(subscription.trial_end) && subscription.trial_end - now > duration("24h")', True),
        ("limits.exists(name, limits[name].ratio > 0.9)", True),
        ("limits.exists(name, limit, limit.ratio > 0.9 && name == 'free-burst')", True),
        ('request.tags.exists(tag, tag.matches("^be.a$"))', True),
        ("request.counts.map(n, n * request.estimated_tokens)", [500, 1000, 1500]),
        ("request.counts.filter(n, n % 2 == 1).size()", 2),
        ("request.counts.exists_one(n, n > 2)", True),
        ("vars.big ? 'big' : 'small'", "big"),
        ("anything == null", True),
    ],
)
def test_a_policy_s_rule_gives_its_value(source: str, expected: object) -> None:
    assert value(source) == expected


@pytest.mark.parametrize(
    ("source", "message", "text"),
    [
        ('limits["x"].used > 3', 'no such key: "x"', 'limits["x"]'),
        ("request.attributes.nope == 1", 'no such key: "nope"', "request.attributes.nope"),
        ("1 < 2 && request.counts[9] > 1", "index 9 is out of range", "request.counts[9]"),
        ("request.counts[0 - 1] > 1", "index -1 is out of range", "request.counts[0 - 1]"),
        (
            "10 / (request.estimated_tokens - 500) > 1",
            "division by zero",
            "10 / (request.estimated_tokens - 500)",
        ),
        (
            "10 % (request.estimated_tokens - 500) > 1",
            "modulus by zero",
            "10 % (request.estimated_tokens - 500)",
        ),
        (
            "request.estimated_tokens * 9223372036854775807 > 1",
            "integer overflow",
            "request.estimated_tokens * 9223372036854775807",
        ),
        ("request.counts.map(n, 6 / (n - 2)).size() > 1", "division by zero", "6 / (n - 2)"),
        (
            "request.attributes.region > 5",
            "no such overload: > of string and int",
            "request.attributes.region > 5",
        ),
        (
            "request.attributes.region && true",
            "no such overload: a condition is a bool, not string",
            None,
        ),
    ],
)
def test_an_error_is_a_value_with_its_place(source: str, message: str, text: str | None) -> None:
    error = value(source)
    assert isinstance(error, CelError)
    assert error.message == message
    assert source[error.start : error.end] == (text if text is not None else source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1 / 0 == 1 || vars.big", True),
        ("vars.big || 1 / 0 == 1", True),
        ("!vars.big && 1 / 0 == 1", False),
        ("1 / 0 == 1 && !vars.big", False),
        ('limits["x"].used > 1 || request.counts[9] > 1 || vars.big', True),
        ("request.counts.all(n, 6 / (n - 2) == -6)", False),
        ("request.counts.exists(n, 6 / (n - 2) == 6)", True),
        ("(vars.big ? 1 / 0 == 1 : true) || vars.big", True),
        ("request.attributes.region == 5 || vars.big", True),
    ],
)
def test_an_error_is_absorbed_by_an_operand_that_decides(source: str, expected: object) -> None:
    assert value(source) is expected


@pytest.mark.parametrize(
    "source", ["1 / 0 == 1 || !vars.big", "vars.big && 1 / 0 == 1", "1 / 0 == 1 && vars.big"]
)
def test_an_error_stays_where_no_operand_decides(source: str) -> None:
    assert isinstance(value(source), CelError)


@pytest.mark.parametrize(
    ("source", "given", "expected"),
    [
        ("x == 1", True, False),
        ("x == true", 1, False),
        ("x == 1", 1.0, True),
        ("x == 1.0", Uint(1), True),
        ("x == 5", 5.0, True),
        ("x in [1, 2]", True, False),
        ("x in [1, 2]", 2.0, True),
        ('x in ["a", "b"]', "b", True),
        ('x in ["a", "b"]', ["b"], False),
        ("x < 2", 1.5, True),
        ("x == [1, true]", [1.0, True], True),
        ("x == [1, true]", [True, 1], False),
        ("x == [1, 2]", (1, 2), True),
        ('x == {"a": 1}', {"a": 1.0}, True),
        ("x == null", None, True),
        ("x == null", 0, False),
        ("x != null", False, True),
        ("x == x", float("nan"), False),
        ("x in [x]", float("nan"), False),
        ("type(x) == int", True, False),
        ("type(x) == bool", True, True),
        ("type(x) == uint", Uint(3), True),
        (
            "x == timestamp('2026-01-01T00:00:00Z')",
            datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))),
            True,
        ),
        ("x == duration('90s')", timedelta(seconds=90), True),
    ],
)
def test_a_dyn_is_compared_as_cel_does_and_not_as_python_does(
    source: str, given: object, expected: bool
) -> None:
    assert evaluated(source, {"x": DYN}, {"x": given}) is expected


@pytest.mark.parametrize(
    ("a", "b", "quotient", "rest"),
    [(7, 2, 3, 1), (-7, 2, -3, -1), (7, -2, -3, 1), (-7, -2, 3, -1), (0, 5, 0, 0)],
)
def test_division_cuts_towards_zero(a: int, b: int, quotient: int, rest: int) -> None:
    types, bound = {"a": INT, "b": INT}, {"a": a, "b": b}
    assert evaluated("a / b", types, bound) == quotient
    assert evaluated("a % b", types, bound) == rest
    # a positive literal takes a shorter way
    if b > 0:
        assert evaluated(f"a / {b}", types, bound) == quotient
        assert evaluated(f"a % {b}", types, bound) == rest


@pytest.mark.parametrize(
    "source",
    [
        "a + 1",
        "-b",
        "b - 1",
        "a * 2",
        "a + a - a",
        "b / (0 - 1)",
        "b % (0 - 1)",
        "b * b",
        "u - 10u",
        "u * z",
    ],
)
def test_arithmetic_beyond_64_bits_is_an_error(source: str) -> None:
    types = {"a": INT, "b": INT, "u": UINT, "z": UINT}
    bound = {"a": 2**63 - 1, "b": -(2**63), "u": Uint(3), "z": Uint(2**64 - 1)}
    assert isinstance(evaluated(source, types, bound), CelError)


def test_a_double_divided_by_zero_is_infinite() -> None:
    types, bound = {"d": DOUBLE}, {"d": 1.0}
    assert evaluated("d / 0.0", types, bound) == float("inf")
    assert evaluated("d / -0.0", types, bound) == float("-inf")
    assert evaluated("0.0 / (d - 1.0) == 0.0", types, bound) is False


def test_text_is_counted_in_code_points() -> None:
    assert evaluated("s.size()", {"s": STRING}, {"s": "日本😀"}) == 3
    assert evaluated("size(bytes(s))", {"s": STRING}, {"s": "日本😀"}) == 10


def test_unsigned_integers_stay_unsigned() -> None:
    result = evaluated("u + 1u", {"u": UINT}, {"u": Uint(4)})
    assert result == 5
    assert isinstance(result, Uint)


def test_times_come_in_as_datetimes_and_go_out_as_timestamps() -> None:
    types = {"at": TIMESTAMP, "span": DURATION}
    noon = datetime(2026, 5, 3, 12, tzinfo=UTC)
    bound = {"at": noon, "span": timedelta(minutes=90)}
    assert evaluated("at", types, bound) == Timestamp.from_datetime(noon)
    assert evaluated("at + span", types, bound) == Timestamp.from_datetime(
        datetime(2026, 5, 3, 13, 30, tzinfo=UTC)
    )
    assert evaluated("span", types, bound) == Duration.from_timedelta(timedelta(minutes=90))
    assert evaluated("at + span == at", types, bound) is False
    assert evaluated("string(at + span)", types, bound) == "2026-05-03T13:30:00Z"


def test_types_are_values() -> None:
    assert evaluated("type(1)", {}, {}) == CelType("int")


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"request": None},
        {"request": {"counts": "no list"}},
        {"request": {"counts": [object()]}},
        {"request": {"counts": 5}},
        {"request": []},
        {"request": {"counts": {"a": 1}}},
        {"now": datetime(2026, 1, 1)},  # noqa: DTZ001  a naive one is the point
    ],
)
@pytest.mark.parametrize(
    "source",
    [
        "request.counts.all(n, n > 1)",
        "request.counts[0] + 1 > 2",
        "now > timestamp('2026-01-01T00:00:00Z')",
        "now",
    ],
)
def test_bindings_of_the_wrong_shape_raise_nothing(source: str, wrong: dict[str, Any]) -> None:
    program(source).evaluate(wrong)


def test_a_list_longer_than_declared_is_an_error_and_no_long_loop() -> None:
    error = value("request.counts.all(n, n >= 0)", counts=list(range(100_000)))
    assert isinstance(error, CelError)
    assert error.message == "100000 elements, where at most 64 are declared"


def test_a_dyn_result_is_held_to_the_demanded_type() -> None:
    wanted = program("request.attributes.staff", result=BOOL)
    assert wanted.result == BOOL
    assert wanted.evaluate(bindings()) is False
    error = wanted.evaluate(bindings(attributes={"staff": 1}))
    assert isinstance(error, CelError)
    assert error.message == "the result is int, not bool"


@pytest.mark.parametrize(
    ("wanted", "fitting"),
    [
        (INT, 5),
        (UINT, Uint(5)),
        (DOUBLE, 5.0),
        (STRING, "5"),
        (BOOL, True),
        (NULL, None),
        (List(DYN), [5]),
        (Map(STRING, DYN), {"a": 5}),
        (Object("o", {}), {"a": 5}),
        (TIMESTAMP, datetime(2026, 1, 1, tzinfo=UTC)),
        (DURATION, timedelta(seconds=5)),
    ],
)
def test_a_dyn_fits_one_demanded_type_and_no_other(wanted: Type, fitting: object) -> None:
    held = program("x", Environment({"x": DYN}), result=wanted)
    assert not isinstance(held.evaluate({"x": fitting}), CelError)
    assert isinstance(held.evaluate({"x": b"5"}), CelError)


def test_dotted_names_containers_and_leading_dots_resolve() -> None:
    types = {"com.example.y": INT, "y": INT, "a.b": Map(STRING, INT)}
    bound = {"com.example.y": 1, "y": 2, "a.b": {"c": 3}}
    inside = Environment(types, container="com.example")
    assert program("y", inside).evaluate(bound) == 1
    assert program(".y", inside).evaluate(bound) == 2
    assert program("a.b.c", inside).evaluate(bound) == 3
    assert program("[5].exists(y, y == 5)", inside).evaluate(bound) is True


def test_a_local_of_one_loop_is_seen_in_the_loop_inside_it() -> None:
    types, bound = {"a": List(INT, 4), "b": List(INT, 4)}, {"a": [1, 2, 3], "b": [2, 3, 4]}
    assert evaluated("a.filter(x, b.exists(y, y == x))", types, bound) == [2, 3]
    assert evaluated("a.map(x, b.map(y, a.filter(z, z > x && z < y).size()))", types, bound) == [
        [0, 1, 2],
        [0, 0, 1],
        [0, 0, 0],
    ]


@pytest.mark.parametrize(
    "name",
    ["t", "n", "of", "out", "bindings", "note", "loop_1", "len", "find", "again", "t_1", "t__1"],
)
def test_a_macro_s_variable_may_have_any_name(name: str) -> None:
    types, bound = {"a": List(INT, 4), "k": INT}, {"a": [1, 2, 3], "k": 10}
    source = f"a.filter({name}, {name} + k + {name} > 13 && a.map(x, x * {name} + 1).size() == 3)"
    assert evaluated(source, types, bound) == [2, 3]
    assert evaluated(f"cel.bind({name}, k + k, {name} + k + {name})", types, bound) == 50


def test_a_loop_over_lists_put_together_goes_over_all_of_them() -> None:
    types, bound = {"a": List(INT, 64), "s": String(100)}, {"a": list(range(64)), "s": "a," * 50}
    assert evaluated("(a + a).map(x, x).size()", types, bound) == 128
    assert evaluated("s.split(',').filter(x, x == 'a').size()", types, bound) == 50
    assert (
        evaluated("(a.map(x, x) + a.filter(x, x > 5)).exists_one(x, x == 3)", types, bound) is True
    )


def test_every_problem_s_place_lies_inside_the_source() -> None:
    for source in ("", "(", '"', "a &&", "日本 + 1", "x.\ny", "1 +\n  foo"):
        problems = compile_cel(source, ENVIRONMENT)
        assert isinstance(problems, tuple)
        assert problems
        assert all(0 <= problem.start <= problem.end <= len(source) for problem in problems), source
