"""One immutable set of compiled policies: what does it say of a request?"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import quote

from sidecar.cel import CelError
from sidecar.domain.decision import Effect, Reason, ReasonCode, Remedy, RemedyKind, RuleError
from sidecar.domain.entitlement import Entitlement, PlanSummary
from sidecar.domain.limits import Charge, Dimension, Reading
from sidecar.domain.modes import FailureMode, Refusal
from sidecar.domain.request import CheckRequest, Subject
from sidecar.domain.subscription import Standing, Subscription, standing
from sidecar.policy.compiled import CompiledLimit, CompiledPlan
from sidecar.policy.compiler import Compiled
from sidecar.policy.conditions import Context
from sidecar.policy.limits import with_maximum
from sidecar.policy.verdict import Verdict, judge

_OF_THE_USER = {Dimension.APP, Dimension.TENANT, Dimension.USER}


class PolicySet:
    """The rules of one directory at one revision; safe to share, because nothing changes."""

    def __init__(self, compiled: Compiled, revision: str, upgrade_url: str | None = None) -> None:
        self._compiled = compiled
        self._revision = revision
        self._upgrade_url = upgrade_url

    @property
    def revision(self) -> str:
        """`sha256:` and 64 hexadecimal digits."""
        return self._revision

    @property
    def plan_ids(self) -> Collection[str]:
        """The plans that it knows."""
        return self._compiled.plans.keys()

    @property
    def plans(self) -> Sequence[CompiledPlan]:
        """The plans in file order."""
        return tuple(self._compiled.plans.values())

    def resolve(
        self, subscription: Subscription | None, request: CheckRequest, now: datetime
    ) -> Entitlement:
        """The plan and all that it says of the request before any counter is read."""
        if subscription is None:
            return self._without_subscription()
        held = standing(subscription, self._compiled.terms, now)
        plan, reason = self._plan_of(subscription, held)
        if plan is None:
            return Entitlement(
                subscription=subscription,
                standing=held,
                plan=None,
                mode=self._compiled.mode,
                failure_mode=self._compiled.failure_mode,
                reasons=(reason,) if reason else (),
            )
        return self._entitle(plan, subscription, held, request, now, reason)

    def overview(
        self, subscription: Subscription, subject: Subject, now: datetime
    ) -> tuple[Entitlement, PlanSummary | None]:
        """The plan with every limit that is kept for the user, whatever is asked."""
        request = CheckRequest(subject)
        entitlement = self.resolve(subscription, request, now)
        plan = self._compiled.plans.get(entitlement.plan or "")
        if plan is None:
            return entitlement, None
        charges = tuple(
            _charge(compiled, request, subscription, now)
            for compiled in plan.limits
            if _OF_THE_USER.issuperset(compiled.limit.per)
        )
        summary = PlanSummary(
            id=plan.id,
            name=plan.name,
            plugins_allow=plan.plugins_allow.patterns,
            plugins_deny=plan.plugins_deny.patterns,
            features=plan.features,
        )
        unasked = replace(
            entitlement, charges=tuple(replace(charge, amount=0) for charge in charges)
        )
        return unasked, summary

    def charges(
        self, subscription: Subscription, request: CheckRequest, now: datetime
    ) -> tuple[Charge, ...]:
        """The limits that a report of use counts in: of its plan, else of the default plan."""
        held = standing(subscription, self._compiled.terms, now)
        plan, _ = self._plan_of(subscription, held)
        plan = plan or self._default_plan()
        if plan is None:
            return ()
        return _charges(plan, request, subscription, now)[0]

    def decide(
        self,
        request: CheckRequest,
        entitlement: Entitlement,
        readings: Sequence[Reading] | None,
        now: datetime,
    ) -> Verdict:
        """The conclusion from all facts; on a deny, with what would help."""
        plan = self._compiled.plans.get(entitlement.plan or "")
        verdict = judge(plan, request, entitlement, readings, now)
        if verdict.effect is not Effect.DENY or readings is None:
            return verdict
        remedies = self._remedies(verdict, request, entitlement, readings, now)
        return replace(verdict, remedies=remedies)

    # -- plans ------------------------------------------------------------------------------

    def _plan_of(
        self, subscription: Subscription, held: Standing
    ) -> tuple[CompiledPlan | None, Reason | None]:
        """The plan in force, and the reason that the subscription itself gives."""
        match held:
            case Standing.HOLDS | Standing.GRACE:
                name = subscription.plan or self._compiled.terms.trial_plan
                plan = self._compiled.plans.get(name)
                if plan is None:
                    message = f"No policy knows the plan {name!r}."
                    return None, self._refuse(ReasonCode.UNKNOWN_PLAN, message)
                if held is Standing.HOLDS:
                    return plan, None
                message = f"The subscription is {subscription.status}; its plan holds for a while."
                code = ReasonCode.SUBSCRIPTION_INACTIVE
                return plan, Reason(code, "subscription", Effect.WARN, plan.mode, message)
            case Standing.EXPIRED | Standing.INACTIVE:
                plan = self._default_plan()
                if plan is not None:
                    return plan, None
                if held is Standing.EXPIRED:
                    message = "The subscription has ended."
                    return None, self._refuse(ReasonCode.SUBSCRIPTION_EXPIRED, message)
                message = "There is no active subscription."
                return None, self._refuse(ReasonCode.SUBSCRIPTION_INACTIVE, message)

    def _default_plan(self) -> CompiledPlan | None:
        return self._compiled.plans.get(self._compiled.default_plan or "")

    def _refuse(
        self,
        code: ReasonCode,
        message: str,
        refusal: Refusal = Refusal.PAYMENT_REQUIRED,
    ) -> Reason:
        return Reason(code, "subscription", Effect.DENY, self._compiled.mode, message, refusal)

    def _without_subscription(self) -> Entitlement:
        compiled = self._compiled
        reason = self._refuse(
            ReasonCode.SUBSCRIPTION_UNAVAILABLE,
            "The subscription could not be read in time.",
            Refusal.UNAVAILABLE,
        )
        closed = compiled.failure_mode is FailureMode.CLOSED
        return Entitlement(
            subscription=None,
            standing=Standing.INACTIVE,
            plan=None,
            mode=compiled.mode,
            failure_mode=compiled.failure_mode,
            reasons=(reason,) if closed else (),
        )

    def _entitle(
        self,
        plan: CompiledPlan,
        subscription: Subscription,
        held: Standing,
        request: CheckRequest,
        now: datetime,
        reason: Reason | None,
    ) -> Entitlement:
        charges, errors = _charges(plan, request, subscription, now)
        reasons = (*([reason] if reason else ()), *_refusals(plan, request))
        return Entitlement(
            subscription, held, plan.id, plan.mode, plan.failure_mode, reasons, charges, errors
        )

    # -- remedies ---------------------------------------------------------------------------

    def _remedies(
        self,
        verdict: Verdict,
        request: CheckRequest,
        entitlement: Entitlement,
        readings: Sequence[Reading],
        now: datetime,
    ) -> tuple[Remedy, ...]:
        remedies = []
        upgrade = self._upgrade(request, entitlement, readings, now)
        if upgrade is not None:
            url = _fill(self._upgrade_url, request.subject, upgrade)
            remedies.append(Remedy(RemedyKind.UPGRADE, plan=upgrade, url=url))
        until = _wait(verdict, readings)
        if until is not None:
            remedies.append(Remedy(RemedyKind.WAIT, until=until))
        return tuple(remedies)

    def _upgrade(
        self,
        request: CheckRequest,
        entitlement: Entitlement,
        readings: Sequence[Reading],
        now: datetime,
    ) -> str | None:
        """The first plan in file order that would let the request through.

        A counter does not belong to a plan, so the readings at hand serve for every plan; one
        that was not read is taken to be empty.
        """
        subscription = entitlement.subscription
        if subscription is None:
            return None
        known = {
            charge.counter: reading
            for charge, reading in zip(entitlement.charges, readings, strict=True)
        }
        for plan in self._compiled.plans.values():
            if plan.id == entitlement.plan:
                continue
            offered = self._entitle(plan, subscription, Standing.HOLDS, request, now, None)
            expected = [_expected(charge, known.get(charge.counter)) for charge in offered.charges]
            if judge(plan, request, offered, expected, now).effect is not Effect.DENY:
                return plan.id
        return None


def _refusals(plan: CompiledPlan, request: CheckRequest) -> Iterator[Reason]:
    """What the plan itself does not include."""
    if request.plugin and not plan.allows_plugin(request.plugin):
        message = f"The plan {plan.name} does not include the plugin {request.plugin}."
        code = ReasonCode.PLUGIN_NOT_IN_PLAN
        yield Reason(code, f"{plan.id}.plugins", Effect.DENY, plan.mode, message)
    if request.feature and not plan.allows_feature(request.feature):
        message = f"The plan {plan.name} does not include the feature {request.feature}."
        code = ReasonCode.FEATURE_NOT_IN_PLAN
        yield Reason(code, f"{plan.id}.features", Effect.DENY, plan.mode, message)


def _charges(
    plan: CompiledPlan, request: CheckRequest, subscription: Subscription, now: datetime
) -> tuple[tuple[Charge, ...], tuple[RuleError, ...]]:
    """The limits that apply; one whose condition errs applies too, and the error is told."""
    charges, errors = [], []
    context: Context | None = None
    for compiled in plan.limits:
        if compiled.when is not None:
            context = context or Context(request, subscription, plan.facts, now)
            applies = context.evaluate(compiled.when)
            if isinstance(applies, CelError):
                errors.append(RuleError(compiled.limit.id, f"when: {applies.message}"))
            elif not applies:
                continue
        charges.append(_charge(compiled, request, subscription, now))
    return tuple(charges), tuple(errors)


def _charge(
    compiled: CompiledLimit, request: CheckRequest, subscription: Subscription, now: datetime
) -> Charge:
    limit = compiled.limit
    for override in compiled.overrides:
        if override.applies(request.subject, now):
            limit = with_maximum(compiled, override.maximum)
            break
    return Charge(
        limit, limit.counter(request), request.estimate.of(limit.meter), subscription.cycle
    )


def _expected(charge: Charge, reading: Reading | None) -> Reading:
    if reading is None:
        return Reading(charge.limit, 0, 0, charge.amount, None)
    return replace(reading, limit=charge.limit)


def _wait(verdict: Verdict, readings: Sequence[Reading]) -> datetime | None:
    """When every limit that refuses will have room, None if waiting does not help."""
    refusing = {reason.id for reason in verdict.reasons if reason.refuses}
    by_id = {reading.limit.id: reading for reading in readings}
    instants = []
    for name in refusing:
        reading = by_id.get(name)
        if reading is None or not reading.ends or reading.resets_at is None:
            return None
        instants.append(reading.resets_at)
    return max(instants, default=None)


def _fill(template: str | None, subject: Subject, plan: str) -> str | None:
    if template is None:
        return None
    values = {"{app_id}": subject.app_id, "{user_id}": subject.user_id, "{plan}": plan}
    for name, value in values.items():
        template = template.replace(name, quote(value, safe=""))
    return template
