"""What the chart and the compose files run is run here, as a process."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.deploying.charts import CHART, container, of_kind, rendered, write_config_map
from tests.processes import (
    ROOT,
    START_S,
    RedisServer,
    await_that,
    clean_environment,
    free_port,
    redis_server,
)

OWN = CHART / "examples/values-own-policies.yaml"
ASK = {"app_id": "acme", "user_id": "bob", "plugin": "basic_search"}


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    folder = tmp_path / "redis"
    folder.mkdir()
    with redis_server(folder) as running:
        yield running


@contextmanager
def served(
    arguments: list[str], env: dict[str, str], folder: Path, url: str
) -> Iterator[httpx.Client]:
    """A server of these arguments and this environment, in a folder of its own."""
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sidecar", *arguments],
            cwd=folder,
            env=clean_environment() | env,
            stdout=log,
            stderr=log,
        )
    try:
        with httpx.Client(base_url=url, timeout=START_S) as client:
            await_that(lambda: _answers(client), f"it answers, see {folder}/server.log")
            yield client
    finally:
        process.terminate()
        process.wait(START_S)


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_the_container_serves_what_is_mounted_and_takes_over_what_the_kubelet_swaps(
    tmp_path: Path, redis: RedisServer
) -> None:
    manifests = rendered(OWN)
    told = container(manifests)
    (config_map,) = (
        each for each in of_kind(manifests, "ConfigMap") if "annotations" not in each["metadata"]
    )
    mounted = tmp_path / "policies"
    write_config_map(mounted, config_map["data"], 1)
    port = free_port()
    env = {
        each["name"]: each["value"].replace("/etc/sidecar/policies", str(mounted))
        for each in told["env"]
        if "value" in each
    }
    # What stands in secrets in the cluster.
    env |= {"SIDECAR_STORE": redis.url, "SIDECAR_RUNTIME_KEYS": "k", "SIDECAR_READ_KEYS": "r"}
    env |= {"SIDECAR_POLICIES_POLL_S": "0.1", "SIDECAR_DRAIN_S": "0"}
    arguments = [each.replace("8377", str(port)) for each in told["args"]]

    with served(arguments, env, tmp_path, f"http://127.0.0.1:{port}") as client:
        client.headers["Authorization"] = "Bearer k"
        first = client.post("/v1/check", json=ASK).json()
        changed = config_map["data"]["policy.yaml"].replace("10000", "20000")
        assert changed != config_map["data"]["policy.yaml"]
        write_config_map(mounted, {**config_map["data"], "policy.yaml": changed}, 2)
        await_that(
            lambda: client.post("/v1/check", json=ASK).json()["policy"] != first["policy"],
            "the new policies are in force",
        )
        second = client.post("/v1/check", json=ASK).json()

    assert first["limits"][0]["limit"] == 10_000
    assert second["limits"][0]["limit"] == 20_000


def checking(
    tmp_path: Path, policy: str, *, without: str = ""
) -> list[subprocess.CompletedProcess[str]]:
    """What the containers of the hook do with these policies, one after the other."""
    manifests = rendered(OWN, "--set-string", f"policies.files.policy\\.yaml={policy}")
    (job,) = of_kind(manifests, "Job")
    (config_map,) = (
        each
        for each in of_kind(manifests, "ConfigMap")
        if each["metadata"]["name"] == job["metadata"]["name"]
    )
    folder = tmp_path / "policies"
    files = {name: text for name, text in config_map["data"].items() if name != without}
    write_config_map(folder, files, 1)
    pod = job["spec"]["template"]["spec"]
    done = []
    for each in (*pod["initContainers"], *pod["containers"]):
        arguments = [word.replace("/etc/sidecar/policies", str(folder)) for word in each["args"]]
        done.append(
            subprocess.run(
                [sys.executable, "-m", "sidecar", *arguments],
                cwd=tmp_path,
                env=clean_environment(),
                capture_output=True,
                text=True,
                timeout=60,
            )
        )
    return done


def own_policy() -> str:
    values = yaml.safe_load(OWN.read_text())
    text: str = values["policies"]["files"]["policy.yaml"]
    return text.replace(",", "\\,")


def test_the_hook_lets_good_policies_pass(tmp_path: Path) -> None:
    assert [each.returncode for each in checking(tmp_path, own_policy())] == [0, 0]


def test_the_hook_stops_a_broken_policy_with_its_file_and_line(tmp_path: Path) -> None:
    validated, _ = checking(tmp_path, own_policy().replace("mode: enforce", "mode: enforced"))

    assert validated.returncode == 3
    assert "policy.yaml:4:7: error" in validated.stdout + validated.stderr


def test_the_hook_lets_policies_without_tests_pass(tmp_path: Path) -> None:
    validated, tested = checking(tmp_path, own_policy(), without="policy_test.yaml")

    assert (validated.returncode, tested.returncode) == (0, 0), tested.stderr


def test_the_hook_stops_policies_whose_tests_fail(tmp_path: Path) -> None:
    _, tested = checking(tmp_path, own_policy().replace("basic_*", "*"))

    assert tested.returncode == 4


def test_the_test_of_a_release_makes_a_check_with_the_runtimes_key(tmp_path: Path) -> None:
    (pod,) = of_kind(rendered(OWN), "Pod")
    (told,) = pod["spec"]["containers"]
    (key,) = told["env"]
    port = free_port()
    url = "http://demo-mozaiks-sidecar:8377"
    assert url in told["command"][-1]
    words = [sys.executable, *told["command"][1:]]
    words[-1] = words[-1].replace(url, f"http://127.0.0.1:{port}")

    def check(presented: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words, cwd=ROOT, env=clean_environment() | {key["name"]: presented},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip

    arguments = ["serve", "--port", str(port), "--store", "sqlite://"]
    env = {"SIDECAR_RUNTIME_KEYS": "new,old"}
    with served(arguments, env, tmp_path, f"http://127.0.0.1:{port}"):
        good, wrong = check("new,old"), check("another")
    nobody = check("new,old")

    assert (good.returncode, good.stdout.split()[:2]) == (0, ["allow", "200"]), good.stderr
    assert (wrong.returncode, nobody.returncode) == (1, 1)


def composed(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((CHART / "compose" / name).read_text())
    return loaded


def test_the_self_hosted_service_of_the_compose_file_answers(tmp_path: Path) -> None:
    service = composed("docker-compose.yml")["services"]["sidecar"]
    dockerfile = (ROOT / "Dockerfile").read_text()
    (line,) = (line for line in dockerfile.splitlines() if line.startswith("CMD"))
    port = free_port()
    arguments = [*yaml.safe_load(line.removeprefix("CMD ")), "--port", str(port)]
    env = {name: _by_default(value) for name, value in service["environment"].items()}
    env["SIDECAR_STORE"] = env["SIDECAR_STORE"].replace("/var/lib/sidecar", str(tmp_path))

    # The image listens on all its addresses, and compose lets nobody but this machine reach it.
    arguments[arguments.index("0.0.0.0")] = "127.0.0.1"
    with served(arguments, env, tmp_path, f"http://127.0.0.1:{port}") as client:
        answer = client.post("/v1/check", json={**ASK, "estimated_tokens": 10**9})

    assert service["ports"] == ["127.0.0.1:8377:8377"]
    assert (answer.status_code, answer.json()["effect"]) == (200, "allow")
    assert (tmp_path / "sidecar.db").exists()


def _by_default(value: str) -> str:
    """`${NAME:-default}` as compose reads it where nothing is set."""
    if value.startswith("${") and ":-" in value:
        return value.removesuffix("}").partition(":-")[2]
    return os.path.expandvars(value)


def test_the_probe_says_whether_a_server_answers(tmp_path: Path) -> None:
    def probe(url: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sidecar.alive", url],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    socket = tmp_path / "s.sock"
    url = f"unix://{socket}:/readyz"
    nobody = probe(url)
    port = free_port()
    with served(
        ["serve", "--port", str(port), "--store", "sqlite://"], {}, tmp_path,
        f"http://127.0.0.1:{port}",
    ):  # fmt: skip
        over_tcp = probe(f"http://127.0.0.1:{port}/healthz")
        elsewhere = probe(f"http://127.0.0.1:{port}/nothing")

    assert (nobody.returncode, over_tcp.returncode, elsewhere.returncode) == (1, 0, 1)
    assert "404" in elsewhere.stderr
    assert probe("").returncode == 1
