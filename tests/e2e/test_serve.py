"""What a person sees of `sidecar serve`: at the start, when something is wrong, at the end."""

import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import pytest

from tests.commands import sidecar as command
from tests.processes import FRESH, ROOT, START_S, Sidecar, free_port, redis_server

SQLITE = "sqlite:///./data/sidecar.db"
ASK = {"app_id": "a", "user_id": "u", "plugin": "basic_search"}


def refused_start(
    cwd: Path, *arguments: str, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    code, _, errors = command(cwd, "serve", "--port", "0", *arguments, env=env)
    return code, errors


def is_listened_on(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=20).close()
    except ConnectionError:
        return False
    return True


def test_it_says_where_it_listens_and_what_it_enforces_and_why(tmp_path: Path) -> None:
    with Sidecar(store=SQLITE, cwd=tmp_path, program=FRESH) as sidecar:
        head, policies, mode, store, callers = sidecar.banner

    assert head.startswith("sidecar listens on http://127.0.0.1:")
    assert "policies/platform  sha256:" in policies
    assert mode == "  mode      enforce: as the files say"
    assert store == f"  store     embedded SQLite, {tmp_path}/data/sidecar.db"
    assert callers == "  callers   need no key"


def test_it_says_which_file_a_path_is_that_may_have_been_meant_otherwise(tmp_path: Path) -> None:
    with Sidecar(store="sqlite:///tmp/s.db", cwd=tmp_path) as sidecar:
        sidecar.wait_for_error("for /tmp/s.db write sqlite:////tmp/s.db")
        assert f"  store     embedded SQLite, {tmp_path}/tmp/s.db" in sidecar.banner
        assert f"  note      the store is {tmp_path}/tmp/s.db, below the" in sidecar.errors()


def test_whoever_asks_for_the_head_of_a_page_gets_no_more(tmp_path: Path) -> None:
    with Sidecar(store=SQLITE, cwd=tmp_path) as sidecar:
        port = int(sidecar.url.rpartition(":")[2])
        for path in ("/dashboard", "/dashboard/nothing", "/portal", "/v1/status", "/healthz"):
            whole = sidecar.client.get(path)
            ask = f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
                connection.sendall(ask.encode())
                answer = b"".join(iter(lambda: connection.recv(65_536), b""))
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(f"HTTP/1.1 {whole.status_code} ".encode())
            assert b"content-type: " + whole.headers["content-type"].encode() in head
            assert body == b""


@pytest.mark.parametrize(
    ("enabled", "expected"),
    [
        ("true", "posts each event to https://cp.invalid:8443, as summary"),
        ("false", "off: set CONTROL_PLANE_USAGE_INGEST_ENABLED=true to post events"),
    ],
)
def test_it_says_where_events_and_decisions_go_and_no_password(
    enabled: str, expected: str, tmp_path: Path
) -> None:
    env = {
        "CONTROL_PLANE_USAGE_INGEST_ENABLED": enabled,
        "CONTROL_PLANE_USAGE_INGEST_URL": "https://us:planted@cp.invalid:8443/planted",
        "SIDECAR_DECISION_LOG": str(tmp_path / "log"),
    }
    with Sidecar(store=SQLITE, cwd=tmp_path, env=env) as sidecar:
        *_, outbox, record, _ = sidecar.banner

    assert outbox == f"  outbox    {expected}"
    assert record == f"  record    decisions are written to {tmp_path}/log"


def test_it_says_that_a_chain_needs_a_log(tmp_path: Path) -> None:
    env = {"SIDECAR_DECISION_LOG_CHAIN": "true"}
    with Sidecar(store="sqlite://", cwd=tmp_path, env=env) as sidecar:
        assert sidecar.banner[-2].startswith("  record    off: set SIDECAR_DECISION_LOG ")


@pytest.mark.parametrize(
    ("policies", "env", "expected"),
    [
        ("policies/self-hosted", {}, "advisory: as the files say"),
        ("policies/self-hosted", {"MOZAIKS_MODE": "platform"}, "enforce: MOZAIKS_MODE=platform"),
        (
            "policies/self-hosted",
            {"MOZAIKS_ENFORCE_QUOTAS": "true"},
            "enforce: MOZAIKS_ENFORCE_QUOTAS=true",
        ),
        (
            "policies/platform",
            {"MOZAIKS_MODE": "platform", "MOZAIKS_ENFORCE_QUOTAS": "false"},
            "advisory: MOZAIKS_ENFORCE_QUOTAS=false lets nothing be harsher than a warning",
        ),
    ],
)
def test_it_explains_the_mode_in_force(
    policies: str, env: dict[str, str], expected: str, tmp_path: Path
) -> None:
    with Sidecar(policies=policies, store="sqlite://", cwd=tmp_path, env=env) as sidecar:
        assert sidecar.banner[2] == f"  mode      {expected}"


def test_a_missing_policy_directory_stops_the_start_and_says_what_to_do(tmp_path: Path) -> None:
    code, error = refused_start(tmp_path, "--policies", "nowhere")

    assert code == 3
    assert error == (
        "nowhere: there is no such policy directory; name one with --policies or "
        "SIDECAR_POLICIES, or leave both out for the self-hosted set\n"
    )


def test_an_empty_policy_directory_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    code, error = refused_start(tmp_path, "--policies", "empty")

    assert code == 3
    assert error.startswith("empty: no policy in this directory")


def test_a_wrong_policy_stops_the_start_with_its_file_and_line(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    text = (ROOT / "policies/platform/policy.yaml").read_text()
    (folder / "policy.yaml").write_text(text.replace("mode: enforce", "modee: enforce"))

    code, error = refused_start(tmp_path, "--policies", "policies")

    assert code == 3
    assert "policies/policy.yaml:8:1: error[B1] unknown field 'modee'" in error
    assert "did you mean 'mode'?" in error
    assert "^^^^^" in error
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "env", "expected"),
    [
        (("--store", "mysql://x"), {}, "SIDECAR_STORE: no store has the scheme 'mysql'"),
        (("--store", "sqlite://data.db"), {}, "SIDECAR_STORE: a path follows three slashes"),
        (("--store", "sqlite://", "--workers", "2"), {}, "SIDECAR_STORE: each worker would count"),
        (("--store", "sqlite:///", "--workers", "2"), {}, "SIDECAR_STORE: each worker would count"),
        (("--store", "redis://h/0?foo=x"), {}, "SIDECAR_STORE: behind the ? stand other options"),
        (("--store", "redis://h?db=x"), {}, "SIDECAR_STORE: an option behind the ? has a value"),
        ((), {"MOZAIKS_MODE": "cloud"}, "MOZAIKS_MODE: Input should be 'self-hosted' or"),
        ((), {"SIDECAR_STORE_TIMEOUT_MS": "soon"}, "SIDECAR_STORE_TIMEOUT_MS: Input should be"),
        (("--host", "0.0.0.0"), {}, "no key is configured, so 0.0.0.0 is not listened on"),
        (("--host", "not an address"), {"SIDECAR_INSECURE": "true"}, "cannot listen on not an"),
    ],
)
def test_a_wrong_setting_stops_the_start_and_is_named(
    arguments: tuple[str, ...], env: dict[str, str], expected: str, tmp_path: Path
) -> None:
    code, error = refused_start(tmp_path, *arguments, env=env)

    assert code == 3
    assert error.startswith(expected)
    assert error.count("\n") == 1


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, error = refused_start(tmp_path, "--port", str(port), "--store", "sqlite://")

    assert code == 3
    assert error == f"cannot listen on 127.0.0.1:{port}: Address already in use\n"


