"""A sidecar that is really there, with small policies."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.processes import Sidecar

POLICY = """
apiVersion: sidecar/v1
kind: Policy
metadata: {name: client}
mode: enforce
defaults: {plan: free}
plans:
  free:
    plugins: ["basic_*"]
    tokens_per_month: 1000
    limits:
      - {id: free-calls, meter: requests, max: 10000, window: 1d}
  pro: {extends: free, plugins: ["*"], tokens_per_month: 100000000}
rules:
  - id: slowly
    match: {plugins: ["basic_slow"]}
    effect: warn
    when: "true"
    message: This one is slow.
"""


@pytest.fixture(scope="session")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("client-policies")
    (folder / "policy.yaml").write_text(POLICY)
    return folder


@pytest.fixture(scope="session")
def sidecar(policies: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with Sidecar(
        policies=policies,
        store="sqlite://",
        cwd=tmp_path_factory.mktemp("client-sidecar"),
        env={
            "SIDECAR_RUNTIME_KEYS": "runtime-key", "INTERNAL_API_KEY": "internal-key",
            "SIDECAR_READ_KEYS": "read-key",
            "SIDECAR_UPGRADE_URL": "https://pay.example/{app_id}/{user_id}/{plan}",
        },
    ) as running:  # fmt: skip
        yield running


@pytest.fixture
def user() -> str:
    """Somebody who has never been here."""
    return f"user-{uuid4().hex}"


def used(sidecar: Sidecar, user: str) -> tuple[int, int]:
    """Tokens that are counted for a user, and those that are held."""
    told = sidecar.client.get(
        "/v1/entitlements",
        params={"app_id": "acme", "user_id": user},
        headers={"Authorization": "Bearer read-key"},
    ).json()
    (limit,) = (each for each in told["limits"] if each["id"].endswith("tokens-per-month"))
    return limit["used"], limit["reserved"]


def upgrade(sidecar: Sidecar, user: str) -> None:
    """Let a user have the greater plan."""
    sidecar.client.post(
        "/api/internal/subscription/sync",
        json={"userId": user, "plan": "pro", "status": "active"},
        headers={"X-Internal-API-Key": "internal-key"},
    ).raise_for_status()
