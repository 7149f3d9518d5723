"""What the platform says of a whole app, and what its users may do then."""

import copy
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.in_process import application
from tests.integration.test_api_bad_input import assert_problem
from tests.processes import redis_server

APP = "app_abc123"
SYNC = f"/api/v1/entitlements/{APP}/sync"
POLICY = """
apiVersion: sidecar/v1
kind: Policy
metadata: {name: test}
mode: enforce
defaults: {plan: free}
plans:
  free:
    name: Free
    plugins: ["basic_*"]
    features: {code_execution: true}
    limits:
      - {id: mine, meter: tokens, max: 5000000, window: month}
  starter_monthly:
    name: Starter
    extends: free
    plugins: {allow: ["*"], deny: ["admin_*"]}
    features: {"*": true}
"""
MANIFEST: dict[str, Any] = {
    "version": "1.0",
    "app_id": APP,
    "tenant_id": "tenant_xyz",
    "plan": {
        "id": "starter_monthly",
        "name": "Starter",
        "tier": "starter",
        "billing_period": "monthly",
        "expires_at": None,
    },
    "token_budget": {
        "period": "monthly",
        "total_tokens": {"limit": 1_000_000, "used": 0, "enforcement": "soft"},
        "per_model_limits": {
            "gpt-4": {"limit": 100_000, "used": 0, "enforcement": "hard"},
            "gpt-3.5-turbo": {"limit": 900_000, "enforcement": "warn"},
        },
        "rollover": False,
        "burst_allowance": 10,
    },
    "features": {"streaming": True, "code_execution": False},
    "rate_limits": {"requests_per_minute": 60, "concurrent_workflows": 5},
    "plugins": {
        "allowed": [],
        "blocked": ["scraper", "crypto_*"],
        "per_plugin_limits": {"web_search": {"calls_per_period": 2, "period": "daily"}},
    },
}
WARNED = ("warn", 200)
ALLOWED = ("allow", 200)
TABLE: list[tuple[str, dict[str, Any], dict[str, Any], tuple[str, int], list[str]]] = [
    # what it is, what was used before, what is asked, effect and status, ids of the reasons
    ("little of anything", {}, {"estimated_tokens": 500}, ALLOWED, []),
    ("just below the budget", {"any": 999_000}, {"estimated_tokens": 999}, ALLOWED, []),
    ("the whole budget", {"any": 999_000}, {"estimated_tokens": 1_000}, WARNED, ["tokens"]),
    ("the whole burst", {"any": 1_099_000}, {"estimated_tokens": 1_000}, WARNED, ["tokens"]),
    ("beyond the burst, softly", {"any": 1_099_000}, {"estimated_tokens": 1_001}, WARNED,
     ["tokens"]),
    ("little of a model", {}, {"model": "gpt-4", "estimated_tokens": 500}, ALLOWED, []),
    ("the whole of a model", {"gpt-4": 99_000}, {"model": "gpt-4", "estimated_tokens": 1_000},
     WARNED, ["model-gpt-4"]),
    ("the burst of a model", {"gpt-4": 109_000}, {"model": "gpt-4", "estimated_tokens": 1_000},
     WARNED, ["model-gpt-4"]),
    ("beyond the burst of a model", {"gpt-4": 109_000},
     {"model": "gpt-4", "estimated_tokens": 1_001}, ("deny", 402), ["model-gpt-4"]),
    ("another model then", {"gpt-4": 110_000}, {"model": "gpt-4o", "estimated_tokens": 1_000},
     ALLOWED, []),
    ("a model that only warns", {"gpt-3.5-turbo": 950_000},
     {"model": "gpt-3.5-turbo", "estimated_tokens": 1_000}, WARNED, ["model-gpt-3.5-turbo"]),
    ("both at once", {"gpt-4": 110_000, "any": 990_000},
     {"model": "gpt-4", "estimated_tokens": 1}, ("deny", 402), ["model-gpt-4", "tokens"]),
    ("the sixtieth request of a minute", {"requests": 59}, {}, ALLOWED, []),
    ("one more", {"requests": 60}, {}, ("deny", 429), ["requests-per-minute"]),
    ("the fifth at once", {"running": 4}, {"reserve": True}, ALLOWED, []),
    ("the sixth at once", {"running": 5}, {"reserve": True}, ("deny", 429), ["concurrency"]),
    ("a blocked plugin", {}, {"plugin": "scraper"}, ("deny", 402), ["starter_monthly.plugins"]),
    ("a plugin that the plan denies", {}, {"plugin": "admin_users"}, ("deny", 402),
     ["starter_monthly.plugins"]),
    ("a plugin that was called too often", {"plugin": 2}, {"plugin": "web_search"},
     ("deny", 402), ["plugin-web_search"]),
    ("a feature that is switched off", {}, {"feature": "code_execution"}, ("deny", 402),
     ["starter_monthly.features"]),
]  # fmt: skip