def test_a_store_that_cannot_be_reached_is_not_ready_and_not_the_end(tmp_path: Path) -> None:
    store = f"redis://:planted-secret@127.0.0.1:{free_port()}/0"
    with Sidecar(store=store, cwd=tmp_path) as sidecar:
        ready = sidecar.client.get("/readyz")
        alive = sidecar.client.get("/healthz")
        answer = sidecar.client.post("/v1/check", json=ASK)
        usage = sidecar.client.post("/v1/usage", json={"app_id": "a", "user_id": "u"})
        banner, errors = "\n".join(sidecar.banner), sidecar.errors()

    assert "NOT READY: Redis cannot be reached" in banner
    assert (ready.status_code, ready.json()["missing"]) == (503, ["store"])
    assert alive.status_code == 200
    assert answer.status_code == 503
    assert answer.json()["reasons"][0]["code"] == "subscription_unavailable"
    assert answer.json()["degraded"] is True
    assert (usage.status_code, usage.json()["degraded"]) == (202, True)
    for text in (banner, errors, ready.text, answer.text, usage.text):
        assert "Traceback" not in text
        assert "planted-secret" not in text


def test_without_a_spool_use_is_refused_while_the_store_is_away(tmp_path: Path) -> None:
    store = f"redis://127.0.0.1:{free_port()}/0"
    with Sidecar(store=store, cwd=tmp_path, env={"SIDECAR_SPOOL": ""}) as sidecar:
        usage = sidecar.client.post("/v1/usage", json={"app_id": "a", "user_id": "u"})

    assert (usage.status_code, usage.headers["retry-after"]) == (503, "1")
    assert not (tmp_path / "data").exists()


