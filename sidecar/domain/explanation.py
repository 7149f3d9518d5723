"""Why is the answer what it is? Every limit and every rule with what it saw, as plain values."""

from dataclasses import fields
from datetime import UTC, datetime
from enum import Enum, StrEnum
from functools import cache
from typing import Any

from sidecar.domain.decision import Effect
from sidecar.domain.modes import Mode
from sidecar.domain.value import value


class Does(StrEnum):
    """What a part of the policy does to the answer."""

    NOTHING = "nothing"
    WARNS = "warns"
    WOULD_DENY = "would_deny"
    DENIES = "denies"

    @classmethod
    def of(cls, effect: Effect, mode: Mode) -> "Does":
        """What an effect comes to in a mode."""
        if mode is Mode.OFF or effect is Effect.ALLOW:
            return cls.NOTHING
        if effect is Effect.WARN:
            return cls.WARNS
        return cls.DENIES if mode is Mode.ENFORCE else cls.WOULD_DENY


class PlanSource(StrEnum):
    """How a plan came to be in force, or why there is none."""

    SUBSCRIPTION = "subscription"
    GRACE = "grace"
    TRIAL = "trial"
    DEFAULT = "default"
    NONE = "none"
    UNKNOWN = "unknown"
    UNAVAILABLE = "unavailable"


class RuleState(StrEnum):
    """How far a rule came."""

    OTHER_PLAN = "other_plan"
    OTHER_PLUGIN = "other_plugin"
    FALSE = "false"
    TRUE = "true"
    ERROR = "error"


@value
class Place:
    """Where something is written; line and column from 1."""

    file: str
    line: int
    column: int | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}"
        return place if self.column is None else f"{place}:{self.column}"


@value
class Step:
    """One part of an expression and what it came to, written as the language writes it.

    Attributes:
        value: the value, or what went wrong.
    """

    text: str
    value: str
    failed: bool
    place: Place | None


@value
class Evaluated:
    """An expression that was evaluated.

    Attributes:
        name: `when`, `message_expr`, or `vars.big` of a variable that one of them reads.
        cost: the worst case, in units of the CEL cost model.
        steps: with a trace, its parts in the order in which their values were known.
    """

    name: str
    text: str
    value: str
    failed: bool
    cost: int
    place: Place | None
    steps: tuple[Step, ...] = ()


@value
class ExplainedPlan:
    """The subscription, and the plan that follows from it.

    Attributes:
        standing: of the subscription at this instant; None where it could not be had.
        source: how the plan came about.
        place: of the plan.
    """

    subscription_plan: str | None
    subscription_status: str
    standing: str | None
    source: PlanSource
    plan: str | None
    mode: Mode
    does: Does
    why: str
    place: Place | None


@value
class ExplainedName:
    """The plugin or the feature that was asked for.

    Attributes:
        decided_by: the glob, or the name of the feature, that decided; None where nothing names it.
    """

    kind: str
    name: str
    included: bool
    decided_by: str | None
    does: Does
    why: str
    place: Place | None


@value
class ExplainedOverride:
    """Another maximum: whether it holds for the subject now."""

    id: str
    holds: bool
    maximum: int | None
    why: str
    place: Place | None


@value
class Numbers:
    """What a limit's counter held before the request, and what is asked of it."""

    used: int
    reserved: int
    granted: int
    requested: int
    remaining: int | None
    resets_at: datetime | None


@value
class ExplainedLimit:
    """A limit of the plan.

    Attributes:
        maximum: that holds for the subject, None where there is no bound.
        written: the plan's own maximum, where an override has put another in its place.
        rollover: how much of what was left of the last period it may add, None for nothing.
        numbers: None where the limit does not apply, or nothing could be read.
        overrides: of this limit, those that name the subject first.
        more_overrides: how many further ones there are, for others.
    """

    id: str
    applies: bool
    meter: str
    window: str
    per: tuple[str, ...]
    mode: Mode
    maximum: int | None
    written: int | None
    rollover: int | None
    numbers: Numbers | None
    does: Does
    why: str
    expressions: tuple[Evaluated, ...]
    overrides: tuple[ExplainedOverride, ...]
    more_overrides: int
    place: Place


@value
class ExplainedRule:
    """A rule of the directory.

    Attributes:
        would: what it does where it holds.
        message: that it gives, where it gives a reason.
    """

    id: str
    state: RuleState
    effect: Effect
    mode: Mode
    on_error: str
    would: Does
    does: Does
    why: str
    message: str | None
    expressions: tuple[Evaluated, ...]
    place: Place


@value
class Counts:
    """How much there was to do.

    Attributes:
        rules: of all files.
        rules_of_plan: whose `match` names the plan, or none.
        rules_touched: whose `match` names the plugin too; the decision looked at these alone.
        expressions: that the decision evaluated.
        cost: of these in the worst case, in units of the CEL cost model.
    """

    rules: int
    rules_of_plan: int
    rules_touched: int
    expressions: int
    cost: int


@value
class Explanation:
    """A decision taken apart.

    Attributes:
        at: the instant that expressions see as `now`.
        counters: whether the counters could be read.
        missing: what a fact that could not be had does to the answer, and why.
        names: plugin and feature, those that were asked for.
        limits: of the plan, longest window first.
        rules: of all files, or those alone that the decision looked at, in file order.
    """

    revision: str
    at: datetime
    effect: Effect
    plan: ExplainedPlan
    names: tuple[ExplainedName, ...]
    counters: bool
    missing: Does
    limits: tuple[ExplainedLimit, ...]
    rules: tuple[ExplainedRule, ...]
    counts: Counts

    def as_plain(self) -> dict[str, object]:
        """Itself as dicts, lists, text and numbers: what JSON has words for."""
        told = plain(self)
        assert isinstance(told, dict)  # as any dataclass
        return told


def plain(value: object) -> object:
    """A part of an explanation as dicts, lists, text and numbers."""
    # Of a large directory thousands of rules are told, and others wait meanwhile.
    if type(value) in _AS_THEY_ARE:
        return value
    match value:
        case Enum():
            return value.value
        case tuple():
            return [plain(item) for item in value]
        case Place():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    kind: Any = type(value)
    return {name: plain(getattr(value, name)) for name in _names(kind)}


_AS_THEY_ARE = frozenset({str, int, bool, type(None)})


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))
