"""What callers send, exactly; each body hands over a value of the domain."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    WithJsonSchema,
    model_validator,
)

from sidecar.domain.request import MAX_INTEGER, UNTOLD, Amounts, CheckRequest, Subject
from sidecar.domain.subscription import Status, Subscription
from sidecar.domain.told import Told, WhatIf
from sidecar.domain.usage import UsageEvent

MAX_TEXT = 256
MAX_RESERVATION_ID = 1536
"""It carries its app's id, in base64 of UTF-8: 256 characters may be 1,366."""
MAX_ATTRIBUTES = 64
MAX_DEPTH = 4
MAX_TTL_S = 86_400
MAX_EVENTS = 1_000
MAX_CHECKS = 100
MAX_COUNTERS = 500
MAX_DECISIONS = 500
OLDEST_EVENT = timedelta(days=7)
EVENT_AHEAD = timedelta(minutes=5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Seconds = Annotated[int, Field(ge=1, le=MAX_TTL_S)]


class Body(BaseModel):
    """A body whose fields are all known and whose types are meant."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class EstimateBody(Body):
    """Tokens that a request may use."""

    input_tokens: Count = 0
    output_tokens: Count = 0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.input_tokens + self.output_tokens > MAX_INTEGER:
            raise ValueError("the tokens add up to more than 2^53-1")
        return self

    def amounts(self) -> Amounts:
        """The estimate of one request."""
        return Amounts(
            tokens=self.input_tokens + self.output_tokens,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            requests=1,
            concurrency=1,
        )


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


class CheckBody(Body):
    """`POST /v1/check`."""

    app_id: Name
    user_id: Name
    tenant_id: Text | None = None
    plugin: Text | None = None
    feature: Text | None = None
    action: Text | None = None
    workflow: Text | None = None
    agent: Text | None = None
    model: Text | None = None
    session_id: Text | None = None
    estimate: EstimateBody | None = None
    estimated_tokens: Count | None = None
    attributes: Attributes | None = None
    reserve: bool = False
    ttl_s: Seconds = 60
    request_id: Text | None = None

    @model_validator(mode="after")
    def _one_estimate(self) -> Self:
        if self.estimate is not None and self.estimated_tokens is not None:
            raise ValueError("give estimate or estimated_tokens, not both")
        return self

    def request(self) -> CheckRequest:
        """The question that this body asks."""
        if self.estimate is not None:
            estimate = self.estimate.amounts()
        else:
            estimate = Amounts(tokens=self.estimated_tokens or 0, requests=1, concurrency=1)
        return CheckRequest(
            subject=Subject(self.app_id, self.user_id, self.tenant_id or ""),
            plugin=self.plugin or "",
            feature=self.feature or "",
            action=self.action or "",
            workflow=self.workflow or "",
            agent=self.agent or "",
            model=self.model or "",
            session_id=self.session_id or "",
            estimate=estimate,
            attributes=self.attributes or {},
            reserve=self.reserve,
            ttl_s=self.ttl_s,
            request_id=self.request_id or "",
        )


class ChecksBody(Body):
    """`POST /v1/checks`."""

    checks: Annotated[list[CheckBody], Field(min_length=1, max_length=MAX_CHECKS)]


class CommitBody(Body):
    """`POST /v1/reservations/{id}/commit`: the total of the run so far."""

    input_tokens: Count | None = None
    output_tokens: Count | None = None
    total_tokens: Count | None = None
    model: Text | None = None
    final: bool = True

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.input_tokens is None and self.output_tokens is None and self.total_tokens is None:
            raise ValueError("say what was used: input_tokens and output_tokens, or total_tokens")
        if (self.input_tokens or 0) + (self.output_tokens or 0) > MAX_INTEGER:
            raise ValueError("the tokens add up to more than 2^53-1")
        return self

    def amounts(self) -> Amounts:
        """What was used."""
        parts = (self.input_tokens or 0) + (self.output_tokens or 0)
        untold = UNTOLD if self.input_tokens is None and self.output_tokens is None else 0
        return Amounts(
            tokens=parts if self.total_tokens is None else self.total_tokens,
            input_tokens=untold if self.input_tokens is None else self.input_tokens,
            output_tokens=untold if self.output_tokens is None else self.output_tokens,
        )


class ExtendBody(Body):
    """`POST /v1/reservations/{id}/extend`."""

    ttl_s: Seconds = 60
    estimate: EstimateBody | None = None
    request_id: Text | None = None

    def amounts(self) -> Amounts:
        """What is held in addition; the run is still the same one request."""
        asked = self.estimate or EstimateBody()
        return Amounts(
            tokens=asked.input_tokens + asked.output_tokens,
            input_tokens=asked.input_tokens,
            output_tokens=asked.output_tokens,
        )


_FAR_YEAR = "in UTC, a year outside 1970 to 9000"


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


class UsageEventBody(Body):
    """One `chat.usage_delta` of the runtime."""

    event_id: Text | None = None
    event_ts: Instant | None = None
    chat_id: Text | None = None
    app_id: Name
    user_id: Name
    tenant_id: Text | None = None
    workflow_name: Text | None = None
    agent_name: Text | None = None
    model_name: Text | None = None
    plugin: Text | None = None
    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    total_tokens: Count | None = None
    cached: bool | Count | None = None
    duration_sec: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    invocation_id: Text | None = None
    reservation_id: Annotated[str, Field(max_length=MAX_RESERVATION_ID)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.prompt_tokens + self.completion_tokens > MAX_INTEGER:
            raise ValueError("the tokens add up to more than 2^53-1")
        return self

    def event(self, now: datetime) -> UsageEvent:
        """The use that is reported.

        Raises:
            ValueError: it is too old, or lies in the future.
        """
        at = self.event_ts or now
        if at < now - OLDEST_EVENT:
            raise ValueError("event_ts: more than 7 days old")
        if at > now + EVENT_AHEAD:
            raise ValueError("event_ts: more than 5 minutes ahead")
        total = self.total_tokens
        used = Amounts(
            tokens=self.prompt_tokens + self.completion_tokens if total is None else total,
            input_tokens=self.prompt_tokens,
            output_tokens=self.completion_tokens,
            requests=1,
        )
        request = CheckRequest(
            subject=Subject(self.app_id, self.user_id, self.tenant_id or ""),
            plugin=self.plugin or "",
            workflow=self.workflow_name or "",
            agent=self.agent_name or "",
            model=self.model_name or "",
            session_id=self.chat_id or "",
            estimate=used,
        )
        return UsageEvent(
            self.event_id or self._digest(used), at, request, used, self.reservation_id or ""
        )

    def _digest(self, used: Amounts) -> str:
        """What stands for an id, the same however the same event was written."""
        stated = self.model_dump(mode="json", exclude={"event_id"}, exclude_defaults=True)
        said = {name: value for name, value in stated.items() if value != ""}
        canonical = json.dumps(
            said | {"total_tokens": used.tokens}, sort_keys=True, separators=(",", ":")
        )
        return "body:" + hashlib.sha256(canonical.encode()).hexdigest()


LONGEST_REPORT = timedelta(days=90)
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
GROUPS = ("model", "workflow", "agent", "plugin")


def _groups(value: object) -> object:
    names = value.split(",") if isinstance(value, str) else []
    unknown = [name for name in names if name not in GROUPS]
    if unknown and value:
        raise ValueError(f"{unknown[0]!r} is none of {', '.join(GROUPS)}")
    return tuple(name for name in GROUPS if name in names)


class UsageQuery(Body):
    """The parameters of `GET /v1/usage`; it tells whole hours."""

    app_id: Name
    user_id: Name | None = None
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


class DecisionsQuery(Body):
    """The parameters of `GET /v1/decisions`."""

    app_id: Name | None = None
    user_id: Name | None = None
    effect: Literal["allow", "warn", "deny"] | None = None
    limit: Annotated[int, Field(strict=False, ge=1, le=MAX_DECISIONS)] = 50


class HeldBody(Body):
    """A subscription that is taken for granted; `status_since` is when the status began."""

    plan: Text | None = None
    status: Annotated[Status, Field(strict=False)] = Status.ACTIVE
    billing_cycle: Text | None = None
    next_billing_date: Instant | None = None
    trial_end: Instant | None = None
    current_period_start: Instant | None = None
    current_period_end: Instant | None = None
    cancel_at_period_end: bool = False
    status_since: Instant | None = None
    metadata: Attributes | None = None

    def subscription(self, subject: Subject, now: datetime) -> Subscription:
        """The state of a subject; it began now where nothing else is said."""
        return Subscription(
            user_id=subject.user_id,
            app_id=subject.app_id,
            plan=self.plan or "",
            status=self.status,
            billing_cycle=self.billing_cycle or "",
            next_billing_date=self.next_billing_date,
            trial_end=self.trial_end,
            period_start=self.current_period_start,
            period_end=self.current_period_end,
            cancel_at_period_end=self.cancel_at_period_end,
            metadata=self.metadata or {},
            updated_at=self.status_since or now,
        )


Counters = Annotated[dict[Name, Count], Field(max_length=MAX_COUNTERS)]


class GivenBody(Body):
    """Facts that are taken for granted; counters by the id of a limit."""

    subscription: HeldBody | None = None
    used: Counters = Field({})
    reserved: Counters = Field({})
    granted: Counters = Field({})
    now: Instant | None = None

    def what_if(self, subject: Subject, now: datetime) -> WhatIf:
        """The same as facts; `now` is the instant unless another is given."""
        held = self.subscription
        return WhatIf(
            subscription=held.subscription(subject, self.now or now) if held else None,
            counters=Told(self.used, self.reserved, self.granted),
            now=self.now,
        )


class ExplainBody(CheckBody):
    """`POST /v1/explain`: a check, and what is to be taken for granted."""

    trace: bool = False
    given: GivenBody = GivenBody()


class CheckoutBody(Body):
    """`POST /v1/checkout`."""

    app_id: Name
    user_id: Name
    plan: Name


class CancelBody(Body):
    """`POST /v1/checkout/cancel`."""

    app_id: Name
    user_id: Name


def known_fields(schema: str, location: tuple[str | int, ...]) -> list[str]:
    """The fields of a body, or of the part of it at a location; empty for an unknown one."""
    part = _PARTS.get(str(location[0])) if location else None
    if part is GivenBody and location[1:]:
        part = HeldBody
    if part is CheckBody and len(location) > 2:
        part = EstimateBody
    model = part or _BODIES.get(schema)
    if model is None:
        return []
    return [field.alias or name for name, field in model.model_fields.items()]


_BODIES: dict[str, type[Body]] = {
    model.__name__: model
    for model in (
        CheckBody,
        ChecksBody,
        CommitBody,
        ExtendBody,
        ExplainBody,
        UsageEventBody,
        UsageQuery,
        DecisionsQuery,
    )
}
_PARTS: dict[str, type[Body]] = {
    "estimate": EstimateBody,
    "checks": CheckBody,
    "given": GivenBody,
}

CHECK = TypeAdapter(CheckBody)
CHECKS = TypeAdapter(ChecksBody)
COMMIT = TypeAdapter(CommitBody)
EXTEND = TypeAdapter(ExtendBody)
EXPLAIN = TypeAdapter(ExplainBody)
USAGE_EVENT = TypeAdapter(UsageEventBody)
USAGE_QUERY = TypeAdapter(UsageQuery)
DECISIONS_QUERY = TypeAdapter(DecisionsQuery)
CHECKOUT = TypeAdapter(CheckoutBody)
CANCEL = TypeAdapter(CancelBody)
