"""The pages for people, asked as a browser asks them."""

import asyncio
import csv
import hashlib
import io
import json
import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from sidecar.api import status
from sidecar.api.dashboard.tables import Column, Kind, Table, csv_of
from sidecar.domain.standing import Standing, State
from sidecar.ports.watching import Part
from tests.in_process import application
from tests.processes import ROOT

STATIC = ROOT / "sidecar/api/dashboard/static"
KEYS = {"sidecar_read_keys": "read-1,read-2", "sidecar_runtime_keys": "run-1"}
RUNTIME = {"Authorization": "Bearer run-1"}
OURS = {"Origin": "http://localhost"}
PAGES = (
    "/dashboard", "/dashboard/policies", "/dashboard/app?app_id=acme",
    "/dashboard/user?app_id=acme&user_id=ann",
)  # fmt: skip


async def signed_in(client: httpx.AsyncClient, key: str = "read-1", **more: str) -> httpx.Response:
    form = {"key": key, **more}
    return await client.post("/dashboard/sign-in", data=form, headers=OURS)


async def used(client: httpx.AsyncClient, tokens: int, **more: object) -> None:
    event = {"app_id": "acme", "user_id": "ann", "total_tokens": tokens, **more}
    assert (await client.post("/v1/usage", json=event, headers=RUNTIME)).status_code == 202


async def refused(client: httpx.AsyncClient, **more: object) -> str:
    asked = {"app_id": "acme", "user_id": "ann", "plugin": "code_runner", **more}
    answer = await client.post("/v1/check", json=asked, headers=RUNTIME)
    assert answer.status_code == 402
    return str(answer.json()["decision_id"])


def tables_of(page: str) -> set[str]:
    """The names of the tables that a page offers as files."""
    return set(re.findall(r'\.csv\?[^"]*table=([\w-]+)"', page))


# -- coming in ------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
async def test_who_is_not_signed_in_is_led_to_the_door_and_back(path: str) -> None:
    async with application(**KEYS) as client:
        away = await client.get(path)
        assert away.status_code == 303
        door = await client.get(away.headers["location"])
        into = re.search(r'name="next" value="([^"]+)"', door.text)
        assert into is not None
        there = into[1].replace("&amp;", "&")
        back = await signed_in(client, next=there)
        page = await client.get(back.headers["location"])

    assert there == path
    assert (back.status_code, back.headers["location"]) == (303, path)
    assert page.status_code == 200


async def test_the_cookie_is_for_the_pages_alone_and_says_nothing_of_the_key() -> None:
    async with application(**KEYS) as client:
        plain, browser = (await signed_in(client)).headers.get_list("set-cookie")
        behind = OURS | {"X-Forwarded-Proto": "https"}
        answer = await client.post("/dashboard/sign-in", data={"key": "read-2"}, headers=behind)

    parts = {part.strip().lower() for part in plain.split(";")[1:]}
    assert parts == {"httponly", "max-age=43200", "path=/dashboard", "samesite=strict"}
    assert "read-1" not in plain + browser
    assert browser.startswith("sidecar_dashboard_browser=")
    assert "HttpOnly" in browser
    assert "SameSite=strict" in browser
    assert "secure" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize("key", ["wrong", "", "run-1", "read-1 read-2", "read-1,read-2", "é"])
async def test_a_key_that_may_not_read_is_refused_in_the_same_words(key: str) -> None:
    async with application(**KEYS) as client:
        answer = await signed_in(client, key)
        wrong = await signed_in(client, "wrong")

    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert answer.text == wrong.text


async def test_after_ten_wrong_keys_even_the_right_one_waits() -> None:
    async with application(**KEYS) as client:
        tried = [(await signed_in(client, f"wrong-{number}")).status_code for number in range(10)]
        answer = await signed_in(client)

    assert tried == [401] * 10
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert "set-cookie" not in answer.headers


async def shut_out(client: httpx.AsyncClient, **headers: str) -> None:
    """Have the door closed for whoever comes so."""
    for number in range(11):
        tried = await client.post(
            "/dashboard/sign-in", data={"key": f"no-{number}"}, headers=OURS | headers
        )
    assert tried.status_code == 429


