"""One immutable set of compiled policies: what does it say of a request?"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from sidecar.domain.decision import Effect, Reason, ReasonCode
from sidecar.domain.entitlement import Entitlement, PlanSummary
from sidecar.domain.explanation import Explanation
from sidecar.domain.limits import Charge, Dimension, Reading
from sidecar.domain.manifest import Manifest
from sidecar.domain.modes import FailureMode, Refusal
from sidecar.domain.request import CheckRequest, MeterKind, Subject
from sidecar.domain.subscription import Standing, Subscription, standing
from sidecar.domain.wallet import Wallet
from sidecar.policy.compiled import CompiledPlan
from sidecar.policy.compiler import Compiled
from sidecar.policy.entitling import charge_of, charges_of, entitle
from sidecar.policy.explaining import explain
from sidecar.policy.manifests import NO_PLAN, Narrowed
from sidecar.policy.prices import PriceList
from sidecar.policy.remedies import Urls, remedies
from sidecar.policy.rules import PlannedRule
from sidecar.policy.verdict import Verdict, judge
from sidecar.policy.wallets import wallet_charges

_OF_THE_USER = {Dimension.APP, Dimension.TENANT, Dimension.USER}


class PolicySet:
    """The rules of one directory at one revision; safe to share, because nothing changes."""

    def __init__(
        self,
        compiled: Compiled,
        revision: str,
        urls: Urls | None = None,
        prices: PriceList | None = None,
    ) -> None:
        self._compiled = compiled
        self._revision = revision
        self._urls = urls or Urls()
        self._prices = prices
        self._narrowed = Narrowed(compiled.ceiling)
        self._has_wallets = any(plan.wallet is not None for plan in compiled.plans.values())

    @property
    def revision(self) -> str:
        """`sha256:` and 64 hexadecimal digits."""
        return self._revision

    @property
    def plan_ids(self) -> Collection[str]:
        """The plans that it knows."""
        return self._compiled.plans.keys()

    @property
    def limit_ids(self) -> Collection[str]:
        """The limits that a grant can be for: concurrency uses nothing up."""
        return {
            compiled.limit.id
            for plan in self.plans
            for compiled in plan.limits
            if compiled.limit.meter is not MeterKind.CONCURRENCY
        }

    @property
    def has_wallets(self) -> bool:
        """Whether some plan holds what runs against a balance."""
        return self._has_wallets

    @property
    def prices(self) -> PriceList | None:
        """What models cost, None where no price file is named."""
        return self._prices

    @property
    def rules(self) -> Sequence[PlannedRule]:
        """The rules of all files, in file order."""
        return self._compiled.rules

    @property
    def plans(self) -> Sequence[CompiledPlan]:
        """The plans in file order."""
        return tuple(self._compiled.plans.values())

    def resolve(
        self,
        subscription: Subscription | None,
        request: CheckRequest,
        now: datetime,
        manifest: Manifest | None = None,
        wallet: Wallet | None = None,
    ) -> Entitlement:
        """The plan and all that it says of the request before any counter is read."""
        if subscription is None:
            return self._without_subscription()
        held = standing(subscription, self._compiled.terms, now)
        plan, reason = self._plan_of(subscription, held, now, manifest)
        if plan is None:
            charges: tuple[Charge, ...] = ()
            if manifest is not None:
                # What the app uses counts, whatever becomes of the user.
                whole = self._narrowed.under(NO_PLAN, manifest, now)
                charges = charges_of(whole, request, subscription, now)[0]
            return Entitlement(
                subscription=subscription,
                standing=held,
                plan=None,
                mode=self._compiled.mode,
                failure_mode=self._compiled.failure_mode,
                reasons=(reason,) if reason else (),
                charges=charges,
                manifest=manifest,
            )
        if manifest is None:
            return entitle(plan, subscription, held, request, now, reason, wallet)
        narrowed = self._narrowed.under(plan, manifest, now)
        entitlement = entitle(narrowed, subscription, held, request, now, reason, wallet)
        return replace(entitlement, manifest=manifest)

    def overview(
        self,
        subscription: Subscription,
        subject: Subject,
        now: datetime,
        manifest: Manifest | None = None,
        wallet: Wallet | None = None,
    ) -> tuple[Entitlement, PlanSummary | None]:
        """The plan with every limit that is kept for the user, whatever is asked."""
        request = CheckRequest(subject)
        entitlement = self.resolve(subscription, request, now, manifest, wallet)
        plan = self._plan_under(entitlement, now)
        if plan is None:
            return entitlement, None
        limits = [
            charge_of(plan, compiled, request, subscription, now)
            for compiled in plan.limits
            if _OF_THE_USER.issuperset(compiled.limit.per)
        ]
        charges = (*wallet_charges(plan, request, subscription, wallet), *limits)
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
        self,
        subscription: Subscription,
        request: CheckRequest,
        now: datetime,
        manifest: Manifest | None = None,
    ) -> tuple[Charge, ...]:
        """The limits that a report of use counts in: of its plan, else of the default plan."""
        held = standing(subscription, self._compiled.terms, now)
        plan, _ = self._plan_of(subscription, held, now, manifest)
        plan = plan or self._default_plan(now, manifest)
        if manifest is not None:
            plan = self._narrowed.under(plan or NO_PLAN, manifest, now)
        if plan is None:
            return ()
        return charges_of(plan, request, subscription, now)[0]

    def decide(
        self,
        request: CheckRequest,
        entitlement: Entitlement,
        readings: Sequence[Reading] | None,
        now: datetime,
    ) -> Verdict:
        """The conclusion from all facts; on a deny, with what would help."""
        plan = self._plan_under(entitlement, now)
        verdict = judge(plan, request, entitlement, readings, now)
        if verdict.effect is not Effect.DENY or readings is None:
            return verdict
        if any(reason.code is ReasonCode.STORE_UNAVAILABLE for reason in verdict.reasons):
            # No plan and no units mend that.
            return verdict
        plans = self._plans_under(entitlement.manifest, now)
        found = remedies(verdict, plans, request, entitlement, readings, now, self._urls)
        return replace(verdict, remedies=found)

    def explain(
        self,
        request: CheckRequest,
        subscription: Subscription | None,
        readings: Sequence[Reading] | None,
        now: datetime,
        *,
        manifest: Manifest | None = None,
        wallet: Wallet | None = None,
        trace: bool = False,
        every_rule: bool = True,
    ) -> Explanation:
        """A decision taken apart: every limit and rule with what it saw, and its place.

        Args:
            readings: that the decision was made from; None if they could not be had.
            trace: whether the value of each part of an expression is told too.
            every_rule: whether rules are told that the decision did not look at.
        """
        entitlement = self.resolve(subscription, request, now, manifest, wallet)
        return explain(
            self._compiled,
            self._revision,
            request,
            entitlement,
            self._plan_under(entitlement, now),
            readings,
            now,
            trace=trace,
            every_rule=every_rule,
        )

    # -- plans ------------------------------------------------------------------------------

    def _plan_under(self, entitlement: Entitlement, now: datetime) -> CompiledPlan | None:
        """The plan in force, with what the app's manifest makes of it."""
        plan = self._compiled.plans.get(entitlement.plan or "")
        if plan is None or entitlement.manifest is None:
            return plan
        return self._narrowed.under(plan, entitlement.manifest, now)

    def _plans_under(self, manifest: Manifest | None, now: datetime) -> Iterable[CompiledPlan]:
        if manifest is None:
            return self.plans
        return (self._narrowed.under(plan, manifest, now) for plan in self.plans)

    def _plan_of(
        self, subscription: Subscription, held: Standing, now: datetime, manifest: Manifest | None
    ) -> tuple[CompiledPlan | None, Reason | None]:
        """The plan in force, and the reason that the subscription itself gives."""
        match held:
            case Standing.HOLDS | Standing.GRACE:
                name = subscription.plan or self._compiled.terms.trial_plan
                plan = self._compiled.plans.get(name)
                if plan is None:
                    message = f"No policy knows the plan {name!r}."
                    if not name:
                        message = "The subscription names no plan."
                    return None, self._refuse(ReasonCode.UNKNOWN_PLAN, message)
                if held is Standing.HOLDS:
                    return plan, None
                message = f"The subscription is {subscription.status}; its plan holds for a while."
                code = ReasonCode.SUBSCRIPTION_INACTIVE
                return plan, Reason(code, "subscription", Effect.WARN, plan.mode, message)
            case Standing.EXPIRED | Standing.INACTIVE:
                plan = self._default_plan(now, manifest)
                if plan is not None:
                    return plan, None
                if held is Standing.EXPIRED:
                    message = "The subscription has ended."
                    return None, self._refuse(ReasonCode.SUBSCRIPTION_EXPIRED, message)
                message = "There is no active subscription."
                return None, self._refuse(ReasonCode.SUBSCRIPTION_INACTIVE, message)

    def _default_plan(self, now: datetime, manifest: Manifest | None) -> CompiledPlan | None:
        """Of whoever has none: the app's, if there is such a plan, else the policies'."""
        plans = self._compiled.plans
        own = None if manifest is None else plans.get(manifest.default_plan(now))
        return own or plans.get(self._compiled.default_plan or "")

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
