"""What do these policies answer, with counters as they are told?"""

from dataclasses import dataclass, replace
from datetime import datetime

from sidecar.domain.decision import Decision
from sidecar.domain.entitlement import Entitlement
from sidecar.domain.prices import NO_RATES
from sidecar.domain.request import CheckRequest
from sidecar.domain.subscription import Subscription
from sidecar.domain.told import Told
from sidecar.policy.snapshot import PolicySet


@dataclass(frozen=True, slots=True)
class Trial:
    """An answer that holds nothing, with what the policies said before counters were read."""

    entitlement: Entitlement
    decision: Decision


def decide(
    policies: PolicySet,
    request: CheckRequest,
    subscription: Subscription | None,
    told: Told | None,
    now: datetime,
) -> Trial:
    """The answer to a request; pure, nothing is counted anywhere.

    Args:
        subscription: None for one that cannot be had.
        told: None for counters that cannot be read.
    """
    request = priced(policies, request)
    wallet = None if told is None else told.wallet(request.subject)
    entitlement = policies.resolve(subscription, request, now, wallet=wallet)
    readings = None
    if told is not None or not entitlement.charges:
        readings = [(told or Told()).reading(charge, now) for charge in entitlement.charges]
    verdict = policies.decide(request, entitlement, readings, now)
    decision = Decision(
        id="dec_trial",
        at=now,
        effect=verdict.effect,
        mode=entitlement.mode,
        plan=entitlement.plan,
        subscription_status=entitlement.subscription_status,
        reasons=verdict.reasons,
        readings=tuple(readings or ()),
        revision=policies.revision,
        remedies=verdict.remedies,
        errors=verdict.errors,
        degraded=verdict.degraded,
    )
    return Trial(entitlement, decision)


def priced(policies: PolicySet, request: CheckRequest) -> CheckRequest:
    """The request with an estimate that says what it costs by the policies' prices."""
    prices, estimate = policies.prices, request.estimate
    rates = NO_RATES if prices is None else prices.of(request.model) or prices.default
    if rates is NO_RATES:
        return request
    cost = rates.cost(estimate.tokens, estimate.input_tokens, estimate.output_tokens)
    return replace(request, estimate=replace(estimate, cost=cost))
