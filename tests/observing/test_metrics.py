"""What is exposed, in which words, and how much of it there can be."""

import random
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sidecar.adapters.metrics.catalogue import METRICS
from sidecar.adapters.metrics.described import Kind
from tests.in_process import application
from tests.observing.scraped import Scraped
from tests.processes import ROOT

POLICY = """
apiVersion: sidecar/v1
kind: Policy
metadata: {name: watched}
mode: enforce
defaults: {plan: free}
plans:
  free:
    name: Free
    plugins: ["basic_*"]
    limits:
      - {id: burst, meter: tokens, max: 1000, window: 1h, per: [user], warn_at: 0.5, status: 429}
      - {id: soft, meter: tokens, max: 100, window: 1h, per: [user], mode: advisory}
rules:
  - id: broken
    when: has(request.attributes.number) && int(request.attributes.number) == 1
    effect: warn
    on_error: skip
    message: never
"""


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / "policy.yaml").write_text(POLICY)
    async with application(tmp_path) as client:
        yield client


async def scrape(client: httpx.AsyncClient) -> Scraped:
    answer = await client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Scraped(answer.text)


async def check(client: httpx.AsyncClient, **asked: Any) -> httpx.Response:
    who = {"app_id": "a", "user_id": "u", "plugin": "basic_search"}
    return await client.post("/v1/check", json=who | asked)


async def test_the_page_of_metrics_has_every_one_in_its_own_words_and_no_other(
    client: httpx.AsyncClient,
) -> None:
    rows = re.findall(
        r"^\| `((?:entitlement|process|python)_\w+)` \| (\w+) \| (.*?) \| (.+) \|$",
        (ROOT / "sidecar/adapters/metrics/README.md").read_text(),
        re.MULTILINE,
    )
    told = {
        name: (kind, re.findall(r"`(\w+)`", labels), words) for name, kind, labels, words in rows
    }

    assert told == {each.name: (each.kind, list(each.labels), each.help) for each in METRICS}
    assert (await scrape(client)).names() == told.keys()


def test_names_follow_the_conventions() -> None:
    for metric in METRICS:
        assert re.fullmatch(r"(entitlement|process|python)(_[a-z0-9]+)+", metric.name)
        assert (metric.kind is Kind.COUNTER) is metric.name.endswith("_total"), metric.name
        assert (metric.kind is Kind.HISTOGRAM) is metric.name.endswith("_duration_seconds") or (
            metric.name == "entitlement_event_loop_lag_seconds"
        ), metric.name
        assert not {"user", "app", "tenant", "model", "key", "customer"} & set(metric.labels)


async def test_every_decision_is_counted_by_effect_mode_and_plan(
    client: httpx.AsyncClient,
) -> None:
    statuses = [
        (await check(client, estimated_tokens=tokens, reserve=True)).status_code
        for tokens in (90, 450, 900)
    ]
    statuses.append((await check(client, plugin="admin")).status_code)
    found = await scrape(client)

    assert statuses == [200, 200, 429, 402]
    name = "entitlement_decisions_total"
    counted = {
        effect: found.value(name, effect=effect, mode="enforce", plan="free")
        for effect in ("allow", "warn", "deny")
    }
    assert counted == {"allow": 1, "warn": 1, "deny": 2}
    assert found.total(name) == found.value("entitlement_decision_duration_seconds_count") == 4
    assert found.value("entitlement_limit_near_total", limit="burst") == 2
    assert found.value("entitlement_limit_over_total", limit="burst") == 1
    assert found.value("entitlement_limit_over_total", limit="soft") == 3
    assert found.value("entitlement_would_deny_total", policy="soft") == 3
    assert found.value("entitlement_reservations_total", event="held") == 2
    reasons = "entitlement_decision_reasons_total"
    assert found.total(reasons, reason="plugin_not_in_plan", policy="free.plugins") == 1
    assert found.value("entitlement_http_requests_total", route="/v1/check", status="429") == 1


async def test_what_cannot_be_evaluated_is_counted_by_its_rule(client: httpx.AsyncClient) -> None:
    await check(client, attributes={"number": "no number"})
    found = await scrape(client)

    assert found.value("entitlement_indeterminate_decisions_total") == 1
    assert found.value("entitlement_policy_errors_total", policy="broken") == 1


async def test_tokens_of_usage_are_counted_once_each_and_those_of_duplicates_apart(
    client: httpx.AsyncClient,
) -> None:
    event = {"app_id": "a", "user_id": "u", "event_id": "e-1", "total_tokens": 70}
    other = event | {"event_id": "e-2", "total_tokens": 5}
    await client.post("/v1/usage", json=[event, {"app_id": "a"}])
    await client.post("/v1/usage", json=[event, other])
    await client.post("/v1/usage", json={"user_id": "u"})
    found = await scrape(client)

    events = "entitlement_usage_events_total"
    assert [
        found.value(events, result=result) for result in ("accepted", "duplicate", "rejected")
    ] == [2, 1, 2]
    tokens = "entitlement_usage_tokens_total"
    assert [found.value(tokens, result=each) for each in ("accepted", "duplicate")] == [75, 70]


