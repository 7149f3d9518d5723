"""What may be asked? The schemas of bodies and parameters, from the models that read them."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import AliasChoices, BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from sidecar.api import (
    authzen_body,
    explain_schemas,
    fields,
    manifest_body,
    pushes,
    schemas,
    usage_schemas,
)
from sidecar.api.openapi.schema import INSTANT, TEXT, Schema, listed, ref, told
from sidecar.domain.request import MAX_INTEGER

_BODIES: Final[tuple[type[BaseModel], ...]] = (
    schemas.CheckBody, schemas.ChecksBody, explain_schemas.ExplainBody, schemas.CommitBody,
    schemas.ExtendBody, usage_schemas.UsageEventBody, usage_schemas.UsageSummaryBody,
    schemas.CheckoutBody, schemas.CancelBody, schemas.PortalTokenBody,
    pushes.SubscriptionBody, pushes.GrantBody, pushes.WalletBody, manifest_body.ManifestBody,
    authzen_body.Evaluation, authzen_body.Evaluations,
)  # fmt: skip

_PUSHED: Final = (pushes.SubscriptionBody, pushes.GrantBody, pushes.WalletBody)
_NAMES: Final = {it.__name__: it.__name__.replace("Body", "Push") for it in _PUSHED}
"""What is pushed is not what is told of it."""

_ATTRIBUTE: Final[Schema] = {
    "description": "Text, a number, true, false, null, or these in lists and objects.",
    "anyOf": [
        {"type": "string", "maxLength": fields.MAX_TEXT},
        {"type": "integer", "minimum": -MAX_INTEGER, "maximum": MAX_INTEGER},
        {"type": "number"},
        {"type": ["boolean", "null"]},
        {"type": "array", "items": ref("Attribute"), "maxItems": fields.MAX_ATTRIBUTES},
        {
            "type": "object",
            "maxProperties": fields.MAX_ATTRIBUTES,
            "propertyNames": {"maxLength": fields.MAX_TEXT},
            "additionalProperties": ref("Attribute"),
        },
    ],
}
_ATTRIBUTES: Final[Schema] = {
    "description": f"At most {fields.MAX_DEPTH} levels deep; what rules read besides.",
    "type": ["object", "null"],
    "maxProperties": fields.MAX_ATTRIBUTES,
    "propertyNames": {"maxLength": fields.MAX_TEXT},
    "additionalProperties": ref("Attribute"),
}

_BETWEEN_FIELDS: Final[Mapping[str, Schema]] = {
    name: {
        "not": {
            "required": ["estimate", "estimated_tokens"],
            "properties": {
                "estimate": {"type": "object"},
                "estimated_tokens": {"type": "integer"},
            },
        }
    }
    for name in ("Check", "Explain")
} | {
    "Commit": {
        "anyOf": [
            {"required": [name], "properties": {name: {"type": "integer"}}}
            for name in ("total_tokens", "input_tokens", "output_tokens")
        ]
    }
}


class _Plain(GenerateJsonSchema):
    """A field's name is its title already."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


def question_schemas() -> dict[str, Schema]:
    """The components that bodies are made of."""
    _, found = models_json_schema(
        [(model, "validation") for model in _BODIES],
        ref_template="#/components/schemas/{model}",
        schema_generator=_Plain,
    )
    for model in _PUSHED:
        _add_snake_case(model, found["$defs"][model.__name__])
    for part in manifest_body.Part.__subclasses__():
        _let_be_null(found["$defs"][part.__name__])
    named = {_name(name): _tidied(schema) for name, schema in found["$defs"].items()}
    for name, more in _BETWEEN_FIELDS.items():
        named[name] |= more
    named["Attribute"] = _ATTRIBUTE
    named["Evaluation"]["properties"]["context"] = _context(named["Check"])
    return named | _usage(named["UsageEvent"])


