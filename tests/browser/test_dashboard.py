"""The dashboard, as somebody sees and uses it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Scheme, Visit
from tests.browser.looking import PHONE, barriers, photograph
from tests.processes import ROOT, Sidecar

RUNTIME = {"Authorization": "Bearer run-1"}
USER = "/dashboard/user?app_id=acme&user_id=ann"
APP = "/dashboard/app?app_id=acme"
SOON_MS = 15_000
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet", "llama-3", "o3")
WORK = (("support", "planner", "basic_search"), ("research", "reader", "basic_web"), ("", "", ""))


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A running server with keys, prices and an app that has used something for a day."""
    folder: Path = tmp_path_factory.mktemp("dashboard")
    env = {
        "SIDECAR_READ_KEYS": "read-1", "SIDECAR_RUNTIME_KEYS": "run-1",
        "SIDECAR_PRICES": str(ROOT / "policies/examples/prepaid/prices/models.yaml"),
    }  # fmt: skip
    with Sidecar(store="sqlite:///./sidecar.db", cwd=folder, env=env) as sidecar:
        now = datetime.now(UTC)
        events = [
            {
                "app_id": "acme", "user_id": f"user-{number % 17}", "event_id": f"e{number}",
                "event_ts": (now - timedelta(minutes=7 * number)).isoformat(),
                "model_name": MODELS[number % 5], "workflow_name": workflow, "agent_name": agent,
                "plugin": plugin, "prompt_tokens": 400 + 13 * (number % 90),
                "completion_tokens": 90 + 7 * (number % 40),
            }
            for number in range(200)
            for workflow, agent, plugin in (WORK[number % 3],)
        ]  # fmt: skip
        answer = sidecar.client.post("/v1/usage", json=events, headers=RUNTIME)
        assert answer.json()["accepted"] == len(events)
        yield sidecar


def use(sidecar: Sidecar, user_id: str, tokens: int) -> None:
    """Report that a user used something."""
    event = {
        "app_id": "acme", "user_id": user_id, "total_tokens": tokens, "model_name": "gpt-4o",
        "workflow_name": "support",
    }  # fmt: skip
    answer = sidecar.client.post("/v1/usage", json=event, headers=RUNTIME)
    assert answer.status_code == 202


def enter(
    visit: Visit,
    sidecar: Sidecar,
    path: str,
    scheme: Scheme = "light",
    size: tuple[int, int] = (1280, 900),
) -> Page:
    """A page, after signing in."""
    page = visit(sidecar.url, path, scheme=scheme, size=size)
    page.get_by_label("Read key").fill("read-1")
    page.get_by_role("button", name="Sign in").click()
    # Its script lets it be seen: before that, nothing hears what somebody does.
    page.get_by_role("button", name="Pause").wait_for()
    return page


def test_somebody_signs_in_looks_around_and_leaves(sidecar: Sidecar, visit: Visit) -> None:
    page = enter(visit, sidecar, "/dashboard")

    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.get_by_role("table", name="Apps").get_by_role("link", name="acme").click()
    expect(page).to_have_url(sidecar.url + APP)
    expect(page.get_by_role("heading", level=1)).to_have_text("acme")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Read key")).to_be_visible()
    page.goto(sidecar.url + APP)
    expect(page.get_by_label("Read key")).to_be_visible()


def test_a_wrong_key_is_told_so_and_lets_nobody_in(sidecar: Sidecar, visit: Visit) -> None:
    page = visit(sidecar.url, "/dashboard")
    page.get_by_label("Read key").fill("run-1")
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("alert")).to_contain_text("not known, or is not for reading")
    photograph(page, "dashboard-wrong-key")
    assert barriers(page) == []
    assert page.context.cookies() == []


def test_a_quota_moves_while_somebody_looks_at_it(sidecar: Sidecar, visit: Visit) -> None:
    use(sidecar, "ann", 1_000)
    page = enter(visit, sidecar, USER)
    page.evaluate("window.isTheSamePage = true")
    meter = page.get_by_role("meter", name="free-tokens-per-month")
    expect(meter).to_have_attribute("aria-valuenow", "1000")

    use(sidecar, "ann", 7_500)

    expect(meter).to_have_attribute("aria-valuenow", "8500", timeout=SOON_MS)
    expect(meter).to_have_attribute("aria-valuetext", "8,500 of 10,000 used, 1,500 remaining")
    expect(page.locator("#gauge-1")).to_contain_text("near")
    expect(page.locator("#figures")).to_contain_text("8,500", timeout=SOON_MS)
    assert page.evaluate("window.isTheSamePage") is True


def test_whoever_stands_on_a_link_stays_there_while_the_page_moves(
    sidecar: Sidecar, visit: Visit
) -> None:
    use(sidecar, "cat", 500)
    page = enter(visit, sidecar, APP)
    link = page.get_by_role("table", name="By model").get_by_role("link", name="gpt-4o-mini")
    link.focus()
    shown = page.locator("#figures").inner_text()

    use(sidecar, "cat", 321)

    expect(page.locator("#figures")).not_to_have_text(shown, timeout=SOON_MS)
    expect(link).to_be_focused()


def test_whoever_pauses_a_page_reads_in_peace(sidecar: Sidecar, visit: Visit) -> None:
    use(sidecar, "eve", 1_000)
    page = enter(visit, sidecar, "/dashboard/user?app_id=acme&user_id=eve")
    meter = page.get_by_role("meter", name="free-tokens-per-month")
    pause = page.get_by_role("button", name="Pause")
    pause.click()
    expect(pause).to_have_attribute("aria-pressed", "true")
    use(sidecar, "eve", 500)
    # As long as three of its questions would take.
    page.wait_for_function(
        "(since) => performance.now() > since + 9000", arg=page.evaluate("performance.now()")
    )

    expect(meter).to_have_attribute("aria-valuenow", "1000")
    pause.click()
    expect(meter).to_have_attribute("aria-valuenow", "1500", timeout=SOON_MS)


