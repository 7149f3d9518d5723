"""How a value of one type becomes a value of another."""

from __future__ import annotations

import re
from decimal import Decimal
from math import inf, isfinite, isnan
from typing import Any

from sidecar.cel.settle import name_of, settled
from sidecar.cel.times import (
    SECOND,
    Duration,
    Timestamp,
    parse_duration,
    parse_timestamp,
    timestamp_of,
)
from sidecar.cel.values import INT_MAX, INT_MIN, UINT_MAX, Failure, Uint

_TRUE, _FALSE = (
    frozenset({"1", "t", "T", "true", "TRUE", "True"}),
    frozenset({"0", "f", "F", "false", "FALSE", "False"}),
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_DOUBLE = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?")
_SPECIAL = {"inf": inf, "infinity": inf, "nan": float("nan")}


def _refused(wanted: str, value: object) -> Failure:
    return Failure(f"no such overload: {wanted}() of {name_of(value)}")


def to_bool(value: Any) -> bool:
    """``bool(x)``"""
    if value is True or value is False:
        return bool(value)
    if isinstance(value, str):
        if value in _TRUE:
            return True
        if value in _FALSE:
            return False
        raise Failure("not a bool")
    raise _refused("bool", value)


def to_int(value: Any) -> int:
    """``int(x)``; a double is cut towards zero, a timestamp gives its seconds."""
    value = settled(value)
    if type(value) is int:
        return value
    if type(value) is Uint:
        whole = int(value)
    elif type(value) is float:
        # both borders are outside: the conformance cases say so, since 2**63 is what a double makes of 2**63 - 1
        if not -(2.0**63) < value < 2.0**63:
            raise Failure("integer overflow")
        return int(value)
    elif type(value) is str:
        if _INTEGER.fullmatch(value) is None:
            raise Failure("not an integer")
        whole = int(value)
    elif type(value) is Timestamp:
        return value.ns // SECOND
    else:
        raise _refused("int", value)
    if not INT_MIN <= whole <= INT_MAX:
        raise Failure("integer overflow")
    return whole


def to_uint(value: Any) -> Uint:
    """``uint(x)``"""
    if type(value) is Uint:
        return value
    if type(value) is int:
        whole = value
    elif type(value) is float:
        if not -1.0 < value < 2.0**64 or value < 0:
            raise Failure("unsigned integer overflow")
        whole = int(value)
    elif isinstance(value, str):
        if _INTEGER.fullmatch(value) is None or value[0] in "+-":
            raise Failure("not an unsigned integer")
        whole = int(value)
    else:
        raise _refused("uint", value)
    if not 0 <= whole <= UINT_MAX:
        raise Failure("unsigned integer overflow")
    return Uint(whole)


def to_double(value: Any) -> float:
    """``double(x)``"""
    if type(value) is float or type(value) is int or type(value) is Uint:
        return float(value)
    if isinstance(value, str):
        special = _SPECIAL.get(value.lstrip("+-").lower()) if len(value) < 12 else None
        if special is not None:
            return -special if value[0] == "-" else special
        if len(value) > 400 or _DOUBLE.fullmatch(value) is None:
            raise Failure("not a double")
        return float(value)
    raise _refused("double", value)


def double_text(value: float) -> str:
    """A double with as few digits as name it, as Go's ``%g`` has them: from 1e+06 on with an exponent."""
    if isnan(value):
        return "NaN"
    if not isfinite(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        return repr(value).removesuffix(".0")
    written = Decimal(repr(value))
    sign, digits, _ = written.as_tuple()
    shown = "".join(map(str, digits)).rstrip("0")
    return f"{'-' * sign}{shown[0]}{'.' * (len(shown) > 1)}{shown[1:]}e{written.adjusted():+03d}"


def to_string(value: Any) -> str:
    """``string(x)``"""
    value = settled(value)
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) is int or type(value) is Uint:
        return str(int(value))
    if type(value) is float:
        return double_text(value)
    if type(value) is bytes:
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise Failure("the bytes are not UTF-8") from error
    if type(value) is Timestamp or type(value) is Duration:
        return str(value)
    raise _refused("string", value)


def to_bytes(value: Any) -> bytes:
    """``bytes(x)``: UTF-8."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise Failure("the string has no UTF-8 form") from error
    raise _refused("bytes", value)


def to_timestamp(value: Any) -> Timestamp:
    """``timestamp(x)``: of RFC 3339 text, or of seconds since 1970."""
    value = settled(value)
    if type(value) is Timestamp:
        return value
    if type(value) is str:
        return parse_timestamp(value)
    if type(value) is int:
        return timestamp_of(value * SECOND)
    raise _refused("timestamp", value)


def to_duration(value: Any) -> Duration:
    """``duration(x)``: of text such as ``1h30m``."""
    value = settled(value)
    if type(value) is Duration:
        return value
    if type(value) is str:
        return parse_duration(value)
    raise _refused("duration", value)
