"""The plain form and the exact one agree, also on bindings that no declaration allows."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sidecar.cel import CelError, Program, Uint
from sidecar.cel import compile as compile_cel
from sidecar.cel.check import Checker
from sidecar.cel.exact import exact_form
from sidecar.cel.parse import parse
from sidecar.cel.problems import Problem
from tests.unit.cel.generated import ENVIRONMENT, bindings, expression
from tests.unit.cel.world import ENVIRONMENT as WORLD

STRANGE: tuple[Callable[[], Any], ...] = (
    lambda: Uint(3),
    lambda: True,
    lambda: 1,
    lambda: 0.0,
    lambda: (1, 2),
    lambda: [True],
    lambda: {1: 2, 2.0: 3},
    lambda: datetime(2026, 1, 1, tzinfo=UTC),
    lambda: timedelta(seconds=1),
    lambda: float("nan"),
    lambda: b"a",
    lambda: "a",
    lambda: None,
    lambda: 2**53 + 1,
    lambda: float(2**53),
)

# what the generator does not write: two variables, optionals, binds, and a dyn in every place
OTHERS = (
    "li.transformList(i, v, v + i)",
    "li.transformList(i, v, i > 1, v * i)",
    "m.transformMap(k, v, v + 1)",
    'm.transformMap(k, v, v > 0, k + "x")',
    "li.exists(i, v, i == v)",
    "li.all(i, v, i < v || v / (v - 2) == 1)",
    "m.exists_one(k, v, v > 1)",
    "m.existsOne(k, v, v > 1)",
    "x.exists(i, v, i == v)",
    "x.transformList(i, v, v)",
    "x.transformMap(k, v, v)",
    "optional.of(i).optMap(n, n + j).orValue(0)",
    'm[?"k"].orValue(5)',
    "m.?k.orValue(5) + li[?9].orValue(1)",
    "optional.none().hasValue()",
    '{?"a": m.?k, "b": 1}',
    "[?m.?k, 1]",
    "cel.bind(n, i + j, n * n + li.map(v, v + n).size())",
    "li.map(v, cel.bind(q, v + i, li.filter(w, w > q).size()))",
    "li.map(a, ls.map(b, m.map(c, size(c) + size(b) + a)))",
    "o.?maybe.orValue(1)",
    "has(o.?maybe.foo)",
    "x.?v.orValue(1)",
    "x[?0].orValue(1)",
    "optional.ofNonZeroValue(i).or(optional.of(j)).value()",
    "li.filter(v, v > 0).map(v, v * 2).exists(v, v == j)",
    "(b ? li : li + li).map(v, v)",
    '{1: "a", 2: "b"}[i]',
    "{true: 1}[b]",
    "{i: 1, j: 2}",
    "dyn(li)[i]",
    "dyn(m).k",
    "dyn(o).name",
    'li == [1, 2] || ls == ["a"]',
    "math.greatest(li)",
    'ls.join(",").split(",").map(p, p + "x")',
    '"%s %s".format([m, li])',
    'timestamp("2026-01-01T00:00:00Z") - at > span',
    'at.getHours("Europe/Paris") + at.getMinutes()',
    "x && b",
    "b || x",
    "x ? 1 : 2",
    "!x",
    "-x",
    "x + x",
    "x in li",
    '"a" in x',
    "x.size()",
    'x.startsWith("a")',
    'x.matches("a")',
    "type(x)",
    "string(x)",
    "int(x)",
    "x == x",
    "x < x",
    "x[0]",
    'x["v"]',
    "x.v",
    "has(x.v)",
    "x.all(q, q == 1)",
    "x.map(q, q)",
    "x.exists_one(q, q == 1)",
    "x.filter(q, q == 1)",
)


def exact_value(source: str, bound: dict[str, Any]) -> object:
    """What the exact form makes of an expression that nothing was folded in."""
    problems: list[Problem] = []
    (syntax,) = parse(source, ENVIRONMENT.budget, problems)
    function, _ = exact_form(Checker(source, ENVIRONMENT, problems).check(syntax), "dyn")
    try:
        return function(bound)
    except Exception as error:  # noqa: BLE001  of any kind: it stands for the error that evaluate would give
        return CelError(str(error), 0, 0)


@pytest.mark.parametrize("seed", range(4))
def test_both_forms_give_the_same_value_or_both_an_error(seed: int) -> None:
    pick = random.Random(seed)
    for _ in range(400):
        source, bound = expression(pick), bindings(pick)
        bound["x"] = pick.choice(STRANGE)()
        bound["o"]["any"] = {"v": pick.choice(STRANGE)()}
        program = compile_cel(source, ENVIRONMENT)
        assert isinstance(program, Program), source
        plain, exact = program.evaluate(bound), exact_value(source, bound)
        if isinstance(plain, CelError):
            assert isinstance(exact, CelError), source
        else:
            assert (type(plain), repr(plain)) == (type(exact), repr(exact)), source


@pytest.mark.parametrize("source", OTHERS)
def test_both_forms_agree_on_strange_values_too(source: str) -> None:
    pick = random.Random(source)
    program = compile_cel(source, ENVIRONMENT)
    assert isinstance(program, Program)
    for strange in STRANGE * 2:
        bound = {**bindings(pick), "x": strange()}
        plain, exact = program.evaluate(bound), exact_value(source, bound)
        assert isinstance(plain, CelError) is isinstance(exact, CelError)
        if not isinstance(plain, CelError):
            assert (type(plain), repr(plain)) == (type(exact), repr(exact))


def test_compiling_on_a_nearly_full_stack_is_a_problem_and_no_exception() -> None:
    deep = "(" * 40 + "vars.big" + ")" * 40

    def descend(levels: int) -> object:
        return descend(levels - 1) if levels else compile_cel(deep, WORLD)

    depth = 0
    frame = sys._getframe()
    while frame.f_back is not None:
        frame, depth = frame.f_back, depth + 1
    outcomes = {
        type(descend(sys.getrecursionlimit() - depth - left)).__name__
        for left in range(60, 900, 20)
    }
    assert outcomes <= {"Program", "tuple"}
    assert "Program" in outcomes
