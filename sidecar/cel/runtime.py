"""Which Python function stands behind each CEL function, and how errors are absorbed around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from sidecar.cel import convert, maths, operators, text
from sidecar.cel.clock import ACCESSORS
from sidecar.cel.format import formatted
from sidecar.cel.operators import (
    element_at,
    elements,
    has_member,
    item,
    item_or_none,
    member,
    name_of,
    settled,
    truth,
)
from sidecar.cel.values import Failure, Opt

_ZEROES: tuple[object, ...] = (None, False, 0, "", b"")

CHECKED: Mapping[str, Callable[..., Any]] = {
    "_+_": operators.add,
    "_-_": operators.subtract,
    "_*_": operators.multiply,
    "_/_": operators.divide,
    "_%_": operators.modulo,
    "-_": operators.negate,
    "!_": operators.negation,
    "_==_": operators.equal,
    "_!=_": operators.unequal,
    "_<_": operators.less,
    "_<=_": operators.less_equal,
    "_>_": operators.greater,
    "_>=_": operators.greater_equal,
    "_in_": operators.within,
    "size": text.size,
    "contains": text.contains,
    "startsWith": text.starts_with,
    "endsWith": text.ends_with,
    "matches": text.matches,
    "dyn": settled,
    "type": operators.type_of,
    "bool": convert.to_bool,
    "int": convert.to_int,
    "uint": convert.to_uint,
    "double": convert.to_double,
    "string": convert.to_string,
    "bytes": convert.to_bytes,
    "timestamp": convert.to_timestamp,
    "duration": convert.to_duration,
    **ACCESSORS,
    "charAt": text.char_at,
    "indexOf": text.index_of,
    "lastIndexOf": text.last_index_of,
    "lowerAscii": text.lower_ascii,
    "upperAscii": text.upper_ascii,
    "trim": text.trim,
    "reverse": text.reverse,
    "join": text.join,
    "split": text.split,
    "replace": text.replace,
    "substring": text.substring,
    "format": formatted,
    "strings.quote": text.quote,
    "math.ceil": maths.ceil,
    "math.floor": maths.floor,
    "math.round": maths.round_half_away,
    "math.trunc": maths.trunc,
    "math.sqrt": maths.sqrt,
    "math.abs": maths.absolute,
    "math.sign": maths.sign,
    "math.isNaN": maths.is_nan,
    "math.isInf": maths.is_inf,
    "math.isFinite": maths.is_finite,
    "math.bitAnd": maths.bit_and,
    "math.bitOr": maths.bit_or,
    "math.bitXor": maths.bit_xor,
    "math.bitNot": maths.bit_not,
    "math.bitShiftLeft": maths.bit_shift_left,
    "math.bitShiftRight": maths.bit_shift_right,
    "math.greatest": maths.greatest,
    "math.least": maths.least,
    "base64.encode": text.base64_encode,
    "base64.decode": text.base64_decode,
    "optional.of": lambda value: Opt((value,)),
    "optional.none": lambda: Opt(()),
    "optional.ofNonZeroValue": lambda value: Opt(() if is_zero(value) else (value,)),
    "hasValue": lambda of: bool(text.optional_held(of)),
    "value": lambda of: held_value(of),
    "or": lambda of, other: of if text.optional_held(of) else other,
    "orValue": lambda of, other: (*text.optional_held(of), other)[0],
}


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
    held = text.optional_held(of)
    if not held:
        raise Failure("the optional holds no value")
    return held[0]


def fail(message: str) -> NoReturn:
    """A part that never has a value."""
    raise Failure(message)


def variable(bindings: Mapping[str, Any], name: str) -> Any:
    """A variable out of the bindings."""
    try:
        return bindings[name]
    except KeyError as error:
        raise Failure(f"'{name}' is not bound") from error


def demanded(value: Any, name: str) -> Any:
    """A dyn where one type is required of the whole expression."""
    value = settled(value)
    if name_of(value) != name:
        raise Failure(f"the result is {name_of(value)}, not {name}")
    return value


def searched(subject: Any, find: Callable[[str], bool]) -> bool:
    """``matches`` on what may be no string."""
    if isinstance(subject, str):
        return find(subject)
    raise operators.no_overload("matches()", subject, "")


def check_size(of: Any, limit: int) -> Any:
    """A list or map that a loop may go over: one no larger than declared, so that the static cost holds."""
    if len(of) > limit:
        raise Failure(f"{len(of)} elements, where at most {limit} are declared")
    return of


def optional_member(of: Any, name: str) -> Opt[Any]:
    """``of.?name``"""
    return item_or_none(of, name)  # type: ignore[no-any-return]


def compact_list(*parts: tuple[Any, bool]) -> list[Any]:
    """A list literal some of whose elements may be absent."""
    return [
        each
        for value, optional in parts
        for each in (text.optional_held(value) if optional else (value,))
    ]


def compact_map(*parts: tuple[Any, Any, bool]) -> dict[Any, Any]:
    """A map literal some of whose entries may be absent."""
    entries = [
        (key, each)
        for key, value, optional in parts
        for each in (text.optional_held(value) if optional else (value,))
    ]
    return operators.mapping(*entries)


def optional_map(of: Any, body: Callable[[Any], Any], flat: bool) -> Any:
    """``optMap`` and ``optFlatMap``"""
    held = text.optional_held(of)
    if not held:
        return Opt(())
    result = body(held[0])
    return result if flat else Opt((result,))


# What follows absorbs errors as the language defines it: an error counts only where no operand decides alone.


def logic(decisive: bool, *operands: Callable[[], Any]) -> bool:
    """``&&`` (decided by false) and ``||`` (decided by true)."""
    error: Exception | None = None
    for operand in operands:
        try:
            if truth(operand()) is decisive:
                return decisive
        except Exception as raised:  # noqa: BLE001  any failure of an operand is absorbed alike
            error = error or raised
    if error is not None:
        raise error
    return not decisive


def decided(
    decisive: bool, items: Iterable[tuple[Any, ...]], condition: Callable[..., Any]
) -> bool:
    """``all`` (decided by false) and ``exists`` (decided by true)."""
    error: Exception | None = None
    for each in items:
        try:
            if truth(condition(*each)) is decisive:
                return decisive
        except Exception as raised:  # noqa: BLE001  as above
            error = error or raised
    if error is not None:
        raise error
    return not decisive


def exactly_one(items: Iterable[tuple[Any, ...]], condition: Callable[..., Any]) -> bool:
    """``exists_one``: errors are not absorbed."""
    return sum([truth(condition(*each)) for each in items]) == 1


def chosen(items: Iterable[tuple[Any, ...]], condition: Callable[..., Any]) -> list[Any]:
    """``filter``"""
    return [each[-1] for each in items if truth(condition(*each))]


def mapped(
    items: Iterable[tuple[Any, ...]], condition: Callable[..., Any] | None, step: Callable[..., Any]
) -> list[Any]:
    """``map`` and ``transformList``"""
    return [step(*each) for each in items if condition is None or truth(condition(*each))]


def mapped_keys(
    items: Iterable[tuple[Any, ...]], condition: Callable[..., Any] | None, step: Callable[..., Any]
) -> dict[Any, Any]:
    """``transformMap``"""
    return {each[0]: step(*each) for each in items if condition is None or truth(condition(*each))}


def singles(of: Any, limit: int) -> list[tuple[Any, ...]]:
    """The rounds of a macro with one variable."""
    return [(each,) for each in elements(of, limit)]


HELPERS: Mapping[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (
        fail,
        variable,
        demanded,
        searched,
        check_size,
        optional_member,
        compact_list,
        compact_map,
        optional_map,
        logic,
        decided,
        exactly_one,
        chosen,
        mapped,
        mapped_keys,
        singles,
        settled,
        truth,
        member,
        has_member,
        item,
        item_or_none,
        element_at,
        elements,
        operators.pairs,
        operators.mapping,
        operators.overflow,
        operators.nanoseconds,
        operators.equal,
        operators.unequal,
    )
}
