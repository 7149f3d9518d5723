"""Lines of the log, and to which request they belong."""

import json
from pathlib import Path
from typing import Any

from tests.processes import Sidecar

CHECK = {"app_id": "a", "user_id": "u", "plugin": "pro_tool"}


def lines(sidecar: Sidecar, event: str) -> list[dict[str, Any]]:
    sidecar.wait_for_error(f'"event": "{event}"')
    told = (json.loads(each) for each in sidecar.errors().splitlines())
    return [line for line in told if line["event"] == event]


def serving(folder: Path, *, access_log: bool = False) -> Sidecar:
    env = {"SIDECAR_ACCESS_LOG": "true"} if access_log else {}
    arguments = ("--log-format", "json")
    return Sidecar(store="sqlite://", cwd=folder, env=env, arguments=arguments)


def test_a_line_bears_the_ids_of_its_request_and_decision(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        answer = server.client.post("/v1/check", json=CHECK, headers={"X-Request-ID": "r-1"})
        (line,) = lines(server, "decision")

    assert answer.headers.get_list("x-request-id") == ["r-1"]
    told = line["request_id"], line["decision_id"], line["level"]
    assert told == ("r-1", answer.json()["decision_id"], "info")


def test_a_request_without_a_name_gets_one_where_a_line_is_about_it(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        refused = server.client.post("/v1/check", json=CHECK)
        allowed = server.client.post("/v1/check", json=CHECK | {"plugin": "basic_search"})
        (line,) = lines(server, "decision")

    assert line["request_id"].startswith("req_")
    assert refused.headers["x-request-id"] == line["request_id"]
    assert "x-request-id" not in allowed.headers


def test_each_of_a_batch_has_its_own_decision_id_and_the_same_request_id(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        checks = {"checks": [CHECK, CHECK | {"user_id": "v"}]}
        answer = server.client.post("/v1/checks", json=checks, headers={"X-Request-ID": "r-2"})
        told = lines(server, "decision")

    assert [line["request_id"] for line in told] == ["r-2", "r-2"]
    ids = [each["decision_id"] for each in answer.json()["decisions"]]
    assert [line["decision_id"] for line in told] == ids


def test_the_access_log_has_a_line_for_each_request_and_no_user_in_it(tmp_path: Path) -> None:
    with serving(tmp_path, access_log=True) as server:
        answer = server.client.post("/v1/check", json=CHECK)
        server.client.get("/v1/subscriptions/app_1/secret_user")
        server.client.get("/nowhere/secret_user?key=secret")
        server.client.get("/healthz")
        server.wait_for_error('"path": "/healthz"')
        told = lines(server, "request")

    assert [(line["method"], line["path"], line["status"]) for line in told] == [
        ("POST", "/v1/check", 402),
        ("GET", "/v1/subscriptions/{app_id}/{user_id}", 200),
        ("GET", "(no such path)", 404),
        ("GET", "/healthz", 200),
    ]
    assert told[0]["decision_id"] == answer.json()["decision_id"]
    assert "decision_id" not in told[1]
    assert all(line["took_ms"] > 0 for line in told)
    assert not [line for line in told if "secret" in json.dumps(line)]


def test_without_it_no_allow_is_a_line(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.client.post("/v1/check", json=CHECK | {"plugin": "basic_search"})
        server.client.post("/v1/check", json=CHECK)
        lines(server, "decision")
        told = [json.loads(each)["event"] for each in server.errors().splitlines()]

    assert told.count("decision") == 1
    assert "request" not in told
