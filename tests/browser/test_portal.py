"""A user's own page, as the user's browser has it: what is its own, and nobody else's."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Scheme, Visit
from tests.browser.looking import PHONE, barriers, photograph
from tests.processes import ROOT, Sidecar

RUNTIME = {"Authorization": "Bearer run-1"}
INTERNAL = {"X-Internal-API-Key": "int-1"}
ENV = {
    "SIDECAR_RUNTIME_KEYS": "run-1",
    "INTERNAL_API_KEY": "int-1",
    "SIDECAR_UPGRADE_URL": "https://shop.example/{plan}?user={user_id}",
    "SIDECAR_TOP_UP_URL": "https://shop.example/more/{limit}?user={user_id}",
    "SIDECAR_PRICES": str(ROOT / "policies/prices/example.yaml"),
    "SIDECAR_ACCESS_LOG": "true",
    "SIDECAR_PORTAL_ANCESTORS": "http://localhost:*, http://127.0.0.1:*",
}
POLICY = """\
apiVersion: sidecar/v1
kind: Policy
metadata: {name: shop}
mode: enforce
defaults: {plan: free}
plans:
  free:
    name: Free
    plugins: ["*"]
    tokens_per_month: 10000
    limits:
      - {id: free-burst, meter: tokens, window: 1m, max: 50000, per: [app, user], status: 429}
      - {id: free-runs, meter: requests, window: day, max: 20, per: [app, user]}
  pro: {name: Pro, extends: free, tokens_per_month: 100000}
