"""Does one file say what a file of its kind may say?

The models of `format` and `price_format` judge, this module gives each of their findings its
place and the words that help.
"""

import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sidecar.policy.diagnostics import MOST_FINDINGS, Diagnostic, did_you_mean, nearest
from sidecar.policy.format import PolicyFile
from sidecar.policy.meant import number_meant
from sidecar.policy.mending import headed, over
from sidecar.policy.older import IMPORT_HINT, is_imported, renamed, synonym
from sidecar.policy.price_format import CURRENCY_PATTERN, PriceFile
from sidecar.policy.source import MAX_DIGITS, NOUNS, Path, SourceFile
from sidecar.policy.values import FEATURE_PATTERN, GLOB_PATTERN, ID_PATTERN, NAME_PATTERN

F = TypeVar("F", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Form(Generic[F]):
    """What a file of one kind looks like.

    Attributes:
        header: what its head can only be, for whoever left it out.
        not_taken: fields that people look for here, and why there are none.
        examples: what to write for a field that is missing, where that is not said for all files.
    """

    model: type[F]
    header: Mapping[str, object]
    not_taken: Mapping[str, str]
    examples: Mapping[str, str]


_POLICY = Form(
    PolicyFile,
    {"apiVersion": "sidecar/v1", "kind": "Policy", "metadata": {"name": "unnamed"}},
    {
        "price": "the sidecar knows no price of a plan; the payment side keeps it",
    },
    {},
)
_PRICES = Form(
    PriceFile,
    {"apiVersion": "sidecar/v1", "kind": "Prices", "currency": "USD", "models": {}},
    {},
    {},
)
_HEAD = ("apiVersion", "kind")
"""Fields of which there is only one value, so that a machine can write them."""
_PLACES = {
    "Policy": "a policy's name ends in .yaml, and not in _test.yaml",
    "PolicyTest": "the name of a test ends in _test.yaml",
    "Prices": "keep it outside of the directory and name it as SIDECAR_PRICES",
}
"""Where a file of a kind belongs."""
_UNLIMITED = {"unlimited", "none", "infinite", "infinity", "inf", ".inf", "no"}
_EXAMPLES = {
    "apiVersion": "write apiVersion: sidecar/v1",
    "metadata": "write metadata: {name: my-policy}",
    "id": "write id: and a name that no other limit, rule or override has",
    "meter": "write meter: tokens, or what else is counted",
    "max": "write max: and a whole number, null for no bound",
    "effect": "write effect: deny or effect: warn",
    "message": "write message: and a sentence for the user",
    "for": "write for: {apps: [...]}, {tenants: [...]} or {users: [...]}",
    "limit": "write limit: and the id of a limit",
    "currency": "write currency: USD, or whatever the prices are in",
    "models": "write models: and a line for each model",
    "input": "write input: and what a million input tokens cost",
    "output": "write output: and what a million output tokens cost",
}
"""What to write for a field that is missing."""
_STAND_INS = {"meter": "requests", "max": None, "effect": "warn", "message": "-"}
"""Values in the place of missing ones, that lead to no findings of their own."""
_PATTERNS = {
    ID_PATTERN: "a letter or underscore, then letters, digits, - and _, at most 128 in all",
    NAME_PATTERN: "a letter or underscore, then letters, digits and _, at most 128 in all",
    FEATURE_PATTERN: "a feature's name, or * for all; no spaces",
    GLOB_PATTERN: "a name in which * is any run of characters and ? is one; no spaces",
    CURRENCY_PATTERN: "three capital letters, as USD",
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


def read(source: SourceFile) -> tuple[PolicyFile | None, tuple[Diagnostic, ...]]:
    """A policy file as its model, and what is wrong with it.

    What is wrong is taken out, so that one mistake does not hide another; the model is None
    where nothing is left to judge.
    """
    return read_form(source, _POLICY)


def read_prices(source: SourceFile) -> tuple[PriceFile | None, tuple[Diagnostic, ...]]:
    """A price file as its model, and what is wrong with it."""
    return read_form(source, _PRICES)


def read_form(source: SourceFile, form: Form[F]) -> tuple[F | None, tuple[Diagnostic, ...]]:
    """A file of any kind as its model, and what is wrong with it."""
    findings = list(source.diagnostics)
    if source.root is None:
        return None, tuple(findings)
    plain = source.plain()
    if not isinstance(plain, dict):
        message = f"expected a mapping, found {_kind(plain)}"
        return None, (*findings, source.report("B2", message, (), hint=source.beginning))
    kind = plain.get("kind")
    if isinstance(kind, str) and kind != source.kind and kind in NOUNS:
        return None, (*findings, _misplaced(source, kind))
    errors = _errors_of(form, plain)
    meant = {field for error in errors[:MOST_FINDINGS] if (field := _meant(source, form, error))}
    findings.extend(_diagnose(source, form, errors[:MOST_FINDINGS], meant))
    for field in meant:
        source.excuse(field)
    while errors:
        wrong = _take_out(source, errors)
        plain = source.plain()
        assert isinstance(plain, dict), "its root is never pruned"
        errors = _errors_of(form, {**form.header, **plain})
        if errors and not wrong:
            return None, tuple(findings)
    return form.model.model_validate({**form.header, **plain}), tuple(findings)


def _misplaced(source: SourceFile, kind: str) -> Diagnostic:
    """A file of another kind than its name says."""
    message = f"this is {NOUNS[kind]}, where {NOUNS[source.kind]} is expected"
    return source.report("A7", message, ("kind",), hint=_PLACES[kind])


def _take_out(source: SourceFile, errors: Iterable[ErrorDetails]) -> bool:
    """Remove what is wrong, complete what is incomplete; False if neither could be done."""
    wrong: set[Path] = set()
    completed = False
    for error in errors:
        path, name = _path_in(source, error["loc"]), str(error["loc"][-1])
        if error["type"] == "missing" and name in _STAND_INS:
            source.stand_in(path, name, _STAND_INS[name])
            completed = True
        elif path:
            wrong.add(path)
    source.prune(wrong)
    return completed or bool(wrong)


def _errors_of(form: Form[F], plain: dict[str, object]) -> list[ErrorDetails]:
    try:
        form.model.model_validate(plain)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _meant(source: SourceFile, form: Form[F], error: ErrorDetails) -> Path | None:
    """The field that a misspelt one stands for; that it is missing is not said too."""
    if error["type"] != "extra_forbidden":
        return None
    near = nearest(str(error["loc"][-1]), _fields_at(form, error["loc"][:-1]))
    return None if near is None else (*_path_in(source, error["loc"][:-1]), near)


def _diagnose(
    source: SourceFile, form: Form[F], errors: Iterable[ErrorDetails], meant: Collection[Path]
) -> Iterable[Diagnostic]:
    seen: set[tuple[Path, str]] = set()
    for error in errors:
        path = _path_in(source, error["loc"])
        absent = str(error["loc"][-1]) if error["type"] == "missing" else ""
        if (path, absent) in seen or (absent and (*path, absent) in meant):
            # A value that fits no branch of a union is one mistake, not one for each branch.
            continue
        seen.add((path, absent))
        yield _diagnostic(source, form, error, path)


def _path_in(source: SourceFile, loc: tuple[int | str, ...]) -> Path:
    """The part of a model's location that stands in the file; a missing or extra name ends it."""
    path: Path = ()
    for step in loc:
        if source.node((*path, step)) is not None:
            path = (*path, step)
    return path


def _diagnostic(source: SourceFile, form: Form[F], error: ErrorDetails, path: Path) -> Diagnostic:
    kind, found, context = error["type"], error["input"], error.get("ctx", {})
    name = str(error["loc"][-1]) if error["loc"] else ""
    is_key = name == "[key]"
    match kind:
        case "extra_forbidden":
            if name in form.not_taken:
                message = form.not_taken[name]
                return source.report("B1", message, path, hint="leave it out", key=True)
            return _unknown_field(source, name, path, _fields_at(form, error["loc"][:-1]))
        case "missing":
            parent = dotted_or_top(path)
            message = f"{parent} lacks the field {name!r}"
            hint = form.examples.get(name) or _EXAMPLES.get(name, "")
            hint = f"write kind: {source.kind}" if name == "kind" else hint
            lacking = source.report("B2", message, path, hint=hint, key=True)
            return replace(lacking, fix=headed(source, name)) if name in _HEAD else lacking
        case "enum" | "literal_error" if path == ("apiVersion",):
            message = f"{_shown(found)} is no version that is known here"
            return source.report("B3", message, path, hint="this is sidecar/v1")
        case "enum" | "literal_error":
            expected = _choices(context)
            hint = did_you_mean(_shown(found).strip("'"), expected)
            message = f"{_shown(found)} is not allowed here"
            return source.report("B2", message, path, hint=hint, key=is_key)
        case "string_pattern_mismatch":
            hint = "expected " + _PATTERNS.get(str(context.get("pattern")), "a name")
            if "plugins" in path and str(found).startswith("!"):
                hint = f'what is left out stands under deny: ["{str(found)[1:]}"]'
            message = f"{_shown(found)} is not allowed here"
            return source.report("B4", message, path, hint=hint, key=is_key)
        case "instant":
            return source.report("B6", error["msg"], path)
        case "window" | "duration" | "status" | "number":
            return source.report("B5", error["msg"], path, hint=str(context.get("hint", "")))
        case "price":
            return source.report("B5", f"{error['msg']}, found {_shown(found)}", path)
        case "no_status":
            return source.report("B5", error["msg"], path, key=is_key)
        case "too_long" if isinstance(found, dict):
            message = f"there are more than {context.get('max_length'):,} of them"
            return source.report("B5", message, path, hint="a glob may stand for many", key=True)
        case "too_long":
            message = f"the list has more than {context.get('max_length')} items"
            return source.report("B5", message, path, hint="spread it over several files")
        case "greater_than_equal" | "greater_than" | "less_than" | "less_than_equal":
            wanted = error["msg"].removeprefix("Input should be ")
            wanted = wanted.replace("greater than or equal to", "of at least")
            wanted = wanted.replace("less than or equal to", "of at most")
            message = f"expected a number {wanted}, found {_shown(found)}"
            return source.report("B5", message, path, hint=_repair_number(path, found))
        case "too_short":
            return source.report("B2", "the list is empty: leave the field out, or fill it", path)
        case "string_too_short":
            return source.report("B2", "the text is empty", path, hint="leave it out, or fill it")
        case "string_too_long":
            message = f"the text is longer than {context.get('max_length')} characters"
            return source.report("B5", message, path)
        case _:
            wanted = _WANTED.get(kind, "")
            message = f"expected {wanted}, found {_shown(found)}" if wanted else error["msg"]
            hint = _repair_number(path, found) or _repair(kind, found)
            if kind == "model_type" and path[-1:] and path[-1] in _fields_at(form, error["loc"]):
                hint = f"{path[-1]} is a field of one of the {path[-2]}: indent it further"
            if path[-1:] == ("id",) and hint:
                hint = "an id begins with a letter"
            if path[-1:] == ("wallet",) and found is True:
                hint = "write {require: true}"
            if path[-1:] == ("when",) and found is True:
                hint = "leave when out: it holds for every request then"
            return source.report("B2", message, path, hint=hint, key=is_key)


def _unknown_field(source: SourceFile, name: str, path: Path, fields: Sequence[str]) -> Diagnostic:
    message = f"unknown field {name!r}"
    now = renamed(name, fields)
    if now is not None:
        message = f"{name!r} is of an older format"
        found = source.report("B3", message, path, hint=f"it is called {now!r} here", key=True)
        return replace(found, fix=over(source, found, now))
    if is_imported(name):
        return source.report("B3", message, path, hint=IMPORT_HINT, key=True)
    other = synonym(name, fields)
    hint = f"did you mean {other!r}?" if other else did_you_mean(name, fields)
    return source.report("B1", message, path, hint=hint, key=True)


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


def _repair_number(path: Path, found: object) -> str:
    """What whoever wrote this number, or no number, may have wanted to say."""
    field = path[-1] if path else ""
    if field == "warn_at":
        return "write 0.8 for 80 % of the maximum"
    if field == "rollover" and not isinstance(found, dict):
        return "write rollover: {max: 5000}, or however much may be carried on"
    tried = found == -1 or (isinstance(found, str) and found.lower() in _UNLIMITED)
    return "write null for unlimited" if tried and field in {"max", "tokens_per_month"} else ""


def _repair(kind: str, found: object) -> str:
    if kind == "bool_type" and isinstance(found, str):
        if found.lower() in {"yes", "on", "y", "true"}:
            return "write true"
        if found.lower() in {"no", "off", "n", "false"}:
            return "write false"
    if kind == "int_type" and isinstance(found, str):
        digits = found.replace("_", "").replace(",", "")
        if digits.isdecimal() and digits.isascii():
            return f"write {int(digits)}" if len(digits) <= MAX_DIGITS else "it is too large"
    if kind.startswith("int_") and (meant := number_meant(found)) is not None:
        return f"write {meant}"
    if kind == "dict_type" and isinstance(found, list) and found:
        named = [each for each in found[:3] if isinstance(each, str)]
        more = ", ..." if len(found) > 3 else ""
        if len(named) == len(found[:3]):
            return f"write {{{', '.join(f'{each}: true' for each in named)}{more}}}"
    if kind == "list_type" and isinstance(found, dict):
        return "begin each item with '- '"
    if kind == "list_type" and isinstance(found, str):
        item = found if found.isalnum() else f'"{found}"'
        return f"write [{item}]" if len(found) <= 40 else "put it in brackets"
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


def _fields_at(form: Form[F], loc: tuple[int | str, ...]) -> list[str]:
    """Names that a model at this location knows."""
    annotation: Any = form.model
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
    return bare if _is_model(bare) else None


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _bare(annotation: Any) -> Any:
    """An annotation without `Annotated`, without `| None` and without what is no mapping."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in (Union, types.UnionType):
            rest = [part for part in get_args(annotation) if part is not type(None)]
            if len(rest) != 1:
                rest = [part for part in map(_bare, rest) if _is_model(part)]
            if len(rest) != 1:
                return annotation
            annotation = rest[0]
        else:
            return annotation
