"""`sidecar init`: is what one begins with right, and is nobody's own file lost?"""

import re
from pathlib import Path

from sidecar.policy.json_schema import Kind, schema_text
from tests.commands import sidecar
from tests.processes import Sidecar
from tests.schemas.test_schemas import faults, plain


def test_what_it_writes_is_valid_free_of_warnings_tested_and_covered(tmp_path: Path) -> None:
    code, told, _ = sidecar(tmp_path, "init", "mine")

    assert code == 0
    assert told == (
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
    code, _, _ = sidecar(tmp_path, "validate", "mine")
    assert code == 0
    code, _, complaints = sidecar(tmp_path, "lint", "--strict", "--require-tests", "mine")
    assert (code, complaints) == (0, "")
    code, shown, _ = sidecar(tmp_path, "test", "--coverage", "mine")
    assert code == 0, shown
    assert set(re.findall(r"(\d+) % of", shown)) == {"100"}
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

    code, _, said = sidecar(tmp_path, "init")

    assert code == 64
    assert "Error: policies/policy.yaml: there already, and left as it is" in said
    assert (tmp_path / "policies" / "policy.yaml").read_text() == "mine\n"
    assert [file.name for file in (tmp_path / "policies").iterdir()] == ["policy.yaml"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    code, _, said = sidecar(tmp_path, "init", "file/policies")

    assert code == 3
    assert said.startswith("file/policies/policy.yaml: cannot be written: ")
