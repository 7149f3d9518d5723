"""An app that many use a lot, and how long its page takes beside one that nobody uses."""

import math
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
OTHER: Final = "/dashboard/app?app_id=other"
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


@dataclass(slots=True)
class Pair:
    """The page of the large app beside that of an empty one.

    Attributes:
        what: in which case.
        large_s, empty_s: the least that it took; whatever else runs only adds to it.
    """

    what: str
    large_s: float = math.inf
    empty_s: float = math.inf

    @property
    def ratio(self) -> float:
        """How many times as long the page of the large app takes."""
        return self.large_s / self.empty_s

    def __str__(self) -> str:
        large, empty = self.large_s * 1000, self.empty_s * 1000
        return f"{self.what}: {large:.1f} ms, an empty app {empty:.1f} ms: {self.ratio:.1f} times"


@dataclass(frozen=True, slots=True)
class Found:
    """What came out.

    Attributes:
        pairs: a page that somebody looks at all the time; one of which no hour is known yet; and
            the first page at all after a start.
        page: of the large app, when all was looked at.
        tokens: that were reported for it.
    """

    pairs: tuple[Pair, Pair, Pair]
    page: str
    tokens: int

    @property
    def worst(self) -> float:
        """The greatest of the ratios."""
        return max(pair.ratio for pair in self.pairs)


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
    usual, unread, first = pairs = (
        Pair("looked at before"), Pair("no hour read yet"), Pair("first after a start"),
    )  # fmt: skip
    with Sidecar(store=store, cwd=folder) as sidecar:
        tokens = fill(sidecar.client, events, users, seed=5)
        page = _all_of(sidecar.client)
        for _ in range(rounds):
            time.sleep(_PAUSE_S)
            _note(usual, sidecar.client)
    for _ in range(rounds):
        with Sidecar(store=store, cwd=folder) as sidecar:
            first.empty_s = min(first.empty_s, _seconds(sidecar.client, EMPTY))
        with Sidecar(store=store, cwd=folder) as sidecar:
            first.large_s = min(first.large_s, _seconds(sidecar.client, LARGE))
        with Sidecar(store=store, cwd=folder) as sidecar:
            # Templates are compiled, and nothing else is known.
            sidecar.client.get(OTHER)
            _note(unread, sidecar.client)
    return Found(pairs, page, tokens)


def _all_of(client: httpx.Client) -> str:
    """The page of the large app when all of its users were looked at."""
    deadline = time.monotonic() + 60
    while "looked at so far" in (page := client.get(LARGE).text):
        assert time.monotonic() < deadline, "not all users were looked at"
    return page


def _note(pair: Pair, client: httpx.Client) -> None:
    pair.empty_s = min(pair.empty_s, _seconds(client, EMPTY))
    pair.large_s = min(pair.large_s, _seconds(client, LARGE))


def _seconds(client: httpx.Client, path: str) -> float:
    began = time.perf_counter()
    assert client.get(path).status_code == 200
    return time.perf_counter() - began
