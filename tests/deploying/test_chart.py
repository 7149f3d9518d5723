"""The chart says what Kubernetes understands, and refuses what it does not know."""

import shutil
import subprocess
import sys
import tarfile
from functools import partial
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from sidecar.client import Entitlements
from tests.deploying.charts import (
    CHART,
    EXAMPLES,
    Manifest,
    container,
    helm,
    of_kind,
    pods,
    rendered,
)
from tests.processes import ROOT, START_S, await_that, clean_environment, free_port

POLICIES = str(ROOT / "policies")
CUSTOM = {"ServiceMonitor", "PrometheusRule"}
"""Kinds of the Prometheus operator, which Kubernetes' own schemas do not have."""
VERSIONS = ("1.29", kubernetes_validate.latest_version())
TRIAL = CHART / "examples/values-trial.yaml"


def names(paths: list[Path]) -> list[str]:
    return [path.stem for path in paths]


@pytest.mark.parametrize("values", EXAMPLES, ids=names(EXAMPLES))
def test_each_example_lints_strictly(values: Path) -> None:
    done = helm("lint", "--strict", CHART, "--values", values)

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", EXAMPLES, ids=names(EXAMPLES))
def test_each_manifest_is_valid(values: Path, version: str) -> None:
    manifests = rendered(values)
    assert len(manifests) >= 4

    for each in manifests:
        if each["kind"] not in CUSTOM:
            kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("values", EXAMPLES, ids=names(EXAMPLES))
def test_every_pod_keeps_to_the_restricted_profile(values: Path) -> None:
    found = list(pods(rendered(values)))
    assert found

    for name, pod in found:
        _demand_restricted(name, pod)


def _demand_restricted(name: str, pod: Manifest) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and more."""
    allowed = {"emptyDir", "configMap", "secret", "persistentVolumeClaim", "projected"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
    assert pod["automountServiceAccountToken"] is False, name
    assert all(volume.keys() - {"name"} <= allowed for volume in pod.get("volumes", ())), name
    for each in (*pod.get("initContainers", ()), *pod["containers"]):
        security = {**pod["securityContext"], **each["securityContext"]}
        assert security["runAsNonRoot"] is True, name
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert security["readOnlyRootFilesystem"] is True, name
        assert each["resources"]["limits"]["memory"], name
        mounted = {mount["name"] for mount in each.get("volumeMounts", ())}
        assert mounted <= {volume["name"] for volume in pod.get("volumes", ())}, name
        assert not any("subPath" in mount for mount in each.get("volumeMounts", ())), name


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("replica=3", "replica"),
        ("store.redis.sekret.name=x", "sekret"),
        ("policies.set=lenient", "policies/set|policies.set"),
        ("mode=hosted", "mode"),
        ("drain.seconds=-1", "drain/seconds|drain.seconds"),
        ("image.digest=latest", "image/digest|image.digest"),
        ("sidecar.socket=/sock", "sidecar/socket|sidecar.socket"),
    ],
)
def test_an_unknown_value_is_refused_by_name(setting: str, told: str) -> None:
    done = helm("template", "demo", CHART, "--values", TRIAL, "--set", setting)

    assert done.returncode != 0
    assert any(each in done.stderr for each in told.split("|")), done.stderr


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["store.redis.trial.enabled=false"], "store.redis.secret.name"),
        (["keys.insecure=false"], "keys.secret: name the secret"),
        (["store.kind=sqlite"], "set replicas=1"),
        (["drain.seconds=40"], "write 50 or more"),
        (["policies.source=values"], "policies.files"),
        (["policies.source=configMap"], "policies.configMap: name the ConfigMap"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_do(settings: list[str], told: str) -> None:
    given = [word for each in settings for word in ("--set", each)]

    done = helm("template", "demo", CHART, "--values", TRIAL, *given)

    assert done.returncode != 0
    assert told in done.stderr


def test_strict_platform_policies_are_the_default() -> None:
    env = _env(rendered(TRIAL))

    assert env["MOZAIKS_MODE"] == "platform"
    assert env["SIDECAR_POLICIES"] == "/etc/sidecar/shipped/platform"


def test_keys_come_by_reference_alone() -> None:
    env = _env(rendered(CHART / "examples/values-platform.yaml"))

    for name in ("SIDECAR_RUNTIME_KEYS", "INTERNAL_API_KEY", "SIDECAR_READ_KEYS", "SIDECAR_STORE"):
        assert env[name] is None, name


def test_changed_policies_restart_nothing_unless_that_is_asked_for() -> None:
    values = CHART / "examples/values-own-policies.yaml"
    changed = ("--set-string", "policies.files.more\\.yaml=x")

    def template(*settings: str) -> Any:
        (deployment,) = of_kind(rendered(values, *settings), "Deployment")
        return deployment["spec"]["template"]

    assert template() == template(*changed)
    restarts = ("--set", "policies.restartOnChange=true")
    assert template(*restarts) != template(*restarts, *changed)


def test_probes_and_drain_keep_step_with_the_server() -> None:
    deployment = next(
        each
        for each in of_kind(rendered(TRIAL), "Deployment")
        if "redis" not in str(each["metadata"])
    )
    pod = deployment["spec"]["template"]["spec"]
    probes = container(rendered(TRIAL))

    assert probes["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert probes["readinessProbe"]["httpGet"]["path"] == "/readyz"
    drain_s = int(_env(rendered(TRIAL))["SIDECAR_DRAIN_S"] or 0)
    # Two looks must find it not ready before it stops to serve.
    assert drain_s >= 2 * probes["readinessProbe"]["periodSeconds"]
    assert pod["terminationGracePeriodSeconds"] >= drain_s + 10


def _env(manifests: list[Manifest]) -> dict[str, str | None]:
    """What the sidecar is told; None where it comes from a secret."""
    return {each["name"]: each.get("value") for each in container(manifests)["env"]}


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """The example of a runtime's chart, with this chart as its dependency."""
    folder = tmp_path / "parent"
    shutil.copytree(CHART / "examples/parent", folder)
    (folder / "charts").mkdir()
    packed = helm("package", CHART, "--destination", folder / "charts")
    assert packed.returncode == 0, packed.stderr
    return folder


