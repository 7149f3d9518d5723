"""How does a question of AuthZEN 1.0 come in? Sections 6 and 7 of the standard."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from sidecar.api.fields import Name, Text
from sidecar.api.schemas import MAX_CHECKS, CheckBody

_FROM_ENTITIES = {"user_id", "plugin", "feature", "action"}
FROM_CONTEXT = frozenset(CheckBody.model_fields) - _FROM_ENTITIES
Properties = dict[str, object]


class _Part(BaseModel):
    """A part of a question; members that the standard may add one day are let through."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class _Subject(_Part):
    type: Literal["user"]
    id: Name
    properties: Properties = Field(default_factory=dict)


class _Resource(_Part):
    type: Literal["plugin", "feature"]
    id: Name
    properties: Properties = Field(default_factory=dict)


class _Action(_Part):
    name: Text
    properties: Properties = Field(default_factory=dict)


class Evaluation(_Part):
    """A question: may the subject do this?"""

    subject: _Subject
    resource: _Resource
    action: _Action
    context: Properties = Field(default_factory=dict)


class Semantic(StrEnum):
    """Whether the first answer of a kind ends the list."""

    ALL = "execute_all"
    UNTIL_DENIED = "deny_on_first_deny"
    UNTIL_PERMITTED = "permit_on_first_permit"

    def ends_with(self, permitted: bool) -> bool:
        """Whether nothing after this answer is evaluated."""
        return permitted is (self is Semantic.UNTIL_PERMITTED)


class Options(_Part):
    """How a list is answered."""

    evaluations_semantic: Annotated[Semantic, Field(strict=False)] = Semantic.ALL


class Evaluations(_Part):
    """A list of questions; what one of them leaves out stands beside the list."""

    evaluations: Annotated[list[Properties], Field(max_length=MAX_CHECKS)] = Field(
        default_factory=list
    )
    options: Options = Options()