def parameters_of(model: type[BaseModel], **words: str) -> list[Schema]:
    """The query parameters that a model reads; words for each by its name."""
    schema = model.model_json_schema(by_alias=True, schema_generator=_Plain)
    return [
        {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": words[name],
            "schema": _not_null(_tidied(of)),
        }
        for name, of in schema["properties"].items()
    ]


def _name(model: str) -> str:
    return _NAMES.get(model, model.removeprefix("_").removesuffix("Body"))


def _tidied(schema: Any) -> Any:
    """A generated schema without what repeats its name, and with our names."""
    if isinstance(schema, list):
        return [_tidied(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    tidy = {}
    for name, of in schema.items():
        if name == "$ref":
            tidy[name] = ref(_name(of.rpartition("/")[2]))["$ref"]
        elif name == "properties":
            tidy[name] = {
                each: _ATTRIBUTES if each in ("attributes", "metadata") else _tidied(part)
                for each, part in of.items()
            }
        elif not (name == "title" or (name == "default" and of in (None, [], {}))):
            tidy[name] = _tidied(of)
    return tidy


def _not_null(schema: Schema) -> Schema:
    """What text in an address can be."""
    parts = [part for part in schema.get("anyOf", ()) if part != {"type": "null"}]
    if len(parts) != 1:
        return schema
    return {**parts[0], **{name: of for name, of in schema.items() if name != "anyOf"}}


def _add_snake_case(model: type[BaseModel], schema: Schema) -> None:
    """Let each name be written the other way, where the first is not there."""
    schema["allOf"] = []
    for field in model.model_fields.values():
        if isinstance(field.validation_alias, AliasChoices):
            camel, snake = (str(each) for each in field.validation_alias.choices)
            schema["properties"][snake] = {"description": f"`{camel}`, where that is not there."}
            if camel in schema["required"]:
                schema["required"].remove(camel)
                other = {"required": [snake], "properties": {snake: schema["properties"][camel]}}
                schema["allOf"].append({"anyOf": [{"required": [camel]}, other]})


def _let_be_null(schema: Schema) -> None:
    """Let what may be left out be null too."""
    for name, of in schema["properties"].items():
        if name not in schema.get("required", ()) and {"type": "null"} not in of.get("anyOf", ()):
            more = {each: of.pop(each) for each in ("default", "description") if each in of}
            schema["properties"][name] = {"anyOf": [of, {"type": "null"}], **more}


def _context(check: Schema) -> Schema:
    """What the standard has no word for, as in a check; the rest is for rules to read."""
    members = {name: check["properties"][name] for name in authzen_body.FROM_CONTEXT}
    return {
        "type": "object",
        "description": "Members of a check by their names; others are attributes.",
        "properties": dict(sorted(members.items())),
        "required": ["app_id"],
    }


def _usage(event: Schema) -> dict[str, Schema]:
    """The three ways to send several events, and CloudEvents that carry one."""
    several = {"type": "array", "items": ref("UsageEvent"), "maxItems": usage_schemas.MAX_EVENTS}
    attributes = {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1},
        "type": {"type": "string", "minLength": 1},
        "time": told(INSTANT, "Stands in for an `event_ts` that the data lacks."),
        "subject": told(TEXT, "Stands in for a `user_id` that the data lacks."),
        "datacontenttype": told(TEXT, "A JSON media type."),
        "data": ref("CarriedUsageEvent"),
        "data_base64": told(TEXT, "The data as JSON in base64, in the place of `data`."),
    }
    return {
        "UsageEvents": {
            "type": "object",
            "properties": {"events": several},
            "required": ["events"],
            "additionalProperties": False,
        },
        "CarriedUsageEvent": {**event, "required": ["app_id"]},
        "CloudEvent": {
            "description": "CloudEvents 1.0 in JSON; `source` and `id` are the event's id.",
            "type": "object",
            "properties": attributes,
            "required": ["specversion", "id", "source", "type"],
            "anyOf": [{"required": ["data"]}, {"required": ["data_base64"]}],
        },
        "CloudEventBatch": listed(ref("CloudEvent")) | {"maxItems": usage_schemas.MAX_EVENTS},
    }
