"""Of what kind is a value that callers send, and how large may it be?"""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)

from sidecar.domain.request import MAX_INTEGER

MAX_TEXT = 256
MAX_RESERVATION_ID = 4_608
"""It carries its app's id, in base64 of UTF-8: 256 characters may be 1,366. One that was given out
while the store was away says what it was for besides, in up to 3,072."""
MAX_CURSOR = 16_384
"""It names a counter, whose values are percent-encoded, or an app."""
MAX_ATTRIBUTES = 64
MAX_DEPTH = 4
_FAR_YEAR = "in UTC, a year outside 1970 to 9000"
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Balance = Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]


class Body(BaseModel):
    """A body whose fields are all known and whose types are meant."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _bounded(value: object, depth: int = 1) -> None:
    match value:
        case str() if len(value) > MAX_TEXT:
            raise ValueError(f"text of more than {MAX_TEXT} characters")
        case dict() | list():
            if depth > MAX_DEPTH:
                raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
            if len(value) > MAX_ATTRIBUTES:
                raise ValueError(f"more than {MAX_ATTRIBUTES} entries")
            for item in value.values() if isinstance(value, dict) else value:
                _bounded(item, depth + 1)
            if isinstance(value, dict):
                for key in value:
                    _bounded(key)
        case int() if abs(value) > MAX_INTEGER:
            raise ValueError("a number beyond 2^53-1")
        case float() if value != value or abs(value) > 1e308:
            raise ValueError("a number that is not finite")


def _attributes(value: dict[str, Any]) -> dict[str, Any]:
    _bounded(value)
    return value


Attributes = Annotated[dict[str, Any], AfterValidator(_attributes)]


def _instant(value: object) -> object:
    """An ISO 8601 text or seconds since 1970; without a zone it is UTC."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return value
    try:
        if isinstance(value, str):
            instant = datetime.fromisoformat(value)
        else:
            instant = datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError("not a date and time in ISO 8601") from None
    try:
        instant = instant.astimezone(UTC) if instant.tzinfo else instant.replace(tzinfo=UTC)
    except OverflowError:
        # In UTC it lies before the first year that there is, or after the last.
        raise ValueError(_FAR_YEAR) from None
    if not 1970 <= instant.year <= 9000:
        raise ValueError(_FAR_YEAR)
    return instant


Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema(
        {
            "type": ["string", "number"],
            "format": "date-time",
            "description": "ISO 8601, or seconds since 1970; without a zone it is UTC.",
        }
    ),
]
