"""Expressions written to do harm: refused at load, or done within 5 ms over the largest inputs that are declared."""

# ruff: noqa: E501  expressions are data, and read best in one piece

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from sidecar.cel import Budget, Environment, Program, over_budget
from sidecar.cel import compile as compile_cel
from tests.unit.cel.world import ENVIRONMENT, program

LONGEST_MS = 5.0
LONGEST_LOADING_MS = 50.0
LONG = "a" * 256

HOSTILE: dict[str, str] = {
    "a loop in a loop": "request.counts.all(a, request.counts.all(b, a + b >= 0))",
    "four loops deep": (
        "request.counts.all(a, request.counts.all(b, request.counts.all(c, request.counts.all(d, a + b + c + d >= 0))))"
    ),
    "a loop over a dyn in a loop": "anything.all(a, anything.all(b, a == b))",
    "a loop whose error is absorbed": "request.counts.exists(a, a / (a - a) == 1)",
    "a loop whose last element fails": "request.counts.exists(a, 1 / (63 - a) == 1000)",
    "maps in a row": "request.counts.map(a, a * 2).filter(b, b > 5).map(c, c + 1).exists(d, d == 1000)",
    "lists of lists": "request.tags.map(t, request.tags.map(u, t)).size() > 0",
    "a literal looped over in a loop": "[[1, 2, 3], [4, 5, 6]].all(r, r.all(c, request.counts.all(n, n + c >= 0)))",
    "a text doubled six times": (
        "cel.bind(a, request.model + request.model, cel.bind(b, a + a, cel.bind(c, b + b, "
        "cel.bind(d, c + c, cel.bind(e, d + d, e + e))))).size() > 1"
    ),
    "a text doubled twenty-six times": (
        "".join(f"cel.bind(a{n}, a{n - 1} + a{n - 1}, " for n in range(1, 27)).replace(
            "a0", "request.model"
        )
        + "a26.size() > 1"
        + ")" * 26
    ),
    "a text doubled in loops": "request.tags.map(t, t + t).map(t, t + t).map(t, t + t).size() > 0",
    "everything replaced by everything": 'request.model.replace("", request.model).replace("", request.model) == ""',
    "one long join": "request.tags.join(request.model).size() > 3",
    "a large format": '"%s".format([request.tags]).size() > 3',
    "numbers written one by one": "request.counts.all(a, string(double(a) * 1.1) != string(double(a) / 3.3))",
    "a catastrophic pattern": 'request.model.matches("(a*)*(a*)*(a*)*b")',
    "a catastrophic pattern in a loop": 'request.tags.all(t, !t.matches("(a|aa)+$") || t.matches("(a+)+b"))',
    "optional parts without end": f'request.model.matches("{"a?" * 60}{"a" * 60}")',
    "repetition of repetition": 'request.model.matches("((a{1,100}){1,100}){1,100}")',
    "a long pattern": f'request.model.matches("{"a" * 300}")',
    "a pattern from the request": "request.model.matches(request.user_id)",
    "two hundred brackets": "(" * 200 + "1" + ")" * 200,
    "three hundred exclamation marks": "!" * 300 + "true",
    "two hundred lists": "[" * 200 + "]" * 200,
    "a hundred maps": "{1:" * 100 + "1" + "}" * 100,
    "five hundred summands": "1" + "+1" * 500,
    "a hundred members": "request" + ".a" * 100,
    "a hundred conditions": "true ? 1 : " * 100 + "2",
    "a thousand elements": "[" + ",".join(["1"] * 1000) + "]",
    "ten thousand characters": '"' + "x" * 10_000 + '"',
    "a number of 3,900 digits": "9" * 3_900,
    "an exponent of 3,900 digits": "1e" + "9" * 3_900,
    "a duration of many parts": f'duration("{"1h" * 100}") > duration("1s")',
    "a timestamp of many digits": f'timestamp("{"2" * 3_000}") > now',
    "a zone that is a path": 'now.getHours("../../../../etc/passwd") > 1',
    "a zone of many parts": f'now.getHours("{"A/" * 500}") > 1',
    "zones in a loop": 'request.counts.all(a, now.getHours("Europe/Paris") >= 0 && now.getDate("Asia/Tokyo") >= 0)',
    "dyn equality in a loop": "request.counts.all(a, dyn(a) in request.counts)",
    "objects compared in a loop": "request.counts.all(a, request == request && limits == limits)",
    "lists compared in a loop": "request.counts.all(a, request.counts == request.counts || a in request.counts)",
    "a list looked for in lists": "request.counts.all(a, [a] in [request.counts, request.counts, [a]])",
    "dyn compared in a loop": "request.counts.all(a, anything == anything)",
    "RE2 called for every element": "request.counts.all(a, string(a).matches('(?i)(a|b)+c') || a >= 0)",
    "nested has": "has(" * 100,
    "has() and or, in all ways": " || ".join(["(has(request.note) && request.note == '')"] * 80),
    "unclosed everything": "([{" * 60,
}


