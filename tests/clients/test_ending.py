"""How a server ends: it says so, serves on, finishes, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import orjson

from sidecar.adapters.decisions.files import decision_files
from sidecar.cli.published import clear_up
from tests.clients.balanced import end_under_load
from tests.processes import ROOT, START_S, Sidecar, await_that, clean_environment

STORE = "sqlite:///./data/sidecar.db"
ASK = {"app_id": "a", "user_id": "u", "plugin": "basic_search"}
DENIED = {"app_id": "a", "user_id": "u", "plugin": "pro_tool"}


def logged(folder: Path) -> list[str]:
    lines = [line for file in decision_files(folder) for line in file.read_bytes().splitlines()]
    return [orjson.loads(line)["decision_id"] for line in lines]


async def test_nobody_misses_an_answer_when_one_of_two_servers_ends(tmp_path: Path) -> None:
    ended = await end_under_load(tmp_path, rate=250, before_s=2)

    assert ended.failed == [], f"not ready was seen after {ended.not_ready_s:.2f} s"
    assert ended.asked > 800
    assert ended.exit_code == 0
    assert ended.exit_s < 10
    assert ended.missing == ["running"]
    assert ended.not_ready_s < 3
    assert ended.served_on > 0
    a, b = ended.decisions
    # What was answered is counted and on record, of both.
    assert ended.counted == 10 * (len(a) + len(b))
    assert sorted(logged(tmp_path / "log")) == sorted(a + b)
    assert "Traceback" not in ended.errors


def test_it_serves_on_for_a_while_and_asks_for_other_connections(tmp_path: Path) -> None:
    with Sidecar(store=STORE, cwd=tmp_path, env={"SIDECAR_DRAIN_S": "2.5"}) as sidecar:
        before = sidecar.client.post("/v1/check", json=ASK)
        sidecar.process.terminate()
        began = time.monotonic()
        await_that(
            lambda: httpx.get(f"{sidecar.url}/readyz", verify=False).status_code == 503, "not ready"
        )
        ready = httpx.get(f"{sidecar.url}/readyz", verify=False)
        after = sidecar.client.post("/v1/check", json=ASK)
        alive = sidecar.client.get("/healthz")
        assert sidecar.process.wait(START_S) == 0
        took_s = time.monotonic() - began

    assert "connection" not in before.headers
    assert (ready.json()["missing"], ready.json()["detail"]) == (
        ["running"],
        "The server is about to end.",
    )
    assert (after.status_code, after.headers["connection"]) == (200, "close")
    assert alive.status_code == 200
    assert 2.3 < took_s < 10


def test_a_second_signal_waits_for_nobody_and_what_was_decided_is_on_record(
    tmp_path: Path,
) -> None:
    env = {"SIDECAR_DRAIN_S": "60", "SIDECAR_DECISION_LOG": str(tmp_path / "log")}
    sidecar = Sidecar(store=STORE, cwd=tmp_path, env=env)
    sidecar.start()
    decided = sidecar.client.post("/v1/check", json=DENIED).json()["decision_id"]
    sidecar.process.terminate()
    sidecar.wait_for_error("draining")
    began = time.monotonic()
    sidecar.process.terminate()

    assert sidecar.process.wait(START_S) == 0
    assert time.monotonic() - began < 5
    sidecar.stop()
    assert logged(tmp_path / "log") == [decided]
    assert "Traceback" not in sidecar.errors()


def interrupted(folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code and the words of a server whose terminal said Ctrl-C to all its processes."""
    command = [sys.executable, "-m", "sidecar", "serve", "--port", "0", "--store", STORE]
    with (folder / "stderr.log").open("ab") as errors:
        process = subprocess.Popen(
            [*command, "--policies", str(ROOT / "policies/platform"), *arguments],
            cwd=folder,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    url = process.stdout.readline().split()[-1]
    await_that(
        lambda: httpx.get(f"{url}/readyz", timeout=START_S, verify=False).status_code == 200,
        "ready",
    )
    assert httpx.post(f"{url}/v1/check", json=ASK, timeout=START_S).status_code == 200
    os.killpg(process.pid, signal.SIGINT)
    code = process.wait(START_S)
    process.stdout.close()
    return code, (folder / "stderr.log").read_text()


def test_ctrl_c_ends_a_server_without_a_word_of_python(tmp_path: Path) -> None:
    code, errors = interrupted(tmp_path)

    assert code == 0
    assert "Traceback" not in errors


def test_ctrl_c_ends_all_workers_without_a_word_of_python(tmp_path: Path) -> None:
    code, errors = interrupted(tmp_path, "--workers", "2")

    assert code == 0
    assert "Traceback" not in errors
    assert "ending_at_once" not in errors


def test_workers_finish_at_the_first_signal_and_wait_for_nobody_at_the_second(
    tmp_path: Path,
) -> None:
    env = {"SIDECAR_DRAIN_S": "60", "SIDECAR_DECISION_LOG": str(tmp_path / "log")}
    sidecar = Sidecar(store=STORE, cwd=tmp_path, env=env, arguments=("--workers", "2"))
    sidecar.start()
    await_that(lambda: sidecar.errors().count("startup complete") == 2, "both serve")
    decided = sidecar.client.post("/v1/check", json=DENIED).json()["decision_id"]
    sidecar.process.terminate()
    await_that(lambda: sidecar.errors().count("draining") == 2, "both drain")
    # A supervisor tells each process of a group, its first one again what it tells the others.
    for worker in sidecar.workers():
        os.kill(worker, signal.SIGTERM)
    assert httpx.post(f"{sidecar.url}/v1/check", json=ASK, timeout=START_S).status_code == 200
    sidecar.process.terminate()

    assert sidecar.process.wait(START_S) == 0
    sidecar.stop()
    assert decided in logged(tmp_path / "log")
    assert "Traceback" not in sidecar.errors()


def test_folders_of_servers_that_were_killed_are_taken_away_and_no_others(tmp_path: Path) -> None:
    env = {"TMPDIR": str(tmp_path)}
    with Sidecar(store=STORE, cwd=tmp_path, env=env, arguments=("--workers", "2")) as running:
        await_that(lambda: any(tmp_path.glob("sidecar-policies-*")), "they are published")
        (kept,) = tmp_path.glob("sidecar-policies-*")
        killed = Sidecar(store=STORE, cwd=tmp_path, env=env, arguments=("--workers", "2"))
        killed.start()
        await_that(lambda: len([*tmp_path.glob("sidecar-policies-*")]) == 2, "they are published")
        await_that(lambda: len(killed.workers()) == 2, "its workers begin")
        workers = killed.workers()
        killed.kill()
        (left,) = set(tmp_path.glob("sidecar-policies-*")) - {kept}
        await_that(lambda: not any(Path(f"/proc/{it}").exists() for it in workers), "they end")
        fresh, other = tmp_path / "sidecar-policies-fresh", tmp_path / "other"
        fresh.mkdir()
        other.mkdir()
        (tmp_path / "sidecar-policies-link").symlink_to(other)
        for folder in (kept, left, other):
            os.utime(folder, (0, 0))

        clear_up(tmp_path)

        assert not left.exists()
        assert kept.exists()
        assert fresh.exists()
        assert other.exists()
        assert running.client.get("/readyz").status_code == 200


def test_who_may_connect_to_the_unix_socket_can_be_said(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.sock"
    arguments = ("--uds", str(path))
    with Sidecar(store="sqlite://", cwd=tmp_path, arguments=arguments):
        assert path.stat().st_mode & 0o777 == 0o660
    with Sidecar(store="sqlite://", cwd=tmp_path, arguments=(*arguments, "--uds-mode", "666")):
        assert path.stat().st_mode & 0o777 == 0o666


def test_a_socket_file_of_a_server_that_was_killed_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.sock"
    killed = Sidecar(store="sqlite://", cwd=tmp_path, arguments=("--uds", str(path)))
    killed.start()
    killed.kill()
    assert path.is_socket()

    with (
        Sidecar(store="sqlite://", cwd=tmp_path, arguments=("--uds", str(path))),
        httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client,
    ):
        assert client.get("http://sidecar/readyz").status_code == 200