async def test_wrong_keys_of_strangers_keep_nobody_out_who_was_in_before() -> None:
    async with application(**KEYS) as client:
        await signed_in(client)
        cookies = dict(client.cookies)
        client.cookies.clear()
        await shut_out(client)
        stranger = await signed_in(client)
        session = await client.get(
            "/dashboard", headers={"Cookie": f"sidecar_dashboard={cookies['sidecar_dashboard']}"}
        )
        program = await client.get("/dashboard", headers={"Authorization": "Bearer read-1"})
        known = {"Cookie": f"sidecar_dashboard_browser={cookies['sidecar_dashboard_browser']}"}
        again = await client.post(
            "/dashboard/sign-in", data={"key": "read-1"}, headers=OURS | known
        )
        client.cookies.clear()
        await shut_out(client, **known)

    assert stranger.status_code == 429
    assert (session.status_code, program.status_code, again.status_code) == (200, 200, 303)


@pytest.mark.parametrize(
    ("proxies", "status"), [("", 429), ("192.0.2.0/24", 429), ("10.0.0.1, 127.0.0.0/8", 303)]
)
async def test_behind_a_proxy_that_is_named_others_need_not_wait(proxies: str, status: int) -> None:
    async with application(**KEYS, sidecar_trusted_proxies=proxies) as client:
        await shut_out(client, **{"X-Forwarded-For": "198.51.100.1"})
        headers = OURS | {"X-Forwarded-For": "198.51.100.2"}
        other = await client.post("/dashboard/sign-in", data={"key": "read-1"}, headers=headers)
        client.cookies.clear()
        # Whoever writes something in front of what the proxy writes gains nothing.
        headers = OURS | {"X-Forwarded-For": "198.51.100.2, 198.51.100.1"}
        same = await client.post("/dashboard/sign-in", data={"key": "read-1"}, headers=headers)

    assert (other.status_code, same.status_code) == (status, 429)


async def test_a_key_that_is_taken_out_of_use_ends_what_it_has_signed() -> None:
    async with application(**KEYS) as client:
        await signed_in(client, "read-1")
        cookie = dict(client.cookies)
    async with application(**KEYS | {"sidecar_read_keys": "read-2,read-1"}) as replica:
        replica.cookies.update(cookie)
        known = await replica.get("/dashboard")
    async with application(**KEYS | {"sidecar_read_keys": "read-2"}) as rotated:
        rotated.cookies.update(cookie)
        unknown = await rotated.get("/dashboard")

    assert (known.status_code, unknown.status_code) == (200, 303)


async def test_a_forged_or_changed_cookie_opens_nothing() -> None:
    async with application(**KEYS) as client:
        await signed_in(client)
        value = client.cookies["sidecar_dashboard"]
        # What a browser is known by opens nothing.
        known = client.cookies["sidecar_dashboard_browser"]
        version, until, nonce, signature = value.split(".")
        client.cookies.clear()
        for forged in (
            f"{version}.{int(until) + 999}.{nonce}.{signature}", f"{version}.{until}.{nonce}.",
            f"{version}.{until}.{nonce}.{'0' * 64}", "x", "..", f"{value}é", f".{value}",
            known,
        ):  # fmt: skip
            headers = {b"Cookie": f"sidecar_dashboard={forged}".encode()}
            answer = await client.get("/dashboard", headers=headers)
            assert answer.status_code == 303, forged


async def test_whoever_signs_out_is_out() -> None:
    async with application(**KEYS) as client:
        await signed_in(client)
        inside = await client.get("/dashboard")
        out = await client.post("/dashboard/sign-out", headers=OURS)
        after = await client.get("/dashboard")

    assert (inside.status_code, out.status_code, after.status_code) == (200, 303, 303)


