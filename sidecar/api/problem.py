"""What does a failure look like on the wire? RFC 9457 everywhere, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from pydantic_core import to_json
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:mozaiks:sidecar:problem:"


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


class BodyTooLarge(Exception):
    """A body beyond the cap of its path."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than {limit} bytes.")


def problem(
    status: int,
    code: str,
    title: str,
    detail: str,
    *,
    instance: str | None = None,
    members: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem body; `code` ends its type, `members` stand beside the standard ones."""
    body = {
        **(members or {}),
        "type": TYPE_PREFIX + code,
        "title": title,
        "status": int(status),
        "detail": detail,
        **({} if instance is None else {"instance": instance}),
    }
    response = Response(to_json(body), int(status), media_type=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response


def of_status(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """The problem of a bare HTTP status, such as an unknown path."""
    standard = HTTPStatus(status)
    code = standard.phrase.lower().replace(" ", "_")
    return problem(status, code, standard.phrase, standard.description, headers=headers)


def of_invalid_body(error: InvalidBody) -> Response:
    """422, with each field that is wrong."""
    members = {
        "errors": [{"field": fault.field, "message": fault.message} for fault in error.faults]
    }
    return problem(422, "invalid_body", "The body is not valid", str(error), members=members)
