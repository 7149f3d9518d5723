"""How large a value can become: what a program says of it holds, and others are held to it."""

# ruff: noqa: E501  expressions and their repairs are data, and read best in one piece

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import pytest

from sidecar.cel import (
    BOOL,
    DYN,
    INT,
    STRING,
    Bytes,
    CelError,
    Dyn,
    Environment,
    List,
    Map,
    Member,
    Object,
    Program,
    String,
    Type,
)
from sidecar.cel import compile as compile_cel
from tests.unit.cel.generated import ENVIRONMENT as GENERATED
from tests.unit.cel.generated import bindings as generated_bindings
from tests.unit.cel.generated import expression
from tests.unit.cel.test_hostile import largest
from tests.unit.cel.world import ENVIRONMENT, program


def held(value: object) -> int:
    """Characters, octets and elements in a value, whatever is in it counted too."""
    match value:
        case str() | bytes():
            return len(value)
        case list():
            return sum(max(1, held(each)) for each in value)
        case dict():
            return sum(max(1, held(key) + held(each)) for key, each in value.items())
    return 1


@pytest.mark.parametrize(
    ("source", "result"),
    [
        ("request.model", String(256)),
        ("request.model + request.model", String(512)),
        ('"ab" + "c"', String(3)),
        ('vars.big ? "a" : "four"', String(4)),
        ("request.tags + ['x']", List(STRING, 65)),
        ("request.tags.map(t, t + t)", List(String(512), 64)),
        ("[request.model]", List(STRING, 1)),
        ("{request.model: 1}", Map(STRING, INT, 1)),
        ("{request.model + '!': 'x' + 'y'}", Map(String(257), String(2), 1)),
        ("bytes(request.model)", Bytes(1024)),
        ("request.attributes", Map(STRING, DYN, 64)),
        ("anything", DYN),
        ("dyn(request.model + request.model)", Dyn(512, 512)),
        ("subscription.status", ENVIRONMENT.variables["subscription"].members["status"].type),  # type: ignore[attr-defined] # an object
    ],
)
def test_a_result_has_the_maxima_that_its_value_can_have(source: str, result: Type) -> None:
    assert program(source).result == result


def test_what_a_program_says_of_the_size_of_its_value_is_true() -> None:
    pick = random.Random(20260502)
    for _ in range(1_500):
        source, bound = expression(pick), generated_bindings(pick)
        compiled = compile_cel(source, GENERATED)
        assert isinstance(compiled, Program), source
        value = compiled.evaluate(bound)
        assert isinstance(value, CelError) or held(value) <= compiled.size, source


DOUBLING = {
    "a text": ("request.model", "vars.v + vars.v"),
    "a list": ("request.tags", "vars.v + vars.v"),
    "a text in a list": ("[request.model]", "[vars.v[0] + vars.v[0]]"),
    "a list in a list": ("[request.model]", "[vars.v, vars.v]"),
    "a text in a dyn": ("dyn(request.model)", "dyn(vars.v + vars.v)"),
    "a text in a list in a dyn": ("dyn([request.model])", "dyn([vars.v[0] + vars.v[0]])"),
    "octets": ("bytes(request.model)", "vars.v + vars.v"),
    "a key": ("{request.model: 1}", "{vars.v.map(k, k)[0] + vars.v.map(k, k)[0]: 1}"),
    "a value": ("{'a': request.model}", "{'a': vars.v.a + vars.v.a}"),
    "an optional": ("optional.of(request.model)", "optional.of(vars.v.value() + vars.v.value())"),
    "a choice of types": (
        "vars.big ? dyn(request.model) : dyn(1)",
        "vars.big ? dyn(vars.v + vars.v) : dyn(1)",
    ),
    "a replacement": ("request.model", 'vars.v.replace("", vars.v)'),
    "a join": ("request.model", "[vars.v, vars.v].join(vars.v)"),
    "a format": ("request.model", '"%s%s".format([vars.v, vars.v])'),
    "quotes": ("request.model", "strings.quote(vars.v)"),
    "base64": ("request.model", "base64.encode(bytes(vars.v))"),
    "hexadecimal digits": ("request.model", '"%x".format([vars.v])'),
}


