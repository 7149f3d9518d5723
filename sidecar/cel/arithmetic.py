"""What ``+ - * / %`` and the unary operators do with values whose types are only seen at run time."""

from __future__ import annotations

from math import inf, nan
from typing import Any

from sidecar.cel.settle import name_of, no_overload, settled
from sidecar.cel.times import Duration, Timestamp, duration_of, timestamp_of
from sidecar.cel.values import INT_MAX, INT_MIN, UINT_MAX, Failure, Uint


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
    if type(a) is int and type(b) is int:
        return int64(a + b)
    a, b = settled(a), settled(b)
    match a, b:
        case (Timestamp(), Duration()) | (Duration(), Timestamp()):
            return timestamp_of(a.ns + b.ns)
        case Duration(), Duration():
            return duration_of(a.ns + b.ns)
    if type(a) is type(b):
        if type(a) is Uint:
            return uint64(int(a) + int(b))
        if type(a) in {float, str, bytes, list}:
            return a + b
    raise no_overload("+", a, b)


def subtract(a: Any, b: Any) -> Any:
    """``a - b``"""
    if type(a) is int and type(b) is int:
        return int64(a - b)
    a, b = settled(a), settled(b)
    match a, b:
        case Timestamp(), Duration():
            return timestamp_of(a.ns - b.ns)
        case (Timestamp(), Timestamp()) | (Duration(), Duration()):
            return duration_of(a.ns - b.ns)
    if type(a) is type(b):
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
