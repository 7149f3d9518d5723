"""What does a plan say of its users' wallets, and what is then asked of a balance?"""

from collections.abc import Sequence

from sidecar.domain.decision import Effect, Reason, ReasonCode
from sidecar.domain.limits import Charge
from sidecar.domain.modes import FailureMode, Refusal
from sidecar.domain.request import CheckRequest
from sidecar.domain.subscription import Subscription
from sidecar.domain.wallet import WALLET, Wallet, WalletTerms
from sidecar.policy.compiled import CompiledPlan, CompiledWallet
from sidecar.policy.lineage import Ancestor, Plans
from sidecar.policy.names import Ids
from sidecar.policy.unit import Unit

_UNREAD = "The balance of the wallet could not be read in time."


def refuse_unpriced(units: Sequence[Unit], plans: Plans, ids: Ids, *, counts_cost: bool) -> None:
    """Report wallets against which nothing can be held, and let nothing else have their id."""
    for unit in units:
        for name, plan in plans.own(unit):
            if plan.wallet is None:
                continue
            path = ("plans", name, "wallet")
            ids.claim_wallet(unit, path)
            if not counts_cost:
                message = "without prices nothing costs anything, so no balance would be spent"
                hint = "name a price file as SIDECAR_PRICES or with --prices"
                unit.report("E4", message, path, hint=hint, key=True)


def compiled_wallet(lineage: Sequence[Ancestor]) -> CompiledWallet | None:
    """What a plan says of wallets, or the nearest that it extends."""
    for ancestor in lineage:
        if "wallet" in ancestor.section.model_fields_set:
            section = ancestor.section.wallet
            if section is None:
                return None
            origin = ancestor.unit.origin(("plans", ancestor.id, "wallet"), key=True)
            return CompiledWallet(WalletTerms(section.require, section.low), origin)
    return None


def wallet_charges(
    plan: CompiledPlan, request: CheckRequest, subscription: Subscription, wallet: Wallet | None
) -> tuple[Charge, ...]:
    """What a request asks of a balance, as of a limit; nothing where the plan has no wallet.

    Args:
        wallet: None where it could not be had, or need not be known because all counts anyway.
    """
    if plan.wallet is None:
        return ()
    # How much is left of a balance is nothing to be guessed.
    failure_mode = plan.failure_mode
    if failure_mode is FailureMode.LOCAL:
        failure_mode = FailureMode.CLOSED
    limit = plan.wallet.terms.limit(wallet, plan.mode, failure_mode)
    cost = request.estimate.of(limit.meter)
    return (Charge(limit, limit.counter(request), cost, subscription.cycle),)


def is_unread(plan: CompiledPlan | None, wallet: Wallet | None) -> bool:
    """Whether there is a balance to hold against that could not be had."""
    return plan is not None and plan.wallet is not None and wallet is None


def refusal_of_unread(plan: CompiledPlan) -> tuple[Reason, ...]:
    """What it means that a balance could not be had."""
    assert plan.wallet is not None  # or there would be nothing to read
    if plan.failure_mode is FailureMode.OPEN or not plan.wallet.terms.require:
        return ()
    code, status = ReasonCode.STORE_UNAVAILABLE, Refusal.UNAVAILABLE
    return (Reason(code, WALLET, Effect.DENY, plan.mode, _UNREAD, status),)
