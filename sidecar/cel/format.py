"""How ``text.format(list)`` writes values, clause by clause."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Any

from sidecar.cel.settle import name_of, settled
from sidecar.cel.times import Duration, Timestamp
from sidecar.cel.values import CelType, Failure, Uint

_CLAUSE = re.compile(r"%(?:(%)|(?:\.([0-9]{1,3}))?([sdfebxXo])|)")
_MISSING = object()


def formatted(pattern: Any, values: Any) -> str:
    """``pattern.format(values)``"""
    values = settled(values)
    if not isinstance(pattern, str) or type(values) is not list:
        raise Failure(f"no such overload: format() of {name_of(pattern)} and {name_of(values)}")
    taken = iter(values)
    pieces: list[str] = []
    at = 0
    for found in _CLAUSE.finditer(pattern):
        pieces.append(pattern[at : found.start()])
        at = found.end()
        if found[1]:
            pieces.append("%")
        elif not found[3]:
            raise Failure(
                f"unknown clause {pattern[found.start() : found.start() + 2]!r} in format()"
            )
        else:
            value = next(taken, _MISSING)
            if value is _MISSING:
                raise Failure("format() has more clauses than values")
            pieces.append(_clause(found[3], found[2], settled(value)))
    pieces.append(pattern[at:])
    return "".join(pieces)


def _special(value: float) -> str | None:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return None


def _clause(letter: str, precision: str | None, value: Any) -> str:
    number = type(value) is int or type(value) is Uint
    if letter == "s":
        return written(value)
    if letter == "d":
        if number:
            return str(int(value))
        if type(value) is float:
            return written(value)
    elif letter in "fe":
        if number or type(value) is float:
            special = _special(float(value))
            if special is not None:
                return special
            places = int(precision) if precision is not None else 6
            if places > 100:
                raise Failure("format() with more than 100 decimals")
            return f"{float(value):.{places}{letter}}"
    elif number or (letter == "b" and type(value) is bool):
        return format(int(value), letter)
    elif letter in "xX" and type(value) in {str, bytes}:
        digits = (value.encode() if type(value) is str else value).hex()
        return digits if letter == "x" else digits.upper()
    raise Failure(f"no such overload: %{letter} of {name_of(value)} in format()")


def _fixed(value: float) -> str:
    """As few digits as name the number, never an exponent."""
    text = format(Decimal(repr(value)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def written(value: Any) -> str:
    """A value as ``%s`` writes it; the entries of a map in the order of their keys' text."""
    value = settled(value)
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(int(value))
        case float():
            return _special(value) or _fixed(value)
        case str():
            return value
        case bytes():
            return value.decode("utf-8", "replace")
        case Timestamp() | Duration():
            return str(value)
        case CelType():
            return value.name
        case list():
            return f"[{', '.join(written(each) for each in value)}]"
        case dict():
            entries = sorted((written(key), written(each)) for key, each in value.items())
            return "{" + ", ".join(f"{key}: {each}" for key, each in entries) + "}"
    raise Failure(f"no such overload: %s of {name_of(value)} in format()")
