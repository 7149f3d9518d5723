"""How does a failure look in the document? A problem of RFC 9457, and where it differs."""

from typing import Final

from sidecar.api.faults import TYPE_PREFIX
from sidecar.api.openapi.reports import rejection_members
from sidecar.api.openapi.schema import COUNT, TEXT, WHOLE, Schema, listed, or_null, shape, told

PROBLEM_MEMBERS: Final[dict[str, Schema]] = {
    "type": told(TEXT, f"`{TYPE_PREFIX}` and a code."),
    "title": TEXT,
    "status": WHOLE,
    "detail": TEXT,
}
_FIELDS: Final = listed(shape({"field": TEXT, "message": TEXT}))


def problem_schemas() -> dict[str, Schema]:
    """The components of failures."""
    reloading = {"revision": or_null(TEXT), "generation": or_null(COUNT)}
    return {
        "Problem": shape(PROBLEM_MEMBERS),
        "InvalidBody": shape(
            PROBLEM_MEMBERS | {"errors": told(_FIELDS, "Every field that is wrong.")}
        ),
        "Fault": shape(
            PROBLEM_MEMBERS
            | {"allowed": {"const": False}, "state?": told(TEXT, "In which it ended.")},
            "What the caller could not have asked for.",
        ),
        "NotReady": shape(PROBLEM_MEMBERS | {"missing": listed(TEXT)}),
        "PaymentsRefused": shape(
            PROBLEM_MEMBERS | {"upstream_status": told(WHOLE, "What was answered there.")}
        ),
        "PoliciesRejected": shape(
            PROBLEM_MEMBERS
            | rejection_members()
            | reloading
            | {"shadow": or_null({"type": "object"})}
        ),
    }
