"""Which overload a call means, and what to write when none fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.cel.library import EXTREMES, FUNCTIONS, NULLABLE, Signature
from sidecar.cel.types import (
    DYN,
    NUMBERS,
    UNKNOWN,
    List,
    Map,
    Maybe,
    Parameter,
    Type,
    compatible,
    is_open,
    join,
)

_SYMBOL = {"_in_": "in", "!_": "!", "-_": "-"}
_KEEPS_SIZE = frozenset({"lowerAscii", "upperAscii", "trim", "reverse"})


@dataclass(frozen=True, slots=True)
class NoOverload:
    """Why a call is refused, and the repair."""

    message: str
    hint: str


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
        return _refusal(function, arguments, texts, receiver=receiver)
    if UNKNOWN in arguments:
        return fitting[0] if len(fitting) == 1 and function not in {"orValue", "value"} else UNKNOWN
    result = fitting[0]
    for other in fitting[1:]:
        result = join(result, other)
    return result


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


def _refusal(
    function: str, arguments: Sequence[Type], texts: Sequence[str], *, receiver: bool
) -> NoOverload:
    kinds = [each.kind for each in arguments]
    if function.startswith("_") or function in _SYMBOL:
        return _operator_refusal(
            _SYMBOL.get(function, function.strip("_")), arguments, kinds, texts
        )
    signatures = FUNCTIONS[function]
    styled = [each for each in signatures if each.receiver is receiver]
    if not styled:
        rest = ", ".join(texts[1:])
        if receiver:
            return NoOverload(
                f"{function} is not called on a value", f"write {function}({', '.join(texts)})"
            )
        shape = f"{texts[0]}.{function}({rest})" if texts else f"x.{function}()"
        return NoOverload(f"{function} is called on a value", f"write {shape}")
    given = (
        f"{arguments[0]}.{function}({_list(arguments[1:])})"
        if receiver
        else f"{function}({_list(arguments)})"
    )
    wanted = " or ".join(dict.fromkeys(_shape(function, each) for each in styled[:4]))
    hint = ""
    if (
        len(arguments) > 1
        and "string" in kinds[:1]
        and kinds[1] in NUMBERS
        and function in {"contains", "startsWith"}
    ):
        hint = f"write string({texts[1]})"
    elif function == "contains" and kinds[0] in {"list", "map"} and len(texts) == 2:
        hint = f"write {texts[1]} in {texts[0]}"
    elif function.startswith("math.") and kinds == ["int"]:
        hint = f"write {_as('double', 'int', texts[0])}"
    return NoOverload(f"there is no {given}, only {wanted}", hint)


def _list(types: Sequence[Type]) -> str:
    return ", ".join(str(each) for each in types)


def _shape(function: str, signature: Signature) -> str:
    names = [_plain(each) for each in signature.takes]
    return (
        f"{names[0]}.{function}({', '.join(names[1:])})"
        if signature.receiver
        else f"{function}({', '.join(names)})"
    )


def _plain(of: Type) -> str:
    if isinstance(of, Parameter):
        return "any"
    return of.kind if any(isinstance(part, Parameter) for part in _inner(of)) else str(of)


def _inner(of: Type) -> tuple[Type, ...]:
    match of:
        case List(element) | Maybe(element):
            return (element,)
        case Map(key, value):
            return (key, value)
    return ()


def _as(wanted: str, given: str, text: str) -> str:
    """The text of an argument turned into another numeric type."""
    if given == "int" and text.isdigit():
        return {"double": f"{text}.0", "uint": f"{text}u"}.get(wanted, f"{wanted}({text})")
    return f"{wanted}({text})"


def _operator_refusal(
    symbol: str, arguments: Sequence[Type], kinds: list[str], texts: Sequence[str]
) -> NoOverload:
    if len(arguments) == 1:
        what = {"!": "a bool", "-": "an int or a double"}[symbol]
        hint = ""
        if symbol == "!" and kinds[0] == "string":
            hint = f'write {texts[0]} == ""'
        elif symbol == "!" and kinds[0] in NUMBERS:
            hint = f"write {texts[0]} == {_as(kinds[0], 'int', '0') if kinds[0] != 'int' else '0'}"
        return NoOverload(f"'{symbol}' takes {what}, not {arguments[0]}", hint)
    left, right = kinds
    message = f"'{symbol}' does not take {arguments[0]} and {arguments[1]}"
    if symbol == "in":
        if right == "string":
            return NoOverload(message, f"write {texts[1]}.contains({texts[0]})")
        if right == "object":
            return NoOverload(message, "write has(object.member)")
        return NoOverload(
            message, "the right side is a list or a map" if right not in {"list", "map"} else ""
        )
    return NoOverload(message, _pair_repair(symbol, left, right, texts))


def _pair_repair(symbol: str, left: str, right: str, texts: Sequence[str]) -> str:
    pair = {left, right}
    if left != right and pair <= NUMBERS:
        wanted = "double" if "double" in pair else "int"
        if texts[0 if right == wanted else 1].isdigit() or wanted == "double":
            at = 1 if left == wanted else 0
            return f"write {_as(wanted, kinds_at(left, right, at), texts[at])}"
        at = 0 if left == "uint" else 1
        other = 1 - at
        if texts[other].isdigit():
            return f"write {texts[other]}u"
        return f"write int({texts[at]})"
    if symbol == "+" and "string" in pair and pair & (NUMBERS | {"bool", "timestamp", "duration"}):
        return f"write string({texts[0 if right == 'string' else 1]})"
    if "string" in pair and pair & NUMBERS:
        at = 0 if left == "string" else 1
        return f"write {next(iter(pair & NUMBERS))}({texts[at]})"
    if "string" in pair and pair & {"timestamp", "duration"}:
        at = 0 if left == "string" else 1
        return f"write {next(iter(pair & {'timestamp', 'duration'}))}({texts[at]})"
    if "timestamp" in pair and pair & NUMBERS:
        return 'a span is written duration("60s")'
    if "duration" in pair and pair & NUMBERS:
        return 'a span is written duration("60s")'
    if left == "bool" and symbol in {"<", "<=", ">", ">="}:
        return "write a < b && b < c"
    if "null" in pair:
        return f"{next(iter(pair - {'null'}), 'it')} is never null"
    return ""


def kinds_at(left: str, right: str, at: int) -> str:
    """The kind of the argument at a position."""
    return right if at else left
