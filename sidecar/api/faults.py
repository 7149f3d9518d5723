"""What can be wrong with what was sent, in the words of the API? It needs no server to be told."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sidecar.api.fields import MAX_TEXT
from sidecar.api.known_fields import known_fields

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:mozaiks:sidecar:problem:"
_LONGEST_NAME = 64
_SAME = {
    "session_id": ("chat_id",),
    "chat_id": ("session_id",),
    "model": ("model_name",),
    "model_name": ("model",),
    "workflow": ("workflow_name",),
    "agent": ("agent_name",),
    "input_tokens": ("prompt_tokens",),
    "output_tokens": ("completion_tokens",),
    "prompt_tokens": ("input_tokens",),
    "completion_tokens": ("output_tokens",),
}
"""Checks and events call some things differently; what only looks alike would mislead."""


@dataclass(frozen=True, slots=True)
class FieldFault:
    """One field of a body that is wrong, named as `estimate.input_tokens`."""

    field: str
    message: str


class InvalidBody(Exception):
    """A body that is JSON but not what was asked for."""

    def __init__(self, faults: Sequence[FieldFault]) -> None:
        super().__init__("; ".join(f"{fault.field}: {fault.message}" for fault in faults))
        self.faults = tuple(faults)


class NotJson(Exception):
    """A body that is no JSON at all."""


def misfit(error: ValueError) -> InvalidBody:
    """What a value object says of one field, as `field: message`."""
    field, _, message = str(error).partition(": ")
    return InvalidBody([FieldFault(field, message)])


def fault_of(error: ValidationError, faults_told: int = 10) -> NotJson | InvalidBody:
    """What pydantic found, in the words of the API.

    Args:
        faults_told: how many at most; a body made of faults may not keep others waiting.
    """
    found = error.errors(include_url=False, include_input=False, include_context=False)
    if found[0]["type"] == "json_invalid":
        return NotJson(found[0]["msg"])
    faults = [
        FieldFault(
            ".".join(map(str, each["loc"]))[:MAX_TEXT] or "body", _message(error.title, each)
        )
        for each in found[:faults_told]
    ]
    if len(found) > faults_told:
        faults.append(FieldFault("body", f"{len(found) - faults_told} more faults"))
    return InvalidBody(faults)


def _message(schema: str, found: ErrorDetails) -> str:
    if found["type"] != "extra_forbidden":
        return found["msg"].removeprefix("Value error, ")
    known = known_fields(schema, found["loc"][:-1])
    name = str(found["loc"][-1])
    near = [other for other in _SAME.get(name, ()) if other in known]
    if not near and len(name) <= _LONGEST_NAME:
        near = difflib.get_close_matches(name, known, n=1)
    return (
        f"unknown field; did you mean {near[0]!r}?"
        if near
        else (f"unknown field; known are {', '.join(known)}")
    )
