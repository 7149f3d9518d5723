"""A small vocabulary, what can be said in it by chance, and contexts to say it of."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime

from sidecar.cel import (
    BOOL,
    DOUBLE,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    Dyn,
    Environment,
    Map,
    Member,
    Object,
    Program,
    String,
)
from sidecar.cel import compile as compile_cel
from sidecar.cel.logic.cases import ANY, Bounds, Cases, Possibilities
from sidecar.cel.logic.claims import Claim
from sidecar.cel.logic.failing import may_fail
from sidecar.cel.logic.resolved import resolved

FREE = Map(STRING, Dyn(guarded=True), max_size=8, guarded=True)
ENVIRONMENT = Environment({
    "o": Object("o", {
        "count": Member(INT), "tokens": Member(INT), "ratio": Member(DOUBLE),
        "name": Member(STRING), "model": Member(STRING),
        "status": Member(String(known=frozenset({"active", "past_due", "paused"}))),
        "flag": Member(BOOL), "free": Member(FREE), "seen": Member(TIMESTAMP, optional=True),
    }),
    "now": TIMESTAMP,
    "x": DYN,
})  # fmt: skip
BOUNDS = Bounds(
    {("o", "tokens"): (0, 2**53 - 1)},
    {"getDayOfWeek": (0, 6), "getHours": (0, 23), "size": (0, 2**31)},
)
_NAN_ONE = (math.nan, math.inf, -math.inf, -1.0, 0.0, 0.5, 1.0, 4.5, 5.0, 6.0, 9.5)
_INTEGERS = (-(2**63), -6, -1, 0, 1, 4, 5, 6, 7, 9, 10, 2**53 - 1, 2**53, 2**53 + 1, 2**63 - 1)
_LARGE = ("9007199254740992", "9007199254740992.0", "9007199254740993")
_NAMES = ("", "a", "b", "ab", "ba", "aba", "a*b", "A", "gpt-4", "gpt-4-mini", "xyz", "active")
_ANYTHING: tuple[object, ...] = (
    *_NAMES,
    *_INTEGERS,
    *_NAN_ONE,
    True,
    False,
    None,
    [],
    ["a"],
    {},
    {"b": 1},
)
_TIMES = tuple(datetime(2026, 5, day, hour, tzinfo=UTC) for day in (1, 2, 3, 4) for hour in (0, 23))


def claim(text: str, given: Cases = ANY) -> Claim:
    """An expression of the vocabulary, with nothing around it."""
    tree = program(text).tree
    node = resolved(tree, {}, lambda _: None)
    return Claim(node, may_fail(tree), Possibilities(BOUNDS), given)


def program(text: str) -> Program:
    """The same to be evaluated."""
    compiled = compile_cel(text, ENVIRONMENT, result=BOOL)
    assert isinstance(compiled, Program), compiled
    return compiled


def context(pick: random.Random) -> dict[str, object]:
    """Values on the edges of what the expressions compare with."""
    free = {name: pick.choice(_ANYTHING) for name in ("a", "b") if pick.random() < 0.8}
    o: dict[str, object] = {
        "count": pick.choice(_INTEGERS),
        "tokens": pick.choice([each for each in _INTEGERS if 0 <= each < 2**53]),
        "ratio": pick.choice(_NAN_ONE),
        "name": pick.choice(_NAMES),
        "model": pick.choice(_NAMES),
        "status": pick.choice(("active", "past_due", "paused")),
        "flag": pick.random() < 0.5,
        "free": free,
    }
    if pick.random() < 0.7:
        o["seen"] = pick.choice(_TIMES)
    return {"o": o, "now": pick.choice(_TIMES), "x": pick.choice(_ANYTHING)}


def conjunction(pick: random.Random) -> str:
    """A few conditions, joined mostly by && and sometimes wrapped in more."""
    text = " && ".join(_part(pick) for _ in range(pick.randint(1, 4)))
    if pick.random() < 0.2:
        text = f"({text}) || {_part(pick)} && {_part(pick)}"
    if pick.random() < 0.15:
        text = f"!({text})"
    return text


def _part(pick: random.Random) -> str:
    text = pick.choice(_PARTS)(pick)
    shape = pick.random()
    if shape < 0.15:
        return f"!({text})"
    if shape < 0.22:
        return f"({text} || {pick.choice(_PARTS)(pick)})"
    if shape < 0.27:
        return f"({pick.choice(_PARTS)(pick)} ? {text} : {pick.choice(_PARTS)(pick)})"
    if shape < 0.3:
        return f"(({text}) == {pick.choice(('true', 'false'))})"
    if shape < 0.33:
        return f"cel.bind(v, {text}, v && {pick.choice(_PARTS)(pick)})"
    return text


def _of(pick: random.Random, *choices: str) -> str:
    return pick.choice(choices)


def _order(pick: random.Random) -> str:
    return _of(pick, "<", "<=", ">", ">=", "==", "!=")


def _number(pick: random.Random, numbers: Sequence[object]) -> str:
    return str(pick.choice(numbers))


def _integers(pick: random.Random) -> str:
    term = _of(pick, "o.count", "o.tokens", "o.count + o.tokens", "size(o.name)", "now.getHours()",
               "now.getDayOfWeek()")  # fmt: skip
    value = _number(pick, (-1, 0, 1, 5, 6, 7, 23, 24, 9007199254740993))
    shape = pick.random()
    if shape < 0.15:
        return f"{term} in [{value}, {_number(pick, (5, 6, 7, 24))}]"
    if shape < 0.3:
        return f"{value} {_order(pick)} {term}"
    if shape < 0.4:
        return f"o.count {_order(pick)} o.tokens"
    if shape < 0.5:
        return f"o.tokens {_order(pick)} o.count"
    return f"{term} {_order(pick)} {value}"


def _doubles(pick: random.Random) -> str:
    value = _number(pick, (0.0, 0.5, 5.0, 6.0))
    if pick.random() < 0.2:
        return f"{value} {_order(pick)} o.ratio"
    return f"o.ratio {_order(pick)} {value}"


def _text(pick: random.Random) -> str:
    term = _of(pick, "o.name", "o.name", "o.model", "o.name.lowerAscii()")
    value = _of(pick, '""', '"a"', '"b"', '"ab"', '"A"', '"a*b"', '"gpt-4"')
    shape = pick.random()
    if shape < 0.5:
        return f"{term}.{_of(pick, 'startsWith', 'endsWith', 'contains')}({value})"
    if shape < 0.6:
        return f"{term} in [{value}, {_of(pick, *_quoted())}]"
    if shape < 0.7:
        return f"o.name {_order(pick)} o.model"
    return f"{term} {_of(pick, '==', '!=')} {value}"


def _quoted() -> tuple[str, ...]:
    return '"ba"', '"gpt-4-mini"', '""'


def _enumeration(pick: random.Random) -> str:
    value = _of(pick, '"active"', '"past_due"', '"paused"')
    if pick.random() < 0.3:
        other = _of(pick, '"paused"', '"active"')
        return f"o.status in [{value}, {other}]"
    return f"o.status {_of(pick, '==', '!=')} {value}"


def _free(pick: random.Random) -> str:
    name = _of(pick, "a", "b")
    literal = _of(pick, '"a"', '"ab"', "true", "false", "1", "5", "5.0", "0.5", "null", "[5]")
    at = f"o.free.{name}"
    number = _of(pick, "1", "5", "5.0", "0.5", "9007199254740993")
    body = _of(
        pick,
        f"{at} {_of(pick, '==', '!=')} {literal}",
        f"{at} {_of(pick, '<', '<=', '>', '>=')} {number}",
        f'{at}.startsWith({_of(pick, *_quoted())})',
        f"{at} in [{literal}, 5]",
        f"{at}",
    )  # fmt: skip
    guard = _of(pick, f"has({at})", f'"{name}" in o.free')
    return f"({guard} && {body})" if pick.random() < 0.8 else guard


def _anything(pick: random.Random) -> str:
    literal = _of(pick, '"a"', "true", "1", "5", "5.0", "6.0", "null", *_LARGE)
    shape = pick.random()
    if shape < 0.2:
        return f"x.{_of(pick, 'startsWith', 'contains')}({_of(pick, *_quoted())})"
    if shape < 0.6:
        return f"x {_of(pick, '<', '<=', '>', '>=')} {_of(pick, '1', '5', '5.0', '6.0', *_LARGE)}"
    return f"x {_of(pick, '==', '!=')} {literal}"


def _flags(pick: random.Random) -> str:
    return _of(pick, "o.flag", "has(o.seen)", "has(o.seen) && o.seen < now", "o.flag == true",
               "o.flag != (o.count > 5)", "true", "false",
               'now < timestamp("2026-05-02T00:00:00Z")',
               'now >= timestamp("2026-05-02T00:00:00Z")',
               'now == timestamp("2026-05-02T00:00:00Z")')  # fmt: skip


_PARTS = (_integers, _integers, _doubles, _text, _text, _enumeration, _free, _anything, _flags)
