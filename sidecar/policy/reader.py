"""Does one file say what a policy file may say?

The models of `format` judge, this module gives each of their findings its place and the
words that help.
"""

import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sidecar.policy.diagnostics import Diagnostic, did_you_mean
from sidecar.policy.format import GLOB_PATTERN, ID_PATTERN, NAME_PATTERN, PolicyFile
from sidecar.policy.source import Path, SourceFile

_NOT_YET = {
    "wallet": "wallets are not supported by this version",
    "rollover": "rollover is not supported by this version",
}
_PATTERNS = {
    ID_PATTERN: "a letter or underscore, then letters, digits, - and _ (at most 128)",
    NAME_PATTERN: "a letter or underscore, then letters, digits and _ (at most 128)",
    GLOB_PATTERN: "a name in which * is any run of characters and ? is one; no spaces",
}
_KINDS: dict[type, str] = {
    dict: "a mapping",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "nothing",
}


def read(source: SourceFile) -> PolicyFile | tuple[Diagnostic, ...]:
    """The file as its model, or every finding."""
    if source.diagnostics:
        return tuple(source.diagnostics)
    plain = source.plain()
    if not isinstance(plain, dict):
        return (source.report("B2", f"expected a mapping, found {_kind(plain)}", ()),)
    try:
        return PolicyFile.model_validate(plain)
    except ValidationError as error:
        return tuple(_diagnose(source, error.errors(include_url=False)))


def _diagnose(source: SourceFile, errors: Iterable[ErrorDetails]) -> Iterable[Diagnostic]:
    seen: set[Path] = set()
    for error in errors:
        path = _path_in(source, error["loc"])
        if path in seen:
            # A value that fits no branch of a union is one mistake, not one for each branch.
            continue
        seen.add(path)
        yield _diagnostic(source, error, path)


def _path_in(source: SourceFile, loc: tuple[int | str, ...]) -> Path:
    """The part of a model's location that stands in the file; a missing or extra name ends it."""
    path: Path = ()
    for step in loc:
        if source.node((*path, step)) is not None:
            path = (*path, step)
    return path


def _diagnostic(source: SourceFile, error: ErrorDetails, path: Path) -> Diagnostic:
    kind, found, context = error["type"], error["input"], error.get("ctx", {})
    name = str(error["loc"][-1]) if error["loc"] else ""
    match kind:
        case "extra_forbidden":
            if name in _NOT_YET:
                return source.report("B1", _NOT_YET[name], path, key=True)
            hint = did_you_mean(name, _fields_at(error["loc"][:-1]))
            return source.report("B1", f"unknown field {name!r}", path, hint=hint, key=True)
        case "missing":
            parent = dotted_or_top(path)
            return source.report("B2", f"{parent} lacks the field {name!r}", path)
        case "enum" | "literal_error":
            expected = _choices(context)
            hint = did_you_mean(str(found), expected)
            return source.report("B2", f"{_shown(found)} is not allowed here", path, hint=hint)
        case "string_pattern_mismatch":
            wanted = _PATTERNS.get(str(context.get("pattern")), "a name")
            return source.report(
                "B4", f"{_shown(found)} is not {wanted}", path, key=error["loc"][-1] == "[key]"
            )
        case "window" | "duration" | "instant" | "status":
            code = "B6" if kind == "instant" else "B5"
            return source.report(code, error["msg"], path)
        case "greater_than_equal" | "greater_than" | "less_than" | "less_than_equal":
            wanted = error["msg"].removeprefix("Input should be ")
            return source.report("B5", f"expected a value {wanted}, found {_shown(found)}", path)
        case "too_short":
            return source.report("B2", "the list is empty: leave the field out, or fill it", path)
        case "string_too_short":
            return source.report("B2", "the text is empty", path)
        case "string_too_long":
            return source.report("B5", f"longer than {context.get('max_length')} characters", path)
        case _:
            wanted = _WANTED.get(kind, "")
            message = f"expected {wanted}, found {_shown(found)}" if wanted else error["msg"]
            return source.report("B2", message, path, hint=_repair(kind, found))


_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "datetime_type": 'a date with time and zone as "2026-12-31T00:00:00Z"',
}


def _repair(kind: str, found: object) -> str:
    if kind == "bool_type" and isinstance(found, str):
        if found.lower() in {"yes", "on", "y", "true"}:
            return "write true"
        if found.lower() in {"no", "off", "n", "false"}:
            return "write false"
    if kind == "int_type" and isinstance(found, str):
        digits = found.replace("_", "").replace(",", "")
        if digits.isdecimal():
            return f"write {int(digits)}" if len(digits) < 20 else ""
    if kind == "string_type" and isinstance(found, int | float | bool):
        return "put it in quotes"
    return ""


def _choices(context: Mapping[str, Any]) -> list[str]:
    text = str(context.get("expected", ""))
    return [part.strip().strip("'") for part in text.replace(" or ", ", ").split(",")]


def _kind(value: object) -> str:
    return _KINDS.get(type(value), "something else")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:37] + "…")
    if isinstance(value, int | float):
        return str(value)
    return _kind(value)


def dotted_or_top(path: Path) -> str:
    """The name of a mapping in a message; the whole file where it has none."""
    named = [step for step in path if isinstance(step, str)]
    if not path:
        return "the file"
    return f"{named[-1]}[{path[-1]}]" if isinstance(path[-1], int) and named else str(path[-1])


def _fields_at(loc: tuple[int | str, ...]) -> list[str]:
    """Names that a model at this location knows."""
    annotation: Any = PolicyFile
    for step in loc:
        model = _model(annotation)
        if model is not None and isinstance(step, str):
            fields = {field.alias or name: field for name, field in model.model_fields.items()}
            if step in fields:
                annotation = fields[step].annotation
                continue
        if get_origin(_bare(annotation)) in (dict, list):
            annotation = get_args(_bare(annotation))[-1]
    model = _model(annotation)
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


def _model(annotation: Any) -> type[BaseModel] | None:
    bare = _bare(annotation)
    return bare if isinstance(bare, type) and issubclass(bare, BaseModel) else None


def _bare(annotation: Any) -> Any:
    """An annotation without `Annotated` and without `| None`."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            rest = [part for part in get_args(annotation) if part is not type(None)]
            if len(rest) != 1:
                return annotation
            annotation = rest[0]
        else:
            return annotation
