"""What may stand in a policy file (`apiVersion: sidecar/v1`)?"""

from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
)
from pydantic_core import PydanticCustomError

from sidecar.domain.limits import Dimension
from sidecar.domain.modes import FailureMode, Mode, Refusal
from sidecar.domain.request import MAX_INTEGER, MeterKind
from sidecar.domain.subscription import Status
from sidecar.domain.windows import parse_duration, parse_window

ID_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]{0,127}$"
NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,127}$"
GLOB_PATTERN = r"^[A-Za-z0-9_.:/@*?-]{1,256}$"
FEATURE_PATTERN = r"^(\*|[A-Za-z0-9_.:/@-]{1,256})$"

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
            {"found": repr(text)},
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
            {"found": repr(text)},
        )
    return text


def _instant(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
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
    return instant.astimezone(UTC)


def _refusal(value: object) -> object:
    if type(value) is int and value in _REFUSALS:
        return Refusal(value)
    expected = ", ".join(str(refusal.value) for refusal in _REFUSALS)
    raise PydanticCustomError(
        "status", "expected one of {expected}, found {found}",
        {"expected": expected, "found": repr(value)},
    )  # fmt: skip


_REFUSALS = (Refusal.PAYMENT_REQUIRED, Refusal.FORBIDDEN, Refusal.TOO_MANY_REQUESTS)


def _globs(value: object) -> object:
    if isinstance(value, list):
        return {"allow": value}
    if value is None or isinstance(value, dict):
        return value
    if isinstance(value, str) and 0 < len(value) <= 64 and '"' not in value:
        raise PydanticCustomError(
            "globs", 'expected a list: write ["{found}"], or a mapping with allow and deny',
            {"found": value},
        )  # fmt: skip
    raise PydanticCustomError(
        "globs", 'expected a list as ["basic_*"], or a mapping with allow and deny', {}
    )


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


Id = Annotated[StrictStr, Field(pattern=ID_PATTERN)]
Name = Annotated[StrictStr, Field(pattern=NAME_PATTERN)]
Glob = Annotated[StrictStr, Field(pattern=GLOB_PATTERN)]
Feature = Annotated[StrictStr, Field(pattern=FEATURE_PATTERN)]
ExactName = Annotated[StrictStr, Field(min_length=1, max_length=256)]
Expression = Annotated[StrictStr, Field(min_length=1)]
Message = Annotated[StrictStr, Field(min_length=1, max_length=1024)]
WindowText = Annotated[StrictStr, BeforeValidator(_window)]
DurationText = Annotated[StrictStr, BeforeValidator(_duration)]
HeldStatus = Annotated[Status, AfterValidator(_held)]
Instant = Annotated[datetime, BeforeValidator(_instant)]
Units = Annotated[StrictInt, Field(ge=0, le=MAX_INTEGER)]
RefusalStatus = Annotated[Refusal, BeforeValidator(_refusal)]
Constant = Annotated[object, BeforeValidator(_constant)]


class Section(BaseModel):
    """A mapping whose fields are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class MetadataSection(Section):
    """Whose policy this is."""

    name: Id
    description: StrictStr = ""
    owner: StrictStr = ""


class DefaultsSection(Section):
    """What holds where nothing else is said; `plan` stands once per directory."""

    plan: Id | None = None
    failure_mode: FailureMode = FailureMode.OPEN


class TrialSection(Section):
    """For a trial that names no plan, or no end."""

    plan: Id | None = None
    days: Annotated[StrictInt, Field(ge=1, le=3660)] | None = None


class SubscriptionSection(Section):
    """Which statuses let a plan hold; stands once per directory."""

    active: list[HeldStatus] = [Status.ACTIVE, Status.TRIALING]
    grace: dict[HeldStatus, DurationText] = {}
    trial: TrialSection = TrialSection()


class VariableSection(Section):
    """A named expression; may use the variables above it."""

    name: Name
    expr: Expression


class PluginsSection(Section):
    """Globs over plugin names; a deny wins over every allow."""

    allow: list[Glob] = []
    deny: list[Glob] = []


class LimitSection(Section):
    """A bound on one meter over one window."""

    id: Id
    meter: MeterKind
    max: Units | None
    window: WindowText | None = None
    per: Annotated[list[Dimension], Field(min_length=1)] = [Dimension.APP, Dimension.USER]
    when: Expression | None = None
    warn_at: Annotated[StrictFloat | StrictInt, Field(gt=0, lt=1)] | None = None
    mode: Mode | None = None
    failure_mode: FailureMode | None = None
    status: RefusalStatus = Refusal.PAYMENT_REQUIRED
    message: Message | None = None


class PlanSection(Section):
    """A named set of entitlements."""

    name: ExactName | None = None
    description: StrictStr = ""
    extends: Id | None = None
    plugins: Annotated[PluginsSection, BeforeValidator(_globs)] | None = None
    features: dict[Feature, StrictBool] = {}
    tokens_per_month: Units | None = None
    limits: list[LimitSection] = []


class MatchSection(Section):
    """Which requests a rule looks at, without evaluating anything."""

    plans: Annotated[list[Id], Field(min_length=1)] | None = None
    plugins: Annotated[list[Glob], Field(min_length=1)] | None = None


class RuleSection(Section):
    """A condition with an effect."""

    id: Id
    description: StrictStr = ""
    match: MatchSection = MatchSection()
    when: Expression | None = None
    effect: Literal["deny", "warn"]
    on_error: Literal["deny", "warn", "skip"] | None = None
    mode: Mode | None = None
    status: RefusalStatus = Refusal.PAYMENT_REQUIRED
    message: Message
    message_expr: Expression | None = None


class ForSection(Section):
    """Whom an override is for, by exact id."""

    apps: Annotated[list[ExactName], Field(min_length=1)] | None = None
    tenants: Annotated[list[ExactName], Field(min_length=1)] | None = None
    users: Annotated[list[ExactName], Field(min_length=1)] | None = None


class OverrideSection(Section):
    """Another maximum for some, for a time."""

    id: Id
    for_: Annotated[ForSection, Field(alias="for")]
    limit: Id
    max: Units | None
    from_: Annotated[Instant | None, Field(alias="from")] = None
    until: Instant | None = None
    reason: StrictStr = ""


class PolicyFile(Section):
    """One policy file."""

    api_version: Annotated[Literal["sidecar/v1"], Field(alias="apiVersion")]
    kind: Literal["Policy"]
    metadata: MetadataSection
    mode: Mode = Mode.ADVISORY
    defaults: DefaultsSection = DefaultsSection()
    subscription: SubscriptionSection | None = None
    constants: dict[Name, Constant] = {}
    variables: Annotated[list[VariableSection], Field(max_length=500)] = []
    plans: dict[Id, PlanSection] = {}
    rules: list[RuleSection] = []
    overrides: list[OverrideSection] = []
