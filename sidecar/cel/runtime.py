"""Which Python function stands behind each CEL function, and which ones generated code calls besides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from sidecar.cel import absorb, access, arithmetic, compare, convert, maths, optionals, settle, text
from sidecar.cel.clock import ACCESSORS
from sidecar.cel.format import formatted
from sidecar.cel.settle import name_of, settled
from sidecar.cel.values import Failure, Opt

CHECKED: Mapping[str, Callable[..., Any]] = {
    "_+_": arithmetic.add,
    "_-_": arithmetic.subtract,
    "_*_": arithmetic.multiply,
    "_/_": arithmetic.divide,
    "_%_": arithmetic.modulo,
    "-_": arithmetic.negate,
    "!_": arithmetic.negation,
    "_==_": compare.equal,
    "_!=_": compare.unequal,
    "_<_": compare.less,
    "_<=_": compare.less_equal,
    "_>_": compare.greater,
    "_>=_": compare.greater_equal,
    "_in_": compare.within,
    "size": text.size,
    "contains": text.contains,
    "startsWith": text.starts_with,
    "endsWith": text.ends_with,
    "matches": text.matches,
    "dyn": settled,
    "type": settle.type_of,
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
    "optional.ofNonZeroValue": lambda value: Opt(() if optionals.is_zero(value) else (value,)),
    "hasValue": lambda of: bool(optionals.optional_held(of)),
    "value": optionals.held_value,
    "or": lambda of, other: of if optionals.optional_held(of) else other,
    "orValue": lambda of, other: (*optionals.optional_held(of), other)[0],
}


# where the name of a value's type is not that of the static type
_VALUE_NAMES = {"null": "null_type", "object": "map"}


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
    if name_of(value) != _VALUE_NAMES.get(name, name):
        raise Failure(f"the result is {name_of(value)}, not {name}")
    return value


def searched(subject: Any, find: Callable[[str], bool]) -> bool:
    """``matches`` on what may be no string."""
    if isinstance(subject, str):
        return find(subject)
    raise settle.no_overload("matches()", subject, "")


def check_size(of: Any, limit: int) -> Any:
    """A list or map that a loop may go over: one no larger than declared, so that the static cost holds."""
    if len(of) > limit:
        raise Failure(f"{len(of)} elements, where at most {limit} are declared")
    return of


HELPERS: Mapping[str, Callable[..., Any]] = {
    each.__name__: each
    for each in (
        fail,
        variable,
        demanded,
        searched,
        check_size,
        optionals.optional_member,
        optionals.compact_list,
        optionals.compact_map,
        optionals.optional_map,
        absorb.logic,
        absorb.decided,
        absorb.exactly_one,
        absorb.chosen,
        absorb.mapped,
        absorb.mapped_keys,
        absorb.singles,
        settled,
        arithmetic.truth,
        access.member,
        access.has_member,
        access.item,
        access.item_or_none,
        access.element_at,
        access.elements,
        access.pairs,
        access.mapping,
        arithmetic.overflow,
        settle.nanoseconds,
        compare.equal,
        compare.unequal,
    )
}
