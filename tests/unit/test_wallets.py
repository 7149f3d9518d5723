"""What does a plan say of its users' wallets, and what follows from a balance?"""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.domain.decision import Decision, Effect
from sidecar.domain.entitlement import Entitlement
from sidecar.domain.limits import Limit, Reading
from sidecar.domain.manifest import Manifest
from sidecar.domain.modes import Ceiling, FailureMode, Mode
from sidecar.domain.notices import notices_of
from sidecar.domain.request import Amounts, CheckRequest
from sidecar.domain.wallet import Wallet, WalletTerms, no_wallet
from sidecar.policy.price_file import prices_of
from sidecar.policy.snapshot import PolicySet
from sidecar.policy.verdict import Verdict
from tests.priced import PRICES
from tests.unit.world import BOB, NOW, ask, codes, ids, policies, subscribed

PLANS = """
mode: enforce
plans:
  base: {plugins: ["*"], wallet: {require: true, low: 500}}
  child: {extends: base, tokens_per_month: 10000}
  kind: {extends: base, wallet: {require: false}}
  none: {extends: base, wallet: null}
  grandchild: {extends: none}
  poor: {extends: base, limits: [{id: spend, meter: cost, max: 100, window: lifetime}]}
"""
TOLD = Wallet("acme", "bob", 1_000, "USD", NOW, base=70)


def rules(folder: Path, text: str = PLANS, ceiling: Ceiling = Ceiling.AS_WRITTEN) -> PolicySet:
    prices = prices_of(folder / "prices.yaml", PRICES.encode())
    return policies(folder, text, prices=prices, ceiling=ceiling)


def asked(cost: int = 0) -> CheckRequest:
    return replace(ask(), estimate=Amounts(requests=1, concurrency=1, cost=cost))


def entitled(
    folder: Path, plan: str, wallet: Wallet | None = TOLD, manifest: Manifest | None = None
) -> Entitlement:
    return rules(folder).resolve(subscribed(plan), asked(), NOW, manifest, wallet)


def wallet_of(entitlement: Entitlement) -> Limit | None:
    found = [charge.limit for charge in entitlement.charges if charge.limit.base is not None]
    return found[0] if found else None


def decided(folder: Path, plan: str, cost: int) -> Verdict:
    policy, request = rules(folder), asked(cost)
    entitlement = policy.resolve(subscribed(plan), request, NOW, wallet=TOLD)
    readings = [Reading(it.limit, 0, 0, it.amount, None) for it in entitlement.charges]
    return policy.decide(request, entitlement, readings, NOW)


@pytest.mark.parametrize(
    ("plan", "mode"),
    [
        ("base", Mode.ENFORCE),
        ("child", Mode.ENFORCE),
        ("kind", Mode.ADVISORY),
        ("none", None),
        ("grandchild", None),
    ],
)
def test_a_plan_has_the_wallet_of_the_nearest_that_says_something(
    plan: str, mode: Mode | None, tmp_path: Path
) -> None:
    found = wallet_of(entitled(tmp_path, plan))
    assert (found and found.mode) == mode


def test_what_a_child_says_of_wallets_replaces_all_that_its_parent_says(tmp_path: Path) -> None:
    parent, child = (wallet_of(entitled(tmp_path, plan)) for plan in ("base", "kind"))
    assert parent is not None
    assert child is not None
    assert (parent.warn_from, child.warn_from) == (501, None)


def test_a_balance_has_a_counter_of_its_own_that_no_grant_pays_for(tmp_path: Path) -> None:
    charges = {it.limit.id: it for it in entitled(tmp_path, "poor").charges}
    assert charges["wallet"].counter != charges["spend"].counter
    assert (charges["wallet"].limit.scopes, charges["spend"].limit.scopes) == (
        (),
        ("=spend", "cost"),
    )


def test_the_counter_may_hold_what_it_held_and_the_balance(tmp_path: Path) -> None:
    found = wallet_of(entitled(tmp_path, "base"))
    assert found is not None
    assert (found.maximum, found.base, found.most) == (1_000, 70, 1_070)
    assert (found.counted(70), found.counted(100), found.counted(10)) == (0, 30, 0)


