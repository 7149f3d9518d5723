"""Every part of a decision, put together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from sidecar.domain.decision import ReasonCode
from sidecar.domain.entitlement import Entitlement
from sidecar.domain.explanation import Counts, Does, ExplainedLimit, ExplainedRule, Explanation
from sidecar.domain.limits import Reading
from sidecar.domain.request import CheckRequest
from sidecar.domain.wallet import WALLET
from sidecar.policy.compiled import CompiledLimit, CompiledPlan, Overrides
from sidecar.policy.compiler import Compiled
from sidecar.policy.explaining.limits import Read, explained_limit
from sidecar.policy.explaining.plans import explained_names, explained_plan
from sidecar.policy.explaining.rules import touched_rule, untouched_rule
from sidecar.policy.explaining.watching import Watched
from sidecar.policy.verdict import judge

_OF_THE_SUBSCRIPTION = frozenset(
    {
        ReasonCode.SUBSCRIPTION_INACTIVE,
        ReasonCode.SUBSCRIPTION_EXPIRED,
        ReasonCode.SUBSCRIPTION_UNAVAILABLE,
        ReasonCode.UNKNOWN_PLAN,
    }
)


def explain(
    compiled: Compiled,
    revision: str,
    request: CheckRequest,
    entitlement: Entitlement,
    plan: CompiledPlan | None,
    readings: Sequence[Reading] | None,
    now: datetime,
    *,
    trace: bool,
    every_rule: bool,
) -> Explanation:
    """A decision taken apart.

    Args:
        entitlement: what the same policies say of the request.
        plan: the one in force, as it is for the app.
        readings: by which it is decided; limits that have none could not be read.
        trace: whether the parts of expressions are told too.
        every_rule: whether rules are told that the decision did not look at.
    """
    by_id = {reading.limit.id: reading for reading in readings or ()}
    is_read = all(charge.limit.id in by_id for charge in entitlement.charges)
    applying = [by_id.get(charge.limit.id) for charge in entitlement.charges]
    known = [reading for reading in applying if reading is not None]
    verdict = judge(plan, request, entitlement, known, now)
    unread = [it for it in verdict.reasons if it.code is ReasonCode.STORE_UNAVAILABLE]
    own = [it for it in entitlement.reasons if it.code in _OF_THE_SUBSCRIPTION]
    facts = (request, entitlement.subscription, plan.facts if plan else {}, now)
    # The three that a decision has: limits are chosen, rules speak, those that see counters speak.
    choosing, early = Watched.of(*facts), Watched.of(*facts)
    late = Watched.of(*facts, known, entitlement.wallet)
    limits = tuple(_limits(plan, request, entitlement, by_id, choosing, now, trace=trace))
    touched = plan.concerns.find(request.plugin).rules if plan else ()
    told = {
        rule.id: touched_rule(rule, late if rule.reads_limits else early, trace=trace)
        for rule in touched
    }
    rules: Iterable[ExplainedRule] = told.values()
    if every_rule:
        rules = (
            told.get(planned.rule.id) or untouched_rule(planned, plan, request)
            for planned in compiled.rules
        )
    programs = [*choosing.programs(), *early.programs(), *late.programs()]
    return Explanation(
        revision=revision,
        at=now,
        effect=verdict.effect,
        plan=explained_plan(entitlement, compiled.terms, plan, own[0] if own else None, now),
        names=tuple(explained_names(plan, request)) if plan else (),
        counters=is_read,
        missing=Does.of(unread[0].effect, unread[0].mode) if unread else Does.NOTHING,
        limits=limits,
        rules=tuple(rules),
        counts=Counts(
            rules=len(compiled.rules),
            rules_of_plan=len(plan.rules) if plan else 0,
            rules_touched=len(touched),
            expressions=len(programs),
            cost=sum(program.cost for program in programs),
        ),
    )


def _limits(
    plan: CompiledPlan | None,
    request: CheckRequest,
    entitlement: Entitlement,
    readings: Mapping[str, Reading],
    context: Watched,
    now: datetime,
    *,
    trace: bool,
) -> Iterator[ExplainedLimit]:
    """The limits of the plan, those that do not apply among them."""
    charges = {charge.limit.id: charge for charge in entitlement.charges}
    balance = charges.get(WALLET)
    if plan is not None and plan.wallet is not None and balance is not None:
        # Its maximum is told of each user.
        whole = CompiledLimit(balance.limit, None, None, Overrides(), plan.wallet.origin)
        read = Read(whole, balance, readings.get(WALLET))
        yield explained_limit(read, context, request.subject, now, trace=trace)
    for compiled in plan.limits if plan else ():
        if compiled.when is not None:
            context.evaluate(compiled.when)
        name = compiled.limit.id
        read = Read(compiled, charges.get(name), readings.get(name))
        yield explained_limit(read, context, request.subject, now, trace=trace)