@pytest.mark.parametrize("path", ["/dashboard/sign-in", "/dashboard/sign-out"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"}, {},
    ],
)  # fmt: skip
async def test_another_site_can_neither_sign_in_nor_out(path: str, headers: dict[str, str]) -> None:
    async with application(**KEYS) as client:
        answer = await client.post(path, data={"key": "read-1"}, headers=headers)

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "there",
    [
        "https://evil.example", "//evil.example", "/dashboard/../../x@evil", "/v1/status",
        "/\\evil.example", "/dashboardx", "/dashboard\t//evil.example", "javascript:alert(1)",
        "/dashboard/%2E%2e/portal", "//[", "//ex\u2100mple",
    ],
)  # fmt: skip
async def test_signing_in_leads_nowhere_else(there: str) -> None:
    async with application(**KEYS) as client:
        answer = await signed_in(client, next=there)

        door = await client.get("/dashboard/sign-in", params={"next": there})

    assert answer.headers["location"] == "/dashboard"
    assert 'name="next" value="/dashboard"' in door.text


async def test_without_keys_the_pages_are_open_and_say_so() -> None:
    async with application() as client:
        page = await client.get("/dashboard")
        door = await client.get("/dashboard/sign-in")

    assert page.status_code == 200
    assert "No key is configured" in page.text
    assert "Sign out" not in page.text
    assert door.headers["location"] == "/dashboard"


async def test_an_open_page_whose_time_is_over_is_sent_to_the_door_as_a_whole() -> None:
    async with application(**KEYS) as client:
        answer = await client.get("/dashboard", headers={"HX-Request": "true"})

    assert answer.status_code == 401
    assert answer.headers["hx-redirect"].startswith("/dashboard/sign-in?next=")


# -- what a browser may do ------------------------------------------------------------------------


async def test_every_answer_forbids_whatever_is_not_served_here() -> None:
    async with application(**KEYS) as client:
        door = [await client.get("/dashboard/sign-in"), await client.get("/dashboard")]
        await signed_in(client)
        inside = [await client.get(path) for path in (*PAGES, "/dashboard/x", "/dashboard/app")]
        files = [await client.get("/dashboard/static/dashboard.js")]

    for answer in (*door, *inside, *files):
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
    for answer in inside:
        assert answer.headers["cache-control"] == "no-store"
        # Nothing that the policy would refuse, and nothing of another server.
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", answer.text)
        assert not re.search(r'(?:src|href|action)="(?!/|#)', answer.text)
    assert files[0].headers["cache-control"].endswith("immutable")


async def test_files_are_served_from_their_folder_alone() -> None:
    async with application() as client:
        for path in ("/dashboard/static/../dashboard.py", "/dashboard/static/%2e%2e/asked.py",
                     "/dashboard/static/", "/dashboard/static/none.js"):  # fmt: skip
            assert (await client.get(path)).status_code == 404


def test_what_is_not_ours_is_as_it_was_published() -> None:
    told = json.loads((STATIC / "vendored.json").read_text())
    found = {path.name for path in STATIC.iterdir()}

    named = {name for package in told for name in (*package["files"], package["licence_file"])}
    assert found - named == {"dashboard.css", "dashboard.js", "icon.svg", "vendored.json"}
    for package in told:
        assert (STATIC / package["licence_file"]).read_text()
        for name, digest in package["files"].items():
            assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest, name


async def test_what_callers_named_is_text_and_never_markup() -> None:
    evil = "<img src=x onerror=alert(1)>"
    async with application() as client:
        event = {"app_id": evil, "user_id": evil, "model_name": evil, "total_tokens": 50_000}
        await client.post("/v1/usage", json=event)
        await client.post("/v1/check", json={"app_id": evil, "user_id": evil, "plugin": evil})
        for path in (
            "/dashboard", f"/dashboard/app?app_id={quote(evil)}",
            f"/dashboard/user?app_id={quote(evil)}&user_id={quote(evil)}&model={quote(evil)}",
            f"/dashboard/decision?id={quote(evil)}",
        ):  # fmt: skip
            page = await client.get(path)
            assert "<img src=x" not in page.text
            assert "&lt;img src=x" in page.text


# -- what is shown --------------------------------------------------------------------------------


