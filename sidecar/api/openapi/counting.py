"""The entries of usage, and of what a subject may have."""

from collections.abc import Iterable
from typing import Final

from sidecar.api.fields import MAX_TEXT
from sidecar.api.openapi.operation import CALLERS, JSON, READERS, REPORTED, Operation
from sidecar.api.openapi.questions import parameters_of
from sidecar.api.openapi.schema import TEXT, Schema, listed, ref
from sidecar.api.queries import GROUPS, OwnUsageQuery, PeriodsQuery, UsageQuery

_TAG: Final = "Usage"
_MAY: Final = "Entitlements"
_GROUPING: Final = rf"^$|^({'|'.join(GROUPS)})(,({'|'.join(GROUPS)}))*$"


def counting() -> Iterable[Operation]:
    """What was used, and what is left."""
    yield Operation(
        "POST", "/v1/usage", _TAG, "Report what was used",
        "One event, an array of them, an object with `events`, or CloudEvents: structured, as a "
        "batch, or in binary mode with its attributes as headers; one of the type "
        "`chat.usage_summary` carries what `/v1/usage/summary` takes. Each event counts once, by "
        "`event_id`, for at least seven days. One that is wrong is rejected by its index and "
        "stops no other; one that is alone is answered with 422.",
        "UsageTaken", CALLERS, status=202, body=_usage(), parameters=_binary(),
    )  # fmt: skip
    yield Operation(
        "POST", "/v1/usage/summary", _TAG, "Report what a session came to",
        "Its total so far, once by `event_id`. What events and commits of the same `chat_id` told "
        "already is not counted again: a session counts as their sum or as its greatest summary, "
        "whatever is more, for each kind of tokens. What a summary adds is of no model, agent or "
        "plugin, and no request. A session is forgotten eight days after its last change.",
        "UsageTaken", CALLERS, status=202, body={JSON: ref("UsageSummary")},
    )  # fmt: skip
    yield Operation(
        "GET", "/v1/usage", _TAG, "What was used, by hour or day",
        "Of an app, or of one of its users; the last day unless another time is asked for, and "
        "at most 90 days.",
        "UsageReport", REPORTED,
        parameters=reported(UsageQuery, app_id="Of which app.", user_id="Of one user alone."),
    )  # fmt: skip
    yield Operation(
        "GET", "/v1/usage/periods", _TAG, "What each billing period came to",
        "What an invoice is made from, kept for 400 days after the end of a period. A closed "
        "period never changes; what comes later stands in its adjustments. A page may be short, "
        "and empty, where it leaves periods out; it is the last one if `next_cursor` is null.",
        "Periods", REPORTED, parameters=_periods(),
    )  # fmt: skip
    yield Operation(
        "GET", "/v1/entitlements", _MAY, "What a subject may have",
        "The plan, plugins, features, limits with what is left, grants and the subscription: "
        "what a settings page shows.",
        "Entitlements", READERS,
        parameters=[_named("app_id"), _named("user_id"), _named("tenant_id", required=False)],
    )  # fmt: skip


def _usage() -> dict[str, Schema]:
    several = listed(ref("UsageEvent"))
    native = {"anyOf": [ref("UsageEvent"), several, ref("UsageEvents")]}
    return {
        JSON: native,
        "application/cloudevents+json": ref("CloudEvent"),
        "application/cloudevents-batch+json": ref("CloudEventBatch"),
    }


def _binary() -> list[Schema]:
    words = {
        "specversion": "Says that the body is the data of a CloudEvent in binary mode.",
        "id": "Of the event; with `ce-source` it is what an event counts once by.",
        "source": "Of the event.",
        "type": "Of the event.",
        "time": "Stands in for an `event_ts` that the data lacks.",
        "subject": "Stands in for a `user_id` that the data lacks.",
    }
    return [
        {
            "name": f"ce-{name}",
            "in": "header",
            "required": False,
            "description": told,
            "schema": {"const": "1.0"} if name == "specversion" else TEXT,
        }
        for name, told in words.items()
    ]


def reported(model: type[OwnUsageQuery], **words: str) -> list[Schema]:
    """The parameters of a report of use; words for those that not every report has."""
    found = parameters_of(
        model,
        **words,
        to="Before when; now unless said.",
        granularity="By hour or by day.",
        group_by=f"Names with commas between them, of {', '.join(GROUPS)}.",
        **{"from": "From when on; a day before the end unless said."},
    )
    for each in found:
        if each["name"] == "group_by":
            each["schema"] = {"type": "string", "pattern": _GROUPING}
    return _with_instants(found)


def _periods() -> list[Schema]:
    return _with_instants(
        parameters_of(
            PeriodsQuery,
            app_id="Of which app.",
            user_id="Of one user alone; else of all, and of counters that users share.",
            to="Only periods that begin before.",
            state="Only periods in this state.",
            limit="How many at most.",
            cursor="The `next_cursor` of the page before.",
            **{"from": "Only periods that end after."},
        )
    )


def _with_instants(parameters: list[Schema]) -> list[Schema]:
    for each in parameters:
        if each["name"] in ("from", "to"):
            each["schema"] = {"type": "string", "format": "date-time"}
    return parameters


def _named(name: str, *, required: bool = True) -> Schema:
    schema: Schema = {"type": "string", "maxLength": MAX_TEXT}
    if required:
        schema["minLength"] = 1
    return {"name": name, "in": "query", "required": required, "schema": schema}
