"""What may stand in a policy file (`apiVersion: sidecar/v1`)?

The text below a field is what an editor shows for it: `sidecar schema` takes it from here.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
)
from pydantic_core import CoreSchema, PydanticCustomError

from sidecar.domain.limits import Dimension
from sidecar.domain.modes import FailureMode, Mode, Refusal
from sidecar.domain.request import MAX_INTEGER, MeterKind
from sidecar.domain.subscription import Status
from sidecar.policy.values import (
    GLOB_PATTERN,
    Constant,
    DurationText,
    ExactName,
    Expression,
    Feature,
    Glob,
    HeldStatus,
    Id,
    Instant,
    Message,
    Name,
    RefusalStatus,
    Units,
    WindowText,
)


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


class _OrList:
    """Tells an editor that a list stands for its `allow`."""

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        glob = {"type": "string", "pattern": GLOB_PATTERN}
        return {"anyOf": [{"type": "array", "items": glob}, handler(core_schema)]}


class Section(BaseModel):
    """A mapping whose fields are all known."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True
    )


class MetadataSection(Section):
    """Whose policy this is."""

    name: Id
    """What the file is called where it is spoken of."""
    description: StrictStr = ""
    """What it is for, for people."""
    owner: StrictStr = ""
    """Who answers for it, for people."""


class DefaultsSection(Section):
    """What holds where nothing else is said; `plan` stands once per directory."""

    plan: Id | None = None
    """The plan of everybody who has no active subscription; without it they are refused."""
    failure_mode: FailureMode = FailureMode.OPEN
    """What a fact means that cannot be had: open lets through, closed refuses, local remembers."""


class TrialSection(Section):
    """For a trial that names no plan, or no end."""

    plan: Id | None = None
    """The plan of a `trialing` subscription that names none."""
    days: Annotated[StrictInt, Field(ge=1, le=3660)] | None = None
    """How long a trial lasts that names no end, from its beginning."""


class SubscriptionSection(Section):
    """Which statuses let a plan hold; stands once per directory."""

    active: list[HeldStatus] = [Status.ACTIVE, Status.TRIALING]
    """The statuses under which the subscription's plan holds."""
    grace: dict[HeldStatus, DurationText] = {}
    """Statuses under which it still holds for a while, as `{past_due: 3d}`, with a warning."""
    trial: TrialSection = TrialSection()
    """For a trial that names no plan, or no end."""


class VariableSection(Section):
    """A named expression; may use the variables above it."""

    name: Name
    """Read as `vars.NAME`."""
    expr: Expression
    """A CEL expression, as `request.estimated_tokens > 50000`."""


class PluginsSection(Section):
    """Globs over plugin names; a deny wins over every allow."""

    allow: list[Glob] = []
    """Plugins that the plan includes; `*` is any run of characters, `?` is one."""
    deny: list[Glob] = []
    """Plugins that it does not include, whatever `allow` says."""


class RolloverSection(Section):
    """What is left of a period can be used in the next one, and not later."""

    max: Annotated[StrictInt, Field(ge=1, le=MAX_INTEGER)]
    """How many units at most."""


class LimitSection(Section):
    """A bound on one meter over one window."""

    id: Id
    """Names it in answers, overrides and tests; no other limit, rule or override has it."""
    meter: MeterKind
    """What is counted; cost needs a price file, concurrency has no window."""
    max: Units | None
    """How many units; cost in millionths of the currency. null: no bound, but counted."""
    window: WindowText | None = None
    """Over which time: sliding as `1m`, or a calendar's or the subscription's own."""
    per: Annotated[list[Dimension], Field(min_length=1)] = [Dimension.APP, Dimension.USER]
    """Each combination of these has a counter of its own; `[app, tenant]` is a team's pool."""
    when: Expression | None = None
    """A CEL condition on the request; where it is false, the limit neither counts nor bounds."""
    warn_at: Annotated[StrictFloat | StrictInt, Field(gt=0, lt=1)] | None = None
    """The share of `max` from which the answer is a warning, as 0.8."""
    rollover: RolloverSection | None = None
    """What is left of a month can be used in the next one: `{max: 5000}` is so much of it."""
    mode: Mode | None = None
    """Milder than the file's, never stricter."""
    failure_mode: FailureMode | None = None
    """What it means that the counter cannot be read; the plan or `defaults` says it for all."""
    status: RefusalStatus = Refusal.PAYMENT_REQUIRED
    """Of its refusal: the usual one says that a plan helps, 403 nothing does, 429 waiting does."""
    message: Message | None = None
    """What the user is told; without it, the numbers."""


class WalletSection(Section):
    """What its users run is held against a balance that is kept elsewhere."""

    require: StrictBool = True
    """Whether nothing runs that the balance does not pay; false: then it is only warned."""
    low: Units | None = None
    """The balance is low below so many millionths of the currency: a warning, and a webhook."""