async def test_an_app_is_known_as_soon_as_something_is_counted_for_it() -> None:
    async with application(**KEYS) as client:
        await signed_in(client)
        before = await client.get("/dashboard/overview.csv?table=apps")
        await used(client, 1_200)
        await used(client, 5, app_id="beta")
    async with application(**KEYS) as client:
        await used(client, 1_200)
        await used(client, 5, app_id="beta")
        await signed_in(client)
        after = await client.get("/dashboard/overview.csv?table=apps")

    assert rows_of(before) == []
    assert [(row["app"], row["tokens, 24 h"]) for row in rows_of(after)] == [
        ("acme", "1200"), ("beta", "5"),
    ]  # fmt: skip


async def test_a_user_page_shows_each_quota_as_the_api_tells_it() -> None:
    async with application(**KEYS) as client:
        await used(client, 9_000, model_name="gpt-4o")
        await signed_in(client)
        page = (await client.get("/dashboard/user?app_id=acme&user_id=ann")).text
        table = rows_of(
            await client.get("/dashboard/user.csv?app_id=acme&user_id=ann&table=quotas")
        )

    assert 'aria-valuemax="10000" aria-valuenow="9000"' in page
    assert 'aria-valuetext="9,000 of 10,000 used, 1,000 remaining"' in page
    assert next((row["limit"], row["used"], row["remaining"]) for row in table) == (
        "free-tokens-per-month", "9000", "1000",
    )  # fmt: skip


async def test_an_app_page_tells_use_apart_and_filters_it() -> None:
    async with application(**KEYS) as client:
        await used(client, 300, model_name="gpt-4o", workflow_name="support", event_id="1")
        await used(client, 200, model_name="o3", workflow_name="support", event_id="2")
        await used(client, 100, model_name="o3", workflow_name="nightly", event_id="3")
        await signed_in(client)
        whole = await client.get("/dashboard/app.csv?app_id=acme&table=by-model")
        some = await client.get("/dashboard/app.csv?app_id=acme&table=by-model&workflow=support")
        page = await client.get("/dashboard/app?app_id=acme&by=workflow&span=7d")

    assert [(row["model"], row["tokens"]) for row in rows_of(whole)] == [
        ("gpt-4o", "300"), ("o3", "300"),
    ]  # fmt: skip
    assert [(row["model"], row["tokens"]) for row in rows_of(some)] == [
        ("gpt-4o", "300"), ("o3", "200"),
    ]  # fmt: skip
    assert "Tokens by workflow" in page.text


async def test_an_app_page_names_who_is_closest_to_a_limit() -> None:
    async with application(**KEYS) as client:
        for number, tokens in enumerate((100, 9_000, 12_000, 5_000)):
            await used(client, tokens, user_id=f"u{number}", event_id=f"{number}")
        await signed_in(client)
        page = await client.get("/dashboard/app?app_id=acme")
        table = rows_of(await client.get("/dashboard/app.csv?app_id=acme&table=closest"))

    assert "1 over, 1 near, of 4 running periods" in page.text
    assert [row["user"] for row in table] == ["u2", "u1", "u3", "u0"]
    assert table[0]["of it"] == "1.2000"


PASSING = (
    "apiVersion: sidecar/v1\nkind: Policy\nmetadata: {name: p}\nmode: enforce\n"
    "defaults: {plan: free, failure_mode: closed}\n"
    "plans:\n  free:\n    plugins: ['*']\n    tokens_per_month: 1000000\n    limits:\n"
    "      - {id: minute, meter: tokens, max: 1000, window: 1m, per: [app, user]}\n"
    "      - {id: day, meter: tokens, max: 10000, window: day, per: [app, user]}\n"
    "      - {id: ever, meter: tokens, max: 20000, window: lifetime, per: [app, user]}\n"
    "      - {id: all, meter: tokens, max: 40000, window: hour, per: [app]}\n"
    "      - {id: of-model, meter: tokens, max: 1, window: hour, per: [app, user, model]}\n"
)


