"""The calls that are not functions: has(), the loops over lists and maps, cel.bind and optMap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidecar.cel import tree
from sidecar.cel.typed import Bind, Loop, Node, OptionalMap
from sidecar.cel.types import BOOL, DYN, INT, UNKNOWN, List, Map, Maybe, Type, is_open

if TYPE_CHECKING:
    from sidecar.cel.check import Checker

# name -> (kind, variables, arguments in all, whether a transform comes last)
_LOOPS = {
    ("all", 2): ("all", 1, False),
    ("exists", 2): ("exists", 1, False),
    ("exists_one", 2): ("exists_one", 1, False),
    ("existsOne", 2): ("exists_one", 1, False),
    ("filter", 2): ("filter", 1, False),
    ("map", 2): ("map", 1, True),
    ("map", 3): ("map", 1, True),
    ("all", 3): ("all", 2, False),
    ("exists", 3): ("exists", 2, False),
    ("exists_one", 3): ("exists_one", 2, False),
    ("existsOne", 3): ("exists_one", 2, False),
    ("transformList", 3): ("map", 2, True),
    ("transformList", 4): ("map", 2, True),
    ("transformMap", 3): ("map_of", 2, True),
    ("transformMap", 4): ("map_of", 2, True),
}
_SHAPES = {
    "all": "list.all(x, condition)",
    "exists": "list.exists(x, condition)",
    "exists_one": "list.exists_one(x, condition)",
    "existsOne": "list.existsOne(x, condition)",
    "filter": "list.filter(x, condition)",
    "map": "list.map(x, value)",
    "transformList": "list.transformList(i, x, value)",
    "transformMap": "map.transformMap(k, v, value)",
    "optMap": "optional.optMap(x, value)",
    "optFlatMap": "optional.optFlatMap(x, optional)",
}


def expand(checker: Checker, call: tree.Call) -> Node | None:
    """The checked form of a macro call; None when the call is none."""
    if call.target is None:
        return _has(checker, call) if call.function == "has" and len(call.arguments) == 1 else None
    name, count = call.function, len(call.arguments)
    if (
        isinstance(call.target, tree.Name)
        and call.target.name == "cel"
        and name == "bind"
        and count == 3
        and not checker.is_local("cel")
    ):
        return _bind(checker, call)
    if name in {"optMap", "optFlatMap"} and count == 2:
        return _optional(checker, call)
    if (shape := _LOOPS.get((name, count))) is not None:
        return _loop(checker, call, *shape)
    if name in _SHAPES:
        checker.report(
            "macro",
            f"{name}() does not take {count} argument{'s' * (count != 1)}",
            call.name_start,
            call.name_end,
            f"write {_SHAPES[name]}",
        )
        return checker.unknown(call)
    return None


def _has(checker: Checker, call: tree.Call) -> Node:
    (argument,) = call.arguments
    if not isinstance(argument, tree.Select):
        checker.check(argument)
        hint = "write key in map" if isinstance(argument, tree.Subscript) else ""
        checker.report(
            "macro", "has() takes a member, as in has(a.b)", argument.start, argument.end, hint
        )
        return checker.unknown(call)
    return checker.select(argument, test=True, place=call)


def _variables(checker: Checker, call: tree.Call, count: int) -> list[str] | None:
    names: list[str] = []
    for argument in call.arguments[:count]:
        if not isinstance(argument, tree.Name) or argument.absolute:
            checker.report(
                "macro",
                f"the first argument of {call.function}() names a variable",
                argument.start,
                argument.end,
                f"write {_SHAPES.get(call.function, 'cel.bind(x, value, result)')}",
            )
            return None
        if argument.name in names:
            checker.report(
                "macro", f"variable '{argument.name}' is named twice", argument.start, argument.end
            )
            return None
        names.append(argument.name)
    return names


def _loop(checker: Checker, call: tree.Call, kind: str, count: int, transforms: bool) -> Node:
    assert call.target is not None
    over = checker.check(call.target)
    names = _variables(checker, call, count)
    if names is None:
        return checker.unknown(call)
    types = _element_types(checker, call, over, count)
    rest = call.arguments[count:]
    condition = step = None
    with checker.scope(names, types) as locals_:
        if not transforms or len(rest) == 2:
            condition = checker.demand_bool(rest[0], f"the condition of {call.function}()")
        if transforms:
            with checker.assuming(condition):
                step = checker.check(rest[-1])
    limit = over.type.max_size if isinstance(over.type, List | Map) else checker.budget.unknown_size
    result: Type = BOOL
    if kind == "map":
        result = List(step.type if step else DYN, limit)
    elif kind == "map_of":
        result = Map(types[0], step.type if step else DYN, limit)
    elif kind == "filter":
        result = List(types[0], limit)
    return Loop(result, call.start, call.end, kind, over, locals_, condition, step, limit)


def _element_types(checker: Checker, call: tree.Call, over: Node, count: int) -> tuple[Type, ...]:
    match over.type:
        case List(element):
            return (element,) if count == 1 else (INT, element)
        case Map(key, value):
            return (key,) if count == 1 else (key, value)
    if is_open(over.type):
        return (over.type,) * count
    hint = "text is searched by contains() and matches()" if over.type.kind == "string" else ""
    message = f"{call.function}() goes over a list or a map, not over {over.type}"
    checker.report("no-overload", message, over.start, over.end, hint)
    return (UNKNOWN,) * count


def _bind(checker: Checker, call: tree.Call) -> Node:
    names = _variables(checker, call, 1)
    value = checker.check(call.arguments[1])
    if names is None:
        return checker.unknown(call)
    with checker.scope(names, (value.type,)) as locals_:
        body = checker.check(call.arguments[2])
    return Bind(body.type, call.start, call.end, locals_[0], value, body)


def _optional(checker: Checker, call: tree.Call) -> Node:
    assert call.target is not None
    value = checker.check(call.target)
    names = _variables(checker, call, 1)
    if names is None:
        return checker.unknown(call)
    held = value.type.element if isinstance(value.type, Maybe) else DYN
    if not (isinstance(value.type, Maybe) or is_open(value.type)):
        checker.report(
            "no-overload",
            f"{call.function}() takes an optional, not {value.type}",
            value.start,
            value.end,
        )
    with checker.scope(names, (held,)) as locals_:
        body = checker.check(call.arguments[1])
    flat = call.function == "optFlatMap"
    result = body.type if flat else Maybe(body.type)
    return OptionalMap(result, call.start, call.end, locals_[0], value, body, flat)
