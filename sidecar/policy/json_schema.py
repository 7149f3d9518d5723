"""What does an editor have to know of a file of policies, tests or prices?

The models of the three kinds say it, as JSON Schema 2020-12; what spans several fields is
written here. It never refuses what the loader takes.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from sidecar.policy.format import PolicyFile
from sidecar.policy.price_format import PriceFile
from sidecar.policy.schema_words import tidied, word_of
from sidecar.policy.testing.format import SuiteFile

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]


class Kind(StrEnum):
    """What kind of file it is, as its `kind` says."""

    POLICY = "Policy"
    POLICY_TEST = "PolicyTest"
    PRICES = "Prices"

    @property
    def file_name(self) -> str:
        """Of its schema."""
        return _FILE_NAMES[self]


_FILE_NAMES = {
    Kind.POLICY: "policy.schema.json",
    Kind.POLICY_TEST: "policy-test.schema.json",
    Kind.PRICES: "prices.schema.json",
}
_MODELS: Mapping[Kind, type[BaseModel]] = {
    Kind.POLICY: PolicyFile,
    Kind.POLICY_TEST: SuiteFile,
    Kind.PRICES: PriceFile,
}


def schema_text(kind: Kind) -> str:
    """The schema of one kind of file, as the text of its file."""
    return json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n"


def schema(kind: Kind) -> Schema:
    """The schema of one kind of file."""
    generated = _MODELS[kind].model_json_schema(by_alias=True, schema_generator=_WithoutTitles)
    definitions = generated.pop("$defs", {})
    for name, more in _BETWEEN_FIELDS.items():
        if name in definitions:
            definitions[name] |= more
    return {
        "$schema": _DIALECT,
        "$id": f"urn:sidecar:v1:{kind.file_name.partition('.')[0]}",
        "title": f"sidecar/v1 {kind.value}",
        **tidied(generated),
        "$defs": {
            word_of(name): {"title": word_of(name), **tidied(found)}
            for name, found in sorted(definitions.items())
        },
    }


class _WithoutTitles(GenerateJsonSchema):
    """A field's name is its title already."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


_BETWEEN_FIELDS: Mapping[str, Schema] = {
    "LimitSection": {
        "if": {"properties": {"meter": {"const": "concurrency"}}, "required": ["meter"]},
        "then": {"properties": {"window": {"enum": ["lifetime", None]}}},
        "else": {"properties": {"window": {"type": "string"}}, "required": ["window"]},
    },
    "PlanSection": {"anyOf": [{"required": ["plugins"]}, {"required": ["extends"]}]},
    "RuleSection": {
        "if": {"properties": {"effect": {"const": "deny"}}, "required": ["effect"]},
        "then": {"properties": {"on_error": {"type": "string"}}, "required": ["on_error"]},
    },
    "ForSection": {"minProperties": 1},
}
"""What several fields of one section say together, by its model."""