async def test_what_became_of_reservations_is_counted(client: httpx.AsyncClient) -> None:
    async def held() -> str:
        answer = await check(client, estimated_tokens=1, reserve=True)
        return str(answer.json()["reservation"]["id"])

    used, again = {"total_tokens": 1}, await held()
    await client.post(f"/v1/reservations/{again}/extend", json={})
    await client.post(f"/v1/reservations/{again}/commit", json=used | {"final": False})
    await client.post(f"/v1/reservations/{again}/commit", json=used)
    await client.post(f"/v1/reservations/{await held()}/release", json={})
    found = await scrape(client)

    assert {
        event: found.value("entitlement_reservations_total", event=event)
        for event in ("held", "extended", "committed", "released", "late", "expired")
    } == {"held": 2, "extended": 1, "committed": 1, "released": 1, "late": 0, "expired": 0}


async def test_ten_thousand_users_apps_models_and_plans_make_no_further_series(
    client: httpx.AsyncClient,
) -> None:
    pushed = {"userId": "u-0", "plan": "free", "status": "active"}
    await client.post("/api/internal/subscription/sync", json=pushed)
    await check(client, user_id="u-0", model="m")
    await check(client, user_id="nobody", plugin="none")
    await client.post("/api/internal/subscription/sync", json=pushed | {"plan": "nobody's"})
    await check(client, user_id="u-0")
    before = await scrape(client)
    random_ = random.Random(7)
    for batch in range(100):
        names = [f"{random_.randrange(1 << 60):x}" for _ in range(100)]
        checks = [
            {
                "app_id": f"app-{name}", "user_id": name, "model": f"model-{name}",
                "plugin": f"basic_{name}", "workflow": name, "agent": name, "feature": None,
            }
            for name in names
        ]  # fmt: skip
        assert (await client.post("/v1/checks", json={"checks": checks})).status_code == 200
        if batch % 10 == 0:
            for name in names[:10]:
                plan = {"userId": name, "plan": f"plan-{name}", "status": "active"}
                await client.post("/api/internal/subscription/sync", json=plan)
                await check(client, user_id=name)
                await client.get(f"/no/such/path/{name}")
                await client.get(f"/v1/subscriptions/app-{name}/{name}")
    after = await scrape(client)
    new = {place for place in after.samples if place not in before.samples}

    assert after.total("entitlement_decisions_total") >= 10_100
    assert after.total("entitlement_decisions_total", plan="_none") == 101
    paths = {"/metrics", "/v1/checks", "/v1/subscriptions/{app_id}/{user_id}", "_other"}
    assert {dict(labels).get("route") for _, labels in new} <= paths
    assert len(new) <= len(paths)
    assert len(after.samples) < 400


async def test_limits_beyond_five_hundred_are_counted_together(tmp_path: Path) -> None:
    limits = "\n".join(
        f"      - {{id: limit-{number}, meter: requests, max: 0, window: 1h, per: [app, user]}}"
        for number in range(600)
    )
    head = POLICY.partition("    limits:\n")[0]
    (tmp_path / "policy.yaml").write_text(f"{head}    limits:\n{limits}\n")
    async with application(tmp_path) as client:
        await check(client)
        await check(client)
        found = await scrape(client)

    over = "entitlement_limit_over_total"
    assert sum(name == over for name, _ in found.samples) == 501
    assert found.value(over, limit="_other") == 200
    assert found.value("entitlement_metric_overflow_total", label="limit") == 200


async def test_a_reload_and_its_refusal_are_seen(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY)
    async with application(tmp_path, sidecar_policies_poll_s=0) as client:
        first = await scrape(client)
        file.write_text(POLICY.replace("max: 1000", "max: 2000"))
        await client.post("/v1/policies/reload")
        file.write_text("mode: nonsense")
        await client.post("/v1/policies/reload")
        second = await scrape(client)

    reloads = "entitlement_policy_reload_total"
    assert [second.value(reloads, result=each) for each in ("loaded", "rejected")] == [1, 1]
    refused = "entitlement_policy_rejected"
    assert (first.value(refused), second.value(refused)) == (0, 1)
    assert len(digests(first)) == len(digests(second)) == 1
    assert digests(first) != digests(second)


def digests(found: Scraped) -> list[str]:
    return [
        dict(labels)["digest"]
        for name, labels in found.samples
        if name == "entitlement_policy_info"
    ]


async def test_the_process_is_told(client: httpx.AsyncClient) -> None:
    found = await scrape(client)

    assert 10e6 < found.value("process_resident_memory_bytes") < 10e9
    assert found.value("process_open_fds") > 3
    assert found.value("process_cpu_seconds_total") > 0
    assert found.value("process_start_time_seconds") > 1.6e9
    assert found.value("python_gc_collections_total", generation="0") > 0
    assert found.value("entitlement_workers") == 1