class PlanSection(Section):
    """A named set of entitlements."""

    name: ExactName | None = None
    """As people read it; without it, the id."""
    description: StrictStr = ""
    """What it is for, for people."""
    extends: Id | None = None
    """The plan whose limits and features it has too; what it says itself replaces theirs."""
    plugins: Annotated[PluginsSection, BeforeValidator(_globs), _OrList()] | None = None
    """Plugins that it includes, as `["basic_*"]` or `{allow: ["*"], deny: ["admin_*"]}`."""
    failure_mode: FailureMode | None = None
    """What it means for its limits that a fact cannot be had; `defaults` says it for all plans."""
    features: dict[Feature, StrictBool] = {}
    """Features that it includes or not; `"*"` stands for all that are not named."""
    tokens_per_month: Units | None = None
    """Short for a limit of that many tokens over the billing month; null is unlimited."""
    limits: list[LimitSection] = []
    """All of them apply; one that restates an inherited id replaces it."""
    wallet: WalletSection | None = None
    """What runs is paid from a balance, as `{require: true}`; null takes an inherited one away."""


class MatchSection(Section):
    """Which requests a rule looks at, without evaluating anything."""

    plans: Annotated[list[Id], Field(min_length=1)] | None = None
    """Only users of these plans."""
    plugins: Annotated[list[Glob], Field(min_length=1)] | None = None
    """Only requests for these plugins."""


class RuleSection(Section):
    """A condition with an effect."""

    id: Id
    """Names it in answers and tests; no other limit, rule or override has it."""
    description: StrictStr = ""
    """What it is for, for people."""
    match: MatchSection = MatchSection()
    """Which requests it looks at; without it, all."""
    when: Expression | None = None
    """A CEL condition; without it, it holds for all that `match` lets through."""
    effect: Literal["deny", "warn"]
    """What follows where it holds; the most severe effect of all rules and limits wins."""
    on_error: Literal["deny", "warn", "skip"] | None = None
    """What follows where the condition cannot be evaluated; a rule that denies has to say it."""
    mode: Mode | None = None
    """Milder than the file's, never stricter."""
    status: RefusalStatus = Refusal.PAYMENT_REQUIRED
    """Of its refusal: the usual one says that a plan helps, 403 nothing does, 429 waiting does."""
    message: Message
    """What the user is told."""
    message_expr: Expression | None = None
    """A CEL expression for the message; where it fails, `message` is told."""


class ForSection(Section):
    """Whom an override is for, by exact id; the most specific override wins."""

    apps: Annotated[list[ExactName], Field(min_length=1)] | None = None
    """Apps by their `app_id`."""
    tenants: Annotated[list[ExactName], Field(min_length=1)] | None = None
    """Tenants by their `tenant_id`."""
    users: Annotated[list[ExactName], Field(min_length=1)] | None = None
    """Users by their `user_id`."""


class OverrideSection(Section):
    """Another maximum for some, for a time."""

    id: Id
    """Names it in answers and tests; no other limit, rule or override has it."""
    for_: Annotated[ForSection, Field(alias="for")]
    """Whom it is for."""
    limit: Id
    """The limit whose `max` it replaces."""
    max: Units | None
    """The maximum instead; null: no bound."""
    from_: Annotated[Instant | None, Field(alias="from")] = None
    """When it begins, as "2026-12-01T00:00:00Z"; without it, it has begun."""
    until: Instant | None = None
    """When it ends; without it, never."""
    reason: StrictStr = ""
    """Why, for whoever finds it in a year."""


class PolicyFile(Section):
    """One policy file."""

    api_version: Annotated[Literal["sidecar/v1"], Field(alias="apiVersion")]
    """The version of this format."""
    kind: Literal["Policy"]
    """What kind of file this is."""
    metadata: MetadataSection
    """Whose policy this is."""
    mode: Mode = Mode.ADVISORY
    """How strictly the file is taken: enforce refuses, advisory warns instead, off only counts."""
    defaults: DefaultsSection = DefaultsSection()
    """What holds where nothing else is said."""
    subscription: SubscriptionSection | None = None
    """Which statuses let a plan hold."""
    constants: dict[Name, Constant] = {}
    """Values that expressions read as `constants.NAME`: text, numbers, true, false, lists."""
    variables: Annotated[list[VariableSection], Field(max_length=500)] = []
    """Expressions with a name, for conditions to share; evaluated at most once a request."""
    plans: dict[Id, PlanSection] = {}
    """What may be subscribed to; the first that would allow a request is told as the upgrade."""
    rules: list[RuleSection] = []
    """Conditions with an effect; all that apply are evaluated, the most severe wins."""
    overrides: list[OverrideSection] = []
    """Other maxima for some, for a time."""
