"""A trial with told counters answers what a check on a store that holds them answers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sidecar.bootstrap.server import running
from sidecar.domain.modes import Ceiling
from sidecar.domain.request import Amounts, CheckRequest, Subject
from sidecar.domain.subscription import Status, Subscription
from sidecar.domain.told import Told
from sidecar.domain.usage import UsageEvent
from sidecar.policy.load import load, shipped
from sidecar.policy.trial import decide
from sidecar.settings import read_settings

ANN = Subject("acme", "ann")


def asked(tokens: int, plugin: str = "basic_search", **further: str) -> CheckRequest:
    estimate = Amounts(tokens=tokens, requests=1, concurrency=1)
    return replace(CheckRequest(ANN, plugin=plugin, estimate=estimate), **further)  # type: ignore[arg-type] # texts


@pytest.mark.parametrize("name", ["platform", "quickstart", "self-hosted"])
@pytest.mark.parametrize(
    ("plan", "used", "request_"),
    [
        ("free", 0, asked(500)),
        ("free", 9_800, asked(500)),
        ("free", 9_800, asked(200)),
        ("free", 0, asked(2_500)),
        ("free", 0, asked(1, "admin_users", feature="exports")),
        ("pro", 99_999, asked(2)),
        ("pro", 0, asked(9_000, model="gpt-4o")),
        ("pro", 0, asked(1, "admin_users")),
        ("gold", 0, asked(1)),
    ],
)
async def test_a_trial_says_what_a_check_says(
    name: str, plan: str, used: int, request_: CheckRequest
) -> None:
    policies = load(shipped(name), ceiling=Ceiling.AS_WRITTEN)
    settings = read_settings(sidecar_store="sqlite://")
    # The billing day lies ahead, so that no run of this test meets the turn of a month.
    subscription = Subscription(
        user_id="ann",
        app_id="acme",
        plan=plan,
        status=Status.ACTIVE,
        next_billing_date=datetime.now(UTC) + timedelta(days=10),
        updated_at=datetime.now(UTC),
    )
    async with running(settings, policies) as (pdp, subscriptions, clock):
        _, stored = await subscriptions.sync(subscription, since=clock.monotonic())
        # Some time ago: the month counts it, the last minute does not.
        at = clock.now() - timedelta(minutes=10)
        amounts = Amounts(tokens=used, requests=1)
        await pdp.record([UsageEvent("e1", at, CheckRequest(ANN), amounts)])
        checked = await pdp.check(request_)
    limits = {f"{of}-tokens-per-month": used for of in ("free", "pro")}
    tried = decide(policies, request_, stored, Told(used=limits), checked.at).decision

    assert replace(tried, id=checked.id) == checked
