"""The entries of accepted events: which there were, and which the control plane does not have."""

from collections.abc import Iterable
from typing import Final

from sidecar.api.openapi.operation import INTERNAL, REPORTED, Operation
from sidecar.api.openapi.questions import parameters_of
from sidecar.api.openapi.schema import (
    COUNT,
    INSTANT,
    TEXT,
    WHOLE,
    Schema,
    listed,
    one_of,
    or_null,
    ref,
    shape,
    told,
)
from sidecar.api.queries import NDJSON, ExportQuery, OutboxQuery

_TAG: Final = "Events"
_BACKLOG: Final[dict[str, Schema]] = {
    "waiting": COUNT,
    "set_aside": told(COUNT, "Refused by the control plane."),
    "oldest_at": told(or_null(INSTANT), "When the first of those that wait was received."),
}


def events() -> Iterable[Operation]:
    """The log of accepted events, and the outbox that is a part of it."""
    yield Operation(
        "GET", "/v1/usage/export", _TAG, "Every accepted event",
        "A line of JSON for each, as it was reported, with when it was `received_at`, which `from` "
        "(included) and `to` (not) are about. Events of an app stand in the order in which they "
        "were counted. Commits of reservations are no events. 409 where nothing is kept.",
        None, REPORTED, media_type=NDJSON, headers=("X-Next-Cursor", "X-Has-More"),
        parameters=_exported(), others={409: "Fault", 422: "Fault"},
    )  # fmt: skip
    yield Operation(
        "GET", "/v1/outbox", _TAG, "What waits for the control plane",
        "In all, app by app, and the events that were refused and set aside.",
        "Outbox", INTERNAL,
        parameters=parameters_of(OutboxQuery, limit="How many apps, and how many events."),
    )  # fmt: skip
    yield Operation(
        "POST", "/v1/outbox/{id}/retry", _TAG, "Try an event again",
        "One that is set aside, before all that wait; or the first that waits, at once. A body is "
        "not read.",
        "EntrySettled", INTERNAL, others={404: "Fault"},
    )  # fmt: skip
    yield Operation(
        "POST", "/v1/outbox/{id}/drop", _TAG, "Never deliver an event",
        "One that is set aside, or the first that waits. It was counted, and stays in the export. "
        "A body is not read.",
        "EntrySettled", INTERNAL, others={404: "Fault"},
    )  # fmt: skip


def event_schemas() -> dict[str, Schema]:
    """The components of answers about events."""
    rare = {
        "tenant_id?": TEXT, "plugin?": TEXT, "cached?": {"type": ["boolean", "integer"]},
        "duration_sec?": {"type": "number"}, "invocation_id?": TEXT, "reservation_id?": TEXT,
    }  # fmt: skip
    names = ("chat_id", "workflow_name", "agent_name?", "model_name?")
    tokens = ("prompt_tokens", "completion_tokens", "total_tokens")
    line = _BACKLOG | {
        "app_id": TEXT,
        "first": told(or_null(TEXT), "The id of the event that is next."),
        "again_at": told(or_null(INSTANT), "When it is tried; null for at once."),
        "tries": told(COUNT, "How often in a row it was not taken."),
        "fault": told(or_null(TEXT), "Why not."),
    }
    refused = {
        "id": TEXT,
        "app_id": TEXT,
        "status": told(WHOLE, "Answered by the control plane."),
        "refused_at": INSTANT,
        "received_at": INSTANT,
        "event": ref("AcceptedEvent"),
    }
    return {
        "AcceptedEvent": shape(
            {
                "kind": told(one_of(("delta", "summary")), "Use beside other use, or a total."),
                "event_id": TEXT,
                "event_ts": INSTANT,
                "app_id": TEXT,
                "user_id": TEXT,
                **{name: or_null(TEXT) for name in names},
                **dict.fromkeys(tokens, COUNT),
                **rare,
            },
            "As it was reported, with an id, a time and a total where it had none.",
        ),
        "Outbox": shape(
            _BACKLOG
            | {
                "lag_s": told({"type": "number", "minimum": 0}, "Since `oldest_at`, in seconds."),
                "apps": listed(shape(line)),
                "refused": listed(shape(refused)),
            }
        ),
        "EntrySettled": shape({"status": one_of(("waiting", "dropped")), "id": TEXT}),
    }


def _exported() -> list[Schema]:
    found = parameters_of(
        ExportQuery,
        app_id="Of one app.",
        to="Received before when.",
        cursor="The `X-Next-Cursor` of the page before, of the same question.",
        limit="How many at most; of all apps together it may be less.",
        **{"from": "Received from when on."},
    )
    for each in found:
        if each["name"] in ("from", "to"):
            each["schema"] = {"type": "string", "format": "date-time"}
    return found
