"""What does real helm make of the chart?"""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.processes import ROOT

CHART = ROOT / "helm"
EXAMPLES = sorted((CHART / "examples").glob("values-*.yaml"))
KUBERNETES = "1.34.0"
Manifest = dict[str, Any]


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run it; its outputs and exit code."""
    program = ROOT / ".tools/helm"
    found = str(program) if program.exists() else shutil.which("helm")
    assert found, "helm is missing: make helm-tool"
    words = [*map(str, arguments)]
    if words[0] in ("lint", "template"):
        # One that go has built believes in a Kubernetes of long ago.
        words += ["--kube-version", KUBERNETES]
    return subprocess.run([found, *words], capture_output=True, text=True, timeout=60)


def rendered(values: Path, *settings: str, chart: Path = CHART) -> list[Manifest]:
    """All manifests of a release `demo`, hooks too."""
    done = helm("template", "demo", chart, "--namespace", "shop", "--values", values, *settings)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    """Those of a kind."""
    return [each for each in manifests if each["kind"] == kind]


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """The name of each manifest that has pods, and their spec."""
    for each in manifests:
        match each["kind"]:
            case "Pod":
                yield each["metadata"]["name"], each["spec"]
            case "Deployment" | "Job":
                yield each["metadata"]["name"], each["spec"]["template"]["spec"]


def container(manifests: list[Manifest], name: str = "sidecar") -> Manifest:
    """The first container of this name."""
    return next(
        each
        for _, pod in pods(manifests)
        for each in (*pod.get("initContainers", ()), *pod["containers"])
        if each["name"] == name
    )


def write_config_map(folder: Path, files: dict[str, str], generation: int) -> None:
    """Lay files out as the kubelet lays out a ConfigMap, and put them in force at once.

    Each generation is a directory of its own; `..data` points to it, and each file through that.
    """
    own = folder / f"..2026_11_22_{generation}"
    own.mkdir(parents=True)
    for name, text in files.items():
        (own / name).write_text(text)
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(Path("..data") / name)
    fresh = folder / "..data_tmp"
    fresh.symlink_to(own.name)
    fresh.rename(folder / "..data")
