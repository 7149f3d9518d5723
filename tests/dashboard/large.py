"""An app that many use a lot, and how long its page takes beside one that nobody uses."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import httpx

from tests.processes import Sidecar

LARGE: Final = "/dashboard/app?app_id=large"
EMPTY: Final = "/dashboard/app?app_id=empty"
_BATCH: Final = 1_000
_HOURS: Final = 23
_MODELS: Final = ("gpt-4o", "gpt-4o-mini", "claude-sonnet", "llama-3", "o3")
_WORK: Final = tuple(
    (f"workflow-{number % 6}", f"agent-{number % 4}", f"plugin-{number % 5}")
    for number in range(12)
)
"""What goes on in an app: six workflows, each with agents and plugins of its own."""
_PAUSE_S: Final = 2.1
"""Longer than what was made for one page is good enough for the next."""


@dataclass(frozen=True, slots=True)
class Found:
    """What came out.

    Attributes:
        large_s, empty_s: the least that a page took; whatever else runs only adds to it.
        page: of the large app.
        tokens: that were reported for it.
    """

    large_s: float
    empty_s: float
    page: str
    tokens: int

    @property
    def ratio(self) -> float:
        """How many times as long the page of the large app takes."""
        return self.large_s / self.empty_s


def fill(client: httpx.Client, events: int, users: int, seed: int) -> int:
    """Report use of the large app; its tokens in all."""
    tokens = 0
    for batch in _batches(events, users, random.Random(seed)):
        answer = client.post("/v1/usage", json=batch, timeout=60)
        assert answer.json()["accepted"] == len(batch), answer.text
        tokens += sum(int(str(event["total_tokens"])) for event in batch)
    return tokens


def _batches(events: int, users: int, chance: random.Random) -> Iterator[list[dict[str, object]]]:
    now = datetime.now(UTC)
    for first in range(0, events, _BATCH):
        yield [
            _event(number, users, now, chance)
            for number in range(first, min(first + _BATCH, events))
        ]


def _event(number: int, users: int, now: datetime, chance: random.Random) -> dict[str, object]:
    workflow, agent, plugin = chance.choice(_WORK)
    return {
        "app_id": "large", "user_id": f"user-{number % users}", "event_id": f"e{number}",
        "event_ts": (now - timedelta(hours=_HOURS * chance.random())).isoformat(),
        "model_name": chance.choice(_MODELS), "workflow_name": workflow, "agent_name": agent,
        "plugin": plugin, "total_tokens": chance.randint(10, 900),
    }  # fmt: skip


def measure(folder: Path, store: str, events: int, users: int, rounds: int) -> Found:
    """Fill a store, then ask for both pages by turns."""
    with Sidecar(store=store, cwd=folder) as sidecar:
        client = sidecar.client
        tokens = fill(client, events, users, seed=5)
        # Templates are compiled, and all users looked at once.
        client.get(EMPTY)
        deadline = time.monotonic() + 60
        while "looked at so far" in (page := client.get(LARGE).text):
            assert time.monotonic() < deadline, "not all users were looked at"
        large, empty = [], []
        for _ in range(rounds):
            time.sleep(_PAUSE_S)
            empty.append(_seconds(client, EMPTY))
            large.append(_seconds(client, LARGE))
        return Found(min(large), min(empty), page, tokens)


def _seconds(client: httpx.Client, path: str) -> float:
    began = time.perf_counter()
    assert client.get(path).status_code == 200
    return time.perf_counter() - began