@pytest.fixture(params=["sqlite", "redis", "redis with leases"])
async def client(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """Two plans over each store, empty; Redis is a real redis-server."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    async with AsyncExitStack() as stack:
        store = "sqlite://"
        if request.param != "sqlite":
            home = tmp_path / "redis"
            home.mkdir()
            store = stack.enter_context(redis_server(home)).url
        settings: dict[str, Any] = {
            "sidecar_store": store,
            "sidecar_store_timeout_ms": 5_000,
            "sidecar_leases": request.param == "redis with leases",
        }
        yield await stack.enter_async_context(application(tmp_path, **settings))


def manifest(**parts: Any) -> dict[str, Any]:
    return copy.deepcopy(MANIFEST) | parts


async def push(client: httpx.AsyncClient, body: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(f"/api/v1/entitlements/{body['app_id']}/sync", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def check(
    client: httpx.AsyncClient, app: str = APP, user: str = "ann", **asked: Any
) -> dict[str, Any]:
    answer = await client.post("/v1/check", json={"app_id": app, "user_id": user, **asked})
    assert answer.status_code == answer.json()["status"]
    return dict(answer.json())


async def use(client: httpx.AsyncClient, app: str = APP, user: str = "eve", **used: Any) -> None:
    answer = await client.post("/v1/usage", json={"app_id": app, "user_id": user, **used})
    assert answer.json()["accepted"] == 1, answer.text


async def limits(client: httpx.AsyncClient, app: str = APP) -> dict[str, dict[str, Any]]:
    answer = await client.get("/v1/entitlements", params={"app_id": app, "user_id": "ann"})
    return {limit["id"]: limit for limit in answer.json()["limits"]}


async def bring_about(client: httpx.AsyncClient, app: str, before: dict[str, Any]) -> None:
    """Use what others are to have used, told a request at a time where requests count."""
    for what, amount in before.items():
        match what:
            case "any":
                await use(client, app, total_tokens=amount)
            case "requests":
                for _ in range(amount):
                    await use(client, app, total_tokens=0, event_id=f"{app}-{_}")
            case "running":
                for number in range(amount):
                    await check(client, app, f"user-{number}", reserve=True)
            case "plugin":
                for number in range(amount):
                    await use(client, app, plugin="web_search", event_id=f"{app}-{number}")
            case model:
                await use(client, app, model_name=model, total_tokens=amount)


async def test_the_platforms_manifest_gives_the_answers_of_the_table(
    client: httpx.AsyncClient,
) -> None:
    assert len(TABLE) == 20
    answers = []
    for number, (name, before, asked, _, _) in enumerate(TABLE):
        app = f"app-{number}"
        synced = await push(client, manifest(app_id=app))
        assert (synced["status"], synced["warnings"]) == ("synced", [])
        await bring_about(client, app, before)
        answer = await check(client, app, **asked)
        ids = [reason["id"].removeprefix("manifest-") for reason in answer["reasons"]]
        answers.append((name, (answer["effect"], answer["status"]), ids))

    assert answers == [(name, said, ids) for name, _, _, said, ids in TABLE]


# -- what is used, and what is said anew -----------------------------------------------------


def budgeted(used: int = 0, **parts: Any) -> dict[str, Any]:
    """A hard budget of a thousand tokens, and nothing beside it."""
    total = {"limit": 1_000, "used": used, "enforcement": "hard"}
    budget = {"period": "monthly", "total_tokens": total} | parts
    return {"version": "1.0", "app_id": APP, "plan": {"id": "free"}, "token_budget": budget}


async def test_all_users_of_an_app_draw_on_one_budget_and_other_apps_do_not(
    client: httpx.AsyncClient,
) -> None:
    await push(client, budgeted())
    await use(client, user="eve", total_tokens=600)
    await use(client, user="mallory", total_tokens=300)
    await use(client, app="another", total_tokens=100_000)

    assert (await limits(client))["manifest-tokens"]["used"] == 900
    assert (await check(client, user="ann", estimated_tokens=101))["effect"] == "deny"
    assert (await check(client, user="ann", estimated_tokens=100))["effect"] == "allow"
    assert (await check(client, app="another", estimated_tokens=101))["effect"] == "allow"


async def test_a_reservation_holds_in_the_budget_and_its_commit_is_what_counts(
    client: httpx.AsyncClient,
) -> None:
    await push(client, budgeted())
    held = await check(client, reserve=True, estimated_tokens=700)
    refused = await check(client, user="bob", reserve=True, estimated_tokens=301)
    await client.post(
        f"/v1/reservations/{held['reservation']['id']}/commit", json={"total_tokens": 200}
    )

    assert (refused["effect"], refused["reservation"]) == ("deny", None)
    assert (await limits(client))["manifest-tokens"]["remaining"] == 800


async def test_what_was_used_elsewhere_is_counted_once_in_a_period(
    client: httpx.AsyncClient,
) -> None:
    for _ in range(2):
        await push(client, budgeted(used=400))
    await use(client, total_tokens=50)
    await push(client, budgeted(used=900))

    assert (await limits(client))["manifest-tokens"]["used"] == 450
    reported = await client.get("/v1/usage", params={"app_id": APP})
    totals = reported.json()["totals"]
    assert (totals["total_tokens"], totals["requests"]) == (50, 1)


async def test_what_was_counted_already_is_not_added_to_what_the_platform_knows(
    client: httpx.AsyncClient,
) -> None:
    await push(client, budgeted())
    await use(client, total_tokens=300)
    await push(client, budgeted(used=400))

    assert (await limits(client))["manifest-tokens"]["used"] == 400


async def test_what_was_used_of_a_model_is_counted_for_that_model_alone(
    client: httpx.AsyncClient,
) -> None:
    strange = "acme/gpt 4:1%}"
    allocation = {"limit": 100, "used": 99, "enforcement": "hard"}
    await push(client, budgeted(per_model_limits={strange: allocation, "b": {"limit": 7}}))

    found = await limits(client)
    assert found["manifest-model-acme%2Fgpt%204%3A1%25%7D"]["used"] == 99
    assert (found["manifest-model-b"]["used"], found["manifest-tokens"]["used"]) == (0, 0)
    assert (await check(client, model=strange, estimated_tokens=2))["effect"] == "deny"
    assert (await check(client, model="acme/gpt", estimated_tokens=2))["effect"] == "allow"


async def test_a_push_replaces_all_and_keeps_what_was_used(client: httpx.AsyncClient) -> None:
    first = await push(client, manifest())
    await use(client, total_tokens=500)
    bare = {"version": "1.0", "app_id": APP, "plan": {"id": "free", "tier": "free"}}
    second = await push(client, bare)
    before = await limits(client)
    third = await push(client, manifest())

    assert (first["previous_tier"], first["new_tier"]) == (None, "starter")
    assert (second["previous_tier"], second["new_tier"]) == ("starter", "free")
    assert (third["previous_tier"], third["error"]) == ("free", None)
    assert [name for name in before if name.startswith("manifest")] == []
    assert (await limits(client))["manifest-tokens"]["used"] == 500


async def test_an_older_version_changes_nothing_and_says_so(client: httpx.AsyncClient) -> None:
    newer = budgeted() | {"version": "1.10", "plan": {"id": "free", "tier": "new"}}
    await push(client, newer)
    stale = await push(client, budgeted(used=900) | {"version": "1.9"})
    same = await push(client, newer | {"version": "1.10.0"})

    assert (stale["status"], stale["new_tier"]) == ("stale", "new")
    assert same["status"] == "synced"
    assert (await limits(client))["manifest-tokens"]["used"] == 0


async def test_what_is_left_is_carried_on_from_the_first_whole_period_on(
    client: httpx.AsyncClient,
) -> None:
    await push(client, budgeted(rollover=True))
    assert (await limits(client))["manifest-tokens"]["limit"] == 1_000


# -- whom it concerns ------------------------------------------------------------------------


async def test_the_apps_plan_is_that_of_users_without_one(client: httpx.AsyncClient) -> None:
    assert (await check(client))["plan"] == "free"
    await push(client, manifest())
    assert (await check(client))["plan"] == "starter_monthly"
    own = {"userId": "ann", "plan": "free", "status": "active"}
    await client.post("/api/internal/subscription/sync", json=own)
    assert (await check(client))["plan"] == "free"
    assert (await check(client, user="bob"))["plan"] == "starter_monthly"


async def test_a_plan_that_has_ended_leaves_the_default_plan_under_the_budgets(
    client: httpx.AsyncClient,
) -> None:
    ended = budgeted()
    ended["plan"] = {"id": "starter_monthly", "expires_at": "2026-01-01T00:00:00Z"}
    await push(client, ended)
    answer = await check(client, estimated_tokens=1_001)

    assert (answer["plan"], answer["effect"]) == ("free", "deny")


async def test_a_plan_that_no_policy_knows_is_told_and_the_default_plan_holds(
    client: httpx.AsyncClient,
) -> None:
    synced = await push(client, budgeted() | {"plan": {"id": "platinum"}})

    assert synced["warnings"] == [
        "no policy knows the plan 'platinum': users without one have the default plan"
    ]
    assert (await check(client))["plan"] == "free"


async def test_the_use_of_a_user_whose_plan_is_unknown_counts_for_the_app(
    client: httpx.AsyncClient,
) -> None:
    await push(client, budgeted())
    gone = {"userId": "eve", "plan": "gone", "status": "active"}
    await client.post("/api/internal/subscription/sync", json=gone)
    await use(client, user="eve", total_tokens=700)
    answer = await check(client, user="eve", estimated_tokens=301)

    assert [reason["code"] for reason in answer["reasons"]] == ["unknown_plan", "quota_exceeded"]
    assert (await limits(client))["manifest-tokens"]["used"] == 700


# -- plugins and features --------------------------------------------------------------------


async def test_plugins_are_those_that_both_allow(client: httpx.AsyncClient) -> None:
    plugins = {"allowed": ["basic_search", "web_search", "admin_users"], "blocked": ["web_*"]}
    await push(client, manifest(plugins=plugins))
    await client.post(
        "/api/internal/subscription/sync",
        json={"userId": "bob", "plan": "free", "status": "active"},
    )

    async def allowed(user: str) -> list[str]:
        asked = ["basic_search", "basic_mail", "web_search", "admin_users"]
        answers = [await check(client, user=user, plugin=plugin) for plugin in asked]
        return [
            plugin for plugin, it in zip(asked, answers, strict=True) if it["effect"] == "allow"
        ]

    assert await allowed("ann") == ["basic_search"]
    assert await allowed("bob") == ["basic_search"]
    shown = await client.get("/v1/entitlements", params={"app_id": APP, "user_id": "ann"})
    assert shown.json()["plugins"] == {
        "allow": ["basic_search", "web_search", "admin_users"],
        "deny": ["admin_*", "web_*"],
    }


async def test_a_feature_is_there_where_plan_and_manifest_agree(
    client: httpx.AsyncClient,
) -> None:
    features = {"streaming": True, "code_execution": False, "memory": True}
    await push(client, manifest(features=features))
    asked = ["streaming", "code_execution", "unnamed"]
    starter = [(await check(client, feature=name))["effect"] for name in asked]
    own = {"userId": "bob", "plan": "free", "status": "active"}
    await client.post("/api/internal/subscription/sync", json=own)
    free = [(await check(client, user="bob", feature=name))["effect"] for name in asked]

    assert starter == ["allow", "deny", "allow"]
    assert free == ["deny", "deny", "deny"]


async def test_no_upgrade_is_offered_that_the_manifest_would_refuse_too(
    client: httpx.AsyncClient,
) -> None:
    await push(client, manifest(plan={"id": "free"}))
    mended = await check(client, plugin="web_search")
    blocked = await check(client, plugin="scraper")

    assert [remedy["plan"] for remedy in mended["remedies"]] == ["starter_monthly"]
    assert blocked["remedies"] == []


# -- how strictly ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("enforcement", "effect", "codes", "would_deny"),
    [
        ("none", "allow", [], []),
        ("warn", "warn", ["quota_warning"], []),
        ("soft", "warn", ["quota_exceeded"], ["manifest-tokens"]),
        ("hard", "deny", ["quota_exceeded"], []),
    ],
)
async def test_each_enforcement_says_what_it_means(
    client: httpx.AsyncClient,
    enforcement: str,
    effect: str,
    codes: list[str],
    would_deny: list[str],
) -> None:
    total = {"limit": 1_000, "enforcement": enforcement}
    await push(client, budgeted(total_tokens=total))
    answer = await check(client, estimated_tokens=1_001)

    assert answer["effect"] == effect
    assert [reason["code"] for reason in answer["reasons"]] == codes
    assert answer["would_deny"] == would_deny


async def test_a_warning_names_the_limit_that_was_reached(client: httpx.AsyncClient) -> None:
    await push(client, budgeted(total_tokens={"limit": 1_000, "enforcement": "warn"}))
    [reason] = (await check(client, estimated_tokens=1_234))["reasons"]
    assert reason["message"] == "1,234 of 1,000 tokens this month (UTC)."

    explained = await client.post(
        "/v1/explain", json={"app_id": APP, "user_id": "ann", "estimated_tokens": 1_234}
    )
    told = {limit["id"]: limit for limit in explained.json()["explanation"]["limits"]}
    assert told["manifest-tokens"]["why"] == (
        "0 used + 1,234 asked; there is no bound, and it warns from 1,000 on"
    )


@pytest.mark.parametrize(("burst", "bound"), [(0, 1_000), (10, 1_100), (0.1, 1_100), (1, 1_010)])
async def test_a_burst_is_told_in_per_cent_or_below_one_as_a_part(
    client: httpx.AsyncClient, burst: float, bound: int
) -> None:
    await push(client, budgeted(burst_allowance=burst))
    within = await check(client, estimated_tokens=bound)
    beyond = await check(client, estimated_tokens=bound + 1)

    assert (within["effect"], beyond["effect"]) == ("warn" if burst else "allow", "deny")
    assert (await limits(client))["manifest-tokens"]["limit"] == bound


async def test_nothing_denies_where_the_operator_lets_nothing_deny(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    async with application(tmp_path, mozaiks_enforce_quotas=False) as client:
        await push(client, budgeted())
        answer = await check(client, estimated_tokens=1_001)

    assert (answer["effect"], answer["would_deny"]) == ("warn", ["manifest-tokens"])


async def test_an_override_holds_until_it_ends(client: httpx.AsyncClient) -> None:
    body = budgeted(burst_allowance=10)
    over = {"limit": 2_000, "until": "2999-01-01T00:00:00Z", "reason": "launch"}
    await push(client, body | {"overrides": {"manifest-tokens": over}})
    assert (await limits(client))["manifest-tokens"]["limit"] == 2_200
    await push(client, body | {"overrides": {"manifest-tokens": over | {"limit": -1}}})
    assert (await limits(client))["manifest-tokens"]["limit"] is None
    ended = over | {"until": "2026-01-01T00:00:00Z"}
    await push(client, body | {"overrides": {"manifest-tokens": ended}})
    assert (await limits(client))["manifest-tokens"]["limit"] == 1_100


async def test_unlimited_is_counted_and_refuses_nothing(client: httpx.AsyncClient) -> None:
    body = budgeted(total_tokens={"limit": -1, "enforcement": "hard"})
    await push(client, body | {"rate_limits": {"requests_per_minute": -1}})
    await use(client, total_tokens=10_000_000)
    answer = await check(client, user="ann", estimated_tokens=4_000_000)

    assert answer["effect"] == "allow"
    found = {limit["id"]: limit for limit in answer["limits"]}
    assert (found["manifest-tokens"]["used"], found["manifest-tokens"]["limit"]) == (
        10_000_000,
        None,
    )
    assert "manifest-requests-per-minute" not in found


# -- why, and what is refused ----------------------------------------------------------------


async def test_an_explanation_shows_the_manifests_limits_and_where_they_come_from(
    client: httpx.AsyncClient,
) -> None:
    await push(client, manifest())
    answer = await client.post(
        "/v1/explain",
        json={
            "app_id": APP, "user_id": "ann", "model": "gpt-4", "plugin": "scraper",
            "feature": "code_execution", "estimated_tokens": 200_000,
        },
    )  # fmt: skip
    explanation = answer.json()["explanation"]
    told = {limit["id"]: limit for limit in explanation["limits"]}

    assert told["manifest-model-gpt-4"]["does"] == "denies"
    [when] = told["manifest-model-gpt-4"]["expressions"]
    assert (when["text"], when["value"]) == ("request.model == constants.name", "true")
    assert not told["manifest-model-gpt-3.5-turbo"]["applies"]
    assert {name["why"] for name in explanation["names"]} == {
        "deny names 'scraper'",
        "features says code_execution: false",
    }
    assert {name["place"] for name in explanation["names"]} == {"manifest:1"}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"observability": {"level": "full"}}, "'observability' is not supported here"),
        ({"metadata": {}}, "'metadata' is not supported here"),
        ({"version": "new"}, "numbers with dots between them"),
        ({"version": None}, "version"),
        ({"plan": None}, "plan"),
        ({"plan": {"id": "free", "price": 3}}, "'price' is not supported here"),
        ({"app_id": "other"}, "the path says 'app_abc123'"),
        ({"token_budget": {"rollover": True, "period": "lifetime"}}, "has no next period"),
        ({"token_budget": {"period": "annual"}}, "period"),
        ({"token_budget": {"burst_allowance": 101}}, "burst_allowance"),
        ({"token_budget": {"burst_allowance": -1}}, "burst_allowance"),
        ({"token_budget": {"total_tokens": {"limit": -2}}}, "limit"),
        ({"token_budget": {"total_tokens": {"enforcement": "harsh"}}}, "enforcement"),
        ({"token_budget": {"total_tokens": {"reserved": 5}}}, "reserved"),
        ({"token_budget": {"cached_tokens": {"limit": 5}}}, "'cached_tokens' is not supported"),
        ({"rate_limits": {"max_workflow_duration_seconds": 300}}, "the sidecar does not see it"),
        ({"rate_limits": {"requests_per_second": 5}}, "'requests_per_second' is not supported"),
        ({"plugins": {"allowed": ["basic_*"]}}, "ids are allowed one by one"),
        ({"plugins": {"per_plugin_limits": {"x": {"calls": 5}}}}, "'calls' is not supported"),
        ({"features": {"streaming": 1}}, "features.streaming"),
        ({"features": {"*": False}}, "'*' is not supported"),
        ({"overrides": {"promotional_tokens": {"limit": 5}}}, "no limit 'promotional_tokens'"),
        ({"overrides": {"manifest-tokens": {"until": None}}}, "overrides.manifest-tokens.limit"),
    ],
)
async def test_what_is_not_understood_is_refused_by_name_and_changes_nothing(
    wrong: dict[str, Any], named: str
) -> None:
    async with application() as client:
        answer = await client.post(SYNC, json=budgeted() | wrong)
        told = assert_problem(answer, 422, "invalid_body")

        assert named in str(told["errors"]), told["errors"]
        assert "manifest-tokens" not in await limits(client)


async def test_what_asks_for_nothing_is_taken(client: httpx.AsyncClient) -> None:
    nothing: dict[str, Any] = {"max_agents_per_workflow": -1, "requests_per_hour": None}
    body = budgeted() | {"rate_limits": nothing, "plugins": None, "correlation_id": "c-1"}
    body["plan"] = {"id": "free", "expires_at": None, "tier": None, "billing_period": None}

    assert (await push(client, body))["status"] == "synced"
