"""How is a generated schema said in fewer words, and without leaving a door open?"""

import re
from typing import Any

_BOUNDS = {"gt": "exclusiveMinimum", "lt": "exclusiveMaximum"}
"""What pydantic calls by its own names on a union of numbers."""
_NUMBERS = [{"type": "number"}, {"type": "integer"}]
_NULL = {"type": "null"}
_FIRST = ["title", "description", "type", "$ref", "const", "enum", "anyOf", "pattern", "default"]
"""What a reader looks for first."""


def word_of(name: str) -> str:
    """`LimitSection` as `limit`, `FailureMode` as `failure_mode`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.removesuffix("Section")).lower()


def tidied(found: dict[str, Any]) -> dict[str, Any]:
    """The same schema: closed, with short names, and null beside another type in one list."""
    schema = {
        _BOUNDS.get(name, name): _tidied_value(name, value)
        for name, value in found.items()
        # What has no default worth a word, and titles that say a name again, are left out.
        if name != "title" and not (name == "default" and isinstance(value, dict | None))
    }
    if "patternProperties" in schema:
        schema["additionalProperties"] = False
    if "anyOf" in schema:
        schema = _with_fewer_choices(schema)
    return {name: schema[name] for name in sorted(schema, key=_rank)}


def _tidied_value(name: str, value: Any) -> Any:
    match name, value:
        case "$ref", str():
            return "#/$defs/" + word_of(value.rpartition("/")[2])
        case "properties" | "patternProperties", dict():
            return {field: tidied(schema) for field, schema in value.items()}
        case "anyOf" | "oneOf" | "allOf", list():
            return [tidied(schema) for schema in value]
        case "items" | "additionalProperties" | "propertyNames", dict():
            return tidied(value)
    return value


def _rank(name: str) -> int:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


def _with_fewer_choices(schema: dict[str, Any]) -> dict[str, Any]:
    choices: list[dict[str, Any]] = schema.pop("anyOf")
    if choices == _NUMBERS:
        return {"type": "number", **schema}
    others = [choice for choice in choices if choice != _NULL]
    if len(choices) == 2 and len(others) == 1:
        (other,) = others
        if isinstance(other.get("type"), str) and "enum" not in other:
            return {**other, "type": [other["type"], "null"], **schema}
        if list(other) == ["anyOf"]:
            return {"anyOf": [*other["anyOf"], _NULL], **schema}
    return {"anyOf": choices, **schema}
