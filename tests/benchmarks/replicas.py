"""What does a request cost if several servers count on one Redis, asked as much in all?"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.benchmarks.contestants import Arena, Contestant, Kind
from tests.benchmarks.cores import begun_on, cpu_s, places
from tests.benchmarks.many import push_subscriptions
from tests.benchmarks.rounds import Mismatch, median
from tests.benchmarks.sizing import Cost
from tests.processes import ROOT

REPLICAS: Final = (1, 2, 4)


def measure(
    arena: Arena,
    folder: Path,
    numbers: Sequence[int],
    *,
    users: int,
    rounds: int,
    rate: float,
    seconds: float,
) -> dict[str, Cost]:
    """The cost with each number of servers, in alternating rounds.

    Args:
        rate: requests in a second, of all servers together.
    """
    (folder / "shared").mkdir()
    shared = arena.redis(folder / "shared")
    servers = [
        arena.begin_sidecar(f"replica {number}", Kind(), users, shared=shared)
        for number in range(max(numbers))
    ]
    with servers[0].asked() as client:
        push_subscriptions(client, users)
    found: dict[str, list[Cost]] = {f"{number}": [] for number in numbers}
    for _ in range(rounds):
        for number in numbers:
            found[f"{number}"].append(_together(servers[:number], rate, seconds))
    return {
        name: Cost(median(costs, "server_us"), median(costs, "redis_us"))
        for name, costs in found.items()
    }


def _together(servers: Sequence[Contestant], rate: float, seconds: float) -> Cost:
    """One round of several servers at the same time, each at its part of the rate."""
    redis, process = servers[0].redis, servers[0].redis_process
    assert redis is not None
    redis.forget_calls()
    before = sum(cpu_s(each.process) for each in servers), cpu_s(process)
    command = [sys.executable, "-m", "tests.benchmarks.open_loop"]
    command += ["--rate", f"{rate / len(servers)}", "--seconds", f"{seconds}"]
    command += ["--users", f"{servers[0].users}"]
    with begun_on(places().client):
        clients = [
            subprocess.Popen([*command, each.url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
            for each in servers
        ]
    answers = [client.communicate()[0] for client in clients]
    after = sum(cpu_s(each.process) for each in servers), cpu_s(process)
    count = sum(json.loads(answer)["requests"] for answer in answers)
    calls, _ = redis.scripts
    if calls != count:
        raise Mismatch(f"{len(servers)} replicas: {count} requests, {calls} calls of scripts")
    server_us, redis_us = ((b - a) / count * 1e6 for a, b in zip(before, after, strict=True))
    return Cost(server_us, redis_us)
