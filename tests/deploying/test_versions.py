"""Two versions serve on one store at once, as they do while a release is rolled out."""

import random
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path

import httpx
import pytest

from tests.processes import ROOT, START_S, Sidecar, redis_server

POLICY = """
apiVersion: sidecar/v1
kind: Policy
metadata: {name: both}
mode: enforce
defaults: {plan: free}
plans:
  free:
    plugins: ["*"]
    tokens_per_month: 3000
    limits:
      - {id: burst, meter: tokens, max: 2500, window: 1h}
      - {id: at-once, meter: concurrency, max: 4, window: lifetime}
"""
USERS = [f"u{number}" for number in range(6)]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the commit before this one, as it is installed from its wheel."""
    folder = tmp_path_factory.mktemp("before")
    archived = subprocess.run(["git", "archive", "HEAD~1"], cwd=ROOT, capture_output=True)
    assert archived.returncode == 0, f"its history is needed: {archived.stderr.decode()}"
    with tarfile.open(fileobj=BytesIO(archived.stdout)) as sources:
        sources.extractall(folder / "sources", filter="data")
    pip: list[str | Path] = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    wheel: list[str | Path] = [
        "wheel",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        folder,
        folder / "sources",
    ]
    subprocess.run([*pip, *wheel], check=True, timeout=100)
    (built,) = folder.glob("*.whl")
    target = folder / "installed"
    subprocess.run(
        [*pip, "install", "--no-deps", "--target", target, built], check=True, timeout=100
    )
    where = subprocess.run(
        [sys.executable, "-c", "import sidecar; print(sidecar.__file__)"],
        cwd=folder,
        env={"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(target))
    return target


@pytest.fixture(params=["sqlite", "redis"])
def versions(
    request: pytest.FixtureRequest, before: Path, tmp_path: Path
) -> Iterator[tuple[Sidecar, Sidecar]]:
    """The one before, and this one, on the same store."""
    policies = tmp_path / "policies"
    policies.mkdir()
    (policies / "policy.yaml").write_text(POLICY)
    with ExitStack() as stack:
        store = f"sqlite:///{tmp_path}/counters.db"
        if request.param == "redis":
            store = stack.enter_context(redis_server(tmp_path)).url
        running = []
        for name, package in (("old", before), ("new", ROOT)):
            folder = tmp_path / name
            folder.mkdir()
            env = {"PYTHONPATH": str(package), "SIDECAR_STORE_TIMEOUT_MS": "2000"}
            sidecar = Sidecar(policies=policies, store=store, cwd=folder, env=env)
            running.append(stack.enter_context(sidecar))
        yield running[0], running[1]


def test_they_agree_on_every_counter_whoever_holds_and_whoever_settles(
    versions: tuple[Sidecar, Sidecar],
) -> None:
    chance = random.Random(11)
    used: Counter[str] = Counter()
    held: list[tuple[str, str, int]] = []
    refused = 0
    for number in range(240):
        client = chance.choice(versions).client
        match chance.randrange(4):
            case 0 | 1:
                user, tokens = chance.choice(USERS), chance.randrange(20, 120)
                answer = _reserve(client, user, tokens, number)
                if answer is None:
                    refused += 1
                else:
                    held.append((answer, user, tokens))
            case 2 if held:
                reservation, user, tokens = held.pop(chance.randrange(len(held)))
                if chance.random() < 0.3:
                    _settle(client, reservation, "release", {})
                else:
                    units = chance.randrange(0, tokens + 20)
                    _settle(client, reservation, "commit", {"total_tokens": units})
                    used[user] += units
            case _:
                user, units = chance.choice(USERS), chance.randrange(1, 40)
                event = {"event_id": f"e{number}", "app_id": "a", "user_id": user}
                for again in (client, versions[0].client):
                    again.post("/v1/usage", json={**event, "prompt_tokens": units})
                used[user] += units
    still: Counter[str] = Counter()
    for _, user, tokens in held:
        still[user] += tokens

    told = [[_counters(each.client, user) for user in USERS] for each in versions]

    assert told[0] == told[1]
    assert [each["free-tokens-per-month"] for each in told[1]] == [
        (used[user], still[user]) for user in USERS
    ]
    # They were held to their limits, too.
    assert refused > 0


def _reserve(client: httpx.Client, user: str, tokens: int, number: int) -> str | None:
    asked = {
        "app_id": "a", "user_id": user, "estimated_tokens": tokens, "reserve": True,
        "request_id": f"r{number}", "ttl_s": 600,
    }  # fmt: skip
    answer = client.post("/v1/check", json=asked, timeout=START_S)
    assert answer.status_code in (200, 402), answer.text
    held = answer.json()["reservation"]
    return str(held["id"]) if held else None


def _settle(client: httpx.Client, reservation: str, verb: str, body: dict[str, int]) -> None:
    path = f"/v1/reservations/{reservation}/{verb}"
    client.post(path, json=body, timeout=START_S).raise_for_status()


def _counters(client: httpx.Client, user: str) -> dict[str, tuple[int, int]]:
    asked = {"app_id": "a", "user_id": user}
    limits = client.get("/v1/entitlements", params=asked, timeout=START_S).json()["limits"]
    return {each["id"]: (each["used"], each["reserved"]) for each in limits}