"""


@pytest.fixture(scope="module")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """Where Ann has used much of two models, and Bob something of another."""
    folder: Path = tmp_path_factory.mktemp("portal")
    (folder / "policies").mkdir()
    (folder / "policies/policy.yaml").write_text(POLICY)
    policies, store = folder / "policies", "sqlite:///./sidecar.db"
    with Sidecar(policies=policies, store=store, cwd=folder, env=ENV) as sidecar:
        ann = {"userId": "ann", "appId": "acme", "plan": "free", "status": "active",
               "nextBillingDate": "2030-01-15T00:00:00Z"}  # fmt: skip
        post(sidecar, "/api/internal/subscription/sync", ann, INTERNAL)
        grant = {"grantId": "g-1", "userId": "ann", "appId": "acme", "meter": "tokens",
                 "amount": 500, "reason": "Welcome gift"}  # fmt: skip
        post(sidecar, "/api/internal/grants/sync", grant, INTERNAL)
        use(sidecar, "ann", 6_000, workflow_name="support", model_name="gpt-4o")
        use(sidecar, "ann", 2_600, workflow_name="<b>search</b>", model_name="gpt-4o-mini")
        use(sidecar, "bob", 4_242, workflow_name="bobs-secret", model_name="bobs-model")
        yield sidecar


def post(sidecar: Sidecar, path: str, body: dict[str, Any], headers: dict[str, str]) -> Any:
    answer = sidecar.client.post(path, json=body, headers=headers)
    assert answer.is_success, answer.text
    return answer.json()


def use(sidecar: Sidecar, user_id: str, tokens: int, **names: str) -> None:
    half = tokens // 2
    event = {"app_id": "acme", "user_id": user_id, "prompt_tokens": tokens - half,
             "completion_tokens": half, **names}  # fmt: skip
    post(sidecar, "/v1/usage", event, RUNTIME)


def let_in(sidecar: Sidecar, user_id: str) -> str:
    """The path of the page, with a token of a user."""
    body = {"app_id": "acme", "user_id": user_id}
    given: str = post(sidecar, "/v1/portal-tokens", body, RUNTIME)["url"]
    return given


def look_again(page: Page) -> None:
    """Come back to the tab."""
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def month(page: Page) -> Any:
    return page.get_by_role("meter", name="Tokens per billing month")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_user_sees_plan_quotas_use_costs_and_the_way_to_more(
    sidecar: Sidecar, visit: Visit, scheme: Scheme
) -> None:
    page = visit(sidecar.url, let_in(sidecar, "ann"), scheme=scheme)

    expect(page.get_by_role("heading", name="Free")).to_be_visible()
    expect(page.locator(".mine")).to_contain_text("active · renews on Jan 15, 2030")
    expect(month(page)).to_have_attribute("aria-valuetext", "8,600 of 10,500 used, 1,900 remaining")
    expect(page.locator(".gauge.near")).to_contain_text("Begins anew")
    expect(page.get_by_role("link", name="Upgrade to pro")).to_have_attribute(
        "href", "https://shop.example/pro?user=ann"
    )
    expect(page.get_by_role("link", name="Get more")).to_have_attribute(
        "href", "https://shop.example/more/free-tokens-per-month?user=ann"
    )
    expect(page.get_by_role("row", name="Welcome gift · tokens 500 500 no end")).to_be_visible()
    expect(page.get_by_role("row", name="support 6,000")).to_contain_text("70 %")
    expect(page.get_by_role("row", name="<b>search</b> 2,600")).to_contain_text("30 %")
    expect(page.get_by_role("row", name="gpt-4o 6,000")).to_be_visible()
    expect(page.locator(".figures")).to_contain_text("USD")
    photograph(page, f"portal-{scheme}")
    assert barriers(page) == []


def test_nobody_else_is_ever_shown_and_the_token_stands_in_no_address(
    sidecar: Sidecar, visit: Visit
) -> None:
    address = let_in(sidecar, "ann")
    token = address.partition("#token=")[2]
    asked: list[str] = []
    page = visit(sidecar.url, "/portal")
    referred: list[str] = []
    page.context.on("request", lambda request: asked.append(f"{request.url} {request.headers}"))
    page.context.on("request", lambda request: referred.append(request.headers.get("referer", "")))
    page.goto(sidecar.url + address)
    expect(month(page)).to_be_visible()

    assert page.url == f"{sidecar.url}/portal"
    assert "bob" not in page.content()
    assert "4,242" not in page.content()
    urls = [each.partition(" ")[0] for each in asked]
    assert [url for url in urls if token in url] == []
    assert set(referred) == {""}
    with_token = [url for url, each in zip(urls, asked, strict=True) if token in each]
    assert set(with_token) == {f"{sidecar.url}/portal/view?days=30"}
    assert page.evaluate("document.cookie") == ""
    sidecar.wait_for_error("/portal/view")
    assert token not in sidecar.errors()


def test_another_users_token_in_the_same_tab_leaves_nothing_of_the_first(
    sidecar: Sidecar, visit: Visit
) -> None:
    page = visit(sidecar.url, let_in(sidecar, "ann"))
    expect(page.get_by_role("row", name="support 6,000")).to_be_visible()
    page.evaluate("address => { location.href = address }", let_in(sidecar, "bob"))

    expect(page.get_by_role("row", name="bobs-secret 4,242")).to_be_visible()
    assert "6,000" not in page.content()
    assert "Welcome gift" not in page.content()


def test_the_page_survives_a_reload_and_is_nobodys_in_another_tab(
    sidecar: Sidecar, visit: Visit
) -> None:
    page = visit(sidecar.url, let_in(sidecar, "ann"))
    expect(month(page)).to_be_visible()
    page.reload()
    expect(month(page)).to_be_visible()
    other = page.context.new_page()
    other.goto(f"{sidecar.url}/portal")

    expect(other.get_by_role("heading", name="Open this page from your app")).to_be_visible()
    expect(other.locator("#view")).to_be_hidden()
    photograph(other, "portal-closed")
    assert barriers(other) == []


def test_a_quota_moves_when_somebody_comes_back_to_the_tab(sidecar: Sidecar, visit: Visit) -> None:
    page = visit(sidecar.url, let_in(sidecar, "cat"))
    expect(month(page)).to_have_attribute("aria-valuenow", "0")
    expect(page.get_by_text("Nothing in this time.")).to_be_visible()
    photograph(page, "portal-empty")
    assert barriers(page) == []
    use(sidecar, "cat", 11_000, workflow_name="w", model_name="gpt-4o")
    look_again(page)

    expect(month(page)).to_have_attribute("aria-valuenow", "10000")
    expect(page.locator(".gauge.over")).to_contain_text("used up")
    expect(page.get_by_role("row", name="w 11,000")).to_be_visible()
    photograph(page, "portal-over")


def test_another_time_is_chosen_by_keyboard_and_the_keyboard_stays_there(
    sidecar: Sidecar, visit: Visit
) -> None:
    page = visit(sidecar.url, let_in(sidecar, "ann"))
    chosen = page.get_by_role("combobox", name="Time")
    expect(chosen).to_have_value("30")
    chosen.focus()
    page.keyboard.press("ArrowUp")

    expect(page.locator(".days svg")).to_have_count(7)
    expect(page.get_by_role("status")).to_have_text("The last 7 days are shown.")
    expect(page.get_by_role("combobox", name="Time")).to_be_focused()
    page.get_by_text("Each day as a table").click()
    look_again(page)
    expect(page.get_by_role("columnheader", name="day")).to_be_visible()


def test_on_a_phone_nothing_lies_beside_the_screen(sidecar: Sidecar, visit: Visit) -> None:
    for scheme in ("light", "dark"):
        page = visit(sidecar.url, let_in(sidecar, "ann"), scheme=scheme, size=PHONE)
        expect(month(page)).to_be_visible()
        photograph(page, f"portal-phone-{scheme}")
        wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert wide <= 0
        assert barriers(page) == []


@pytest.mark.parametrize("token", ["x.y.z", "eyJhbGciOiJub25lIn0.e30.e30"])
def test_a_token_that_is_none_or_over_is_told_without_a_figure(
    token: str, sidecar: Sidecar, visit: Visit
) -> None:
    page = visit(sidecar.url, f"/portal#token={token}")

    expect(page.get_by_role("heading", name="This page has expired")).to_be_visible()
    expect(page.locator("#view")).to_be_hidden()
    assert page.evaluate("sessionStorage.length") == 0
    photograph(page, "portal-expired")
    assert barriers(page) == []


def test_what_was_shown_is_gone_when_the_token_is_over(sidecar: Sidecar, visit: Visit) -> None:
    page = visit(sidecar.url, let_in(sidecar, "ann"))
    expect(month(page)).to_be_visible()
    # Another server took its place, whose keys are others.
    page.route("**/portal/view*", lambda route: route.fulfill(status=401, json={}))
    look_again(page)

    expect(page.get_by_role("heading", name="This page has expired")).to_be_visible()
    assert "6,000" not in page.content()


def test_while_the_server_is_away_that_is_said_and_asked_again(
    sidecar: Sidecar, visit: Visit
) -> None:
    page = visit(sidecar.url, let_in(sidecar, "ann"))
    expect(month(page)).to_be_visible()
    page.route("**/portal/view*", lambda route: route.fulfill(status=503, json={}))
    look_again(page)

    told = page.locator("#trouble")
    expect(told).to_contain_text("Your figures cannot be had just now; these are older.")
    expect(month(page)).to_be_visible()
    photograph(page, "portal-trouble")
    assert barriers(page) == []
    page.unroute("**/portal/view*")
    page.get_by_role("button", name="Try again").click()
    expect(told).to_be_hidden()
    expect(page.get_by_role("status")).to_have_text("Your figures are shown again.")


@contextmanager
def app_page(address: str) -> Iterator[str]:
    """A page of an app on another site, with the user's page in a frame."""
    html = (
        f'<!doctype html><title>App</title><iframe width=900 height=700 src="{address}"></iframe>'
    )

    class Host(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_page_that_may_frames_it(sidecar: Sidecar, visit: Visit) -> None:
    with app_page(sidecar.url + let_in(sidecar, "ann")) as app:
        page = visit(app, "/", others=(sidecar.url,))
        framed = page.frame_locator("iframe")
        expect(framed.get_by_role("heading", name="Free")).to_be_visible()
        expect(framed.get_by_role("row", name="support 6,000")).to_be_visible()
        photograph(page, "portal-framed")
