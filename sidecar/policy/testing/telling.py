"""What of an explanation does a person need, whose test fails?"""

from collections.abc import Collection
from dataclasses import replace
from typing import TypeVar

from sidecar.domain.explanation import (
    Does,
    Evaluated,
    ExplainedLimit,
    ExplainedRule,
    Explanation,
    RuleState,
)
from sidecar.policy.testing.cases import TIMELESS, Case
from sidecar.policy.testing.format import ExpectSection
from sidecar.policy.testing.suites import Suite
from sidecar.policy.trial import Trial, priced

P = TypeVar("P", ExplainedLimit, ExplainedRule)


def told_of(suite: Suite, case: Case, trial: Trial) -> Explanation:
    """What spoke, and of what was expected and did not, every part of its condition.

    Where nothing spoke and nobody was expected to, all that was looked at.
    """
    policies = suite.policies
    whole = policies.explain(
        priced(policies, case.request),
        case.subscription,
        None if case.told is None else trial.decision.readings,
        case.now or TIMELESS,
        wallet=trial.entitlement.wallet,
        trace=True,
    )
    expected = _expected(case.expect)
    limits = tuple(it for it in whole.limits if it.id in expected or it.does is not Does.NOTHING)
    rules = tuple(it for it in whole.rules if it.id in expected or it.does is not Does.NOTHING)
    if not (limits or rules or any(it.does is not Does.NOTHING for it in whole.names)):
        limits = whole.limits
        rules = tuple(it for it in whole.rules if it.state in (RuleState.FALSE, RuleState.ERROR))
    return replace(
        whole,
        limits=tuple(_shortened(limit, expected) for limit in limits),
        rules=tuple(_shortened(rule, expected) for rule in rules),
    )


def _expected(expect: ExpectSection) -> Collection[str]:
    """Ids that the test has something to say of."""
    lists = (expect.reasons, expect.reasons_contain, expect.would_deny, expect.limits)
    return {name for names in lists for name in names or ()}


def _shortened(part: P, expected: Collection[str]) -> P:
    is_silent = part.id in expected and part.does is Does.NOTHING
    if is_silent or any(it.failed for it in part.expressions):
        return part
    return replace(part, expressions=tuple(map(_without_steps, part.expressions)))


def _without_steps(evaluated: Evaluated) -> Evaluated:
    return replace(evaluated, steps=())
