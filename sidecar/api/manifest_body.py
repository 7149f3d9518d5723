"""What the platform pushes for a whole app; a part that is not supported is refused by name."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from fractions import Fraction
from typing import Annotated, Final, Literal, Self
from urllib.parse import quote

from pydantic import AfterValidator, Field, TypeAdapter, WithJsonSchema, model_validator

from sidecar.api.fields import Body, Count, Instant, Name, Text
from sidecar.domain.manifest import Budget, Enforcement, Manifest, Override
from sidecar.domain.modes import Refusal
from sidecar.domain.request import MAX_INTEGER, MeterKind
from sidecar.domain.windows import Fixed, Sliding, Window

MOST_NAMES: Final = 64
"""Models, plugins with a limit, overrides: each is looked at in every check of the app."""
MOST_PLUGINS: Final = 1_000
UNLIMITED: Final = -1

_MINUTE: Final = Sliding(60_000)
_PERIODS: Final = {
    "hourly": Fixed.HOUR,
    "daily": Fixed.DAY,
    "weekly": Fixed.WEEK,
    "monthly": Fixed.MONTH,
    "lifetime": Fixed.LIFETIME,
    "unlimited": Fixed.LIFETIME,
}
_RATES: Final[Mapping[str, tuple[MeterKind, Window]]] = {
    "requests_per_minute": (MeterKind.REQUESTS, _MINUTE),
    "requests_per_hour": (MeterKind.REQUESTS, Sliding(3_600_000)),
    "requests_per_day": (MeterKind.REQUESTS, Sliding(86_400_000)),
    "tokens_per_minute": (MeterKind.TOKENS, _MINUTE),
    "tokens_per_hour": (MeterKind.TOKENS, Sliding(3_600_000)),
    "tokens_per_day": (MeterKind.TOKENS, Sliding(86_400_000)),
    "concurrent_workflows": (MeterKind.CONCURRENCY, Fixed.LIFETIME),
}
_IDS: Final = {"total_tokens": "tokens", "concurrent_workflows": "concurrency"}


_VERSION: Final = r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}"


def _told_version(version: str) -> str:
    if not re.fullmatch(_VERSION, version):
        raise ValueError("numbers with dots between them, such as 1.0")
    return version


def _plain(name: str) -> str:
    if name != "*" and re.search(r"[*?]", name):
        raise ValueError("ids are allowed one by one, or all of them with '*'")
    return name


def _unseen(maximum: int) -> int:
    if maximum != UNLIMITED:
        raise ValueError("not supported: the sidecar does not see it; leave it out, or say -1")
    return maximum


def _held(units: int) -> int:
    if units:
        raise ValueError("not supported: what is held elsewhere is not known here when it ends")
    return units


Maximum = Annotated[int, Field(ge=UNLIMITED, le=MAX_INTEGER)]
Unseen = Annotated[int, AfterValidator(_unseen), WithJsonSchema({"const": UNLIMITED})]
Period = Literal["hourly", "daily", "weekly", "monthly", "lifetime", "unlimited"]


class Part(Body):
    """A part of a manifest, all of which is understood."""

    @model_validator(mode="before")
    @classmethod
    def _understood(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        unknown = [str(name)[:64] for name in value if name not in cls.model_fields]
        if unknown:
            known = ", ".join(cls.model_fields)
            raise ValueError(f"{unknown[0]!r} is not supported here; known are {known}")
        # What is null is not said.
        return {name: part for name, part in value.items() if part is not None}


class PlanPart(Part):
    """The plan of users who have none of their own."""

    id: Name
    name: Text = ""
    tier: Text = ""
    billing_period: Literal["none", "monthly", "annual"] | None = None
    expires_at: Instant | None = None


class Allocation(Part):
    """A budget, and what of it was used in its present period before it was pushed."""

    limit: Maximum = UNLIMITED
    used: Count = 0
    reserved: Annotated[int, AfterValidator(_held), WithJsonSchema({"const": 0})] = 0
    enforcement: Enforcement = Enforcement.SOFT


class TokenBudget(Part):
    """Tokens of all users together."""

    period: Period = "monthly"
    total_tokens: Allocation | None = None
    input_tokens: Allocation | None = None
    output_tokens: Allocation | None = None
    per_model_limits: dict[Name, Allocation] = Field(default_factory=dict, max_length=MOST_NAMES)
    burst_allowance: float = Field(
        0.0, ge=0, le=100, description="Per cent above each limit; below 1, a part of it."
    )
    rollover: Annotated[bool, WithJsonSchema({"const": False})] = False

    @model_validator(mode="after")
    def _has_a_next_period(self) -> Self:
        if self.rollover and _PERIODS[self.period] is Fixed.LIFETIME:
            raise ValueError("rollover: a lifetime has no next period")
        return self

    @property
    def burst(self) -> Fraction:
        """What may be used above each limit, as a part of it; below 1 it is told as such."""
        told = self.burst_allowance
        return Fraction(round((told if told < 1 else told / 100) * 1_000_000), 1_000_000)

    def budgets(self) -> Iterator[Budget]:
        """One for each limit."""
        for name, meter in (
            ("total_tokens", MeterKind.TOKENS),
            ("input_tokens", MeterKind.INPUT_TOKENS),
            ("output_tokens", MeterKind.OUTPUT_TOKENS),
        ):
            allocation: Allocation | None = getattr(self, name)
            if allocation is not None:
                yield self._budget(_id(name), meter, allocation)
        for model, allocation in self.per_model_limits.items():
            name = f"manifest-model-{quote(model, safe='')}"
            yield self._budget(name, MeterKind.TOKENS, allocation, model)

    def _budget(
        self, name: str, meter: MeterKind, allocation: Allocation, model: str = ""
    ) -> Budget:
        return Budget(
            id=name,
            meter=meter,
            maximum=_maximum(allocation.limit),
            window=_PERIODS[self.period],
            enforcement=allocation.enforcement,
            burst=self.burst,
            used=allocation.used,
            rollover=self.rollover,
            model=model,
        )


class RateLimits(Part):
    """A pace of all users together; what is -1 or left out has no bound."""

    requests_per_minute: Maximum = UNLIMITED
    requests_per_hour: Maximum = UNLIMITED
    requests_per_day: Maximum = UNLIMITED
    tokens_per_minute: Maximum = UNLIMITED
    tokens_per_hour: Maximum = UNLIMITED
    tokens_per_day: Maximum = UNLIMITED
    concurrent_workflows: Maximum = UNLIMITED
    max_workflow_duration_seconds: Unseen = UNLIMITED
    max_agents_per_workflow: Unseen = UNLIMITED
    max_turns_per_workflow: Unseen = UNLIMITED

    def budgets(self) -> Iterator[Budget]:
        """One for each limit that bounds anything."""
        for name, (meter, window) in _RATES.items():
            maximum: int = getattr(self, name)
            if maximum != UNLIMITED:
                yield Budget(_id(name), meter, maximum, window, refusal=Refusal.TOO_MANY_REQUESTS)


class PluginCalls(Part):
    """How often a plugin may be called by all users together."""

    calls_per_period: Maximum
    period: Period | None = None


PluginId = Annotated[
    Name,
    AfterValidator(_plain),
    WithJsonSchema({"type": "string", "maxLength": 256, "pattern": r"^(\*|[^*?]+)$"}),
]


class Plugins(Part):
    """Which plugins anybody has, and how often."""

    allowed: list[PluginId] = Field(default_factory=list, max_length=MOST_PLUGINS)
    blocked: list[Name] = Field(default_factory=list, max_length=MOST_PLUGINS)
    per_plugin_limits: dict[Name, PluginCalls] = Field(default_factory=dict, max_length=MOST_NAMES)

    def budgets(self, period: Period) -> Iterator[Budget]:
        """One for each plugin that has a limit."""
        for plugin, calls in self.per_plugin_limits.items():
            yield Budget(
                id=f"manifest-plugin-{quote(plugin, safe='')}",
                meter=MeterKind.REQUESTS,
                maximum=_maximum(calls.calls_per_period),
                window=_PERIODS[calls.period or period],
                plugin=plugin,
            )


class OverrideBody(Part):
    """Another limit for a time."""

    limit: Maximum
    until: Instant | None = None
    reason: Text = ""


class ManifestBody(Part):
    """`POST /api/v1/entitlements/{app_id}/sync`."""

    version: Annotated[
        str,
        AfterValidator(_told_version),
        WithJsonSchema({"type": "string", "pattern": f"^{_VERSION}$"}),
    ]
    app_id: Name
    tenant_id: Text | None = None
    plan: PlanPart
    token_budget: TokenBudget = TokenBudget()
    features: dict[Name, bool] = Field(default_factory=dict, max_length=256)
    rate_limits: RateLimits = RateLimits()
    plugins: Plugins = Plugins()
    overrides: dict[str, OverrideBody] = Field(default_factory=dict, max_length=MOST_NAMES)
    correlation_id: Text | None = None

    @model_validator(mode="after")
    def _of_one_piece(self) -> Self:
        if "*" in self.features:
            raise ValueError("features: name each one; '*' is not supported")
        known = [budget.id for budget in self._budgets()]
        for name in self.overrides:
            if name not in known:
                told = ", ".join(known) or "none"
                raise ValueError(
                    f"overrides: no limit {name[:64]!r} in this manifest; it has {told}"
                )
        return self

    def manifest(self, now: datetime) -> Manifest:
        """What holds for the app from its arrival on."""
        allowed = self.plugins.allowed
        return Manifest(
            app_id=self.app_id,
            version=self.version,
            plan=self.plan.id,
            plan_name=self.plan.name,
            tier=self.plan.tier,
            billing_period=self.plan.billing_period or "",
            expires_at=self.plan.expires_at,
            tenant_id=self.tenant_id or "",
            budgets=tuple(self._budgets()),
            overrides={
                name: Override(_maximum(override.limit), override.until)
                for name, override in self.overrides.items()
            },
            features=self.features,
            allowed=() if "*" in allowed else tuple(allowed),
            blocked=tuple(self.plugins.blocked),
            synced_at=now,
            since=now,
        )

    def _budgets(self) -> Iterator[Budget]:
        yield from self.token_budget.budgets()
        yield from self.rate_limits.budgets()
        yield from self.plugins.budgets(self.token_budget.period)


def _id(name: str) -> str:
    return f"manifest-{_IDS.get(name, name).replace('_', '-')}"


def _maximum(limit: int) -> int | None:
    return None if limit == UNLIMITED else limit


MANIFEST: TypeAdapter[ManifestBody] = TypeAdapter(ManifestBody)