def test_a_parent_has_it_as_a_native_sidecar_over_a_socket(parent: Path) -> None:
    assert helm("lint", "--strict", parent).returncode == 0
    manifests = rendered(parent / "values.yaml", chart=parent)

    (deployment,) = of_kind(manifests, "Deployment")
    assert not of_kind(manifests, "Service")
    for version in VERSIONS:
        kubernetes_validate.validate(deployment, version, strict=True)
    for name, pod in pods(manifests):
        _demand_restricted(name, pod)
    sidecar = container(manifests)
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar in deployment["spec"]["template"]["spec"]["initContainers"]
    # Else a Redis that is away would take the runtime out of its service too.
    assert sidecar["readinessProbe"]["exec"]["command"][-1].endswith("/healthz")
    assert "/run/sidecar/sidecar.sock" in sidecar["args"]
    # The runtime is another user of the same group, which is the socket's.
    pod = deployment["spec"]["template"]["spec"]
    runtime = container(manifests, "runtime")["securityContext"]["runAsUser"]
    assert runtime != sidecar["securityContext"]["runAsUser"]
    assert pod["securityContext"]["fsGroup"]
    assert sidecar["args"][sidecar["args"].index("--uds-mode") + 1] == "660"
    # It is told to end when the runtime has ended: there is nobody to wait for.
    assert _env(manifests)["SIDECAR_DRAIN_S"] == "0"


def test_a_parent_that_forgets_the_topology_is_told(parent: Path) -> None:
    forgotten = ("--set", "mozaiks-sidecar.topology=deployment,mozaiks-sidecar.keys.insecure=true")
    done = helm("template", "demo", parent, *forgotten)

    assert done.returncode != 0
    assert "set topology=sidecar" in done.stderr


@pytest.mark.parametrize("socket", ["/run/sidecar/sidecar.sock", ""])
def test_a_native_sidecar_serves_as_it_is_told(parent: Path, socket: str, tmp_path: Path) -> None:
    given = ("--set", f"mozaiks-sidecar.sidecar.socket={socket}")
    told = container(rendered(parent / "values.yaml", *given, chart=parent))
    run, port = tmp_path / "run", free_port()
    run.mkdir()
    places = {"/run/sidecar": str(run), "8377": str(port), "/etc/sidecar/shipped": POLICIES}

    def here(word: str) -> str:
        for place, ours in places.items():
            word = word.replace(place, ours)
        return word

    env = {each["name"]: here(each["value"]) for each in told["env"] if "value" in each}
    command = [sys.executable, "-m", "sidecar", *map(here, told["args"])]
    with (tmp_path / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=clean_environment() | env | {"SIDECAR_STORE": "sqlite://"},
            stdout=log,
            stderr=log,
        )
    url = f"unix://{run}/sidecar.sock" if socket else f"http://127.0.0.1:{port}"
    try:
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            words = [sys.executable, *map(here, told[probe]["exec"]["command"][1:])]
            await_that(partial(_succeeds, words), probe)
        with Entitlements(url, app_id="acme") as client:
            decision = client.check("ann", plugin="basic_search")
        if socket:
            assert (run / "sidecar.sock").stat().st_mode & 0o777 == 0o660
    finally:
        process.terminate()
        assert process.wait(START_S) == 0

    assert (decision.allowed, decision.is_local) == (True, False)


def _succeeds(words: list[str]) -> bool:
    return subprocess.run(words, capture_output=True, cwd=ROOT, timeout=60).returncode == 0


def test_what_is_packed_is_the_chart_alone(parent: Path, tmp_path: Path) -> None:
    (packed,) = (parent / "charts").iterdir()
    with tarfile.open(packed) as archive:
        inside = {name.split("/", 1)[1] for name in archive.getnames()}

    assert {"Chart.yaml", "values.yaml", "values.schema.json", "templates/NOTES.txt"} <= inside
    assert not [name for name in inside if name.startswith(("examples", "compose"))]
    assert not [name for name in inside if name.endswith(".lock")]


def test_every_value_has_its_comment_and_stands_in_the_schema() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())

    def compare(values: Manifest, schema: Manifest, path: str) -> None:
        properties = schema["properties"]
        assert properties.keys() - {"global"} == values.keys(), path
        for name, value in values.items():
            if "properties" in properties[name]:
                compare(value, properties[name], f"{path}{name}.")

    compare(values, schema, "")