def test_a_refusal_is_opened_and_says_why(sidecar: Sidecar, visit: Visit) -> None:
    use(sidecar, "dan", 12_000)
    asked = {
        "app_id": "acme", "user_id": "dan", "plugin": "code_runner", "workflow": "support",
        "estimate": {"input_tokens": 900, "output_tokens": 300},
    }  # fmt: skip
    assert sidecar.client.post("/v1/check", json=asked, headers=RUNTIME).status_code == 402
    page = enter(visit, sidecar, APP)
    refusals = page.get_by_role("table", name="Latest refusals")
    row = refusals.get_by_role("row").filter(has_text="dan").first
    expect(row).to_contain_text("The plan Free does not include the plugin code_runner.")

    row.get_by_role("link", name="explain").click()

    expect(page.get_by_role("heading", level=1)).to_contain_text("deny")
    limits = page.get_by_role("table", name="Limits")
    expect(limits).to_contain_text("12,000 used + 1,200 asked > 10,000")
    expect(limits).to_contain_text("policy.yaml:22")
    photograph(page, "dashboard-decision-light")
    assert barriers(page) == []


def test_use_is_filtered_by_workflow_with_the_keyboard(sidecar: Sidecar, visit: Visit) -> None:
    page = enter(visit, sidecar, APP)
    whole = page.locator("#figures").inner_text()

    page.get_by_role("combobox", name="Workflow").focus()
    page.keyboard.type("research")

    expect(page).to_have_url(re.compile("workflow=research"), timeout=SOON_MS)
    expect(page.locator("#figures")).not_to_have_text(whole)
    expect(page.get_by_role("combobox", name="Workflow")).to_be_focused()
    by_agent = page.get_by_role("table", name="By agent")
    expect(by_agent).to_contain_text("reader")
    expect(by_agent).not_to_contain_text("planner")
    page.get_by_role("combobox", name="Tell apart").select_option("plugin")
    expect(page.locator("#chart-tokens")).to_contain_text("Tokens by plugin")
    expect(page.locator("#chart-tokens canvas")).to_have_count(1)
    page.go_back()
    expect(page.locator("#chart-tokens")).to_contain_text("Tokens by model")


def test_a_table_is_taken_along_as_a_file(sidecar: Sidecar, visit: Visit) -> None:
    page = enter(visit, sidecar, APP)

    with page.expect_download() as waiting:
        page.get_by_role("link", name="CSV of By model").click()

    content = waiting.value.path().read_text("utf-8-sig").splitlines()
    assert waiting.value.suggested_filename == "by-model.csv"
    assert content[0] == "model,tokens,share,requests,cost (USD)"
    assert {line.split(",")[0] for line in content[1:]} == set(MODELS)


def test_behind_each_number_stands_the_call_that_gives_it(sidecar: Sidecar, visit: Visit) -> None:
    page = enter(visit, sidecar, USER)

    page.get_by_text("API call behind Quotas").locator("..").click()

    call = page.locator(".call").filter(has_text="/v1/entitlements", visible=True)
    expect(call).to_be_visible()
    expect(call).to_contain_text(f'curl -H "Authorization: Bearer $KEY" \'{sidecar.url}/v1/enti')


def test_an_app_that_used_nothing_says_so(sidecar: Sidecar, visit: Visit) -> None:
    page = enter(visit, sidecar, "/dashboard/app?app_id=nobody")

    expect(page.locator("main")).to_contain_text("Nothing was used in this time")
    expect(page.locator("main")).to_contain_text("Nobody was refused.")
    photograph(page, "dashboard-empty-light")
    assert barriers(page) == []


def test_a_server_that_went_away_is_told_of_and_what_was_shown_stays(
    tmp_path: Path, visit: Visit
) -> None:
    with Sidecar(store="sqlite:///./sidecar.db", cwd=tmp_path) as sidecar:
        event = {"app_id": "acme", "user_id": "ann", "total_tokens": 4_321}
        assert sidecar.client.post("/v1/usage", json=event).status_code == 202
        page = visit(sidecar.url, USER, may_complain=True)
        meter = page.get_by_role("meter", name="free-tokens-per-month")
        expect(meter).to_have_attribute("aria-valuenow", "4321")
        expect(page.locator(".banner")).to_contain_text("No key is configured")
    expect(page.locator("#trouble")).to_contain_text("does not answer", timeout=SOON_MS)

    expect(meter).to_have_attribute("aria-valuenow", "4321")
    photograph(page, "dashboard-away-light")
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("overview", "/dashboard"),
        ("app", APP),
        ("user", "/dashboard/user?app_id=acme&user_id=user-3"),
        ("policies", "/dashboard/policies"),
    ],
)
def test_every_page_can_be_used_without_seeing_it_in_light_and_dark(
    sidecar: Sidecar, visit: Visit, name: str, path: str, scheme: Scheme
) -> None:
    page = enter(visit, sidecar, path, scheme)

    expect(page.get_by_role("main")).to_be_visible()
    photograph(page, f"dashboard-{name}-{scheme}")
    assert barriers(page) == []


@pytest.mark.parametrize("path", ["/dashboard", APP, USER, "/dashboard/policies"])
def test_no_page_is_wider_than_a_phone(sidecar: Sidecar, visit: Visit, path: str) -> None:
    page = enter(visit, sidecar, path, size=PHONE)

    photograph(page, f"dashboard-phone{path.partition('?')[0].replace('/', '-')}")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    assert barriers(page) == []
