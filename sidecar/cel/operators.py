"""What the operators do with values whose types are only seen at run time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from math import inf, nan
from typing import Any

from sidecar.cel.times import Duration, Timestamp, duration_of, timestamp_of
from sidecar.cel.values import INT_MAX, INT_MIN, UINT_MAX, CelType, Failure, Opt, Uint

_NAMES: Mapping[type, str] = {
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    type(None): "null_type",
    list: "list",
    tuple: "list",
    dict: "map",
    Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration",
    CelType: "type",
    Opt: "optional_type",
}
_PLAIN = frozenset({bool, int, Uint, str, bytes, float, type(None), Timestamp, Duration, CelType})
_NUMBERS = frozenset({int, Uint, float})
_ORDERED = frozenset({bool, str, bytes, Timestamp, Duration})


def settled(value: object) -> Any:
    """The value in the class that this package works with: a datetime as a timestamp, a tuple as a list."""
    if type(value) in _NAMES:
        return list(value) if type(value) is tuple else value
    if isinstance(value, datetime):
        return Timestamp.from_datetime(value)
    if isinstance(value, timedelta):
        return Duration.from_timedelta(value)
    bases: tuple[Any, ...] = (str, bytes, Uint, int, float, list, tuple)
    for base in bases:
        if isinstance(value, base):
            return settled(base(value))
    if isinstance(value, Mapping):
        return dict(value)
    raise Failure(f"a {type(value).__name__} is no CEL value")


def type_of(value: object) -> CelType:
    """What ``type(x)`` gives."""
    return CelType(_NAMES[type(settled(value))])


def name_of(value: object) -> str:
    """The type's name in a message."""
    name = _NAMES.get(type(value))
    return name.rpartition(".")[2].lower() if name else type(value).__name__


def no_overload(operator: str, *values: object) -> Failure:
    """The failure of an operator over types that it does not take."""
    return Failure(
        f"no such overload: {operator} of {' and '.join(name_of(each) for each in values)}"
    )


def int64(value: int) -> int:
    """The value, or a failure where 64 bits do not hold it."""
    if INT_MIN <= value <= INT_MAX:
        return value
    raise Failure("integer overflow")


def overflow() -> int:
    """Always fails: the other branch of a range check in generated code."""
    raise Failure("integer overflow")


def uint64(value: int) -> Uint:
    """The value as an unsigned integer, or a failure."""
    if 0 <= value <= UINT_MAX:
        return Uint(value)
    raise Failure("unsigned integer overflow")


def add(a: Any, b: Any) -> Any:
    """``a + b``"""
    a, b = settled(a), settled(b)
    match a, b:
        case (Timestamp(), Duration()) | (Duration(), Timestamp()):
            return timestamp_of(a.ns + b.ns)
        case Duration(), Duration():
            return duration_of(a.ns + b.ns)
    if type(a) is type(b):
        if type(a) is int:
            return int64(a + b)
        if type(a) is Uint:
            return uint64(int(a) + int(b))
        if type(a) in {float, str, bytes, list}:
            return a + b
    raise no_overload("+", a, b)


def subtract(a: Any, b: Any) -> Any:
    """``a - b``"""
    a, b = settled(a), settled(b)
    match a, b:
        case Timestamp(), Duration():
            return timestamp_of(a.ns - b.ns)
        case (Timestamp(), Timestamp()) | (Duration(), Duration()):
            return duration_of(a.ns - b.ns)
    if type(a) is type(b):
        if type(a) is int:
            return int64(a - b)
        if type(a) is Uint:
            return uint64(int(a) - int(b))
        if type(a) is float:
            return a - b
    raise no_overload("-", a, b)


def multiply(a: Any, b: Any) -> Any:
    """``a * b``"""
    if type(a) is type(b):
        if type(a) is int:
            return int64(a * b)
        if type(a) is Uint:
            return uint64(int(a) * int(b))
        if type(a) is float:
            return a * b
    raise no_overload("*", a, b)


