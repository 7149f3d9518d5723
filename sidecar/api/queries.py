"""What can be asked for in an address: reports of use, recorded decisions."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
)

from sidecar.api.fields import MAX_CURSOR, Body, Instant, Name
from sidecar.domain.event_log import Asked

MAX_PERIODS = 500
MAX_DECISIONS = 500
MAX_EXPORTED = 5_000
NDJSON = "application/x-ndjson"
LONGEST_REPORT = timedelta(days=90)
GROUPS = ("model", "workflow", "agent", "plugin")
VIEW_DAYS = ("7", "30", "90")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)


def _groups(value: object) -> object:
    names = value.split(",") if isinstance(value, str) else []
    unknown = [name for name in names if name not in GROUPS]
    if unknown and value:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(GROUPS)}")
    return tuple(name for name in GROUPS if name in names)


class OwnUsageQuery(Body):
    """The parameters of `GET /v1/me/usage`; it tells whole hours."""

    from_: Instant | None = Field(None, alias="from")
    to: Instant | None = None
    granularity: Literal["hour", "day"] = "hour"
    group_by: Annotated[tuple[str, ...], BeforeValidator(_groups)] = ()

    def hours(self, now: datetime) -> tuple[int, int]:
        """The hours since 1970 in which the time asked for begins and before which it ends.

        Raises:
            ValueError: it is no time, or too long a one.
        """
        end = self.to or now
        begin = self.from_ or (self.to or now) - _DAY
        first = max(0, (begin - _EPOCH) // _HOUR)
        end_hour = -((_EPOCH - end) // _HOUR)
        if begin >= end:
            raise ValueError("from: not before to")
        if (end_hour - first) * _HOUR > LONGEST_REPORT:
            raise ValueError(f"from: more than {LONGEST_REPORT.days} days before to")
        return first, end_hour


class _Whose(Body):
    app_id: Name
    user_id: Name | None = None


class ViewQuery(Body):
    """The parameters of `GET /portal/view`."""

    days: Literal["7", "30", "90"] = "30"


class UsageQuery(OwnUsageQuery, _Whose):
    """The parameters of `GET /v1/usage`: of whom, and the same."""


class DecisionsQuery(Body):
    """The parameters of `GET /v1/decisions`."""

    app_id: Name | None = None
    user_id: Name | None = None
    effect: Literal["allow", "warn", "deny"] | None = None
    limit: Annotated[int, Field(strict=False, ge=1, le=MAX_DECISIONS)] = 50


class PeriodsQuery(Body):
    """The parameters of `GET /v1/usage/periods`."""

    app_id: Name
    user_id: Name | None = None
    from_: Instant | None = Field(None, alias="from")
    to: Instant | None = None
    state: Literal["open", "settling", "closed"] | None = None
    limit: Annotated[int, Field(strict=False, ge=1, le=MAX_PERIODS)] = 100
    cursor: Annotated[str, Field(max_length=MAX_CURSOR)] | None = None


class SubscriptionQuery(Body):
    """The parameters of `GET /v1/subscriptions/…`; unknown ones are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    history: Literal["true", "false"] = "false"


class ExportQuery(Body):
    """The parameters of `GET /v1/usage/export`."""

    app_id: Name | None = None
    from_: Instant | None = Field(None, alias="from")
    to: Instant | None = None
    cursor: Annotated[str, Field(max_length=MAX_CURSOR)] = ""
    limit: Annotated[int, Field(strict=False, ge=1, le=MAX_EXPORTED)] = 1_000

    def asked(self) -> Asked:
        """What is asked for."""
        return Asked(self.app_id or "", self.from_, self.to, self.cursor, self.limit)


class OutboxQuery(Body):
    """The parameters of `GET /v1/outbox`."""

    limit: Annotated[int, Field(strict=False, ge=1, le=MAX_DECISIONS)] = 50


USAGE_QUERY = TypeAdapter(UsageQuery)
VIEW_QUERY = TypeAdapter(ViewQuery)
OWN_USAGE_QUERY = TypeAdapter(OwnUsageQuery)
DECISIONS_QUERY = TypeAdapter(DecisionsQuery)
SUBSCRIPTION_QUERY = TypeAdapter(SubscriptionQuery)
PERIODS_QUERY = TypeAdapter(PeriodsQuery)
EXPORT_QUERY = TypeAdapter(ExportQuery)
OUTBOX_QUERY = TypeAdapter(OutboxQuery)
