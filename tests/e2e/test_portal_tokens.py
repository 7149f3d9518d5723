"""A token of one worker is good at every other, and the server that only has a key pays nothing."""

import subprocess
import sys
from pathlib import Path

import httpx

from tests.processes import ROOT, START_S, Sidecar

WHO = {"app_id": "acme", "user_id": "ann"}


def statuses(url: str, token: str) -> set[int]:
    """What fresh connections answer a user, each perhaps another worker."""
    headers = {"Authorization": f"Bearer {token}"}
    return {
        httpx.get(f"{url}/v1/me/usage", headers=headers, timeout=START_S, verify=False).status_code
        for _ in range(12)
    }


def test_without_any_key_workers_share_what_they_sign_with_until_the_server_ends(
    tmp_path: Path,
) -> None:
    store = "sqlite:///./sidecar.db"
    with Sidecar(store=store, cwd=tmp_path, arguments=("--workers", "2")) as sidecar:
        given = sidecar.client.post("/v1/portal-tokens", json=WHO)
        token = given.json()["token"]
        assert statuses(sidecar.url, token) == {200}
    with Sidecar(store=store, cwd=tmp_path) as sidecar:
        assert statuses(sidecar.url, token) == {401}
    assert token not in sidecar.errors()


def test_with_a_key_another_server_of_the_same_keys_takes_the_token(tmp_path: Path) -> None:
    store, env = "sqlite:///./sidecar.db", {"SIDECAR_RUNTIME_KEYS": "run-1"}
    with (
        Sidecar(store=store, cwd=tmp_path, env=env) as one,
        Sidecar(store=store, cwd=tmp_path, env=env | {"SIDECAR_ACCESS_LOG": "true"}) as other,
    ):
        headers = {"Authorization": "Bearer run-1"}
        token = one.client.post("/v1/portal-tokens", json=WHO, headers=headers).json()["token"]
        assert statuses(other.url, token) == {200}
        assert token not in other.errors()
        assert "/v1/me/usage" in other.errors()


def test_nothing_of_it_is_imported_before_a_user_comes(tmp_path: Path) -> None:
    with Sidecar(store="sqlite://", cwd=tmp_path) as sidecar:
        maps = Path(f"/proc/{sidecar.process.pid}/maps")
        sidecar.client.post("/v1/check", json=WHO)
        before = maps.read_text()
        sidecar.client.post("/v1/portal-tokens", json=WHO)
        after = maps.read_text()

    assert "cryptography" not in before
    # PyJWT takes it where it is installed.
    assert "cryptography" in after


_WITHOUT = """
import sys
sys.modules["cryptography"] = None  # as if it were not installed
from sidecar.adapters.clock import SystemClock
from sidecar.adapters.identity.form import header_of
from sidecar.adapters.identity.portal_tokens import PortalTokens
from sidecar.adapters.identity.signing_keys import signing_keys
from sidecar.domain.request import Subject
tokens = PortalTokens(signing_keys([], ["run-1"]), SystemClock())
text = tokens.issue(Subject("acme", "ann"), 60).text
print(tokens.subject_of(text, header_of(text)).user_id)
"""


def test_portal_tokens_need_nothing_of_the_extra() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT], cwd=ROOT, capture_output=True, text=True, timeout=START_S
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "ann\n", "")