def divide(a: Any, b: Any) -> Any:
    """``a / b``, integers cut towards zero."""
    if type(a) is type(b):
        if type(a) is int or type(a) is Uint:
            if b == 0:
                raise Failure("division by zero")
            quotient = abs(a) // abs(b)
            signed = quotient if (a >= 0) is (b >= 0) else -quotient
            return int64(signed) if type(a) is int else Uint(signed)
        if type(a) is float:
            if b == 0.0:
                if a == 0.0 or a != a:
                    return nan
                return inf if (a > 0) is (str(b)[0] != "-") else -inf
            return a / b
    raise no_overload("/", a, b)


def modulo(a: Any, b: Any) -> Any:
    """``a % b``, with the sign of ``a``."""
    if type(a) is type(b) and (type(a) is int or type(a) is Uint):
        if b == 0:
            raise Failure("modulus by zero")
        if type(a) is int and a == INT_MIN and b == -1:
            raise Failure("integer overflow")
        rest = abs(a) % abs(b)
        return type(a)(rest if a >= 0 else -rest)
    raise no_overload("%", a, b)


def negate(a: Any) -> Any:
    """``-a``"""
    if type(a) is int:
        return int64(-a)
    if type(a) is float:
        return -a
    raise no_overload("-", a)


def negation(a: Any) -> bool:
    """``!a``"""
    if a is True or a is False:
        return not a
    raise no_overload("!", a)


def truth(a: Any) -> bool:
    """A condition, which must be a bool."""
    if a is True or a is False:
        return bool(a)
    raise Failure(f"no such overload: a condition is a bool, not {name_of(a)}")


def equal(a: Any, b: Any) -> bool:
    """``a == b`` for any two values: numbers across their types, bool apart from them, never an error."""
    if type(a) in _PLAIN and type(b) in _PLAIN:
        if type(a) is type(b):
            return bool(a == b)
        if type(a) in _NUMBERS and type(b) in _NUMBERS:
            a, b = _same_scale(a, b)
            return bool(a == b)
        return False
    a, b = settled(a), settled(b)
    if type(a) is list and type(b) is list:
        return len(a) == len(b) and all(map(equal, a, b))
    if type(a) is dict and type(b) is dict:
        return len(a) == len(b) and all(
            has_key(b, key) and equal(value, value_at(b, key)) for key, value in a.items()
        )
    if type(a) is Opt and type(b) is Opt:
        return len(a.held) == len(b.held) and all(map(equal, a.held, b.held))
    return type(a) is type(b) and bool(a == b)


def _same_scale(a: Any, b: Any) -> tuple[Any, Any]:
    """An integer beside a double becomes one, with its loss: the conformance cases want 2**63 - 1 not below 2.0**63."""
    if type(a) is float or type(b) is float:
        return float(a), float(b)
    return a, b


def unequal(a: Any, b: Any) -> bool:
    """``a != b``"""
    return not equal(a, b)


def _comparable(operator: str, a: Any, b: Any) -> tuple[Any, Any]:
    if type(a) in _NUMBERS and type(b) in _NUMBERS:
        return _same_scale(a, b)
    a, b = settled(a), settled(b)
    if type(a) is type(b) and (type(a) in _ORDERED or type(a) in _NUMBERS):
        return a, b
    raise no_overload(operator, a, b)


def less(a: Any, b: Any) -> bool:
    """``a < b``"""
    a, b = _comparable("<", a, b)
    return bool(a < b)


def less_equal(a: Any, b: Any) -> bool:
    """``a <= b``"""
    a, b = _comparable("<=", a, b)
    return bool(a <= b)


def greater(a: Any, b: Any) -> bool:
    """``a > b``"""
    a, b = _comparable(">", a, b)
    return bool(a > b)


def greater_equal(a: Any, b: Any) -> bool:
    """``a >= b``"""
    a, b = _comparable(">=", a, b)
    return bool(a >= b)


def has_key(of: Mapping[Any, Any], key: Any) -> bool:
    """Whether a map has the key; Python takes True for 1, CEL does not."""
    if type(key) not in {bool, int, Uint, float, str}:
        return False
    if key not in of:
        return False
    if type(key) is str or (key != 0 and key != 1):
        return True
    return any(each == key and (type(each) is bool) is (type(key) is bool) for each in of)


def value_at(of: Mapping[Any, Any], key: Any) -> Any:
    """The value under a key.

    Raises:
        Failure: there is none, or it is no type of key.
    """
    if type(key) not in {bool, int, Uint, float, str}:
        raise Failure(f"no such overload: {name_of(key)} is no type of key")
    if not has_key(of, key):
        raise Failure(f"no such key: {key_text(key)}")
    return of[key]


