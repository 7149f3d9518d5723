"""What to write when no overload fits: the call that the author most likely meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.cel.library import FUNCTIONS, Signature
from sidecar.cel.types import NUMBERS, List, Map, Maybe, Object, Parameter, String, Type

_SYMBOL = {"_in_": "in", "!_": "!", "-_": "-"}


@dataclass(frozen=True, slots=True)
class NoOverload:
    """Why a call is refused, and the repair."""

    message: str
    hint: str


def refusal(
    function: str, arguments: Sequence[Type], texts: Sequence[str], *, receiver: bool
) -> NoOverload:
    """Why no overload fits, from the types and the source text of the arguments."""
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
        if isinstance(arguments[1], List | Map):
            inside = arguments[1].element if isinstance(arguments[1], List) else arguments[1].key
            return NoOverload(message, f"what is in there is {inside}")
        return NoOverload(message, "the right side is a list or a map")
    for at, each in enumerate(arguments):
        if isinstance(each, Object) and kinds[1 - at] == "string":
            return NoOverload(message, _member_meant(each, texts[at], texts[1 - at].strip("\"'")))
    return NoOverload(message, _pair_repair(symbol, left, right, texts))


def _member_meant(of: Object, text: str, value: str) -> str:
    """The member to compare with text: one that has the value at times, else the id."""
    known = {name: member.type for name, member in of.members.items()}
    fits = [
        name for name, type_ in known.items() if isinstance(type_, String) and value in type_.known
    ]
    if len(fits) == 1:
        return f"write {text}.{fits[0]}"
    return f"write {text}.id" if "id" in known else f"write {text}. and the name of a member"


def _whole(written: str) -> int | None:
    """The whole number that a literal such as ``1e3`` stands for."""
    if "e" not in written.lower() or not re.fullmatch("[0-9.]+[eE][+]?[0-9]{1,2}", written):
        return None
    value = float(written)
    return int(value) if value.is_integer() and value < 2**53 else None


def _pair_repair(symbol: str, left: str, right: str, texts: Sequence[str]) -> str:
    pair = {left, right}
    if left != right and pair <= NUMBERS:
        wanted = "double" if "double" in pair else "int"
        if pair == {"int", "double"}:
            written = texts[0 if left == "double" else 1]
            if (whole := _whole(written)) is not None:
                return f"write {whole}"
        if texts[0 if right == wanted else 1].isdigit() or wanted == "double":
            at = 1 if left == wanted else 0
            return f"write {_as(wanted, (left, right)[at], texts[at])}"
        at = 0 if left == "uint" else 1
        if texts[at][:-1].isdigit():
            return f"write {texts[at][:-1]}"
        if texts[1 - at].isdigit():
            return f"write {texts[1 - at]}u"
        return f"write int({texts[at]})"
    if "string" in pair and pair & NUMBERS:
        text, number = texts if left == "string" else reversed(texts)
        if number.isdigit():
            return f'write "{number}"'
        if symbol == "+":
            return f"write string({number})"
        return (
            f"write {text[1:-1]}"
            if text[1:-1].isdigit()
            else f"write {next(iter(pair & NUMBERS))}({text})"
        )
    if symbol == "+" and "string" in pair and pair & {"bool", "timestamp", "duration"}:
        return f"write string({texts[0 if right == 'string' else 1]})"
    if "string" in pair and pair & {"timestamp", "duration"}:
        at = 0 if left == "string" else 1
        return f"write {next(iter(pair & {'timestamp', 'duration'}))}({texts[at]})"
    if "timestamp" in pair and pair & NUMBERS:
        return 'a span is written duration("60s")'
    if "duration" in pair and pair & NUMBERS:
        return 'a span is written duration("60s")'
    if symbol == "%" and pair <= NUMBERS:
        return "only int and uint have a remainder"
    if left == "bool" and symbol in {"<", "<=", ">", ">="}:
        return "write a < b && b < c"
    if "null" in pair:
        return f"{next(iter(pair - {'null'}), 'it')} is never null"
    return ""
