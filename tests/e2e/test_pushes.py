"""What one process is told, every other one answers from: real ones, beside each other."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest

from tests.processes import START_S, Sidecar, redis_server

SEEN_S: Final = 1.0
SUBSCRIPTION: Final = "/api/internal/subscription/sync"
GRANT: Final = "/api/internal/grants/sync"
MANIFEST: Final = "/api/v1/entitlements/shop/sync"
WHO: Final = {"app_id": "acme", "user_id": "bob"}
POLICY: Final = """
apiVersion: sidecar/v1
kind: Policy
metadata: {name: two}
mode: enforce
defaults: {plan: free}
plans:
  free: {plugins: ["basic_*"], tokens_per_month: 1000}
  pro: {extends: free, plugins: ["*"], tokens_per_month: null}
"""


@dataclass(frozen=True, slots=True)
class Processes:
    """Several that stand on one store.

    Attributes:
        urls: of each; of several workers they are the same.
        client: makes a connection for each request.
        at_once: how many connections reach every one of them, as good as surely.
    """

    urls: tuple[str, ...]
    client: httpx.Client
    at_once: int = 1

    def tell(self, path: str, body: object, turn: int = 0) -> dict[str, Any]:
        """Push to one of them."""
        url = self.urls[turn % len(self.urls)]
        answer = self.client.post(f"{url}{path}", json=body)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def ask(self, **more: object) -> list[dict[str, Any]]:
        """What each answers to a check."""

        def ask(url: str) -> dict[str, Any]:
            answer: dict[str, Any] = self.client.post(f"{url}/v1/check", json=WHO | more).json()
            return answer

        # At the same time: one after the other, a single worker might take them all.
        with ThreadPoolExecutor(self.at_once) as pool:
            return list(pool.map(ask, self.urls * self.at_once))

    def await_answers(self, holds: Callable[[dict[str, Any]], bool], **more: object) -> None:
        """Return when it holds of whatever each answers to a check that begins within a second."""
        pushed = time.monotonic()
        while True:
            began = time.monotonic()
            answers = self.ask(**more)
            if all(map(holds, answers)):
                return
            assert began - pushed < SEEN_S, answers


@pytest.fixture(scope="module", params=["redis", "sqlite", "workers"])
def processes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Processes]:
    """Two on one Redis, two on one file, two workers of one server; each test has its own app."""
    tmp_path = tmp_path_factory.mktemp("processes")
    policies, folders = tmp_path / "policies", [tmp_path / "one", tmp_path / "two"]
    for folder in (policies, *folders):
        folder.mkdir()
    (policies / "policy.yaml").write_text(POLICY)
    store = f"sqlite:///{tmp_path}/s.db"
    with ExitStack() as stack:
        client = httpx.Client(headers={"Connection": "close"}, timeout=START_S)
        stack.enter_context(client)
        if request.param == "redis":
            (folder := tmp_path / "redis").mkdir()
            store = stack.enter_context(redis_server(folder)).url
        if request.param == "workers":
            server = Sidecar(
                policies=policies, store=store, cwd=tmp_path, arguments=("--workers", "2")
            )
            yield Processes((stack.enter_context(server).url,), client, 10)
            return
        servers = [Sidecar(policies=policies, store=store, cwd=folder) for folder in folders]
        yield Processes(tuple(stack.enter_context(server).url for server in servers), client)


def test_an_upgrade_that_one_is_told_of_is_seen_by_a_check_of_any_within_a_second(
    processes: Processes,
) -> None:
    for turn in range(6):
        plan, app = ("pro", "free")[turn % 2], (None, "acme")[turn // 3]
        processes.ask()
        expected = plan, "allow" if plan == "pro" else "deny"
        state = {"userId": "bob", "appId": app, "plan": plan, "status": "active"}
        assert processes.tell(SUBSCRIPTION, state, turn)["status"] == "synced"
        processes.await_answers(
            lambda answer: (answer["plan"], answer["effect"]) == expected,  # noqa: B023 # awaited at once
            plugin="pro_tool",
        )


def test_a_manifest_that_one_is_told_of_is_seen_by_a_check_of_any_within_a_second(
    processes: Processes,
) -> None:
    asked = {"app_id": "shop", "plugin": "basic_x"}
    assert {answer["effect"] for answer in processes.ask(**asked)} == {"allow"}
    for turn in range(4):
        blocked = ["basic_*"] if turn % 2 == 0 else []
        manifest = {"version": f"1.{turn}", "app_id": "shop", "plan": {"id": "free"}}
        processes.tell(MANIFEST, manifest | {"plugins": {"blocked": blocked}}, turn)
        effect = "deny" if blocked else "allow"
        processes.await_answers(
            lambda answer: answer["effect"] == effect,  # noqa: B023 # awaited at once
            **asked,
        )


def test_a_top_up_makes_the_very_next_check_pass_whoever_is_asked(processes: Processes) -> None:
    for turn in range(4):
        user = {"app_id": "store", "user_id": f"user-{turn}"}
        used = WHO | user | {"event_id": f"e-{turn}", "total_tokens": 1_000}
        sent = processes.client.post(f"{processes.urls[0]}/v1/usage", json=used)
        assert sent.status_code == 202
        grant = {"grantId": "g", "userId": f"user-{turn}", "appId": "store", "meter": "tokens"}

        def effects(user: dict[str, str] = user) -> set[str]:
            return {answer["effect"] for answer in processes.ask(**user, estimated_tokens=10)}

        assert effects() == {"deny"}
        processes.tell(GRANT, grant | {"amount": 1_000}, turn)
        # At once: nobody waits until somebody has heard of it.
        assert effects() == {"allow"}
        processes.tell(GRANT, grant | {"amount": 0}, turn + 1)
        assert effects() == {"deny"}
