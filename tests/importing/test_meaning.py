"""Does an imported policy answer as the old configuration did?

The other side is written down here anew: what the runtime made of `subscription_plans`, and
what `plans` with `enforcement` were to mean.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from sidecar.domain.decision import Effect
from sidecar.domain.modes import Ceiling
from sidecar.domain.subscription import Status, Subscription, never_synced
from sidecar.policy.legacy.config import OldConfig, read_old
from sidecar.policy.legacy.json_text import JsonFile
from sidecar.policy.legacy.policy_text import policy_text
from sidecar.policy.lint.inspecting import inspected, warned
from sidecar.policy.load import load
from sidecar.policy.snapshot import PolicySet
from tests.unit.world import BOB, NOW, ask, decide

PLUGINS = ("notes", "basic_search", "code_run", "Notes")
STATUSES = [status for status in Status if status is not Status.NONE]


def imported(old: Mapping[str, Any], folder: Path) -> tuple[OldConfig, PolicySet]:
    found = read_old(JsonFile(Path("subscription_config.json"), json.dumps(old).encode()))
    text = policy_text(found, "subscription_config.json")
    (folder / "policy.yaml").write_text(text, encoding="utf-8")
    assert warned(inspected(folder), NOW, require_tests=False) == (), text
    return found, load(folder, ceiling=Ceiling.AS_WRITTEN)


@dataclass(frozen=True)
class User:
    """What the runtime has stored of a user; a plan by its name in the old configuration."""

    plan: str | None
    status: Status = Status.ACTIVE
    trial_ended: bool = False

    def subscription(self, found: OldConfig) -> Subscription:
        if self.plan is None:
            return never_synced(BOB)
        ids = {plan.written.lower(): plan.id for plan in found.plans}
        end = NOW - timedelta(days=1) if self.trial_ended else NOW + timedelta(days=1)
        return Subscription(
            "bob",
            plan=ids.get(self.plan.lower(), self.plan),
            status=self.status,
            trial_end=end if self.status is Status.TRIALING else None,
            updated_at=NOW - timedelta(days=2),
        )


def runtime_allows(old: Mapping[str, Any], user: User, plugin: str) -> bool:
    """As the runtime decided: by the plan alone, exact names, of equal plans the last."""
    plan = user.plan or "free"
    if user.status is Status.TRIALING and user.trial_ended:
        plan = "free"
    unlocked: list[str] = []
    for each in old["subscription_plans"]:
        if each["name"].lower() == plan.lower():
            unlocked = each["plugins_unlocked"]
    return "*" in unlocked or plugin in unlocked


NAMES = some.sampled_from(["free", "Free", "basic", "premium", "Pro Plus", "50k", "größte", "null"])
LATIN = some.text(some.characters(max_codepoint=0x17F, exclude_categories=["Cs"]), min_size=1)
"""Letters that no linter takes for those of another script, and signs that have to be escaped."""
OLD_PLANS = some.fixed_dictionaries(
    {"name": NAMES, "plugins_unlocked": some.lists(some.sampled_from([*PLUGINS, "*"]))},
    optional={"price": some.sampled_from([0, 9.99, 19]), "display_name": LATIN},
)
OLD_LISTS = some.fixed_dictionaries(
    {"subscription_plans": some.lists(OLD_PLANS)},
    optional={"settings": some.fixed_dictionaries({"trial_period_days": some.integers(0, 60)})},
)
USERS = some.builds(
    User, some.one_of(some.none(), NAMES, some.just("gone")), some.sampled_from(STATUSES),
    some.booleans(),
)  # fmt: skip


@settings(deadline=None)
@given(OLD_LISTS, some.lists(USERS, min_size=1))
def test_every_user_of_subscription_plans_has_the_plugins_of_before(
    old: dict[str, Any], users: list[User]
) -> None:
    with TemporaryDirectory() as folder:
        found, rules = imported(old, Path(folder))
    no_trials = old.get("settings") == {"trial_period_days": 0}
    for user in users:
        if user.status is Status.TRIALING and no_trials:
            continue
        for plugin in PLUGINS:
            verdict = decide(rules, ask(plugin=plugin), user.subscription(found))
            assert (verdict.effect is not Effect.DENY) == runtime_allows(old, user, plugin), user


SHIPPED = {
    "_comment": "feature gating only",
    "settings": {
        "show_subscription_status": True,
        "show_cancel_button": True,
        "trial_period_days": 14,
        "trial_plan": "premium",
        "default_plan": "free",
    },
    "subscription_plans": [
        {"name": "free", "price": 0, "features": ["Up to 5 notes"], "plugins_unlocked": []},
        {"name": "basic", "price": 9.99, "plugins_unlocked": ["notes"]},
        {"name": "premium", "price": 19.99, "plugins_unlocked": ["*"]},
    ],
}
"""The file that came with the runtime."""


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("plan", ["free", "basic", "premium", "gone", None])
def test_the_runtimes_own_file_says_what_it_said(
    plan: str | None, status: Status, tmp_path: Path
) -> None:
    found, rules = imported(SHIPPED, tmp_path)
    user = User(plan, status)
    for plugin in PLUGINS:
        verdict = decide(rules, ask(plugin=plugin), user.subscription(found))
        assert (verdict.effect is not Effect.DENY) == runtime_allows(SHIPPED, user, plugin)


def test_a_trial_that_names_neither_plan_nor_end_has_those_of_the_settings(tmp_path: Path) -> None:
    _, rules = imported(SHIPPED, tmp_path)
    trial = Subscription("bob", status=Status.TRIALING, updated_at=NOW - timedelta(days=13))
    assert rules.resolve(trial, ask(), NOW).plan == "premium"
    ended = replace(trial, updated_at=NOW - timedelta(days=14))
    assert rules.resolve(ended, ask(), NOW).plan == "free"


def test_the_dearest_plan_is_tried_where_no_trial_plan_is_named(tmp_path: Path) -> None:
    old = {"subscription_plans": SHIPPED["subscription_plans"]}
    found, rules = imported(old, tmp_path)
    trial = Subscription("bob", status=Status.TRIALING, updated_at=NOW)
    assert rules.resolve(trial, ask(), NOW).plan == "premium"
    assert "settings.trial_plan" in [note.what for note in found.notes]


def test_without_trial_days_nobody_is_on_trial(tmp_path: Path) -> None:
    old = SHIPPED | {"settings": {"trial_period_days": 0, "default_plan": "basic"}}
    _, rules = imported(old, tmp_path)
    trial = Subscription("bob", plan="premium", status=Status.TRIALING, updated_at=NOW)
    assert rules.resolve(trial, ask(), NOW).plan == "basic"


# -- plans with tokens --------------------------------------------------------------------------

TOKENS = some.one_of(some.none(), some.just(-1), some.just("unlimited"), some.integers(0, 3000))
SECTIONS = some.fixed_dictionaries(
    {"plugins": some.lists(some.sampled_from([*PLUGINS, "*", "basic_*", "b*", "?otes", "?*"]))},
    optional={"tokens_per_month": TOKENS, "price": some.integers(0, 9), "name": some.just("N")},
)
MAPPINGS = some.fixed_dictionaries(
    {
        "plans": some.dictionaries(
            some.sampled_from(["free", "pro", "no plan"]), SECTIONS, min_size=1
        )
    },
    optional={
        "enforcement": some.fixed_dictionaries(
            {},
            optional={
                "enabled": some.booleans(),
                "mode": some.sampled_from(["off", "advisory", "enforce"]),
            },
        )
    },
)


def meant(old: Mapping[str, Any], plan: str, plugin: str, used: int, asked: int) -> Effect:
    """What `plans` and `enforcement` say of a request."""
    section = old["plans"][plan]
    tokens = section.get("tokens_per_month")
    unlimited = tokens in (None, -1, "unlimited")
    fits = unlimited or used + max(asked, 1) <= tokens
    if fits and any(fnmatchcase(plugin, glob) for glob in section["plugins"]):
        return Effect.ALLOW
    enforcement = old.get("enforcement", {"enabled": False})
    mode = enforcement.get("mode", "enforce")
    if mode == "off":
        return Effect.ALLOW
    hard = mode == "enforce" and enforcement.get("enabled", True)
    return Effect.DENY if hard else Effect.WARN


@settings(deadline=None)
@given(MAPPINGS, some.integers(0, 3000), some.integers(0, 3000))
def test_plans_with_tokens_refuse_and_warn_as_they_were_meant(
    old: dict[str, Any], used: int, asked: int
) -> None:
    with TemporaryDirectory() as folder:
        found, rules = imported(old, Path(folder))
    for plan in found.plans:
        for plugin in PLUGINS:
            subscription = Subscription("bob", plan=plan.id, status=Status.ACTIVE, updated_at=NOW)
            spent = {f"{plan.id}-tokens-per-month": used}
            verdict = decide(rules, ask(plugin=plugin, tokens=asked), subscription, spent)
            assert verdict.effect is meant(old, plan.written, plugin, used, asked)


def test_the_smallest_old_file_refuses_nothing(tmp_path: Path) -> None:
    _, rules = imported({"plans": {"free": {"name": "Free"}}}, tmp_path)
    assert decide(rules, ask(plugin="any", tokens=10**9), never_synced(BOB)).effect is Effect.ALLOW


def test_who_has_no_subscription_is_refused_where_no_plan_is_for_them(tmp_path: Path) -> None:
    old = {"plans": {"pro": {"plugins": ["*"]}}, "enforcement": {"mode": "enforce"}}
    found, rules = imported(old, tmp_path)
    assert decide(rules, ask(), never_synced(BOB)).effect is Effect.DENY
    assert any("no plan 'free'" in note.why for note in found.notes)
