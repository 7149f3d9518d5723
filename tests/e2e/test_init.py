"""`sidecar init`: is what one begins with right, and is nobody's own file lost?"""

import re
import subprocess
import sys
from pathlib import Path

from sidecar.policy.json_schema import Kind, schema_text
from tests.processes import Sidecar, clean_environment
from tests.schemas.test_schemas import faults, plain


def sidecar(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "sidecar", *arguments],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    return done


def test_what_it_writes_is_valid_free_of_warnings_tested_and_covered(tmp_path: Path) -> None:
    done = sidecar(tmp_path, "init", "mine")

    assert done.returncode == 0
    assert done.stdout == (
        "mine/policy.yaml\n"
        "mine/policy_test.yaml\n"
        "mine/README.md\n"
        "mine/schema/policy.schema.json\n"
        "mine/schema/policy-test.schema.json\n"
        "mine/schema/prices.schema.json\n"
        "\n"
        "Next: edit mine/policy.yaml, then\n"
        "  sidecar test mine\n"
        "  sidecar serve --policies mine\n"
    )
    assert sidecar(tmp_path, "validate", "mine").returncode == 0
    linted = sidecar(tmp_path, "lint", "--strict", "--require-tests", "mine")
    assert (linted.returncode, linted.stderr) == (0, "")
    tested = sidecar(tmp_path, "test", "--coverage", "mine")
    assert tested.returncode == 0, tested.stdout
    assert "100 %" in tested.stdout
    with Sidecar(policies=tmp_path / "mine", store="sqlite://", cwd=tmp_path) as server:
        answer = server.client.post("/v1/check", json={"app_id": "a", "user_id": "u"}).json()
    assert (answer["effect"], answer["plan"]) == ("allow", "free")


def test_its_files_name_schemas_that_stand_beside_them(tmp_path: Path) -> None:
    sidecar(tmp_path, "init")

    for name, kind in (("policy.yaml", Kind.POLICY), ("policy_test.yaml", Kind.POLICY_TEST)):
        file = tmp_path / "policies" / name
        named = re.match(r"# yaml-language-server: \$schema=(\S+)\n", file.read_text())
        assert named is not None
        written = (file.parent / named[1]).read_text(encoding="utf-8")
        assert written == schema_text(kind)
        assert faults(kind, plain(file)) == []


def test_nothing_is_overwritten_and_then_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "policy.yaml").write_text("mine\n")

    done = sidecar(tmp_path, "init")

    assert done.returncode == 64
    assert "Error: policies/policy.yaml: there already, and left as it is" in done.stderr
    assert (tmp_path / "policies" / "policy.yaml").read_text() == "mine\n"
    assert [file.name for file in (tmp_path / "policies").iterdir()] == ["policy.yaml"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    done = sidecar(tmp_path, "init", "file/policies")

    assert done.returncode == 3
    assert done.stderr.startswith("file/policies/policy.yaml: cannot be written: ")
