"""The same checks and commits without HTTP: the decision point called in this process.

python -m tests.benchmarks.library REDIS_URL --seconds 3 --callers 32
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import cycle
from typing import Final

import uvloop

from sidecar.bootstrap.policies import find_policies
from sidecar.bootstrap.server import running
from sidecar.domain.request import Amounts, CheckRequest, Subject
from sidecar.domain.subscription import Status, Subscription
from sidecar.pdp import PDP
from sidecar.ports import Subscriptions
from sidecar.settings import Deployment, Settings
from tests.benchmarks.calm import calm_garbage_collection
from tests.benchmarks.load import POLICIES, RUNS, USERS, Crowd, Run, app_of, name_of, plan_of

_AT_ONCE: Final = 16


def request_of(run: Run, user: int) -> CheckRequest:
    """What a body of the load comes to."""
    read, written = run.estimate
    return CheckRequest(
        Subject(app_of(user), name_of(user)),
        plugin=run.plugin,
        workflow=run.workflow,
        agent=run.agent,
        model=run.model,
        estimate=Amounts(read + written, read, written, requests=1, concurrency=1),
        attributes={"region": "eu"},
        reserve=True,
    )


def used_of(run: Run) -> Amounts:
    """What it came to in the end."""
    read, written = run.used
    return Amounts(read + written, read, written)


async def push(subscriptions: Subscriptions) -> None:
    """Let the store know everybody's plan."""
    now, users = datetime.now(UTC), iter(range(USERS))

    async def push_some() -> None:
        for user in users:
            state = Subscription(
                name_of(user),
                app_id=app_of(user),
                plan=plan_of(user),
                status=Status.ACTIVE,
                updated_at=now,
            )
            await subscriptions.sync(state, since=time.monotonic())

    await asyncio.gather(*(push_some() for _ in range(_AT_ONCE)))


async def drive(pdp: PDP, seconds: float, callers: int) -> tuple[int, float, float]:
    """Ask until the time is over: requests, seconds, and seconds of CPU."""
    turns, runs, asked = cycle(Crowd().turns), cycle(RUNS), 0
    begun, cpu_s = time.perf_counter(), time.process_time()
    until = begun + seconds

    async def ask() -> None:
        nonlocal asked
        while time.perf_counter() < until:
            run = next(runs)
            decision = await pdp.check(request_of(run, next(turns)))
            assert decision.reservation is not None
            await pdp.commit(decision.reservation.id, used_of(run), final=True)
            asked += 1

    await asyncio.gather(*(ask() for _ in range(callers)))
    return 2 * asked, time.perf_counter() - begun, time.process_time() - cpu_s


async def _measure(store: str, seconds: float, callers: int) -> None:
    settings = Settings.model_validate(
        {
            "sidecar_store": store,
            "sidecar_policies": POLICIES,
            "mozaiks_mode": Deployment.PLATFORM,
            "sidecar_store_timeout_ms": 5_000,
        }
    )
    policies = find_policies(settings).live.policies
    async with running(settings, policies) as (pdp, subscriptions, _):
        await push(subscriptions)
        with calm_garbage_collection():
            await drive(pdp, seconds / 10, callers)
            requests, lasted, cpu_s = await drive(pdp, seconds, callers)
    print(json.dumps({"requests": requests, "us": lasted * 1e6, "cpu_us": cpu_s * 1e6}))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what came of it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.library")
    parser.add_argument("redis")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--callers", type=int, default=32)
    given = parser.parse_args(arguments)
    uvloop.run(_measure(given.redis, given.seconds, given.callers))


if __name__ == "__main__":
    main()