def key_text(key: object) -> str:
    """A key as a message shows it, cut where it is long."""
    if isinstance(key, str):
        return f'"{key}"' if len(key) <= 40 else f'"{key[:37]}..."'
    return str(key).lower() if isinstance(key, bool) else str(key)


def element_at(of: Any, index: Any) -> Any:
    """``list[index]`` for a list known as one."""
    if type(index) is not int:
        if type(index) is Uint or (type(index) is float and index.is_integer()):
            index = int(index)
        else:
            raise Failure(f"no such overload: a list is indexed by int, not {name_of(index)}")
    if 0 <= index < len(of):
        return of[index]
    raise Failure(f"index {index} is out of range")


def item(of: Any, index: Any) -> Any:
    """``of[index]``"""
    of = settled(of)
    if type(of) is dict:
        return value_at(of, settled(index))
    if type(of) is list:
        return element_at(of, settled(index))
    if type(of) is Opt:
        return Opt(()) if not of.held else item_or_none(of.held[0], index)
    raise no_overload("[]", of, index)


def item_or_none(of: Any, index: Any) -> Any:
    """``of[?index]``"""
    of = settled(of)
    if type(of) is Opt:
        return Opt(()) if not of.held else item_or_none(of.held[0], index)
    if type(of) is dict:
        return Opt((of[index],)) if has_key(of, index) else Opt(())
    if type(of) is list:
        if type(index) is int and not 0 <= index < len(of):
            return Opt(())
        return Opt((element_at(of, index),))
    raise no_overload("[?]", of, index)


def member(of: Any, name: str) -> Any:
    """``of.name``"""
    if type(of) is dict:
        if name in of:
            return of[name]
        raise Failure(f"no such key: {key_text(name)}")
    if type(of) is Opt:
        return item(of, name)
    of = settled(of)
    if type(of) is dict:
        return member(of, name)
    raise Failure(f"no such overload: {name_of(of)} has no members")


def has_member(of: Any, name: str) -> bool:
    """``has(of.name)``"""
    of = settled(of)
    if type(of) is dict:
        return name in of
    if type(of) is Opt:
        return bool(of.held) and has_member(of.held[0], name)
    raise Failure(f"no such overload: {name_of(of)} has no members")


def within(element: Any, of: Any) -> bool:
    """``element in of``"""
    of = settled(of)
    if type(of) is list:
        return any(equal(element, each) for each in of)
    if type(of) is dict:
        return has_key(of, settled(element))
    raise no_overload("in", element, of)


def elements(of: Any, limit: int) -> Iterable[Any]:
    """What a macro goes over: the elements of a list or the keys of a map, no more than were declared."""
    of = settled(of)
    if type(of) is not list and type(of) is not dict:
        raise Failure(f"no such overload: a macro goes over a list or a map, not {name_of(of)}")
    if len(of) > limit:
        raise Failure(f"{len(of)} elements, where at most {limit} are declared")
    return of if type(of) is list else list(of)


def pairs(of: Any, limit: int) -> Iterable[tuple[Any, Any]]:
    """What a macro of two variables goes over: index and element, or key and value."""
    of = settled(of)
    elements(of, limit)
    return enumerate(of) if type(of) is list else list(of.items())


def mapping(*entries: tuple[Any, Any]) -> dict[Any, Any]:
    """A map literal whose keys have to be looked at: their types, and that none occurs twice."""
    result: dict[Any, Any] = {}
    for key, value in entries:
        if type(key) not in {bool, int, Uint, str}:
            raise Failure(f"no such overload: {name_of(key)} is no type of key")
        if key in result:
            if not has_key(result, key):
                raise Failure("a map with both a bool and its number as keys is not supported")
            raise Failure(f"key {key_text(key)} occurs twice")
        result[key] = value
    return result


def nanoseconds(value: Any) -> int:
    """The nanoseconds of a timestamp or a duration, in whichever class it comes."""
    if type(value) is Timestamp or type(value) is Duration:
        return int(value.ns)
    if isinstance(value, datetime | timedelta):
        return int(settled(value).ns)
    raise Failure(f"no such overload: a timestamp or a duration was expected, not {name_of(value)}")
