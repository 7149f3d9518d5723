"""What follows from the facts: limits against readings, rules against everything."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sidecar.domain.decision import Effect, Reason, ReasonCode, Remedy, RuleError, combine
from sidecar.domain.entitlement import Entitlement
from sidecar.domain.limits import Limit, Reading
from sidecar.domain.modes import FailureMode, Mode, Refusal
from sidecar.domain.request import CheckRequest, MeterKind
from sidecar.domain.value import value
from sidecar.domain.windows import Fixed, Sliding
from sidecar.policy.compiled import CompiledPlan
from sidecar.policy.conditions import Context
from sidecar.policy.ruling import reasons_of
from sidecar.policy.wallets import is_unread


@value
class Verdict:
    """The effect in force, why, and what would help."""

    effect: Effect
    reasons: tuple[Reason, ...]
    errors: tuple[RuleError, ...]
    degraded: bool
    remedies: tuple[Remedy, ...] = ()


def judge(
    plan: CompiledPlan | None,
    request: CheckRequest,
    entitlement: Entitlement,
    readings: Sequence[Reading] | None,
    now: datetime,
) -> Verdict:
    """Every reason there is, in order: subscription, plugin, feature, limits, rules.

    Args:
        readings: one for each charge of the entitlement. If they could not be had, None, or
            those alone that are remembered.
    """
    reasons = list(entitlement.reasons)
    errors = list(entitlement.errors)
    if readings is None or len(readings) < len(entitlement.charges):
        reasons.extend(_without_readings(entitlement, readings or ()))
    if readings:
        reasons.extend(_of_limits(readings))
    if plan is not None:
        reasons.extend(_of_rules(plan, request, entitlement, readings, now, errors))
    effect, ordered = combine(reasons)
    degraded = readings is None or entitlement.subscription is None
    degraded = degraded or is_unread(plan, entitlement.wallet)
    return Verdict(effect, ordered, tuple(errors), degraded)


def _of_limits(readings: Iterable[Reading]) -> Iterable[Reason]:
    for reading in readings:
        if reading.is_quiet:
            continue
        limit = reading.limit
        if reading.is_exceeded:
            code = ReasonCode.QUOTA_EXCEEDED
            if limit.meter is MeterKind.CONCURRENCY:
                code = ReasonCode.CONCURRENCY_EXCEEDED
            elif limit.base is not None:
                code = ReasonCode.INSUFFICIENT_BALANCE
            message = limit.message or _exceeded(reading)
            yield Reason(code, limit.id, Effect.DENY, limit.mode, message, limit.refusal)
        elif reading.is_near:
            code = ReasonCode.QUOTA_WARNING
            yield Reason(code, limit.id, Effect.WARN, limit.mode, _near(reading))


def _of_rules(
    plan: CompiledPlan,
    request: CheckRequest,
    entitlement: Entitlement,
    readings: Sequence[Reading] | None,
    now: datetime,
    errors: list[RuleError],
) -> Iterable[Reason]:
    """Of all rules in file order; those that look at no counter have spoken already."""
    early, concerned = entitlement.rule_reasons, plan.concerns.find(request.plugin)
    if not concerned.late:
        return early.values()
    context = entitlement.seen
    if not isinstance(context, Context):
        context = Context.of(request, entitlement.subscription, plan.facts, now)
    context = context.counted(readings or (), entitlement.wallet)
    late = reasons_of(concerned.late, context, errors)
    if not (early and late):
        return early.values() or late.values()
    spoken = {**early, **late}
    return [spoken[rule.id] for rule in concerned.rules if rule.id in spoken]


def _without_readings(entitlement: Entitlement, known: Sequence[Reading]) -> Iterable[Reason]:
    """One refusal if a closed limit could not be read, in the strictest of their modes."""
    read = {reading.limit.id for reading in known}
    closed = [
        charge.limit.mode
        for charge in entitlement.charges
        if charge.limit.maximum is not None
        and charge.limit.failure_mode is FailureMode.CLOSED
        and charge.limit.id not in read
    ]
    for mode in (Mode.ENFORCE, Mode.ADVISORY):
        if mode in closed:
            message = "The usage counters could not be read in time."
            yield Reason(
                ReasonCode.STORE_UNAVAILABLE, "store", Effect.DENY, mode, message,
                Refusal.UNAVAILABLE,
            )  # fmt: skip
            return


_UNITS = {
    MeterKind.TOKENS: "tokens",
    MeterKind.INPUT_TOKENS: "input tokens",
    MeterKind.OUTPUT_TOKENS: "output tokens",
    MeterKind.REQUESTS: "requests",
    MeterKind.COST: "micro-units of cost",
    MeterKind.CONCURRENCY: "requests",
}
_SPANS = {
    Fixed.BILLING_MONTH: "this billing month",
    Fixed.BILLING_PERIOD: "this billing period",
    Fixed.LIFETIME: "in all",
    Fixed.HOUR: "this hour",
    Fixed.DAY: "today (UTC)",
    Fixed.WEEK: "this week (UTC)",
    Fixed.MONTH: "this month (UTC)",
}


def _span(limit: Limit) -> str:
    window = limit.window
    if limit.meter is MeterKind.CONCURRENCY:
        return "at once"
    return f"in {window}" if isinstance(window, Sliding) else _SPANS[window]


def _counted(number: int | None, limit: Limit) -> str:
    """`1 request at once`, `2,000 tokens in 1m`."""
    units = _UNITS[limit.meter]
    if number == 1:
        units = units.replace("tokens", "token").replace("requests", "request")
        units = units.replace("units", "unit")
    return f"{number:,} {units} {_span(limit)}"


def _exceeded(reading: Reading) -> str:
    limit = reading.limit
    if limit.base is not None:
        return f"{_of_balance(reading)}, {reading.requested:,} asked for."
    allowed = f"The plan allows {_counted(limit.maximum, limit)}{_more(reading)}"
    if reading.never_fits:
        # What was used until now plays no part, and would only invite to wait.
        return (
            f"{allowed}; this request alone asks for {reading.requested:,}, "
            "so it can never fit, however long one waits."
        )
    taken = f"{reading.used:,} used"
    if reading.reserved:
        taken += f", {reading.reserved:,} reserved"
    return f"{allowed}; {taken}, {reading.requested:,} asked for."


def _of_balance(reading: Reading) -> str:
    """`The balance has 300 micro-units left of 1,000`."""
    held = f", {reading.reserved:,} of the rest reserved" if reading.reserved else ""
    whole = f"{reading.limit.maximum:,}"
    return f"The balance has {reading.remaining:,} micro-units left of {whole}{held}"


def _near(reading: Reading) -> str:
    limit = reading.limit
    if limit.base is not None:
        return f"{_of_balance(reading)}, {reading.requested:,} asked for; that is low."
    reached = reading.used + reading.reserved + reading.requested
    # What only warns has no bound.
    most = limit.warn_from if limit.maximum is None else limit.maximum
    return f"{reached:,} of {_counted(most, limit)}{_more(reading)}."


def _more(reading: Reading) -> str:
    return f" and grants have {reading.granted:,} left" if reading.granted else ""
