"""Both clients ask the same questions and understand the same answers."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.client import (
    AsyncEntitlements,
    Decision,
    Effect,
    Entitlements,
    InvalidQuestion,
    PaymentRequired,
    SidecarUnavailable,
)
from tests.client.conftest import upgrade, used
from tests.processes import Sidecar

Ask = Callable[..., Any]


@pytest.fixture(params=["async", "blocking"])
def ask(request: pytest.FixtureRequest, sidecar: Sidecar) -> Iterator[Ask]:
    """Calls a method of one of the two clients by its name."""
    if request.param == "blocking":
        with Entitlements(sidecar.url, key="runtime-key", app_id="acme") as blocking:
            yield lambda name, *args, **asked: getattr(blocking, name)(*args, **asked)
        return
    with asyncio.Runner() as runner:
        client = AsyncEntitlements(sidecar.url, key="runtime-key", app_id="acme")
        yield lambda name, *args, **asked: runner.run(getattr(client, name)(*args, **asked))
        runner.run(client.close())


def test_an_allowed_request_is_told_what_is_left(ask: Ask) -> None:
    decision = ask("check", "ann", plugin="basic_search", input_tokens=300, output_tokens=100)

    assert (decision.effect, decision.allowed, decision.plan) == (Effect.ALLOW, True, "free")
    (month,) = (each for each in decision.limits if each.id == "free-tokens-per-month")
    assert (month.limit, month.used, month.remaining) == (1000, 0, 1000)
    assert month.resets_at is not None
    assert not decision.is_local
    assert decision.revision.startswith("sha256:")


def test_a_warning_is_permission_with_advice(ask: Ask) -> None:
    decision = ask("require", "ann", plugin="basic_slow")

    assert decision.effect is Effect.WARN
    assert decision.advice == "This one is slow."


def test_a_refusal_is_an_answer_to_check(ask: Ask) -> None:
    decision: Decision = ask("check", "ann", plugin="admin_all")

    assert (decision.allowed, decision.status) == (False, 402)
    assert decision.reasons[0].code == "plugin_not_in_plan"
    assert decision.remedies[0].url == "https://pay.example/acme/ann/pro"


def test_a_refusal_is_raised_by_require_with_what_would_help(ask: Ask) -> None:
    with pytest.raises(PaymentRequired) as refused:
        ask("require", "ann", plugin="basic_search", input_tokens=1_001)

    assert refused.value.decision.reasons[0].code == "quota_exceeded"
    assert "upgrade to pro: https://pay.example/acme/ann/pro" in str(refused.value)


def test_a_check_counts_nothing(ask: Ask, sidecar: Sidecar, user: str) -> None:
    ask("check", user, input_tokens=10)

    assert used(sidecar, user) == (0, 0)


def test_a_wrong_question_is_the_callers_fault_and_says_where(ask: Ask) -> None:
    with pytest.raises(InvalidQuestion, match="user_id") as wrong:
        ask("check", "x" * 300)

    assert wrong.value.status == 422


def test_a_question_needs_an_app(sidecar: Sidecar) -> None:
    with Entitlements(sidecar.url) as client, pytest.raises(ValueError, match="app_id"):
        client.check("ann")


def test_another_app_may_be_asked_for(ask: Ask) -> None:
    decision = ask("check", "ann", app_id="other", input_tokens=1)

    assert decision.allowed


def test_entitlements_are_what_a_settings_page_shows(ask: Ask) -> None:
    shown = ask("entitlements", "ann")

    assert (shown.plan, shown.plugins_allow) == ("free", ("basic_*",))
    assert {each.id for each in shown.limits} == {"free-tokens-per-month", "free-calls"}


def test_a_user_without_a_subscription_has_the_default_plan(ask: Ask) -> None:
    assert ask("get_user_subscription", "nobody") == {
        "user_id": "nobody", "plan": "free", "status": "inactive",
    }  # fmt: skip


def test_a_subscription_looks_as_the_runtime_knows_it(
    ask: Ask, sidecar: Sidecar, user: str
) -> None:
    upgrade(sidecar, user)

    told = ask("get_user_subscription", user)

    assert (told["plan"], told["status"], told["is_trial"]) == ("pro", "active", False)
    assert told.keys() == {
        "user_id", "plan", "billing_cycle", "status", "is_trial", "trial_info",
        "next_billing_date", "updated_at",
    }  # fmt: skip


def test_a_plugin_is_accessible_where_the_plan_has_it(ask: Ask) -> None:
    assert ask("is_plugin_accessible", "ann", "basic_search")
    assert not ask("is_plugin_accessible", "ann", "admin_all")


def test_a_plugin_of_the_plan_stays_accessible_when_the_quota_is_used_up(
    ask: Ask, sidecar: Sidecar, user: str
) -> None:
    with Entitlements(sidecar.url, key="runtime-key", app_id="acme") as client:
        with client.reserve(user, input_tokens=1_000):
            pass
        assert not client.check(user, plugin="basic_search", input_tokens=1).allowed

    assert ask("is_plugin_accessible", user, "basic_search")


@pytest.mark.parametrize("key", ["wrong", None])
def test_a_wrong_key_is_no_answer(sidecar: Sidecar, key: str | None) -> None:
    with Entitlements(sidecar.url, key=key, app_id="acme") as client:
        decision = client.check("ann", plugin="admin_all")
        with pytest.raises(SidecarUnavailable, match="401"):
            client.entitlements("ann")

    assert (decision.allowed, decision.is_local) == (True, True)


def test_the_key_is_in_no_repr(sidecar: Sidecar) -> None:
    client = Entitlements(sidecar.url, key="a-secret", app_id="acme")

    assert "a-secret" not in repr(vars(client))


@pytest.mark.parametrize("url", ["localhost:8377", "unix://relative", ""])
def test_an_address_that_is_none_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(ValueError, match=r"127\.0\.0\.1:8377"):
        Entitlements(url)


def test_only_two_ways_to_fail_exist() -> None:
    with pytest.raises(ValueError, match="'open' or 'closed'"):
        Entitlements(on_failure="ajar")  # type: ignore[arg-type] # what is tested


def test_a_unix_socket_will_do(policies: Path, tmp_path: Path) -> None:
    socket = tmp_path / "s.sock"
    with (
        Sidecar(
            policies=policies, store="sqlite://", cwd=tmp_path, arguments=("--uds", str(socket))
        ),
        Entitlements(f"unix://{socket}", app_id="acme") as client,
    ):
        assert client.check("ann", plugin="basic_search").plan == "free"
