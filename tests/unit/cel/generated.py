"""Expressions that nobody would write: well-typed ones by chance, with bindings, and texts with mistakes in them."""

# ruff: noqa: E501  expressions are data, and read best in one piece

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sidecar.cel import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    STRING,
    TIMESTAMP,
    UINT,
    Budget,
    Environment,
    List,
    Map,
    Member,
    Object,
    Uint,
)

TYPES = (
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "timestamp",
    "duration",
    "ints",
    "strings",
    "map",
    "dyn",
)

VARIABLES: dict[str, list[str]] = {
    "bool": ["b", "c", "o.flag"],
    "int": ["i", "j", "o.count", 'm["k"]', "li[0]"],
    "uint": ["u"],
    "double": ["d", "e", "o.ratio"],
    "string": ["s", "t", "o.name", "ls[1]"],
    "bytes": ["y"],
    "timestamp": ["at"],
    "duration": ["span"],
    "ints": ["li"],
    "strings": ["ls"],
    "map": ["m"],
    "dyn": ["x", "o.any.v"],
}

OBJECT = Object(
    "o",
    {
        "flag": Member(BOOL),
        "count": Member(INT),
        "ratio": Member(DOUBLE),
        "name": Member(STRING),
        "maybe": Member(INT, optional=True),
        "any": Member(Map(STRING, DYN)),
    },
)
ENVIRONMENT = Environment(
    {
        "b": BOOL,
        "c": BOOL,
        "i": INT,
        "j": INT,
        "u": UINT,
        "d": DOUBLE,
        "e": DOUBLE,
        "s": STRING,
        "t": STRING,
        "y": BYTES,
        "at": TIMESTAMP,
        "span": DURATION,
        "li": List(INT, 8),
        "ls": List(STRING, 8),
        "m": Map(STRING, INT, 8),
        "x": DYN,
        "o": OBJECT,
    },
    # what is compared is values: the cost has tests of its own
    budget=Budget(cost=10**12, size=10**15, nodes=5_000),
)

_INTS = (0, 1, -1, 2, 3, 7, 10, -5, 100, 2**31, 2**62, 2**63 - 1, -(2**63))
_DOUBLES = (0.0, 1.0, -1.0, 0.5, 2.5, -3.25, 1e10, 1e300, -0.0)
_STRINGS = ("", "a", "ab", "gh.search", "Grüße", "日本", "a b", "12", "true", "A", "z" * 12)
SHIFTS = ("bitShiftLeft", "bitShiftRight")
_NAMES = ("n", "of", "out", "bindings", "note", "find", "len", "known")
_ORDER = ("<", "<=", ">", ">=")


