"""How is a shape written down? JSON Schema 2020-12, which is what OpenAPI 3.1 speaks."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
WHOLE: Final[Schema] = {"type": "integer"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
TRUTH: Final[Schema] = {"type": "boolean"}
INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
ANYTHING: Final[Schema] = {"type": "object"}


def shape(members: Mapping[str, Schema], told: str = "") -> Schema:
    """An object; a member whose name ends in `?` may be absent."""
    schema: Schema = {
        "type": "object",
        "properties": {name.removesuffix("?"): of for name, of in members.items()},
    }
    required = [name for name in members if not name.endswith("?")]
    if required:
        schema["required"] = required
    return {"description": told, **schema} if told else schema


def listed(items: Schema) -> Schema:
    """An array."""
    return {"type": "array", "items": items}


def by_name(values: Schema) -> Schema:
    """An object whose names are not known beforehand."""
    return {"type": "object", "additionalProperties": values}


def or_null(schema: Schema) -> Schema:
    """The same, or nothing."""
    kind = schema.get("type")
    if isinstance(kind, str) and "enum" not in schema:
        return {**schema, "type": [kind, "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def one_of(values: type[Enum] | Iterable[str]) -> Schema:
    """One of some words."""
    words = [each.value if isinstance(each, Enum) else each for each in values]
    return {"type": "string", "enum": words}


def told(schema: Schema, words: str) -> Schema:
    """The same, with a description."""
    return {**schema, "description": words}


def ref(name: str) -> Schema:
    """A shape that stands among the components."""
    return {"$ref": f"#/components/schemas/{name}"}
