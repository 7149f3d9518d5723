"""What can be done with optional values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sidecar.cel.access import item_or_none, mapping
from sidecar.cel.settle import name_of, settled
from sidecar.cel.values import Failure, Opt

_ZEROES: tuple[object, ...] = (None, False, 0, "", b"")


def is_zero(value: object) -> bool:
    """Whether a value is the empty one of its type."""
    value = settled(value)
    if type(value) in {list, dict}:
        return not value
    if type(value) is Opt:
        return not value.held
    return any(type(value) is type(zero) and value == zero for zero in _ZEROES) or value == 0.0


def held_value(of: object) -> object:
    """``optional.value()``"""
    held = optional_held(of)
    if not held:
        raise Failure("the optional holds no value")
    return held[0]


def optional_member(of: Any, name: str) -> Opt[Any]:
    """``of.?name``"""
    return item_or_none(of, name)  # type: ignore[no-any-return] # dyn


def compact_list(*parts: tuple[Any, bool]) -> list[Any]:
    """A list literal some of whose elements may be absent."""
    return [
        each
        for value, optional in parts
        for each in (optional_held(value) if optional else (value,))
    ]


def compact_map(*parts: tuple[Any, Any, bool]) -> dict[Any, Any]:
    """A map literal some of whose entries may be absent."""
    entries = [
        (key, each)
        for key, value, optional in parts
        for each in (optional_held(value) if optional else (value,))
    ]
    return mapping(*entries)


def optional_map(of: Any, body: Callable[[Any], Any], flat: bool) -> Any:
    """``optMap`` and ``optFlatMap``"""
    held = optional_held(of)
    if not held:
        return Opt(())
    result = body(held[0])
    return result if flat else Opt((result,))


def optional_held(of: Any) -> tuple[Any, ...]:
    """What an optional holds."""
    if type(of) is Opt:
        return of.held
    raise Failure(f"no such overload: an optional was expected, not {name_of(of)}")
