"""Which overload a call means, and what type it gives."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.cel.library import EXTREMES, FUNCTIONS, NULLABLE
from sidecar.cel.repairs import NoOverload, refusal
from sidecar.cel.types import (
    DYN,
    NUMBERS,
    UNKNOWN,
    List,
    Map,
    Maybe,
    Parameter,
    String,
    Type,
    compatible,
    is_open,
    join,
)


def resolve(
    function: str, arguments: Sequence[Type], texts: Sequence[str], *, receiver: bool
) -> Type | NoOverload:
    """The type that a call gives.

    Args:
        function: the full name, operators as in ``_+_``.
        arguments: the types, a receiver first.
        texts: the source text of each argument, for the repair.
        receiver: whether it was called as ``x.f(y)``.
    """
    if function in EXTREMES:
        return _extreme(function, arguments)
    fitting: list[Type] = []
    for signature in FUNCTIONS[function]:
        bound: dict[str, Type] = {}
        if (
            signature.receiver is receiver
            and len(signature.takes) == len(arguments)
            and all(
                _fits(takes, given, bound)
                for takes, given in zip(signature.takes, arguments, strict=True)
            )
        ):
            fitting.append(_filled(signature.gives, bound))
    if not fitting:
        return refusal(function, arguments, texts, receiver=receiver)
    if UNKNOWN in arguments:
        return fitting[0] if len(fitting) == 1 and function not in {"orValue", "value"} else UNKNOWN
    result = fitting[0]
    for other in fitting[1:]:
        result = join(result, other)
    return _sized(function, result, arguments)


def _fits(takes: Type, given: Type, bound: dict[str, Type]) -> bool:
    match takes, given:
        case Parameter(name), _:
            before = bound.setdefault(name, given)
            if before == given:
                return True
            if given.kind == "null" or before.kind == "null":
                other = before if given.kind == "null" else given
                if not (is_open(other) or other.kind in NULLABLE):
                    return False
                bound[name] = DYN
                return True
            if not compatible(before, given):
                return False
            bound[name] = join(before, given)
            return True
        case List(), List():
            return _fits(takes.element, given.element, bound)
        case Map(), Map():
            return _fits(takes.key, given.key, bound) and _fits(takes.value, given.value, bound)
        case Maybe(), Maybe():
            return _fits(takes.element, given.element, bound)
    if is_open(given):
        _open(takes, bound)
        return True
    return is_open(takes) or takes.kind == given.kind


def _open(takes: Type, bound: dict[str, Type]) -> None:
    """The parts of a dyn are dyn."""
    match takes:
        case Parameter(name):
            bound.setdefault(name, DYN)
        case List(element) | Maybe(element):
            _open(element, bound)
        case Map(key, value):
            _open(key, bound)
            _open(value, bound)


def _filled(gives: Type, bound: dict[str, Type]) -> Type:
    match gives:
        case Parameter(name):
            return bound.get(name, DYN)
        case List(element):
            return List(_filled(element, bound))
        case Maybe(element):
            return Maybe(_filled(element, bound))
    return gives


def _sized(function: str, result: Type, arguments: Sequence[Type]) -> Type:
    """The result with the size that a list can really have: a loop over it is held to that."""
    match function, result, arguments:
        case "_+_", List(element), [List(max_size=left), List(max_size=right)]:
            return List(element, left + right)
        case "split", List(element), [String(max_length=length), *_]:
            return List(element, length + 1)
    return result


def _extreme(function: str, arguments: Sequence[Type]) -> Type | NoOverload:
    if len(arguments) == 1 and isinstance(arguments[0], List):
        arguments = (arguments[0].element,)
    if not arguments:
        return NoOverload(f"{function}() needs at least one argument", "")
    result = arguments[0]
    for each in arguments:
        if not (is_open(each) or each.kind in NUMBERS):
            return NoOverload(f"{function}() takes numbers, not {each}", "")
        result = join(result, each)
    return result
