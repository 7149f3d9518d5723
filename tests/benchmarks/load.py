"""What is asked of every server: a check that holds, then a commit of what was used, as bytes.

The reference load: a thousand users of fifty apps, of whom a few ask much and most ask little
(Zipf); eight requests with their estimates, each with what it came to in the end.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Final

POLICIES: Final = Path(__file__).parent / "reference"
PLANS: Final = ("free", "starter", "pro", "team", "enterprise")
APPS: Final = 50
USERS: Final = 1_000
TURNS: Final = 100_000
"""After so many checks the users come in the same order again."""
RUNTIME_KEY: Final = "runtime-key-of-the-benchmark-0123456789abcdef"
INTERNAL_KEY: Final = "internal-key-of-the-benchmark-0123456789abcde"
MARK: Final = '"decision_id"'
"""Only the answer to a check has this."""

_SEED: Final = 8


@dataclass(frozen=True, slots=True)
class Run:
    """One kind of request, and what it came to."""

    plugin: str
    workflow: str
    agent: str
    model: str
    estimate: tuple[int, int]
    used: tuple[int, int]


RUNS: Final = (
    Run("basic_search", "answer-ticket", "planner", "gpt-4o", (900, 300), (880, 210)),
    Run("basic_search", "answer-ticket", "writer", "gpt-4o-mini", (2_400, 800), (2_391, 655)),
    Run("basic_chat", "support", "greeter", "gpt-4o-mini", (300, 150), (298, 47)),
    Run("basic_chat", "support", "solver", "gpt-4o", (1_800, 900), (1_799, 912)),
    Run("web_fetch", "research", "reader", "gpt-4o-mini", (5_000, 500), (4_410, 380)),
    Run("web_search", "research", "planner", "gpt-4o", (700, 200), (701, 160)),
    Run("basic_mail", "newsletter", "writer", "claude-sonnet-4", (1_500, 1_200), (1_466, 987)),
    Run("web_fetch", "newsletter", "reader", "claude-sonnet-4", (4_200, 400), (4_200, 222)),
)


def app_of(user: int) -> str:
    """The app that a user belongs to."""
    return f"a{user % APPS:02d}"


def name_of(user: int) -> str:
    """What a user is called; all names are of one length, so that all bodies are."""
    return f"u{user:07d}"


def plan_of(user: int) -> str:
    """Which plan a user has; the apps have users of every plan."""
    return PLANS[user // APPS % len(PLANS)]


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of a request around what differs: before the app, between, after the user."""

    head: str
    middle: str
    tail: str

    def of(self, user: int) -> str:
        """The whole request of a user."""
        return f"{self.head}{app_of(user)}{self.middle}{name_of(user)}{self.tail}"


def body_of(run: Run, user: int = 0) -> str:
    """What `POST /v1/check` is sent."""
    return json.dumps(
        {
            "app_id": app_of(user),
            "user_id": name_of(user),
            "plugin": run.plugin,
            "workflow": run.workflow,
            "agent": run.agent,
            "model": run.model,
            "estimate": {"input_tokens": run.estimate[0], "output_tokens": run.estimate[1]},
            "attributes": {"region": "eu"},
            "reserve": True,
        },
        separators=(",", ":"),
    )


def used_of(run: Run) -> str:
    """What the commit after it is sent."""
    used = {"input_tokens": run.used[0], "output_tokens": run.used[1], "model": run.model}
    return json.dumps(used, separators=(",", ":"))


def _head(path: str, body: str) -> str:
    return (
        f"POST {path} HTTP/1.1\r\nHost: sidecar\r\nAuthorization: Bearer {RUNTIME_KEY}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )


def checks() -> list[Part]:
    """The checks, one for each run."""
    parts = []
    for run in RUNS:
        body = body_of(run)
        head, rest = body.split(app_of(0), 1)
        middle, tail = rest.split(name_of(0), 1)
        parts.append(Part(_head("/v1/check", body) + head, middle, tail))
    return parts


def commits() -> list[tuple[str, str]]:
    """The commits, one for each run: what stands before the reservation's id and after it."""
    found = []
    for run in RUNS:
        body = used_of(run)
        before, after = _head("/v1/reservations/ID/commit", body).split("ID", 1)
        found.append((before, after + body))
    return found


@dataclass(frozen=True)
class Crowd:
    """Users of whom the first asks most, the second half as much, the third a third."""

    users: int = USERS

    @cached_property
    def turns(self) -> Sequence[int]:
        """Whose turn it is, the same in each run of the benchmark."""
        shares = list(accumulate(1 / (rank + 1) for rank in range(self.users)))
        # The greatest are spread over apps and plans alike, as the numbers of users are.
        return Random(_SEED).choices(range(self.users), cum_weights=shares, k=TURNS)


def subscriptions(users: int) -> Iterator[dict[str, str]]:
    """What is pushed, for each user."""
    for user in range(users):
        yield {
            "appId": app_of(user),
            "userId": name_of(user),
            "plan": plan_of(user),
            "status": "active",
        }


def write(folder: Path, crowd: Crowd) -> Path:
    """Put down the load for wrk to read: the parts of requests, then whose turn it is."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces: dict[str, list[tuple[str, ...]]] = {
        "checks": [(part.head, part.middle, part.tail) for part in checks()],
        "commits": [*commits()],
    }
    # What JSON makes of plain text is a string in Lua too.
    told = (
        f"{name} = {{{', '.join('{' + ', '.join(map(json.dumps, each)) + '}' for each in found)}}}"
        for name, found in pieces.items()
    )
    (folder / "requests.lua").write_text(f"return {{ {', '.join(told)} }}\n")
    lines = [f"{app_of(user)} {name_of(user)}" for user in crowd.turns]
    (folder / "turns.txt").write_text("\n".join(lines))
    return folder