def test_a_store_that_comes_later_makes_it_ready(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    with Sidecar(store=f"unix://{folder}/redis.sock", cwd=tmp_path) as sidecar:
        assert sidecar.client.get("/readyz").status_code == 503
        with redis_server(folder):
            assert sidecar.client.get("/readyz").status_code == 200
            assert sidecar.client.post("/v1/check", json=ASK).json()["degraded"] is False


@pytest.mark.parametrize(
    ("maxmemory", "policy", "is_said"),
    [
        ("100mb", "allkeys-lru", True),
        ("100mb", "volatile-ttl", True),
        ("100mb", "noeviction", False),
        ("0", "allkeys-lru", False),
    ],
)
def test_a_redis_that_may_evict_counters_is_noted(
    maxmemory: str, policy: str, is_said: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder) as server:
        server.command("CONFIG", "SET", "maxmemory", maxmemory)
        server.command("CONFIG", "SET", "maxmemory-policy", policy)
        with Sidecar(store=server.url, cwd=tmp_path) as sidecar:
            assert sidecar.client.get("/readyz").status_code == 200

    note = "  note      Redis may evict counters: set maxmemory-policy noeviction\n"
    assert (note in sidecar.errors()) is is_said


def test_a_redis_that_does_not_say_whether_it_evicts_is_taken_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder) as server:
        server.command("ACL", "SETUSER", "default", "-info")
        with Sidecar(store=server.url, cwd=tmp_path) as sidecar:
            assert sidecar.client.get("/readyz").status_code == 200

    assert "note" not in sidecar.errors()


def test_an_open_policy_lets_requests_through_while_the_store_is_gone(tmp_path: Path) -> None:
    store = f"redis://127.0.0.1:{free_port()}/0"
    with Sidecar(policies="policies/self-hosted", store=store, cwd=tmp_path) as sidecar:
        answer = sidecar.client.post("/v1/check", json=ASK)

    assert (answer.status_code, answer.json()["effect"]) == (200, "allow")
    assert answer.json()["degraded"] is True


def test_it_serves_on_a_unix_socket_and_takes_it_away_in_the_end(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.sock"
    with Sidecar(store="sqlite://", cwd=tmp_path, arguments=("--uds", str(path))) as sidecar:
        assert sidecar.banner[0] == f"sidecar listens on unix:{path}"
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            assert client.post("http://sidecar/v1/check", json=ASK).json()["effect"] == "allow"

    assert not path.exists()


def test_two_workers_count_in_one_place(tmp_path: Path) -> None:
    with Sidecar(store=SQLITE, cwd=tmp_path, arguments=("--workers", "2")) as sidecar:
        for index in range(40):
            event = {"app_id": "a", "user_id": "u", "event_id": f"e{index}", "total_tokens": 10}
            # Each over a connection of its own, and the first may wait for a worker to begin.
            with httpx.Client(base_url=sidecar.url, timeout=START_S, verify=False) as client:
                assert client.post("/v1/usage", json=event).json()["accepted"] == 1
        used = [
            httpx.post(f"{sidecar.url}/v1/check", json=ASK, timeout=START_S, verify=False).json()[
                "limits"
            ][0]["used"]
            for _ in range(10)
        ]

    assert used == [400] * 10


def test_workers_end_when_whoever_began_them_is_killed(tmp_path: Path) -> None:
    sidecar = Sidecar(store=SQLITE, cwd=tmp_path, arguments=("--workers", "2"))
    sidecar.start()
    assert sidecar.client.get("/readyz").status_code == 200

    sidecar.kill()

    address = httpx.URL(sidecar.url)
    deadline = time.monotonic() + 20
    while is_listened_on(address.host, address.port or 80):
        assert time.monotonic() < deadline, "the workers serve on"
        time.sleep(0.01)
    assert "Traceback" not in sidecar.errors()


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_cleanly_when_it_is_told_to(sent: signal.Signals, tmp_path: Path) -> None:
    sidecar = Sidecar(store=SQLITE, cwd=tmp_path)
    sidecar.start()
    sidecar.client.post("/v1/check", json=ASK)

    sidecar.process.send_signal(sent)

    assert sidecar.process.wait(20) == 0
    sidecar.stop()
    assert "Traceback" not in sidecar.errors()


def test_a_hangup_reloads_the_policies_and_a_broken_one_never_takes_their_place(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    file = folder / "policy.yaml"
    good = (ROOT / "policies/platform/policy.yaml").read_text()
    file.write_text(good)

    with Sidecar(policies=folder, store="sqlite://", cwd=tmp_path) as sidecar:

        def revision_after(text: str, logged: str) -> str:
            file.write_text(text)
            sidecar.process.send_signal(signal.SIGHUP)
            sidecar.wait_for_error(logged)
            answer = sidecar.client.post("/v1/check", json=ASK)
            revision: str = answer.json()["policy"]["revision"]
            return revision

        first = sidecar.client.get("/readyz").json()["policy"]["revision"]
        broken = revision_after(good.replace("mode: enforce", "modee: x"), "policies_rejected")
        second = revision_after(good.replace("10000", "20000"), "policies_loaded")
        errors = sidecar.errors()

    assert broken == first
    assert second != first
    assert "policy.yaml:8:1: error[B1] unknown field 'modee'" in errors
