"""What may a single value in a file of policies be, and what is said to any other?

Each kind of value tells both: what the loader takes, and what an editor's schema offers.
"""

import re
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictInt,
    StrictStr,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from sidecar.domain.modes import Refusal
from sidecar.domain.request import MAX_INTEGER
from sidecar.domain.subscription import Status
from sidecar.domain.windows import Fixed, parse_duration, parse_window
from sidecar.policy.meant import duration_meant, window_meant

ID_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]{0,127}$"
NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
GLOB_PATTERN = r"^[A-Za-z0-9_.:/@*?-]{1,256}$"
FEATURE_PATTERN = r"^(\*|[A-Za-z0-9_.:/@-]{1,256})$"

_LOOKS_RIGHT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)
_INT64 = range(-(2**63), 2**63)


def _window(text: object) -> object:
    if type(text) is int or (isinstance(text, str) and text.isdecimal()):
        raise PydanticCustomError(
            "window", "a window has a unit: write {found}s, {found}m, {found}h or {found}d",
            {"found": str(text)[:20]},
        )  # fmt: skip
    if isinstance(text, str) and parse_window(text) is None:
        raise PydanticCustomError(
            "window",
            "expected a sliding window (30s, 5m, 1h, 7d; at most 366d) or one of hour, day, week, "
            "month, billing_period, billing_month, lifetime; found {found}",
            {"found": repr(text), "hint": window_meant(text)},
        )
    return text


def _duration(text: object) -> object:
    if type(text) is int or (isinstance(text, str) and text.isdecimal()):
        raise PydanticCustomError(
            "duration", "a duration has a unit: write {found}s, {found}m, {found}h or {found}d",
            {"found": str(text)[:20]},
        )  # fmt: skip
    if isinstance(text, str) and parse_duration(text) is None:
        raise PydanticCustomError(
            "duration",
            "expected a duration as 30s, 5m, 12h or 3d; found {found}",
            {"found": repr(text), "hint": duration_meant(text)},
        )
    return text


def _instant(value: object) -> object:
    if not isinstance(value, str):
        # A number would be taken for seconds since 1970.
        raise PydanticCustomError(
            "instant",
            'expected a date with time and zone as "2026-12-31T00:00:00Z", in quotes',
            {},
        )
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        if _LOOKS_RIGHT.fullmatch(value):
            raise PydanticCustomError(
                "instant", "there is no such day or time as {found}", {"found": repr(value)}
            ) from None
        raise PydanticCustomError(
            "instant",
            'expected a date with time and zone as "2026-12-31T00:00:00Z"; found {found}',
            {"found": repr(value)},
        ) from None
    if instant.tzinfo is None:
        raise PydanticCustomError(
            "instant",
            '{found} has no time zone: write "{full}" for UTC',
            {"found": repr(value), "full": f"{instant.isoformat()}Z"},
        )
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise PydanticCustomError(
            "instant", "{found} is not in any year that there is", {"found": repr(value)}
        ) from None


def _refusal(value: object) -> object:
    if type(value) is int and value in _REFUSALS:
        return Refusal(value)
    expected = ", ".join(str(refusal.value) for refusal in _REFUSALS)
    raise PydanticCustomError(
        "status", "expected one of {expected}, found {found}",
        {"expected": expected, "found": repr(value)},
    )  # fmt: skip


_REFUSALS = (Refusal.PAYMENT_REQUIRED, Refusal.FORBIDDEN, Refusal.TOO_MANY_REQUESTS)


def _held(status: Status) -> Status:
    if status is Status.NONE:
        raise PydanticCustomError(
            "no_status",
            "none is no status of a subscription: it is what users without one have; "
            "name the plan that they get as defaults.plan",
            {},
        )
    return status


def _constant(value: object) -> object:
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str | bool | int | float) for item in items):
        raise PydanticCustomError(
            "constant", "expected text, a number, true, false, or a list of these", {}
        )
    for item in items:
        if isinstance(item, float) and not isfinite(item):
            raise PydanticCustomError("number", "the number is too large", {})
        if isinstance(item, int) and item not in _INT64:
            raise PydanticCustomError("number", "the number does not fit into 64 bits", {})
    return value


_DURATION_PATTERN = r"^[1-9][0-9]{0,8}[smhd]$"
_INSTANT_PATTERN = r"^[0-9W-]{7,10}[^0-9-].*(Z|[+-][0-9]{2}[0-9:.]*)$"
_SCALAR = {"type": ["string", "number", "boolean"]}

Id = Annotated[StrictStr, Field(pattern=ID_PATTERN)]
Name = Annotated[StrictStr, Field(pattern=NAME_PATTERN)]
Glob = Annotated[StrictStr, Field(pattern=GLOB_PATTERN, examples=["basic_*"])]
Feature = Annotated[StrictStr, Field(pattern=FEATURE_PATTERN)]
ExactName = Annotated[StrictStr, Field(min_length=1, max_length=256)]
Expression = Annotated[
    StrictStr, Field(min_length=1, examples=['request.model.startsWith("gpt-4")'])
]
Message = Annotated[StrictStr, Field(min_length=1, max_length=1024)]
WindowText = Annotated[
    StrictStr,
    BeforeValidator(_window),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": [fixed.value for fixed in Fixed]},
                {"type": "string", "pattern": _DURATION_PATTERN},
            ],
            "examples": ["1m", "1h", "day", "billing_month"],
        }
    ),
]
DurationText = Annotated[
    StrictStr,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": _DURATION_PATTERN, "examples": ["3d"]}),
]
HeldStatus = Annotated[
    Status,
    AfterValidator(_held),
    WithJsonSchema(
        {
            "type": "string",
            "enum": [status.value for status in Status if status is not Status.NONE],
        }
    ),
]
Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema(
        {"type": "string", "pattern": _INSTANT_PATTERN, "examples": ["2026-12-31T00:00:00Z"]}
    ),
]
Units = Annotated[StrictInt, Field(ge=0, le=MAX_INTEGER)]
RefusalStatus = Annotated[
    Refusal,
    BeforeValidator(_refusal),
    WithJsonSchema({"enum": [refusal.value for refusal in _REFUSALS]}),
]
Constant = Annotated[
    object,
    BeforeValidator(_constant),
    WithJsonSchema({"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]}),
]
