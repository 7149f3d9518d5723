"""Which policies does a server answer from: at its start, and after they were edited?"""

from pathlib import Path

import pytest

from tests.commands import sidecar as command
from tests.processes import ROOT, Sidecar, await_that

ASK = {"app_id": "a", "user_id": "u", "plugin": "basic_search", "estimated_tokens": 100}
GOOD = (ROOT / "policies/platform/policy.yaml").read_text()
LINE = GOOD.splitlines().index("mode: enforce") + 1
FAILING = """\
apiVersion: sidecar/v1
kind: PolicyTest
tests:
  - name: everything is free
    given: {subscription: {plan: free, status: active}}
    check: {app_id: a, user_id: u, plugin: admin_tool, estimated_tokens: 1}
    expect: {effect: allow}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with one good policy."""
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "policy.yaml").write_text(GOOD)
    return folder


def revision(sidecar: Sidecar) -> str:
    told: str = sidecar.client.post("/v1/check", json=ASK).json()["policy"]["revision"]
    return told


def test_policies_whose_tests_fail_stop_the_start(folder: Path) -> None:
    (folder / "policy_test.yaml").write_text(FAILING)

    code, _, error = command(folder.parent, "serve", "--port", "0", "--policies", str(folder))

    assert code == 3
    assert error == (
        f"{folder}/policy_test.yaml:4: everything is free: effect: expected allow, got deny\n"
        "if the policy is as it is meant, adapt its tests or remove them\n"
    )


def test_tests_are_not_run_where_they_have_no_time(folder: Path) -> None:
    (folder / "policy_test.yaml").write_text(FAILING)
    env = {"SIDECAR_POLICY_TESTS_S": "0"}

    with Sidecar(policies=folder, store="sqlite://", cwd=folder.parent, env=env) as sidecar:
        assert sidecar.client.get("/v1/policies").json()["tests"] is None


def test_a_config_map_that_is_swapped_is_in_force_without_a_restart(tmp_path: Path) -> None:
    mounted = tmp_path / "policies"

    def swap(version: str, text: str) -> None:
        (mounted / version).mkdir(parents=True)
        (mounted / version / "policy.yaml").write_text(text)
        (mounted / "..data_tmp").symlink_to(version)
        (mounted / "..data_tmp").replace(mounted / "..data")

    swap("..2026_05_05_21_30_00.1", GOOD)
    (mounted / "policy.yaml").symlink_to("..data/policy.yaml")
    env = {"SIDECAR_POLICIES_POLL_S": "0.1"}
    with Sidecar(policies=mounted, store="sqlite://", cwd=tmp_path, env=env) as sidecar:
        first, process = revision(sidecar), sidecar.process.pid
        swap("..2026_05_05_21_45_00.2", GOOD.replace("10000", "20000"))
        await_that(lambda: revision(sidecar) != first, "the other revision is in force")
        decision = sidecar.client.post("/v1/check", json=ASK).json()

        assert sidecar.process.pid == process
    assert decision["limits"][0]["limit"] == 20_000


def test_a_candidate_that_is_wrong_is_told_at_the_start_and_hurts_nobody(folder: Path) -> None:
    candidate = folder.parent / "candidate"
    candidate.mkdir()
    (candidate / "policy.yaml").write_text(GOOD.replace("mode: enforce", "modee: x"))
    env = {"SIDECAR_SHADOW_POLICIES": str(candidate)}

    with Sidecar(policies=folder, store="sqlite://", cwd=folder.parent, env=env) as sidecar:
        answer = sidecar.client.post("/v1/check", json=ASK)
        told = sidecar.client.get("/v1/policies").json()
        errors = sidecar.errors()

    assert answer.status_code == 200
    assert "note      the shadow policies are wrong: " in errors
    assert f"{candidate}/policy.yaml:{LINE}:1: error[B1] unknown field 'modee'" in errors
    assert told["rejected"] is None
    assert told["shadow"]["rejected"]["diagnostics"][0]["line"] == LINE


@pytest.mark.parametrize("workers", [1, 2])
def test_a_candidate_is_named_at_the_start_and_read_anew_like_the_others(
    workers: int, folder: Path
) -> None:
    candidate = folder.parent / "candidate"
    candidate.mkdir()
    (candidate / "policy.yaml").write_text(GOOD.replace("10000", "20000"))
    with Sidecar(
        policies=folder,
        store="sqlite:///./data/sidecar.db",
        cwd=folder.parent,
        env={"SIDECAR_SHADOW_POLICIES": str(candidate), "SIDECAR_POLICIES_POLL_S": "0.1"},
        arguments=("--workers", str(workers)),
    ) as sidecar:
        assert f"  shadow    {candidate}  sha256:" in "\n".join(sidecar.banner)
        (candidate / "policy.yaml").write_text(GOOD.replace("10000", "50"))

        def is_different() -> bool:
            sidecar.client.post("/v1/check", json=ASK)
            found = sidecar.client.get("/v1/policies").json()["shadow"]["comparison"]
            return found is not None and "allow->deny" in found["effects"]

        await_that(is_different, "the candidate that is edited refuses")
        effect = sidecar.client.post("/v1/check", json=ASK).json()["effect"]

    assert effect == "allow"
