"""What can be done with numbers: the math extension."""

from __future__ import annotations

import math
from typing import Any

from sidecar.cel.settle import name_of, no_overload, settled
from sidecar.cel.values import INT_MIN, UINT_MAX, Failure, Uint

_NUMBERS = frozenset({int, Uint, float})


def _double(function: str, value: Any) -> float:
    if type(value) is float:
        return value
    raise no_overload(f"math.{function}()", value)


def _extreme(function: str, values: tuple[Any, ...], *, greatest: bool) -> Any:
    if len(values) == 1:
        only = settled(values[0])
        values = tuple(only) if type(only) is list else (only,)
    if not values:
        raise Failure(f"math.{function}() of nothing")
    best = values[0]
    for each in values:
        if type(each) not in _NUMBERS:
            raise Failure(f"no such overload: math.{function}() of {name_of(each)}")
        if (each > best) if greatest else (each < best):
            best = each
    return best


def greatest(*values: Any) -> Any:
    """``math.greatest(a, b, ...)`` or of one list; the first of equal ones."""
    return _extreme("greatest", values, greatest=True)


def least(*values: Any) -> Any:
    """``math.least(a, b, ...)`` or of one list; the first of equal ones."""
    return _extreme("least", values, greatest=False)


def _whole(value: float, rounded: int) -> float:
    return math.copysign(float(rounded), value)


def ceil(value: Any) -> float:
    """``math.ceil(double)``"""
    number = _double("ceil", value)
    return _whole(number, math.ceil(number)) if math.isfinite(number) else number


def floor(value: Any) -> float:
    """``math.floor(double)``"""
    number = _double("floor", value)
    return _whole(number, math.floor(number)) if math.isfinite(number) else number


def trunc(value: Any) -> float:
    """``math.trunc(double)``"""
    number = _double("trunc", value)
    return _whole(number, math.trunc(number)) if math.isfinite(number) else number


def round_half_away(value: Any) -> float:
    """``math.round(double)``: halves away from zero."""
    number = _double("round", value)
    if not math.isfinite(number):
        return number
    whole = math.floor(abs(number))
    # adding a half first would round 0.49999999999999994 up
    return _whole(number, whole + (abs(number) - whole >= 0.5))


def sqrt(value: Any) -> float:
    """``math.sqrt(number)``; NaN of a negative one."""
    if type(value) not in _NUMBERS:
        raise no_overload("math.sqrt()", value)
    return math.sqrt(value) if not value < 0 else math.nan


def absolute(value: Any) -> Any:
    """``math.abs(number)``"""
    if type(value) not in _NUMBERS:
        raise no_overload("math.abs()", value)
    if type(value) is int and value == INT_MIN:
        raise Failure("integer overflow")
    return type(value)(abs(value))


def sign(value: Any) -> Any:
    """``math.sign(number)``: -1, 0 or 1 in the number's own type."""
    if type(value) not in _NUMBERS:
        raise no_overload("math.sign()", value)
    if value != value:
        return value
    return type(value)((value > 0) - (value < 0))


def is_nan(value: Any) -> bool:
    """``math.isNaN(double)``"""
    return math.isnan(_double("isNaN", value))


def is_inf(value: Any) -> bool:
    """``math.isInf(double)``"""
    return math.isinf(_double("isInf", value))


def is_finite(value: Any) -> bool:
    """``math.isFinite(double)``"""
    return math.isfinite(_double("isFinite", value))


def _pair(function: str, a: Any, b: Any) -> type:
    if type(a) is type(b) and (type(a) is int or type(a) is Uint):
        return type(a)
    raise no_overload(f"math.{function}()", a, b)


def bit_and(a: Any, b: Any) -> Any:
    """``math.bitAnd(a, b)``"""
    return _pair("bitAnd", a, b)(int(a) & int(b))


def bit_or(a: Any, b: Any) -> Any:
    """``math.bitOr(a, b)``"""
    return _pair("bitOr", a, b)(int(a) | int(b))


def bit_xor(a: Any, b: Any) -> Any:
    """``math.bitXor(a, b)``"""
    return _pair("bitXor", a, b)(int(a) ^ int(b))


def bit_not(a: Any) -> Any:
    """``math.bitNot(a)``"""
    if type(a) is int:
        return ~a
    if type(a) is Uint:
        return Uint(int(a) ^ UINT_MAX)
    raise no_overload("math.bitNot()", a)


def _signed(bits: int) -> int:
    return bits - 2**64 if bits >= 2**63 else bits


def _shift(function: str, a: Any, by: Any) -> int:
    if (type(a) is not int and type(a) is not Uint) or type(by) is not int:
        raise no_overload(f"math.{function}()", a, by)
    if by < 0:
        raise Failure(f"math.{function}() by a negative number")
    return min(by, 64)


def bit_shift_left(a: Any, by: Any) -> Any:
    """``math.bitShiftLeft(a, by)``; bits fall off the end."""
    bits = (int(a) << _shift("bitShiftLeft", a, by)) & UINT_MAX
    return _signed(bits) if type(a) is int else Uint(bits)


def bit_shift_right(a: Any, by: Any) -> Any:
    """``math.bitShiftRight(a, by)``; zeros come in, also for a negative number."""
    bits = (int(a) & UINT_MAX) >> _shift("bitShiftRight", a, by)
    return _signed(bits) if type(a) is int else Uint(bits)