@pytest.mark.parametrize("name", DOUBLING)
def test_variables_that_double_each_other_are_refused_before_they_are_large(name: str) -> None:
    first, again = DOUBLING[name]
    chain: list[Program] = []
    of: dict[str, Member] = {"big": Member(BOOL)}
    while len(chain) < 40:
        environment = Environment(
            {**ENVIRONMENT.variables, "vars": Object("vars", of)}, budget=ENVIRONMENT.budget
        )
        compiled = compile_cel(again if chain else first, environment)
        if not isinstance(compiled, Program):
            assert {each.code for each in compiled} == {"too-costly"}
            break
        chain.append(compiled)
        of = {"big": Member(BOOL), "v": Member(compiled.result)}
    assert 1 < len(chain) < 40
    bound = largest()
    tracemalloc.start()
    for compiled in chain:
        value = compiled.evaluate(bound)
        assert held(value) <= compiled.size
        bound["vars"] = {"big": True, "v": value}
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [
        "cel.bind(m, {a + a: 1}, cel.bind(a, m.map(k, k)[0], BODY))",
        "cel.bind(d, dyn([a + a]), cel.bind(a, d[0], BODY))",
        "cel.bind(a, a.replace('', a), BODY)",
        "cel.bind(a, [a, a], BODY)",
    ],
)
def test_what_grows_step_by_step_within_one_expression_is_refused(body: str) -> None:
    source = "cel.bind(a, request.model, BODY)"
    for _ in range(14):
        source = source.replace("BODY", body)
    source = source.replace("BODY", "a == a")
    problems = compile_cel(source, ENVIRONMENT)
    assert not isinstance(problems, Program)
    assert [each.code for each in problems] == ["too-costly"]


def test_a_value_that_nothing_could_hold_is_refused_however_cheap_it_is() -> None:
    source = "cel.bind(a, [request.model], BODY)"
    for _ in range(15):
        source = source.replace("BODY", "cel.bind(a, [a, a], BODY)")
    (problem,) = compile_cel(source.replace("BODY", "a.size() > 0"), ENVIRONMENT)  # type: ignore[misc] # refused
    assert problem.message == (
        "this can grow to 8388608 characters and elements; 4194304 are allowed"
    )


# -- what may be absent -------------------------------------------------------------------------

GUARDED = Environment(
    {
        "request": Object(
            "request",
            {
                "attributes": Member(Map(STRING, Dyn(guarded=True), guarded=True)),
                "id": Member(STRING),
            },
        ),
        "limits": Map(STRING, Object("limit", {"used": Member(INT)}), guarded=True),
    }
)


@pytest.mark.parametrize(
    "source",
    [
        "has(limits.a) && limits.a.used > 1",
        '"a" in limits && limits["a"].used > 1',
        '"a" in limits && limits.a.used > 1',
        'has(limits.a) && limits["a"].used > 1',
        '!("a" in limits) || limits.a.used > 1',
        '"a" in limits ? limits.a.used > 1 : false',
        "!has(request.attributes.a) || request.attributes.a == 1",
        "has(request.attributes.a) && has(request.attributes.a.b) && request.attributes.a.b == 1",
        "limits.all(name, limits[name].used > 1)",
        "limits[request.id].used > 1",
        "limits[?'a'].hasValue()",
        "has(request.attributes.a) && request.attributes.a[0] == 1",
        "cel.bind(all, request.attributes, has(all.a) && all.a == 1)",
        "dyn(request.attributes.size()) == 1",
    ],
)
def test_a_key_that_is_proved_may_be_read(source: str) -> None:
    assert program(source, GUARDED, result=BOOL).cost > 0


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("limits.a.used > 1", "write has(limits.a) && ... before it, or has(limits.a) ? limits.a : default"),
        ('limits["a"].used > 1', 'write "a" in limits && ... before it, or "a" in limits ? limits["a"] : default'),
        ('limits["a"].used > 1 && "a" in limits', 'write "a" in limits && ... before it, or "a" in limits ? limits["a"] : default'),
        ("has(limits.b) && limits.a.used > 1", "write has(limits.a) && ... before it, or has(limits.a) ? limits.a : default"),
        ("has(limits.a) || limits.a.used > 1", "write has(limits.a) && ... before it, or has(limits.a) ? limits.a : default"),
        ("has(request.attributes.a.b)", "write has(request.attributes.a) && ... before it, or has(request.attributes.a) ? request.attributes.a : default"),
        ("has(request.attributes.a) && request.attributes.a.b == 1", "write has(request.attributes.a.b) && ... before it, or has(request.attributes.a.b) ? request.attributes.a.b : default"),
    ],
)  # fmt: skip
def test_a_key_that_may_be_absent_is_not_read(source: str, hint: str) -> None:
    problems = compile_cel(source, GUARDED)
    assert not isinstance(problems, Program)
    assert [(each.code, each.hint) for each in problems] == [("unguarded-optional", hint)]


def test_a_key_that_is_known_to_be_there_needs_no_proof() -> None:
    environment = Environment(GUARDED.variables, present=frozenset({("limits", "a")}))
    assert program("limits.a.used > limits['a'].used", environment).proves == frozenset()
    assert not isinstance(compile_cel("limits.b.used > 1", environment), Program)


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ("has(limits.a) && limits.a.used > 1", {("limits", "a")}),
        ("has(limits.a) || request.id == 'x'", set()),
        ("has(limits.a) || 'a' in limits", {("limits", "a")}),
        ("false", set()),
        ("cel.bind(l, limits, has(l.a))", set()),
    ],
)
def test_a_program_tells_what_is_there_when_it_is_true(source: str, paths: set[Any]) -> None:
    assert program(source, GUARDED).proves == paths
