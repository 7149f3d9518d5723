"""What does HTTP cost around a decision? µs of a request whose answer is ready made.

The whole application decides some checks on a store in memory; from then on its decision point
gives those answers again and again. `app` is what the application takes of a request, `whole` what
it takes from the bytes that come in to those that go out. Beside it stands an echo behind uvicorn
as it comes. The least of many short rounds counts: it is what a quiet machine would take.

    python -m tests.benchmarks.http_cost [--rounds 200]
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from time import thread_time
from typing import Any, Final
from unittest.mock import patch

import uvicorn
import uvloop
from starlette.types import ASGIApp, Message, Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from sidecar.bootstrap.server import create_app
from sidecar.cli.http import BoundedHttp
from sidecar.domain.decision import Decision
from sidecar.domain.usage import Settlement, Tally
from sidecar.pdp import PDP
from sidecar.settings import Settings
from tests.benchmarks.calm import calm_garbage_collection
from tests.benchmarks.echo import app as echo
from tests.processes import ROOT

REQUESTS: Final = 64
CONNECTIONS: Final = 32
USERS: Final = 256
COMMIT: Final = b'{"total_tokens":0}'

Asked = Sequence[tuple[str, bytes]]
"""Paths and bodies."""


@dataclass(frozen=True, slots=True)
class Cost:
    """µs of one request."""

    app: float
    whole: float


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    costs = uvloop.run(measure(parser.parse_args().rounds))
    print(f"{'µs of a request':18}{'app':>8}{'whole':>8}")
    for name, cost in costs.items():
        print(f"{name:18}{cost.app:8.1f}{cost.whole:8.1f}")


async def measure(rounds: int) -> dict[str, Cost]:
    """What each kind of request takes."""
    async with _ready() as (app, kinds):
        costs = {}
        with calm_garbage_collection():
            for name, asked in kinds.items():
                costs[name] = await _cost(app, BoundedHttp, asked, rounds)
            costs["echo"] = await _cost(echo, HttpToolsProtocol, kinds["check"], rounds)
    return costs


@asynccontextmanager
async def _ready() -> AsyncIterator[tuple[ASGIApp, dict[str, Asked]]]:
    """An application that has its answers, and what to ask it."""
    settings = Settings.model_validate({
        "sidecar_policies": ROOT / "policies/quickstart", "sidecar_store": "sqlite://",
        "sidecar_spool": None,
    })  # fmt: skip
    app = create_app(settings)
    checks = [("/v1/check", _check(user)) for user in range(USERS)]
    commits: list[tuple[str, bytes]] = []
    async with app.router.lifespan_context(app):
        decisions, settlements = list[Decision](), list[Settlement]()
        with ExitStack() as kept:
            kept.enter_context(patch.object(PDP, "check", _keeping(PDP.check, decisions)))
            kept.enter_context(patch.object(PDP, "commit", _keeping(PDP.commit, settlements)))
            for check in checks:
                await _answered(app, *check)
                held = decisions[-1].reservation
                assert held is not None
                commits.append((f"/v1/reservations/{held.id}/commit", COMMIT))
                await _answered(app, *commits[-1])
        with ExitStack() as given:
            given.enter_context(patch.object(PDP, "check", _giving(decisions)))
            given.enter_context(patch.object(PDP, "commit", _giving(settlements)))
            given.enter_context(patch.object(PDP, "record", _giving([Tally(1, 0)])))
            events = [("/v1/usage", _event(user)) for user in range(USERS)]
            ten = b"[%b]" % b",".join(body for _, body in events[:10])
            yield app, {
                "check": checks, "commit": commits, "event": events,
                "ten events": [("/v1/usage", ten)],
            }  # fmt: skip


def _keeping(real: Callable[..., Any], kept: list[Any]) -> Callable[..., Any]:
    async def ask(*args: object, **more: object) -> object:
        kept.append(await real(*args, **more))
        return kept[-1]

    return ask


def _giving(answers: Sequence[object]) -> Callable[..., Any]:
    waiting = cycle(answers)

    async def answer(*_: object, **__: object) -> object:
        return next(waiting)

    return answer


def _check(user: int) -> bytes:
    return json.dumps({
        "app_id": f"a{user % 50}", "user_id": f"u{user}", "plugin": "basic_search",
        "model": "gpt-4o", "estimated_tokens": 0, "reserve": True,
    }).encode()  # fmt: skip


def _event(user: int) -> bytes:
    return json.dumps({
        "event_id": f"e{user}", "chat_id": f"c{user}", "app_id": f"a{user % 50}",
        "user_id": f"u{user}", "workflow_name": "support", "agent_name": "planner",
        "model_name": "gpt-4o", "prompt_tokens": 10, "completion_tokens": 20,
    }).encode()  # fmt: skip


# -- the application alone --------------------------------------------------------------------


async def _answered(app: ASGIApp, path: str, body: bytes) -> None:
    scope: Scope = {
        "type": "http", "method": "POST", "path": path, "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"content-length", b"%d" % len(body))],
    }  # fmt: skip

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        assert message.get("status", 200) in (200, 202), message

    await app(scope, receive, send)


# -- from bytes to bytes ----------------------------------------------------------------------


class _Nowhere(asyncio.Transport):
    """A connection whose other side takes all."""

    def write(self, data: object) -> None:
        """Take it."""

    def is_closing(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Nothing was open."""


async def _cost(
    app: ASGIApp, protocol: Callable[..., HttpToolsProtocol], asked: Asked, rounds: int
) -> Cost:
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, access_log=False)
    waiting = cycle(asked)
    alone, whole = [], []
    for _ in range(rounds):
        now = list(islice(waiting, REQUESTS))
        began = thread_time()
        for path, body in now:
            await _answered(app, path, body)
        alone.append(thread_time() - began)
        whole.append(await _whole(lambda state: protocol(config, state, {}), now))
    return Cost(min(alone) / REQUESTS * 1e6, min(whole) / REQUESTS * 1e6)


async def _whole(connection: Callable[[ServerState], HttpToolsProtocol], asked: Asked) -> float:
    state = ServerState()
    connections = [connection(state) for _ in range(CONNECTIONS)]
    for each in connections:
        each.connection_made(_Nowhere())
    sent = [
        b"POST %b HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
        % (path.encode(), len(body), body)
        for path, body in asked
    ]
    began = thread_time()
    for start in range(0, len(sent), CONNECTIONS):
        for each, piece in zip(connections, sent[start:], strict=False):
            each.data_received(piece)
        while state.tasks:  # noqa: ASYNC110  nothing else may be paid for
            await asyncio.sleep(0)
    took_s = thread_time() - began
    assert state.total_requests == len(asked)
    for each in connections:
        each.connection_lost(None)
    return took_s


if __name__ == "__main__":
    main()
