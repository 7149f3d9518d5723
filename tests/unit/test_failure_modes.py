"""Whose word holds on what a missing fact means, and what follows from it?"""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sidecar.adapters.standby.remembered import RememberedFacts
from sidecar.domain.decision import ReasonCode
from sidecar.domain.limits import Charge, Limit, Reading
from sidecar.domain.modes import FailureMode, Mode
from sidecar.domain.request import Amounts, MeterKind, Subject
from sidecar.domain.subscription import never_synced
from sidecar.domain.usage import Metering
from sidecar.domain.windows import BillingCycle, Fixed, Sliding, Window
from sidecar.policy.snapshot import PolicySet
from tests.unit.world import BOB, NOW, ask, policies, subscribed

TOLD = """
    mode: enforce
    defaults: {failure_mode: closed}
    plans:
      said:
        plugins: ["*"]
        failure_mode: local
        tokens_per_month: 10
        limits:
          - {id: own, meter: requests, max: 10, window: day, failure_mode: open}
      heir: {extends: said, plugins: ["*"]}
      other: {extends: said, plugins: ["*"], failure_mode: open}
      plain: {plugins: ["*"], tokens_per_month: 10}
"""


def modes(rules: PolicySet, plan: str) -> dict[str, FailureMode]:
    entitlement = rules.resolve(subscribed(plan), ask(), NOW)
    return {charge.limit.id: charge.limit.failure_mode for charge in entitlement.charges}


def test_a_limits_own_word_comes_before_the_plans_and_that_before_the_files(
    tmp_path: Path,
) -> None:
    rules = policies(tmp_path, TOLD)

    assert modes(rules, "said") == {"said-tokens-per-month": "local", "own": "open"}
    assert modes(rules, "heir") == {"said-tokens-per-month": "local", "own": "open"}
    assert modes(rules, "other") == {"said-tokens-per-month": "open", "own": "open"}
    assert modes(rules, "plain") == {"plain-tokens-per-month": "closed"}


@pytest.mark.parametrize(("plan", "is_local"), [("heir", True), ("other", False), ("plain", False)])
def test_only_where_something_is_local_anything_is_remembered(
    tmp_path: Path, plan: str, is_local: bool
) -> None:
    rules = policies(tmp_path, TOLD)

    assert rules.resolve(subscribed(plan), ask(), NOW).is_local is is_local


def test_a_closed_limit_refuses_though_another_one_is_remembered(tmp_path: Path) -> None:
    rules = policies(
        tmp_path,
        """
        mode: enforce
        plans:
          free:
            plugins: ["*"]
            limits:
              - {id: strict, meter: tokens, max: 5, window: day, failure_mode: closed}
              - {id: kept, meter: requests, max: 5, window: 1m, failure_mode: local}
        """,
    )
    entitlement = rules.resolve(subscribed("free"), ask(), NOW)
    known = [
        Reading(charge.limit, 0, 0, charge.amount, None)
        for charge in entitlement.charges
        if charge.limit.id == "kept"
    ]
    verdict = rules.decide(ask(), entitlement, known, NOW)

    assert [reason.code for reason in verdict.reasons] == [ReasonCode.STORE_UNAVAILABLE]


# -- what is remembered ------------------------------------------------------------------------


def charge(
    amount: int = 0,
    window: Window = Fixed.MONTH,
    meter: MeterKind = MeterKind.TOKENS,
    failure_mode: FailureMode = FailureMode.LOCAL,
    maximum: int = 100,
) -> Charge:
    limit = Limit("it", meter, maximum, window, (), Mode.ENFORCE, failure_mode)
    return Charge(limit, f"{meter}:{window}", amount, BillingCycle())


def remember(facts: RememberedFacts, it: Charge, used: int, reserved: int, at: datetime) -> None:
    reading = Reading(it.limit, used, reserved, it.amount, None)
    facts.note(BOB, (never_synced(BOB), None), [it], Metering((reading,)), at)


def levels(facts: RememberedFacts, it: Charge, at: datetime) -> tuple[int, int]:
    (reading,) = facts.read(BOB, [it], at).readings
    return reading.used, reading.reserved


def test_what_a_sliding_window_was_read_to_hold_counts_until_it_must_have_left() -> None:
    facts, it = RememberedFacts(), charge(window=Sliding(60_000))
    remember(facts, it, 30, 20, NOW)

    assert levels(facts, it, NOW + timedelta(seconds=59)) == (30, 20)
    assert levels(facts, it, NOW + timedelta(seconds=61)) == (0, 0)


def test_what_was_seen_leaves_a_sliding_window_bucket_by_bucket() -> None:
    facts, it = RememberedFacts(), charge(10, Sliding(60_000))
    for second in (0, 30):
        facts.use(BOB, [it], NOW + timedelta(seconds=second))

    assert levels(facts, it, NOW + timedelta(seconds=59)) == (20, 0)
    assert levels(facts, it, NOW + timedelta(seconds=65)) == (10, 0)
    assert levels(facts, it, NOW + timedelta(seconds=95)) == (0, 0)


def test_a_new_month_begins_with_nothing() -> None:
    facts, it = RememberedFacts(), charge(10)
    remember(facts, it, 30, 20, NOW)
    facts.use(BOB, [it], NOW)
    assert levels(facts, it, NOW) == (40, 20)

    assert levels(facts, it, NOW + timedelta(days=31)) == (0, 0)


def test_a_run_of_which_nothing_is_heard_holds_its_place_no_longer_than_it_may() -> None:
    facts, it = RememberedFacts(), charge(1, Fixed.LIFETIME, MeterKind.CONCURRENCY)
    facts.hold("res_1", BOB, [it], NOW, NOW + timedelta(seconds=30))
    assert levels(facts, it, NOW + timedelta(seconds=29)) == (0, 1)

    assert levels(facts, it, NOW + timedelta(seconds=30)) == (0, 0)


def test_runs_of_others_are_taken_to_end_within_a_minute() -> None:
    facts, it = RememberedFacts(), charge(1, Fixed.LIFETIME, MeterKind.CONCURRENCY)
    remember(facts, it, 0, 5, NOW)

    assert levels(facts, it, NOW + timedelta(seconds=59)) == (0, 5)
    assert levels(facts, it, NOW + timedelta(seconds=60)) == (0, 0)


def test_what_is_not_local_is_not_remembered() -> None:
    facts, it = RememberedFacts(), charge(failure_mode=FailureMode.OPEN)
    remember(facts, it, 30, 0, NOW)

    assert facts.read(BOB, [it], NOW).readings == ()


def test_it_forgets_whom_it_has_not_seen_for_longest() -> None:
    facts = RememberedFacts(most=10)
    it = charge(1)
    for number in range(50):
        user = Subject("acme", f"u-{number}")
        reading = Reading(it.limit, number, 0, 0, None)
        own = Charge(it.limit, f"of-{number}", 1, BillingCycle())
        facts.note(user, (never_synced(user), None), [own], Metering((reading,)), NOW)
        facts.hold(f"res_{number}", user, [own], NOW, NOW + timedelta(minutes=1))

    assert facts.facts(Subject("acme", "u-0")) is None
    assert facts.facts(Subject("acme", "u-49")) is not None
    facts.settle("res_49", Amounts(tokens=5), NOW)