async def test_an_app_page_names_who_is_near_limits_of_other_windows_too(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(PASSING)
    async with application(tmp_path) as client:
        for user, tokens in (("ann", 900), ("bob", 9_000), ("cid", 21_000), ("dan", 1)):
            await used(client, tokens, user_id=user, event_id=user, model_name="gpt-4o")
        page = "/dashboard/app?app_id=acme"
        await client.get(page)
        # An open page asks after those whom it has met.
        found = (await asked_again(client, page, "asked after")).text
        table = rows_of(await client.get("/dashboard/app.csv?app_id=acme&table=closest"))

    near = [(row["user"], row["limit"]) for row in table if float(row["of it"]) >= 0.8]
    assert set(near) == {
        ("cid", "minute"), ("bob", "minute"), ("ann", "minute"), ("cid", "day"), ("bob", "day"),
        ("cid", "ever"),
    }  # fmt: skip
    assert near[0] == ("cid", "minute")
    assert ("(all users)", "all") in [(row["user"], row["limit"]) for row in table]
    assert not [row for row in table if row["limit"] == "of-model"]
    assert "4 over, 2 near, of 4 users asked after in the last minute" in found


async def test_whom_something_was_decided_on_lately_is_asked_after_at_once(tmp_path: Path) -> None:
    only_short = PASSING.replace("    tokens_per_month: 1000000\n", "")
    (tmp_path / "policy.yaml").write_text(only_short)
    async with application(tmp_path) as client:
        await used(client, 1_500)
        asked = {"app_id": "acme", "user_id": "ann", "estimated_tokens": 1}
        assert (await client.post("/v1/check", json=asked)).status_code == 402
        page = (await client.get("/dashboard/app?app_id=acme")).text

    assert "1 over, 0 near, of 1 users asked after in the last minute" in page


async def test_whose_refusals_are_shown_is_said(tmp_path: Path) -> None:
    said = "Those of this process, since its start; SIDECAR_DECISION_LOG keeps those of all."
    for settings, is_said in (({}, True), ({"sidecar_decision_log": tmp_path / "log"}, False)):
        async with application(**settings) as client:
            await refused(client)
            for page in ("/dashboard", *PAGES[2:]):
                assert (said in (await client.get(page)).text) is is_said
            kept = (await client.get("/v1/decisions")).json()["kept"]
            assert kept == ("memory" if is_said else "files")


async def asked_again(client: httpx.AsyncClient, page: str, until: str) -> httpx.Response:
    """The page as an open one asks for it, as soon as a text is in it."""
    deadline = time.monotonic() + 20
    while until not in (found := await client.get(page, headers={"HX-Request": "true"})).text:
        assert time.monotonic() < deadline, found.text
        await asyncio.sleep(0.05)
    return found


async def test_a_limit_that_all_users_share_is_shown_with_the_app(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(
        "apiVersion: sidecar/v1\nkind: Policy\nmetadata: {name: p}\nmode: enforce\n"
        "defaults: {plan: free, failure_mode: closed}\n"
        "plans: {free: {plugins: ['*'], limits: [{id: pool, meter: tokens, max: 1000, "
        "window: billing_month, per: [app]}]}}\n"
    )
    async with application(tmp_path) as client:
        await used(client, 900)
        page = (await client.get("/dashboard/app?app_id=acme")).text

    assert "Quotas of the whole app" in page
    assert 'aria-label="pool" aria-valuemin="0" aria-valuemax="1000" aria-valuenow="900"' in page


async def test_a_refusal_is_listed_and_says_why_with_numbers_and_places() -> None:
    async with application(**KEYS) as client:
        await used(client, 12_000)
        decision_id = await refused(client, estimate={"input_tokens": 900})
        await signed_in(client)
        page = (await client.get("/dashboard/app?app_id=acme")).text
        why = (await client.get(f"/dashboard/decision?id={decision_id}")).text
        other = (await client.get("/dashboard/user?app_id=acme&user_id=bob")).text

    assert f"/dashboard/decision?id={decision_id}" in page
    assert f"/dashboard/decision?id={decision_id}" not in other
    for said in (
        "The plan Free does not include the plugin code_runner.", "policy.yaml:22",
        "12,000 used + 900 asked &gt; 10,000", "allow names &#39;basic_*&#39; only",
    ):  # fmt: skip
        assert said in why
    assert tables_of(why) == {"reasons", "limits", "rules"}


async def test_an_unknown_decision_says_where_it_might_be() -> None:
    async with application() as client:
        answer = await client.get("/dashboard/decision?id=dec_none")

    assert answer.status_code == 404
    assert "SIDECAR_DECISION_LOG" in answer.text


async def test_every_table_of_every_page_is_had_as_a_file() -> None:
    async with application() as client:
        await used(client, 12_000)
        decision_id = await refused(client)
        for path in (*PAGES, f"/dashboard/decision?id={decision_id}"):
            page = (await client.get(path)).text
            addresses = set(re.findall(r'href="([^"]*\.csv\?[^"]*)"', page))
            assert len(addresses) >= page.count("<table")
            for address in addresses:
                answer = await client.get(address.replace("&amp;", "&"))
                assert answer.status_code == 200
                assert answer.headers["content-type"] == "text/csv; charset=utf-8"
                assert "attachment" in answer.headers["content-disposition"]


async def test_the_call_behind_a_number_gives_that_number() -> None:
    async with application() as client:
        await used(client, 300, model_name="gpt-4o", workflow_name="support", event_id="1")
        await used(client, 200, model_name="o3", workflow_name="nightly", event_id="2")
        page = (await client.get("/dashboard/app?app_id=acme&workflow=support")).text
        calls = {each.replace("&amp;", "&") for each in re.findall(r'href="(/v1/[^"]+)"', page)}
        answers = {each: await client.get(each) for each in calls}

    assert {answer.status_code for answer in answers.values()} == {200}
    (of_models,) = (each for each in calls if "group_by=model%2Cworkflow" in each)
    found = [
        each["total_tokens"]
        for each in answers[of_models].json()["series"]
        if each["workflow"] == "support"
    ]
    assert sum(found) == 300


async def test_a_number_that_was_used_is_in_what_an_open_page_asks_for_again() -> None:
    async with application() as client:
        await used(client, 100, event_id="1")
        first = await client.get("/dashboard/user?app_id=acme&user_id=ann")
        await used(client, 150, event_id="2")
        again = await client.get(
            "/dashboard/user?app_id=acme&user_id=ann", headers={"HX-Request": "true"}
        )

    assert 'aria-valuenow="100"' in first.text
    assert 'aria-valuenow="250"' in again.text
    assert again.text.startswith("<main")
    assert "<html" not in again.text


async def test_parts_of_the_server_that_do_not_answer_are_shown_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def silence(part: Part) -> Standing:
        return Standing(State.DOWN, note=f"{part.name}: no answer within 1 s")

    monkeypatch.setattr(status, "_asked", silence)
    async with application() as client:
        page = await client.get("/dashboard")

    assert page.status_code == 200
    assert page.text.count("it does not say more") == 7
    assert "<strong>store</strong> is down: store: no answer within 1 s" in page.text


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/dashboard/none", 404), ("/dashboard/app", 404), ("/dashboard/user?app_id=a", 404),
        ("/dashboard/app/", 404), ("/dashboard/user/?app_id=a", 404),
        ("/dashboard/app.csv?app_id=a&table=none", 404),
        ("/dashboard/app?app_id=" + "x" * 257, 422),
        ("/dashboard/app?app_id=a&span=1y&by=none", 200),
    ],
)  # fmt: skip
async def test_an_address_that_leads_nowhere_says_so(path: str, code: int) -> None:
    async with application() as client:
        assert (await client.get(path)).status_code == code


async def test_what_somebody_looks_for_is_found() -> None:
    async with application() as client:
        app = await client.get("/dashboard/find?app_id=a%26b")
        user = await client.get("/dashboard/find?app_id=a&user_id=u%20v")

    assert app.headers["location"] == "/dashboard/app?app_id=a%26b"
    assert user.headers["location"] == "/dashboard/user?app_id=a&user_id=u+v"


# -- spreadsheets ---------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"])
def test_no_name_is_a_formula_in_a_spreadsheet(text: str) -> None:
    table = Table("t", "T", (Column("name"), Column("n", Kind.NUMBER)), [(text, -5)], "", None)

    (row,) = csv.reader(io.StringIO(csv_of(table).decode("utf-8-sig").partition("\r\n")[2]))
    assert row == [f"'{text}", "-5"]


def rows_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
