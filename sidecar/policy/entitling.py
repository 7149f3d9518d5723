"""What does a plan say of a request before any counter is read?

Rules that look at no counter speak here, so that what they refuse is never held.
"""

from collections.abc import Mapping
from datetime import datetime

from sidecar.cel import CelError
from sidecar.domain.decision import Effect, Reason, ReasonCode, RuleError
from sidecar.domain.entitlement import Entitlement
from sidecar.domain.limits import Charge
from sidecar.domain.request import CheckRequest
from sidecar.domain.subscription import Standing, Subscription
from sidecar.domain.wallet import Wallet
from sidecar.policy.compiled import CompiledLimit, CompiledPlan
from sidecar.policy.conditions import Context
from sidecar.policy.limits import with_maximum
from sidecar.policy.ruling import reasons_of
from sidecar.policy.wallets import is_unread, refusal_of_unread, wallet_charges

_NONE: Mapping[str, Reason] = {}


def entitle(
    plan: CompiledPlan,
    subscription: Subscription,
    held: Standing,
    request: CheckRequest,
    now: datetime,
    reason: Reason | None = None,
    wallet: Wallet | None = None,
) -> Entitlement:
    """The plan's refusals and the limits that apply; `reason` is the subscription's own."""
    charges, errors = charges_of(plan, request, subscription, now, wallet)
    reasons: tuple[Reason, ...] = () if reason is None else (reason,)
    if is_unread(plan, wallet):
        reasons += refusal_of_unread(plan)
    plugin, feature = request.plugin, request.feature
    if plugin and not plan.allows_plugin(plugin):
        reasons += (_no_plugin(plan, plugin),)
    if feature and not plan.allows_feature(feature):
        reasons += (_no_feature(plan, feature),)
    concerned = plan.concerns.find(plugin)
    rule_reasons: Mapping[str, Reason] = _NONE
    context = None
    if concerned.early:
        context = Context.of(request, subscription, plan.facts, now)
        rule_reasons = reasons_of(concerned.early, context, errors)
    # By their places: names would take longer than all that a plan says itself.
    return Entitlement(
        subscription, held, plan.id, plan.mode, plan.failure_mode, reasons, charges, rule_reasons,
        concerned.waits, tuple(errors), None, plan.is_local, wallet, context,
    )  # fmt: skip


def charges_of(
    plan: CompiledPlan,
    request: CheckRequest,
    subscription: Subscription,
    now: datetime,
    wallet: Wallet | None = None,
) -> tuple[tuple[Charge, ...], list[RuleError]]:
    """The limits that apply; one whose condition errs applies too, and the error is told."""
    charges: list[Charge] = []
    if plan.wallet is not None:
        charges += wallet_charges(plan, request, subscription, wallet)
    errors: list[RuleError] = []
    context: Context | None = None
    estimate, cycle = request.estimate, subscription.cycle
    told: dict[str, str] = {}
    for compiled in plan.limits:
        limit = compiled.limit
        if compiled.is_plain:
            amount: int = getattr(estimate, limit.meter)
            charges.append(Charge(limit, limit.counter(request, told), amount, cycle))
            continue
        if compiled.when is not None:
            context = context or Context.of(request, subscription, plan.facts, now)
            applies = context.evaluate(compiled.when)
            if isinstance(applies, CelError):
                errors.append(RuleError(compiled.limit.id, f"when: {applies.message}"))
            elif not applies:
                continue
        charges.append(charge_of(plan, compiled, request, subscription, now))
    return tuple(charges), errors


def charge_of(
    plan: CompiledPlan,
    compiled: CompiledLimit,
    request: CheckRequest,
    subscription: Subscription,
    now: datetime,
) -> Charge:
    """What a request asks of one limit of a plan, under the narrowest override that holds now."""
    limit, held_since = compiled.limit, None
    if compiled.overrides.all:
        override = compiled.overrides.find(request.subject, now)
        if override is not None:
            limit = with_maximum(compiled, override.maximum)
    if limit.rollover is not None and plan.id == subscription.plan:
        held_since = subscription.held_since
    amount = request.estimate.of(limit.meter)
    return Charge(limit, limit.counter(request), amount, subscription.cycle, held_since=held_since)


def _no_plugin(plan: CompiledPlan, name: str) -> Reason:
    message = f"The plan {plan.name} does not include the plugin {name}."
    code = ReasonCode.PLUGIN_NOT_IN_PLAN
    return Reason(code, f"{plan.id}.plugins", Effect.DENY, plan.mode, message)


def _no_feature(plan: CompiledPlan, name: str) -> Reason:
    message = f"The plan {plan.name} does not include the feature {name}."
    code = ReasonCode.FEATURE_NOT_IN_PLAN
    return Reason(code, f"{plan.id}.features", Effect.DENY, plan.mode, message)