def bindings(pick: random.Random) -> dict[str, Any]:
    """Values for every variable; an optional member is there half of the time."""

    def whole() -> int:
        return pick.choice(_INTS)

    def number() -> float:
        return pick.choice(_DOUBLES)

    def text() -> str:
        return pick.choice(_STRINGS)

    maybe = {"maybe": whole()} if pick.random() < 0.5 else {}
    anything: list[Callable[[], Any]] = [
        whole,
        number,
        text,
        lambda: pick.random() < 0.5,
        lambda: None,
        lambda: [1, "a"],
    ]
    return {
        "b": pick.random() < 0.5,
        "c": pick.random() < 0.5,
        "i": whole(),
        "j": whole(),
        "u": Uint(pick.choice((0, 1, 2, 7, 2**63, 2**64 - 1))),
        "d": number(),
        "e": number(),
        "s": text(),
        "t": text(),
        "y": text().encode(),
        "at": datetime(2026, 1, 31, 23, 59, 59, 123_000, tzinfo=UTC)
        + timedelta(hours=pick.randrange(-9_000, 9_000)),
        "span": timedelta(
            seconds=pick.choice((0, 1, -1, 3_600, 86_399)), milliseconds=pick.choice((0, 501))
        ),
        "li": [whole() for _ in range(pick.randrange(4))],
        "ls": [text() for _ in range(pick.randrange(4))],
        "m": {pick.choice(("k", "l", "a", "")): whole() for _ in range(pick.randrange(3))},
        "x": pick.choice(anything)(),
        "o": {
            "flag": pick.random() < 0.5,
            "count": whole(),
            "ratio": number(),
            "name": text(),
            "any": {"v": pick.choice(anything)()} if pick.random() < 0.8 else {},
            **maybe,
        },
    }


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass
class Writer:
    """Writes one expression of a wanted type."""

    pick: random.Random
    scope: dict[str, list[str]] = field(default_factory=dict)
    count: int = 0

    def write(self, of: str, depth: int) -> str:
        """An expression of the type, at most ``depth`` levels deep."""
        if depth <= 0 or self.pick.random() < 0.12:
            return self.leaf(of)
        if self.pick.random() < 0.06:
            return f"({self.write('bool', depth - 1)} ? {self.write(of, depth - 1)} : {self.write(of, depth - 1)})"
        return self.pick.choice(getattr(self, f"_{of}"))(self, depth - 1)  # type: ignore[no-any-return] # by name

    def leaf(self, of: str) -> str:
        names = self.scope.get(of, []) * 3 + VARIABLES[of]
        if self.pick.random() < 0.6:
            return self.pick.choice(names)
        return self.literal(of)

    def literal(self, of: str) -> str:
        pick = self.pick
        match of:
            case "bool":
                return pick.choice(("true", "false"))
            case "int":
                value = pick.choice(_INTS)
                return f"({value})" if value < 0 else str(value)
            case "uint":
                return f"{pick.choice((0, 1, 2, 9, 2**64 - 1))}u"
            case "double":
                number = pick.choice(_DOUBLES)
                return f"({number!r})"
            case "string":
                return _quoted(pick.choice(_STRINGS))
            case "bytes":
                return "b" + _quoted(pick.choice(_STRINGS))
            case "timestamp":
                return f'timestamp("20{pick.randrange(10, 40)}-02-03T04:05:06Z")'
            case "duration":
                return (
                    f'duration("{pick.choice(("0s", "1s", "-90s", "1h30m", "1.511s", "257ms"))}")'
                )
            case "ints":
                return "[" + ", ".join(self.leaf("int") for _ in range(pick.randrange(1, 4))) + "]"
            case "strings":
                return (
                    "[" + ", ".join(self.leaf("string") for _ in range(pick.randrange(1, 4))) + "]"
                )
            case "map":
                return '{"k": ' + self.leaf("int") + ', "z": ' + self.leaf("int") + "}"
        return f"dyn({self.literal(pick.choice(TYPES[:6]))})"

    def bound(self, of: str, body: Callable[[str], str]) -> str:
        """A macro's variable and what is said of it."""
        self.count += 1
        # the first ones are names that the generated code might use itself
        name = (*_NAMES, f"v{self.count}")[min(self.count - 1, len(_NAMES))]
        before = self.scope
        self.scope = {**before, of: [*before.get(of, []), name]}
        text = body(name)
        self.scope = before
        return text

    def macro(self, name: str, depth: int, result: str = "bool") -> str:
        # the order of a map's keys is nobody's promise, so what keeps an order goes over lists only
        of, over = self.pick.choice(
            (("int", "ints"), ("string", "strings"), ("string", "map"))[: 2 + (name != "map")]
        )
        subject = self.write(over, depth)
        return self.bound(of, lambda v: f"{subject}.{name}({v}, {self.write(result, depth)})")

    def filtered(self, depth: int) -> str:
        """A list of those that a condition picks."""
        subject = self.write("ints", depth)
        return self.bound("int", lambda v: f"{subject}.filter({v}, {self.write('bool', depth)})")

    def arithmetic(self, of: str, operators: tuple[str, ...], depth: int) -> str:
        return f"({self.write(of, depth)} {self.pick.choice(operators)} {self.write(of, depth)})"

    def compared(self, depth: int) -> str:
        of = self.pick.choice(
            ("int", "uint", "double", "string", "bytes", "timestamp", "duration", "bool")
        )
        return self.arithmetic(of, (*_ORDER, "==", "!="), depth)

    def equal(self, depth: int) -> str:
        return self.arithmetic(self.pick.choice(TYPES), ("==", "!="), depth)

    def mixed(self, depth: int) -> str:
        a, b = (self.pick.choice(("int", "uint", "double", "dyn")) for _ in range(2))
        return f"(dyn({self.write(a, depth)}) {self.pick.choice((*_ORDER, '==', '!='))} {self.write(b, depth)})"

    _bool = (
        lambda w, n: f"({w.write('bool', n)} && {w.write('bool', n)})",
        lambda w, n: f"({w.write('bool', n)} || {w.write('bool', n)})",
        lambda w, n: f"!{w.write('bool', n)}",
        lambda w, n: w.compared(n),
        lambda w, n: w.compared(n),
        lambda w, n: w.equal(n),
        lambda w, n: w.mixed(n),
        lambda w, n: w.macro("all", n),
        lambda w, n: w.macro("exists", n),
        lambda w, n: w.macro("exists_one", n),
        lambda w, n: f"({w.write('int', n)} in {w.write('ints', n)})",
        lambda w, n: f"({w.write('string', n)} in {w.write('strings', n)})",
        lambda w, n: f"({w.write('string', n)} in {w.write('map', n)})",
        lambda w, n: f"({w.write('dyn', n)} in {w.write('ints', n)})",
        lambda w, n: f"{w.write('string', n)}.startsWith({w.write('string', n)})",
        lambda w, n: f"{w.write('string', n)}.endsWith({w.write('string', n)})",
        lambda w, n: f"{w.write('string', n)}.contains({w.write('string', n)})",
        lambda w, n: (
            w.write("string", n)
            + f".matches({_quoted(w.pick.choice(('^a', 'b$', '^gh[.].*', 'a|b', '^[a-z]+$', '(ab)*c', '.', '^ü?$')))})"
        ),
        lambda w, n: "has(o.maybe)",
        lambda w, n: f"(has(o.maybe) && o.maybe {w.pick.choice(_ORDER)} {w.write('int', n)})",
        lambda w, n: "has(o.any.v)",
        lambda w, n: "has(m.k)",
        lambda w, n: f"({w.write('dyn', n)} == null)",
        lambda w, n: (
            f"(type({w.write('dyn', n)}) == {w.pick.choice(('int', 'string', 'double', 'bool', 'list'))})"
        ),
    )
    _int = (
        *((lambda w, n: w.arithmetic("int", ("+", "-", "*", "/", "%"), n)),) * 4,
        lambda w, n: f"(-{w.write('int', n)})",
        lambda w, n: (
            f"size({w.write(w.pick.choice(('string', 'bytes', 'ints', 'strings', 'map')), n)})"
        ),
        lambda w, n: f"int({w.write(w.pick.choice(('uint', 'double', 'int', 'timestamp')), n)})",
        lambda w, n: f"{w.write('ints', n)}[{w.write('int', 0)}]",
        lambda w, n: f"{w.write('map', n)}.k",
        lambda w, n: f"(has(o.maybe) ? o.maybe : {w.write('int', n)})",
        lambda w, n: (
            w.write("timestamp", n)
            + "."
            + w.pick.choice(
                (
                    "getFullYear",
                    "getMonth",
                    "getDate",
                    "getDayOfMonth",
                    "getDayOfWeek",
                    "getDayOfYear",
                )
            )
            + "("
            + w.pick.choice(("", "", '"Europe/Paris"', '"+05:30"', '"America/New_York"'))
            + ")"
        ),
        lambda w, n: (
            f"{w.write('timestamp', n)}.{w.pick.choice(('getHours', 'getMinutes', 'getSeconds', 'getMilliseconds'))}()"
        ),
        lambda w, n: (
            f"{w.write('duration', n)}.{w.pick.choice(('getHours', 'getMinutes', 'getSeconds'))}()"
        ),
        lambda w, n: f"{w.write('string', n)}.indexOf({w.write('string', n)})",
        lambda w, n: f"math.abs({w.write('int', n)})",
        lambda w, n: f"math.greatest({w.write('int', n)}, {w.write('int', n)})",
        lambda w, n: (
            f"math.{w.pick.choice(('bitAnd', 'bitOr', 'bitXor'))}({w.write('int', n)}, {w.write('int', n)})"
        ),
        lambda w, n: (
            f"math.{w.pick.choice(SHIFTS)}({w.write('int', n)}, {w.pick.choice((0, 1, 9, 63, 64, 70))})"
        ),
        lambda w, n: f"int({w.write('string', n)})",
        lambda w, n: f"{w.write('string', n)}.lastIndexOf({w.write('string', n)})",
    )
    _uint = (
        lambda w, n: w.arithmetic("uint", ("+", "-", "*", "/", "%"), n),
        lambda w, n: f"uint({w.write(w.pick.choice(('int', 'double')), n)})",
    )
    _double = (
        lambda w, n: w.arithmetic("double", ("+", "-", "*", "/"), n),
        lambda w, n: f"double({w.write(w.pick.choice(('int', 'uint')), n)})",
        lambda w, n: f"(-{w.write('double', n)})",
        lambda w, n: f"double({w.write('string', n)})",
        lambda w, n: (
            f"math.{w.pick.choice(('ceil', 'floor', 'round', 'trunc', 'abs', 'sign'))}({w.write('double', n)})"
        ),
    )
    _string = (
        lambda w, n: f"({w.write('string', n)} + {w.write('string', n)})",
        lambda w, n: (
            f"string({w.write(w.pick.choice(('int', 'uint', 'bool', 'bytes', 'double', 'timestamp', 'duration')), n)})"
        ),
        lambda w, n: (
            f'"%s|%d|%.2f".format([{w.write("string", n)}, {w.write("int", n)}, {w.write("double", n)}])'
        ),
        lambda w, n: f"strings.quote({w.write('string', n)})",
        lambda w, n: f"{w.write('strings', n)}[{w.pick.randrange(3)}]",
        lambda w, n: (
            f"{w.write('string', n)}.{w.pick.choice(('lowerAscii', 'upperAscii', 'trim', 'reverse'))}()"
        ),
        lambda w, n: (
            f"{w.write('string', n)}.replace({w.write('string', n)}, {w.write('string', n)})"
        ),
        lambda w, n: f"{w.write('string', n)}.substring({w.pick.randrange(3)})",
        lambda w, n: f"{w.write('string', n)}.charAt({w.pick.randrange(3)})",
        lambda w, n: f"{w.write('strings', n)}.join({w.write('string', n)})",
    )
    _bytes = (
        lambda w, n: f"({w.write('bytes', n)} + {w.write('bytes', n)})",
        lambda w, n: f"bytes({w.write('string', n)})",
    )
    _timestamp = (
        lambda w, n: f"({w.write('timestamp', n)} + {w.write('duration', n)})",
        lambda w, n: f"({w.write('timestamp', n)} - {w.write('duration', n)})",
    )
    _duration = (
        lambda w, n: f"({w.write('duration', n)} {w.pick.choice('+-')} {w.write('duration', n)})",
        lambda w, n: f"({w.write('timestamp', n)} - {w.write('timestamp', n)})",
    )
    _ints = (
        lambda w, n: f"({w.write('ints', n)} + {w.write('ints', n)})",
        lambda w, n: f"[{w.write('int', n)}, {w.write('int', n)}]",
        lambda w, n: w.macro("map", n, "int"),
        lambda w, n: w.filtered(n),
    )
    _strings = (
        lambda w, n: f"({w.write('strings', n)} + {w.write('strings', n)})",
        lambda w, n: w.macro("map", n, "string"),
        lambda w, n: f"{w.write('string', n)}.split({_quoted(w.pick.choice(('.', ' ', 'a', '')))})",
    )
    _map = (lambda w, n: '{"k": ' + w.write("int", n) + ', "q": ' + w.write("int", n) + "}",)
    _dyn = (
        lambda w, n: f"dyn({w.write(w.pick.choice(TYPES[:-1]), n)})",
        lambda w, n: f"dyn({w.write('dyn', n)} {w.pick.choice('+-*/%')} {w.write('int', n)})",
        lambda w, n: (
            f"[{w.write('int', n)}, {w.write('string', n)}, {w.write('double', n)}][{w.pick.randrange(3)}]"
        ),
    )