def largest() -> dict[str, Any]:
    """Bindings with every string, list and map at its declared maximum, and nothing that ends a loop early."""
    return {
        "request": {
            "app_id": LONG,
            "user_id": LONG,
            "plugin": LONG,
            "model": LONG,
            "estimated_tokens": 2**62,
            "attributes": {f"{at:03}" + LONG[3:]: LONG for at in range(64)},
            "tags": [LONG[:-3] + f"{at:03}" for at in range(64)],
            "counts": list(range(64)),
            "note": LONG,
        },
        "subscription": {"status": "active", "seats": 3},
        "plan": {"id": LONG, "features": {}},
        "limits": {},
        "now": datetime(2026, 5, 3, 12, tzinfo=UTC),
        "vars": {"big": True},
        "anything": [LONG] * 64,
    }


def fastest_ms(work: Callable[[], object]) -> float:
    """The work of the quickest of a few turns, without what else the machine did meanwhile."""

    def once() -> float:
        start = time.thread_time()
        work()
        return (time.thread_time() - start) * 1000

    return min(once() for _ in range(5))


@pytest.mark.parametrize(
    "source", [pytest.param(source, id=name) for name, source in HOSTILE.items()]
)
def test_a_hostile_expression_is_refused_or_quick(source: str) -> None:
    assert fastest_ms(lambda: compile_cel(source, ENVIRONMENT)) < LONGEST_LOADING_MS
    compiled, bound = compile_cel(source, ENVIRONMENT), largest()
    if isinstance(compiled, Program):
        evaluate = compiled.evaluate
        assert fastest_ms(lambda: evaluate(bound)) < LONGEST_MS


def test_there_are_at_least_25_of_them() -> None:
    assert len(HOSTILE) >= 25


@pytest.mark.parametrize(
    "part",
    [
        "string(double(a) * 1.1) != ''",
        "string(now) != ''",
        "now - now < duration('1h')",
        "a + a + a + a >= 0",
        "dyn(a) + dyn(a) >= 0",
        "limits == limits",
        "request.counts == request.counts",
        "'a'.matches('(?i)(a|b)+')",
        "plan.features == plan.features",
        "strings.quote(request.model) != ''",
        "request.tags.size() > 0",
        "math.abs(a) >= 0",
        "now.getDayOfYear('Europe/Paris') > 0",
        "a in request.counts",
        "'%d %f'.format([a, a]) != ''",
    ],
)
@pytest.mark.parametrize("ending", ["", " && 1 / (63 - a) > -1"])
def test_an_expression_that_uses_up_the_whole_budget_is_quick(part: str, ending: str) -> None:
    """As many repetitions of the part as the budget allows, the slow form included (an error in the last round)."""
    tried = (
        f"{over}.all(a, {' && '.join([part] * times)}{ending})"
        for over in ("request.counts", "[1, 2, 3, 4, 5, 6, 7, 63]")
        for times in range(30, 0, -1)
    )
    programs = (compile_cel(source, ENVIRONMENT) for source in tried)
    compiled = next(each for each in programs if isinstance(each, Program))
    assert compiled.cost > 5_000
    evaluate, bound = compiled.evaluate, largest()
    assert fastest_ms(lambda: evaluate(bound)) < LONGEST_MS


def test_the_limits_are_those_of_the_environment() -> None:
    source = "request.counts.all(a, request.counts.all(b, a + b >= 0))"
    wide = Environment(ENVIRONMENT.variables, budget=Budget(cost=1_000_000))
    assert program(source, wide).evaluate(largest()) is True


def test_a_decision_has_a_budget_of_its_own() -> None:
    one = program("request.counts.all(a, a in request.counts)")
    assert over_budget([("first", one)], Budget()) == ""
    message = over_budget([(f"rule-{at}", one) for at in range(50)], Budget())
    assert message.startswith("worst-case cost ")
    assert "the most expensive is rule-0" in message
