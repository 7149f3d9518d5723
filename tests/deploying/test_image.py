"""The image is made of what is locked, and works where nothing else is."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.processes import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = sorted((ROOT / "helm/compose").glob("*.yml"))


def pinned(lock: Path) -> dict[str, str]:
    """Versions by names, of a lock with or without hashes."""
    found = re.findall(r"(?m)^([\w.-]+)==([^\s;\\]+)", lock.read_text())
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found}


def test_the_dockerfile_has_nothing_to_complain_of() -> None:
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_image_is_made_of_is_what_is_tested() -> None:
    tested = pinned(ROOT / "requirements.lock")

    assert pinned(ROOT / "helm/image.lock").items() <= tested.items()


@pytest.mark.parametrize("name", ["image.lock", "build.lock"])
def test_every_file_that_goes_into_the_image_is_known_by_its_hash(name: str) -> None:
    lock = (ROOT / "helm" / name).read_text()
    entries = re.split(r"(?m)^(?=[\w.-]+==)", lock)[1:]

    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_image_has_all_that_the_package_needs() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    needed = {
        re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", each, maxsplit=1)[0]).lower()
        for each in project["dependencies"]
    }

    assert needed <= pinned(ROOT / "helm/image.lock").keys()


def steps_of(stage: str) -> list[list[str]]:
    """The instructions of a stage, each a word and its text."""
    text = re.sub(r"\\\n", " ", stage)
    lines = (line.strip() for line in text.splitlines())
    return [line.split(None, 1) for line in lines if line and not line.startswith("#")]


def test_the_steps_of_the_image_make_a_server_that_needs_nothing_else(tmp_path: Path) -> None:
    """They are replayed here, in folders of their own and with a Python that has nothing."""
    build, image = tmp_path / "build", tmp_path / "image"
    build.mkdir()
    clean = tmp_path / "clean"
    subprocess.run([sys.executable, "-m", "venv", clean], check=True, timeout=100)
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env["PATH"] = f"{clean / 'bin'}:{env['PATH']}"
    first_stage = DOCKERFILE.partition("AS build")[2].partition("\nFROM ")[0]
    ran = 0
    for word, text in steps_of(first_stage):
        if word == "COPY":
            *sources, target = text.split()
            for source in sources:
                _copy(ROOT / source, build / target)
        elif word == "RUN":
            command = text.replace("/opt/sidecar", str(image))
            done = subprocess.run(
                command, shell=True, cwd=build, env=env, capture_output=True, text=True, timeout=110
            )
            assert done.returncode == 0, done.stdout + done.stderr
            ran += 1
    assert ran == 2

    program = image / "bin/sidecar"
    version = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60)
    validated = subprocess.run(
        [program, "validate", ROOT / "policies/platform"],
        cwd=tmp_path,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert version.returncode == 0
    assert validated.returncode == 0, validated.stderr
    # No compiler, and nothing to install with, comes into the image.
    assert not list(image.glob("bin/pip*"))
    assert not [
        path for path in (image / "bin").iterdir() if re.match(r"(gcc|cc|uv|hatch.*)$", path.name)
    ]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def test_the_image_is_nobody_and_writes_nowhere_but_to_its_volume() -> None:
    last_stage = steps_of(DOCKERFILE.rpartition("\nFROM ")[2])
    told = {each[0]: each[1] for each in last_stage[1:]}

    assert told["USER"] == "65532:65532"
    assert told["VOLUME"] == told["WORKDIR"] == "/var/lib/sidecar"
    assert "sidecar.alive" in told["HEALTHCHECK"]


@pytest.mark.parametrize("file", COMPOSE, ids=[path.stem for path in COMPOSE])
def test_compose_files_are_what_compose_understands(file: Path) -> None:
    # The schema of the Compose Specification (Apache-2.0), as its own library has it.
    schema = json.loads(Path(__file__).with_name("compose-spec.json").read_text())
    services: dict[str, Any] = yaml.safe_load(file.read_text())

    jsonschema.validate(services, schema)

    sidecar = services["services"]["sidecar"]
    assert sidecar["read_only"] is True
    assert sidecar["cap_drop"] == ["ALL"]
    assert sidecar["tmpfs"] == ["/tmp"]


def test_the_platforms_compose_file_wants_its_keys() -> None:
    text = (ROOT / "helm/compose/docker-compose.platform.yml").read_text()

    for name in ("INTERNAL_API_KEY", "SIDECAR_RUNTIME_KEYS", "SIDECAR_READ_KEYS"):
        assert f"{name}:?" in text
