"""Which CEL type a value has, in whichever Python class it comes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sidecar.cel.times import EPOCH, Duration, Timestamp, span_ns
from sidecar.cel.values import CelType, Failure, Opt, Uint

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


def nanoseconds(value: Any) -> int:
    """The nanoseconds of a timestamp or a duration, in whichever class it comes."""
    if type(value) is datetime and value.tzinfo is not None:
        return span_ns(value - EPOCH)
    if type(value) is Timestamp or type(value) is Duration:
        return int(value.ns)
    if isinstance(value, datetime | timedelta):
        return int(settled(value).ns)
    raise Failure(f"no such overload: a timestamp or a duration was expected, not {name_of(value)}")
