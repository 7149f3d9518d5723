"""What do these policies answer, with counters as they are told?"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sidecar.domain.decision import Decision
from sidecar.domain.entitlement import Entitlement
from sidecar.domain.limits import Charge, Reading
from sidecar.domain.prices import NO_RATES
from sidecar.domain.request import CheckRequest
from sidecar.domain.subscription import Subscription
from sidecar.domain.windows import Sliding, from_ms, to_ms
from sidecar.policy.snapshot import PolicySet


@dataclass(frozen=True, slots=True)
class Told:
    """What counters hold, by the id of the limit that reads them; what is not told is 0."""

    used: Mapping[str, int] = field(default_factory=dict)
    reserved: Mapping[str, int] = field(default_factory=dict)
    granted: Mapping[str, int] = field(default_factory=dict)

    def reading(self, charge: Charge, now: datetime) -> Reading:
        """What a store that holds this would have read for a charge."""
        name = charge.limit.id
        used, reserved = self.used.get(name, 0), self.reserved.get(name, 0)
        return Reading(
            limit=charge.limit,
            used=used,
            reserved=reserved,
            requested=charge.amount,
            resets_at=_resets_at(charge, now, is_empty=not used),
            is_asked=charge.is_asked,
            granted=self.granted.get(name, 0) if charge.limit.scopes else 0,
        )


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
    entitlement = policies.resolve(subscription, request, now)
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


def _resets_at(charge: Charge, now: datetime, *, is_empty: bool) -> datetime | None:
    window = charge.limit.window
    if isinstance(window, Sliding):
        # Nobody told when it was used: as if it had been this instant.
        return None if is_empty else now + timedelta(milliseconds=window.length_ms)
    end_ms = window.period(to_ms(now), charge.cycle).end_ms
    return None if end_ms is None else from_ms(end_ms)
