"""What does a failure look like on the wire? RFC 9457 everywhere, and nothing else."""

from collections.abc import Mapping
from http import HTTPStatus

from pydantic_core import to_json
from starlette.responses import Response

from sidecar.api.faults import MEDIA_TYPE, TYPE_PREFIX, InvalidBody
from sidecar.errors import (
    GrantConflict,
    NothingKept,
    RequestFault,
    ReservationEnded,
    UnknownCursor,
    UnknownEntry,
    UnknownReservation,
)


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
    }
    response = _response(body, int(status))
    for name, value in (headers or {}).items():
        response.headers[name] = value
    return response


def _response(body: Mapping[str, object], status: int) -> Response:
    response = Response(to_json(body), status, media_type=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response


def fault_body(fault: RequestFault) -> dict[str, object]:
    """What a call is answered that names something unknown or already over."""
    members: dict[str, object] = {}
    match fault:
        case UnknownReservation():
            status, code, title = 404, "unknown_reservation", "Unknown reservation"
        case ReservationEnded():
            status, code, title = 409, "reservation_ended", "The reservation has ended"
            members = {"state": fault.state}
        case GrantConflict():
            status, code, title = 409, "grant_conflict", "Another grant is in the way"
        case UnknownEntry():
            status, code, title = 404, "unknown_event", "Unknown event"
        case NothingKept():
            status, code, title = 409, "nothing_kept", "Accepted events are not kept"
        case UnknownCursor():
            status, code, title = 422, "unknown_cursor", "Unknown cursor"
        case _:
            status, code, title = 409, "request_id_reused", "The request id was reused"
    return {
        **members,
        "type": TYPE_PREFIX + code,
        "title": title,
        "status": status,
        "detail": f"{fault}.",
        "allowed": False,
    }


def of_fault(fault: RequestFault) -> Response:
    """404, 409 or 422, for what the caller could not have asked for."""
    body = fault_body(fault)
    return _response(body, int(str(body["status"])))


def of_status(status: int, headers: Mapping[str, str] | None = None) -> Response:
    """The problem of a bare HTTP status, such as an unknown path."""
    standard = HTTPStatus(status)
    code = standard.phrase.lower().replace(" ", "_")
    return problem(status, code, standard.phrase, standard.description, headers=headers)


def of_invalid_body(error: InvalidBody, status: int = 422) -> Response:
    """422, or what a standard wants in its place, with each field that is wrong."""
    members = {
        "errors": [{"field": fault.field, "message": fault.message} for fault in error.faults]
    }
    return problem(status, "invalid_body", "The request is not valid", str(error), members=members)