@pytest.mark.parametrize(
    ("balance", "base", "most"),
    [(0, 0, 0), (-5, 0, 0), (-5, 3, 0), (-5, 9, 4), (2**53 - 1, 2**53 - 1, 2**53 - 1)],
)
def test_no_balance_lets_a_counter_hold_less_than_nothing_or_more_than_it_can(
    balance: int, base: int, most: int
) -> None:
    wallet = replace(TOLD, balance=balance, base=base)
    assert WalletTerms().limit(wallet, Mode.ENFORCE, FailureMode.OPEN).most == most


def test_the_balance_leads_the_limits_and_its_refusal_the_reasons(tmp_path: Path) -> None:
    assert entitled(tmp_path, "child").charges[0].limit.id == "wallet"
    verdict = decided(tmp_path, "poor", 2_000)
    assert (ids(verdict), codes(verdict)) == (
        ["wallet", "spend"],
        ["insufficient_balance", "quota_exceeded"],
    )


def test_a_manifest_leaves_the_wallet_of_a_plan(tmp_path: Path) -> None:
    manifest = Manifest("acme", "1.0", features={"code": False})
    assert wallet_of(entitled(tmp_path, "child", manifest=manifest)) is not None


def test_an_operator_who_caps_everything_lets_no_balance_refuse(tmp_path: Path) -> None:
    policy = rules(tmp_path, ceiling=Ceiling.CAPPED)
    entitlement = policy.resolve(subscribed("base"), asked(), NOW, wallet=no_wallet(BOB))
    found = wallet_of(entitlement)
    assert found is not None
    assert (found.mode, found.is_enforced) == (Mode.ADVISORY, False)


@pytest.mark.parametrize(
    ("failure_mode", "reasons"),
    [("open", []), ("closed", ["store_unavailable"]), ("local", ["store_unavailable"])],
)
def test_a_balance_that_cannot_be_had_is_what_the_file_says(
    failure_mode: str, reasons: list[str], tmp_path: Path
) -> None:
    policy = rules(tmp_path, f"defaults: {{failure_mode: {failure_mode}}}\n{PLANS}")
    entitlement = policy.resolve(subscribed("base"), asked(), NOW, wallet=None)
    assert [reason.code for reason in entitlement.reasons] == reasons
    found = wallet_of(entitlement)
    assert found is not None
    assert found.maximum is None


def test_another_plan_without_a_wallet_helps_and_one_with_it_does_not(tmp_path: Path) -> None:
    verdict = decided(tmp_path, "base", 1_001)
    assert verdict.effect is Effect.DENY
    assert [(it.kind, it.plan, it.limit) for it in verdict.remedies] == [
        ("upgrade", "kind", None),
        ("top_up", None, "wallet"),
    ]


def test_use_is_counted_for_a_wallet_before_any_balance_is_known(tmp_path: Path) -> None:
    charges = rules(tmp_path).charges(subscribed("base"), asked(40), NOW)
    assert [(it.limit.id, it.amount) for it in charges] == [("wallet", 40)]


def test_a_balance_that_is_asked_for_again_and_again_is_low_once_a_day(tmp_path: Path) -> None:
    pulled = replace(TOLD, is_pulled=True)

    def told(wallet: Wallet) -> list[str]:
        policy = rules(tmp_path)
        entitlement = policy.resolve(subscribed("base"), asked(600), NOW, wallet=wallet)
        readings = tuple(Reading(it.limit, 0, 0, 600, None) for it in entitlement.charges)
        verdict = policy.decide(asked(600), entitlement, readings, NOW)
        decision = Decision(
            "dec", NOW, verdict.effect, Mode.ENFORCE, "base", "active", verdict.reasons,
            readings, policy.revision,
        )  # fmt: skip
        (notice,) = notices_of(asked(600), decision, wallet)
        assert notice.until - NOW == timedelta(days=1 if wallet.is_pulled else 400)
        return [notice.occasion]

    later = NOW + timedelta(seconds=10)
    assert told(pulled) == told(replace(pulled, as_of=later, balance=900))
    assert told(TOLD) != told(replace(TOLD, as_of=later))
