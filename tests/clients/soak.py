"""Ever new users, ids and names for a long while: does what a server remembers stay bounded?"""

import asyncio
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.clients.caller import Address, Answer, Caller, request
from tests.processes import FRESH, ROOT, Sidecar, redis_server

_BATCH: Final = 100
_CALLERS: Final = 4
_EVERY: Final = 20
"""Batches between two looks at the memory."""


@dataclass(slots=True)
class Soaked:
    """What came of it.

    Attributes:
        checks: that were answered, and how many a second.
        rss: resident memory in MiB, in the order of looking.
        failed: answers that were none of those expected.
    """

    checks: int = 0
    per_second: float = 0.0
    rss: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    errors: str = ""

    @property
    def growth(self) -> float:
        """Of the second half, as a part of what there was in the middle."""
        half, quarter = len(self.rss) // 2, max(1, len(self.rss) // 8)
        middle = sum(self.rss[half : half + quarter]) / quarter
        end = sum(self.rss[-quarter:]) / quarter
        return end / middle - 1


class _Names:
    """Names that come again and again, and names that never do."""

    def __init__(self, users: int, seed: int) -> None:
        self._chance = random.Random(seed)
        self._users = users
        self._next = 0

    def new(self) -> str:
        """One that never was."""
        self._next += 1
        return f"n{self._next}-{self._chance.getrandbits(64):x}"

    def checks(self) -> dict[str, Any]:
        """A batch whose reservations end after a second."""
        return {"checks": [self._check() for _ in range(_BATCH)]}

    def _check(self) -> dict[str, Any]:
        self._next += 1
        app = self.new() if self._chance.random() < 0.01 else f"app-{self._next % 10}"
        return {
            "app_id": app,
            "user_id": f"user-{self._next % self._users}",
            "plugin": self._chance.choice(("basic_search", "pro_tool", self.new())),
            "model": self._chance.choice(("gpt-4o", self.new())),
            "workflow": self.new(),
            "agent": self.new(),
            "session_id": self.new(),
            "request_id": self.new(),
            "attributes": {self.new(): self.new()},
            "estimated_tokens": 10,
            "reserve": self._chance.random() < 0.5,
            "ttl_s": 1,
        }

    def others(self) -> list[bytes]:
        """What comes beside checks: usage, and questions about what nobody knows."""
        events = [
            {
                "event_id": self.new(), "chat_id": self.new(), "app_id": "app-1",
                "user_id": f"user-{self._chance.randrange(self._users)}",
                "model_name": self.new(), "total_tokens": 5,
            }
            for _ in range(20)
        ]  # fmt: skip
        return [
            request("/v1/usage", events),
            request(f"/v1/reservations/res_{self.new()}/commit", {"total_tokens": 1}),
            request(f"/v1/decisions/dec_{self.new()}"),
            request(f"/v1/decisions?user_id={self.new()}"),
            request(f"/v1/entitlements?app_id={self.new()}&user_id={self.new()}"),
            request(f"/v1/subscriptions/{self.new()}/{self.new()}"),
            request(f"/{self.new()}"),
        ]


async def soak(folder: Path, *, checks: int, users: int) -> Soaked:
    """So many checks of so many users, with everything else that remembers names."""
    found = Soaked()
    (folder / "redis").mkdir()
    env = {
        "SIDECAR_STORE_TIMEOUT_MS": "5000", "SIDECAR_DECISION_LOG": str(folder / "log"),
        "SIDECAR_DECISION_LOG_FILES": "2", "SIDECAR_DECISION_LOG_FILE_MB": "1",
        "SIDECAR_SHADOW_POLICIES": str(ROOT / "policies/quickstart"),
    }  # fmt: skip
    names = _Names(users, seed=7)
    with (
        redis_server(folder / "redis") as store,
        Sidecar(store=store.url, cwd=folder, env=env, program=FRESH) as sidecar,
    ):
        address = Address.of(sidecar.url)
        batches = iter(range(checks // _BATCH))
        began = time.monotonic()

        async def ask() -> None:
            caller = Caller(address)
            for number in batches:
                answer = await caller.ask(request("/v1/checks", names.checks()))
                _note(found, answer, {200})
                found.checks += len(answer.json()["decisions"])
                for other in names.others():
                    _note(found, await caller.ask(other), {200, 202, 404})
                if number % _EVERY == 0:
                    found.rss.append(_resident_mib(sidecar.process.pid))
            caller.close()

        await asyncio.gather(*(ask() for _ in range(_CALLERS)))
        found.per_second = found.checks / (time.monotonic() - began)
    found.errors = sidecar.errors()
    return found


def _note(found: Soaked, answer: Answer, expected: set[int]) -> None:
    if answer.status not in expected:
        found.failed.append(f"{answer.status} {answer.body[:200]!r}")


def _resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the server is gone")
