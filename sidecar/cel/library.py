"""Which functions and operators there are, and for which types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.cel.types import (
    BOOL,
    BYTES,
    DOUBLE,
    DURATION,
    DYN,
    INT,
    NULL,
    STRING,
    TIMESTAMP,
    TYPE,
    UINT,
    List,
    Map,
    Maybe,
    Parameter,
    Type,
)

A, B = Parameter("A"), Parameter("B")
LIST, MAP = List(A), Map(A, B)


@dataclass(frozen=True, slots=True)
class Signature:
    """One overload: the types it takes, a receiver first, and the type it gives."""

    takes: tuple[Type, ...]
    gives: Type
    receiver: bool = False

    def __str__(self) -> str:
        names = [str(each) for each in self.takes]
        return f"{names[0]}.({', '.join(names[1:])})" if self.receiver else f"({', '.join(names)})"


def on(*takes: Type, gives: Type) -> Signature:
    """An overload called on a receiver: ``x.f(y)``."""
    return Signature(takes, gives, receiver=True)


def of(*takes: Type, gives: Type) -> Signature:
    """An overload called by name alone: ``f(x, y)``."""
    return Signature(takes, gives)


_NUMERIC = (INT, UINT, DOUBLE)
_ORDERED = (BOOL, INT, UINT, DOUBLE, STRING, BYTES, TIMESTAMP, DURATION)
_ZONED = (on(TIMESTAMP, gives=INT), on(TIMESTAMP, STRING, gives=INT))
_CLOCK = (*_ZONED, on(DURATION, gives=INT))
_ARITHMETIC = tuple(of(each, each, gives=each) for each in _NUMERIC)
_ORDER = tuple(of(each, each, gives=BOOL) for each in _ORDERED)
_EQUALITY = (of(A, A, gives=BOOL),)
_BITS = (of(INT, INT, gives=INT), of(UINT, UINT, gives=UINT))
_SHIFTS = (of(INT, INT, gives=INT), of(UINT, INT, gives=UINT))
_ROUNDING = (of(DOUBLE, gives=DOUBLE),)
_TESTS = (of(DOUBLE, gives=BOOL),)
_SIGNED = tuple(of(each, gives=each) for each in _NUMERIC)
_SEARCH = (on(STRING, STRING, gives=INT), on(STRING, STRING, INT, gives=INT))
_TEXT_TEST = (on(STRING, STRING, gives=BOOL),)
_TEXT = (on(STRING, gives=STRING),)
_SIZED = (STRING, BYTES, LIST, MAP)

FUNCTIONS: Mapping[str, tuple[Signature, ...]] = {
    "_+_": (
        *_ARITHMETIC,
        of(STRING, STRING, gives=STRING),
        of(BYTES, BYTES, gives=BYTES),
        of(LIST, LIST, gives=LIST),
        of(TIMESTAMP, DURATION, gives=TIMESTAMP),
        of(DURATION, TIMESTAMP, gives=TIMESTAMP),
        of(DURATION, DURATION, gives=DURATION),
    ),
    "_-_": (
        *_ARITHMETIC,
        of(TIMESTAMP, TIMESTAMP, gives=DURATION),
        of(TIMESTAMP, DURATION, gives=TIMESTAMP),
        of(DURATION, DURATION, gives=DURATION),
    ),
    "_*_": _ARITHMETIC,
    "_/_": _ARITHMETIC,
    "_%_": (of(INT, INT, gives=INT), of(UINT, UINT, gives=UINT)),
    "-_": (of(INT, gives=INT), of(DOUBLE, gives=DOUBLE)),
    "!_": (of(BOOL, gives=BOOL),),
    "_==_": _EQUALITY,
    "_!=_": _EQUALITY,
    "_<_": _ORDER,
    "_<=_": _ORDER,
    "_>_": _ORDER,
    "_>=_": _ORDER,
    "_in_": (of(A, LIST, gives=BOOL), of(A, MAP, gives=BOOL)),
    "size": (*(of(each, gives=INT) for each in _SIZED), *(on(each, gives=INT) for each in _SIZED)),
    "contains": _TEXT_TEST,
    "startsWith": _TEXT_TEST,
    "endsWith": _TEXT_TEST,
    "matches": (*_TEXT_TEST, of(STRING, STRING, gives=BOOL)),
    "dyn": (of(A, gives=DYN),),
    "type": (of(A, gives=TYPE),),
    "bool": (of(BOOL, gives=BOOL), of(STRING, gives=BOOL)),
    "int": tuple(of(each, gives=INT) for each in (*_NUMERIC, STRING, TIMESTAMP)),
    "uint": tuple(of(each, gives=UINT) for each in (*_NUMERIC, STRING)),
    "double": tuple(of(each, gives=DOUBLE) for each in (*_NUMERIC, STRING)),
    "string": tuple(
        of(each, gives=STRING) for each in (*_NUMERIC, STRING, BOOL, BYTES, TIMESTAMP, DURATION)
    ),
    "bytes": (of(STRING, gives=BYTES), of(BYTES, gives=BYTES)),
    "timestamp": (
        of(STRING, gives=TIMESTAMP),
        of(INT, gives=TIMESTAMP),
        of(TIMESTAMP, gives=TIMESTAMP),
    ),
    "duration": (of(STRING, gives=DURATION), of(DURATION, gives=DURATION)),
    "getFullYear": _ZONED,
    "getMonth": _ZONED,
    "getDate": _ZONED,
    "getDayOfMonth": _ZONED,
    "getDayOfWeek": _ZONED,
    "getDayOfYear": _ZONED,
    "getHours": _CLOCK,
    "getMinutes": _CLOCK,
    "getSeconds": _CLOCK,
    "getMilliseconds": _CLOCK,
    "charAt": (on(STRING, INT, gives=STRING),),
    "indexOf": _SEARCH,
    "lastIndexOf": _SEARCH,
    "lowerAscii": _TEXT,
    "upperAscii": _TEXT,
    "trim": _TEXT,
    "reverse": _TEXT,
    "join": (on(List(STRING), gives=STRING), on(List(STRING), STRING, gives=STRING)),
    "split": (on(STRING, STRING, gives=List(STRING)), on(STRING, STRING, INT, gives=List(STRING))),
    "replace": (
        on(STRING, STRING, STRING, gives=STRING),
        on(STRING, STRING, STRING, INT, gives=STRING),
    ),
    "substring": (on(STRING, INT, gives=STRING), on(STRING, INT, INT, gives=STRING)),
    "format": (on(STRING, List(DYN), gives=STRING),),
    "strings.quote": (of(STRING, gives=STRING),),
    "math.ceil": _ROUNDING,
    "math.floor": _ROUNDING,
    "math.round": _ROUNDING,
    "math.trunc": _ROUNDING,
    "math.sqrt": tuple(of(each, gives=DOUBLE) for each in _NUMERIC),
    "math.abs": _SIGNED,
    "math.sign": _SIGNED,
    "math.isNaN": _TESTS,
    "math.isInf": _TESTS,
    "math.isFinite": _TESTS,
    "math.bitAnd": _BITS,
    "math.bitOr": _BITS,
    "math.bitXor": _BITS,
    "math.bitNot": (of(INT, gives=INT), of(UINT, gives=UINT)),
    "math.bitShiftLeft": _SHIFTS,
    "math.bitShiftRight": _SHIFTS,
    "base64.encode": (of(BYTES, gives=STRING),),
    "base64.decode": (of(STRING, gives=BYTES),),
    "optional.of": (of(A, gives=Maybe(A)),),
    "optional.none": (of(gives=Maybe(DYN)),),
    "optional.ofNonZeroValue": (of(A, gives=Maybe(A)),),
    "hasValue": (on(Maybe(A), gives=BOOL),),
    "value": (on(Maybe(A), gives=A),),
    "or": (on(Maybe(A), Maybe(A), gives=Maybe(A)),),
    "orValue": (on(Maybe(A), A, gives=A),),
}

# Any number of arguments, so outside the table; see `overloads`.
EXTREMES = frozenset({"math.greatest", "math.least"})

NAMESPACES = frozenset(
    each.partition(".")[0] for each in (*FUNCTIONS, *EXTREMES, "cel.bind") if "." in each
)

TYPE_NAMES: Mapping[str, str] = {
    **{
        each: each
        for each in (
            "bool",
            "int",
            "uint",
            "double",
            "string",
            "bytes",
            "list",
            "map",
            "null_type",
            "type",
        )
    },
    "google.protobuf.Timestamp": "google.protobuf.Timestamp",
    "google.protobuf.Duration": "google.protobuf.Duration",
    "optional_type": "optional_type",
}

# null fits where a value may be missing altogether; a string or a number is never null
NULLABLE = frozenset({NULL.kind, "object", "optional"})
