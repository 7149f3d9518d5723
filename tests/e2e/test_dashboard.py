"""The pages for people on real servers and stores."""

import csv
import io
from pathlib import Path

import httpx

from tests.processes import Sidecar, await_that, redis_server


def rows(client: httpx.Client, address: str) -> list[dict[str, str]]:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def use(client: httpx.Client, app_id: str, user_id: str, tokens: int) -> None:
    event = {
        "app_id": app_id, "user_id": user_id, "total_tokens": tokens, "model_name": "gpt-4o",
        "workflow_name": "support",
    }  # fmt: skip
    assert client.post("/v1/usage", json=event).status_code == 202


def test_pages_tell_the_same_on_each_store(store: str, tmp_path: Path) -> None:
    with Sidecar(store=store, cwd=tmp_path) as sidecar:
        client = sidecar.client
        use(client, "acme", "ann", 9_000)
        use(client, "acme", "bob", 12_000)
        use(client, "a{*}/é", "ann", 7)

        await_that(lambda: len(rows(client, "/dashboard/overview.csv?table=apps")) == 2, "apps")
        apps = rows(client, "/dashboard/overview.csv?table=apps")
        closest = rows(client, "/dashboard/app.csv?app_id=acme&table=closest")
        models = rows(client, "/dashboard/app.csv?app_id=acme&table=by-workflow")
        quotas = rows(client, "/dashboard/user.csv?app_id=acme&user_id=bob&table=quotas")
        other = client.get("/dashboard/app", params={"app_id": "a{*}/é"})

    assert [(row["app"], row["tokens, 24 h"]) for row in apps] == [
        ("acme", "21000"), ("a{*}/é", "7"),
    ]  # fmt: skip
    assert [(row["user"], row["used"], row["included"]) for row in closest] == [
        ("bob", "12000", "10000"), ("ann", "9000", "10000"),
    ]  # fmt: skip
    assert [(row["workflow"], row["tokens"], row["requests"]) for row in models] == [
        ("support", "21000", "2")
    ]
    assert (quotas[0]["used"], quotas[0]["remaining"]) == ("12000", "0")
    assert other.status_code == 200


def test_apps_are_known_to_a_server_that_begins_later(store: str, tmp_path: Path) -> None:
    with Sidecar(store=store, cwd=tmp_path) as sidecar:
        use(sidecar.client, "acme", "ann", 5)
        use(sidecar.client, "beta", "ann", 3)

    with Sidecar(store=store, cwd=tmp_path) as sidecar:
        apps = rows(sidecar.client, "/dashboard/overview.csv?table=apps")

    assert [row["app"] for row in apps] == ["acme", "beta"]


def test_while_the_store_is_away_pages_say_so_and_keep_what_they_showed(tmp_path: Path) -> None:
    with redis_server(tmp_path) as redis, Sidecar(store=redis.url, cwd=tmp_path) as sidecar:
        client = sidecar.client
        user = "/dashboard/user?app_id=acme&user_id=ann"
        use(client, "acme", "ann", 9_000)
        assert 'aria-valuenow="9000"' in client.get(user).text
        redis.stop()

        shown = client.get(user)
        never = client.get("/dashboard/user?app_id=acme&user_id=bob")
        home = client.get("/dashboard")
        redis.start()

        def is_back() -> bool:
            page = client.get("/dashboard/user?app_id=acme&user_id=bob").text
            return "Nothing can be shown now" not in page

        await_that(is_back, "the store is asked again")

    assert shown.status_code == 200
    assert 'aria-valuenow="9000"' in shown.text
    assert "As of" in shown.text
    assert never.status_code == 200
    assert "Nothing can be shown now" in never.text
    assert "<strong>store</strong> is down" in home.text