def expression(pick: random.Random) -> str:
    """A well-typed expression."""
    return Writer(pick).write(pick.choice(TYPES), pick.randrange(1, 5))


_SCRAPS = (
    *"()[]{}.,:?!&|=<>+-*/%'\"`\\;@#$^~\n\t\0",
    "&&", "||", "==", "in", "not", "and", "has(", "\"\"\"", "r'", "b\"", "0x", "1e", "9" * 30, "u", "?.", "[?",
    "null", "true", "x.", ".map(", ".all(v, ", "é", "日", "\u202e", "\ud800", "\\u12", "cel.bind(", "//", "if",
)  # fmt: skip


def mutated(pick: random.Random, text: str) -> str:
    """The text with some of its pieces removed, doubled, moved or replaced."""
    for _ in range(pick.randrange(1, 6)):
        at = pick.randrange(len(text) + 1)
        upto = min(len(text), at + pick.choice((0, 1, 1, 2, 5, 20)))
        match pick.randrange(5):
            case 0:
                text = text[:at] + text[upto:]
            case 1:
                text = text[:at] + pick.choice(_SCRAPS) + text[at:]
            case 2:
                text = text[:at] + pick.choice(_SCRAPS) + text[upto:]
            case 3:
                text = text[:at] + text[at:upto] * pick.randrange(2, 30) + text[upto:]
            case _:
                text = text[:at] + text[upto:][::-1]
    return text
