"""What a subject may have: its plan, and what that plan says of plugins, features and limits."""

from collections.abc import Mapping
from dataclasses import field

from sidecar.domain.decision import Reason, RuleError
from sidecar.domain.limits import Charge
from sidecar.domain.manifest import Manifest
from sidecar.domain.modes import FailureMode, Mode
from sidecar.domain.subscription import Standing, Subscription
from sidecar.domain.value import value
from sidecar.domain.wallet import Wallet


@value
class Entitlement:
    """What the policies say of one request before any counter is read.

    Attributes:
        subscription: None where it could not be had.
        plan: the plan in force, None where no plan can be had.
        mode, failure_mode: of the plan's file, under the operator's ceiling.
        reasons: of subscription, plugin and feature.
        charges: every limit that applies, longest window first.
        rule_reasons: by id, of the rules that need no counter.
        rules_read_limits: whether a rule that may refuse waits for the counters.
        errors: conditions that could not be evaluated; such a limit applies.
        manifest: what holds for the app beside the plan.
        is_local: whether some of it is decided by what is remembered when the store is away.
        wallet: the user's, None where it could not be had, or no plan has any.
        seen: what the rules that need no counter have seen, for those that do; the policies' own.
    """

    subscription: Subscription | None
    standing: Standing
    plan: str | None
    mode: Mode
    failure_mode: FailureMode
    reasons: tuple[Reason, ...] = ()
    charges: tuple[Charge, ...] = ()
    rule_reasons: Mapping[str, Reason] = field(default_factory=dict)
    rules_read_limits: bool = False
    errors: tuple[RuleError, ...] = ()
    manifest: Manifest | None = None
    is_local: bool = False
    wallet: Wallet | None = None
    seen: object = field(default=None, compare=False, repr=False)

    @property
    def subscription_status(self) -> str:
        """The status as it was synced, `unknown` where it could not be had."""
        return "unknown" if self.subscription is None else self.subscription.status.value

    @property
    def refuses(self) -> bool:
        """Whether the answer is already a deny, so that nothing need be held."""
        return any(reason.refuses for reason in (*self.reasons, *self.rule_reasons.values()))


@value
class PlanSummary:
    """What a settings page shows of a plan."""

    id: str
    name: str
    plugins_allow: tuple[str, ...]
    plugins_deny: tuple[str, ...]
    features: Mapping[str, bool]
