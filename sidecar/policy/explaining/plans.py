"""How did the plan come about, and what does it say of the plugin and the feature?"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from sidecar.domain.decision import Effect, Reason
from sidecar.domain.entitlement import Entitlement
from sidecar.domain.explanation import Does, ExplainedName, ExplainedPlan, PlanSource
from sidecar.domain.request import CheckRequest
from sidecar.domain.subscription import Standing, Status, Subscription, Terms
from sidecar.domain.windows import Sliding
from sidecar.policy.compiled import CompiledPlan, Origin
from sidecar.policy.explaining.watching import place_of
from sidecar.policy.globs import Globs

_MOST_GLOBS = 12


def explained_plan(
    entitlement: Entitlement,
    terms: Terms,
    plan: CompiledPlan | None,
    reason: Reason | None,
    now: datetime,
) -> ExplainedPlan:
    """The plan in force and why it is that one; `reason` is the subscription's own."""
    subscription = entitlement.subscription
    source, why = _source(subscription, entitlement.standing, terms, plan, now)
    return ExplainedPlan(
        subscription_plan=subscription.plan or None if subscription else None,
        subscription_status=entitlement.subscription_status,
        standing=entitlement.standing if subscription else None,
        source=source,
        plan=entitlement.plan,
        mode=entitlement.mode,
        does=Does.of(reason.effect, reason.mode) if reason else Does.NOTHING,
        why=why,
        place=place_of(plan.origin) if plan else None,
    )


def _source(
    subscription: Subscription | None,
    held: Standing,
    terms: Terms,
    plan: CompiledPlan | None,
    now: datetime,
) -> tuple[PlanSource, str]:
    if subscription is None:
        return PlanSource.UNAVAILABLE, "the subscription could not be read in time"
    status, name = subscription.status.value, subscription.plan
    if held in (Standing.HOLDS, Standing.GRACE):
        if plan is None:
            words = f"no policy knows its plan {name!r}" if name else "it names no plan"
            return PlanSource.UNKNOWN, f"the subscription is {status}, but {words}"
        if held is Standing.GRACE:
            length = _length(terms.grace[subscription.status])
            since = _instant(subscription.status_since)
            return PlanSource.GRACE, f"{status} since {since}; its plan holds for {length}"
        if not name:
            return PlanSource.TRIAL, "a trial that names no plan has the plan of the policy's trial"
        return PlanSource.SUBSCRIPTION, f"the subscription is {status}, so its plan holds"
    why = _why_not(subscription, held, terms, now)
    if plan is None:
        return PlanSource.NONE, f"{why}, and there is no default plan"
    return PlanSource.DEFAULT, f"{why}, so the default plan holds"


def _why_not(subscription: Subscription, held: Standing, terms: Terms, now: datetime) -> str:
    """Why a subscription's own plan does not hold."""
    status, since = subscription.status, subscription.status_since
    if status is Status.NONE:
        return "no subscription was ever synced"
    if held is Standing.INACTIVE:
        active = ", ".join(sorted(terms.active))
        return f"the subscription is {status}, which is none of {active}"
    grace = None if status in terms.active else terms.grace.get(status)
    if grace is not None and now - since >= grace:
        return f"{status} since {_instant(since)}, longer than {_length(grace)}"
    trial_end = subscription.trial_end
    if status is Status.TRIALING and trial_end is not None and now >= trial_end:
        return f"the trial ended {_instant(trial_end)}"
    length = terms.trial_length if trial_end is None else None
    if status is Status.TRIALING and length is not None and now - since >= length:
        return f"the trial began {_instant(since)} and lasted {_length(length)}"
    end = subscription.period_end or subscription.next_billing_date
    return f"cancelled for the end of its period{f', {_instant(end)}' if end else ''}"


def explained_names(plan: CompiledPlan, request: CheckRequest) -> Iterator[ExplainedName]:
    """The plugin and the feature that are asked for."""
    if request.plugin:
        yield _plugin(plan, request.plugin)
    if request.feature:
        yield _feature(plan, request.feature)


def _plugin(plan: CompiledPlan, name: str) -> ExplainedName:
    places = plan.places
    refused = _matching(plan.plugins_deny.patterns, places.deny, name)
    if refused is not None:
        glob, at = refused
        return _named(plan, "plugin", name, False, glob, f"deny names {glob!r}", at)
    included = _matching(plan.plugins_allow.patterns, places.allow, name)
    if included is not None:
        glob, at = included
        return _named(plan, "plugin", name, True, glob, f"allow names {glob!r}", at)
    globs = plan.plugins_allow.patterns
    why = f"allow names {_listed(globs)} only" if globs else "allow names nothing"
    return _named(plan, "plugin", name, False, None, why, places.plugins)


def _feature(plan: CompiledPlan, name: str) -> ExplainedName:
    decided_by = name if name in plan.features else "*" if "*" in plan.features else None
    if decided_by is None:
        why = "features does not name it, nor '*'"
        return _named(plan, "feature", name, False, None, why, plan.origin)
    included = plan.features[decided_by]
    why = f"features says {decided_by}: {str(included).lower()}"
    return _named(
        plan, "feature", name, included, decided_by, why, plan.places.features[decided_by]
    )


def _named(
    plan: CompiledPlan,
    kind: str,
    name: str,
    included: bool,
    decided_by: str | None,
    why: str,
    at: Origin,
) -> ExplainedName:
    does = Does.NOTHING if included else Does.of(Effect.DENY, plan.mode)
    return ExplainedName(kind, name, included, decided_by, does, why, place_of(at))


def _matching(
    globs: Sequence[str], places: Sequence[Origin], name: str
) -> tuple[str, Origin] | None:
    for glob, at in zip(globs, places, strict=True):
        if _alone(glob).match(name):
            return glob, at
    return None


@lru_cache(1024)
def _alone(glob: str) -> Globs:
    return Globs([glob])


def _listed(globs: Sequence[str]) -> str:
    more = ", …" if len(globs) > _MOST_GLOBS else ""
    return ", ".join(map(repr, globs[:_MOST_GLOBS])) + more


def _instant(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%SZ}"


def _length(span: timedelta) -> str:
    """`3d`, as a policy writes it."""
    return str(Sliding(span // timedelta(milliseconds=1)))
