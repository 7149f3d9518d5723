"""Which values are equal, and which is less: numbers across their types, nothing else."""

from __future__ import annotations

from typing import Any

from sidecar.cel.access import has_key, value_at
from sidecar.cel.settle import no_overload, settled
from sidecar.cel.times import Duration, Timestamp
from sidecar.cel.values import CelType, Opt, Uint

_PLAIN = frozenset({bool, int, Uint, str, bytes, float, type(None), Timestamp, Duration, CelType})
_NUMBERS = frozenset({int, Uint, float})
_ORDERED = frozenset({bool, str, bytes, Timestamp, Duration})


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


def within(element: Any, of: Any) -> bool:
    """``element in of``"""
    of = settled(of)
    if type(of) is list:
        return any(equal(element, each) for each in of)
    if type(of) is dict:
        return has_key(of, settled(element))
    raise no_overload("in", element, of)
