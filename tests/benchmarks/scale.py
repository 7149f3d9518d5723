"""`make bench-scale`: how does the cost of a check grow, and what does an installation need?

One thing grows, all else is the reference load of `make bench`: servers in alternating rounds,
CPU of server and Redis for each request, of which a run has two. What one core of Redis holds,
what a hot app can ask for and a sizing table follow from that.

    python -m tests.benchmarks.scale [--only rules plans limits users replicas sizing] [--quick]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import uvloop

from tests.benchmarks import load, memory, report, sizing
from tests.benchmarks.contestants import LEASED, SIDECARS, Arena, Contestant, Kind, demand_wrk
from tests.benchmarks.cores import begun_on, cpu_s, places
from tests.benchmarks.growing import Growth
from tests.benchmarks.load import USERS, Crowd
from tests.benchmarks.many import push_subscriptions
from tests.benchmarks.observed import ObservedRedis
from tests.benchmarks.rounds import Mismatch, Rounds, alternate, closed, median
from tests.benchmarks.sizing import Cost
from tests.processes import ROOT, redis_server

POLICIES: Final[Mapping[str, Mapping[int, Kind]]] = {
    "rules": {number: Kind(growth=Growth(rules=number)) for number in (20, 200, 2_000)},
    "plans": {number: Kind(growth=Growth(plans=number)) for number in (5, 50, 500)},
    "limits": {number: Kind(growth=Growth(limits=number)) for number in (1, 3, 8, 16)},
}
CROWDS: Final = (1, 1_000, 10_000, 100_000, 1_000_000)
REPLICAS: Final = (1, 2, 4)
USERS_TOLD: Final = "users"
REPLICAS_TOLD: Final = "replicas"
SIZING: Final = "sizing"
DIMENSIONS: Final = (*POLICIES, USERS_TOLD, REPLICAS_TOLD, SIZING)
_HOT: Final = "1 user, leases"
_REFERENCE: Final = ("limits", "3")


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured.

    Attributes:
        users: who ask, where their number does not grow.
        most_users: in the largest crowd.
        items: of each thing that is weighed.
        rate: requests in a second, of all replicas together.
    """

    rounds: int
    seconds: float
    users: int
    most_users: int
    items: int
    rate: float


FULL: Final = Extent(5, 3.0, USERS, max(CROWDS), 5_000, 1_000.0)
QUICK: Final = Extent(1, 1.0, 50, 1_000, 200, 100.0)

Costs = dict[str, dict[str, Cost]]
"""By what grows, and how far it has grown."""


def main(arguments: Sequence[str] | None = None) -> Costs:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="make bench-scale",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=DIMENSIONS, default=DIMENSIONS)
    parser.add_argument("--rounds", type=int, default=FULL.rounds)
    parser.add_argument("--quick", action="store_true", help="too short to say anything")
    given = parser.parse_args(arguments)
    extent = QUICK if given.quick else replace(FULL, rounds=given.rounds)
    demand_wrk()
    print(report.setting())
    print(f"{places().told}; medians of {extent.rounds} rounds")
    costs: Costs = {}
    for dimension in DIMENSIONS:
        if dimension in given.only and dimension != SIZING:
            with tempfile.TemporaryDirectory(prefix="bench-") as name:
                costs[dimension] = _grown(Path(name), dimension, extent)
    if SIZING in given.only:
        _print_sizing(costs, extent)
    return costs


def _note(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def _grown(folder: Path, dimension: str, extent: Extent) -> dict[str, Cost]:
    with Arena(folder) as arena:
        if dimension == REPLICAS_TOLD:
            costs = _replicas(arena, folder, extent)
            told: dict[str, str] = {}
        else:
            servers = _begin(arena, dimension, extent)
            rounds = _measure(servers, folder / "loads", extent)
            costs = {
                name: Cost(median(found, "server_us"), median(found, "redis_us"))
                for name, found in rounds.items()
            }
            told = {
                each.name: f"{figure:.0f} {what}"
                for each in servers
                for what, figure in each.told.items()
            }
    print(f"\n{dimension:>16} {'server µs':>10} {'Redis µs':>10} {'runs/s of a Redis core':>24}")
    for name, cost in costs.items():
        # At half of its time; whoever wants the most that it can takes twice that.
        runs = f"{cost.runs / sizing.BUSY:24,.0f}"
        print(
            f"{name:>16} {cost.server_us:10.1f} {cost.redis_us:10.1f} {runs}  {told.get(name, '')}"
        )
    return costs


def _begin(arena: Arena, dimension: str, extent: Extent) -> list[Contestant]:
    if dimension in POLICIES:
        return [
            arena.begin_sidecar(f"{number:,}", kind, extent.users)
            for number, kind in POLICIES[dimension].items()
        ]
    servers = [arena.begin_sidecar(_HOT, SIDECARS[LEASED], 1)]
    for users in CROWDS:
        if users <= extent.most_users:
            kind = Kind(is_filled=users > USERS)
            _note(f"begins: {users:,} users")
            servers.append(arena.begin_sidecar(f"{users:,}", kind, users))
    return servers


def _measure(servers: Sequence[Contestant], loads: Path, extent: Extent) -> Rounds:
    for users in {each.users for each in servers}:
        load.write(loads / str(users), Crowd(users))
    measure = partial(closed, loads=loads, seconds=extent.seconds)
    return alternate(servers, extent.rounds, measure, _note)


def _replicas(arena: Arena, folder: Path, extent: Extent) -> dict[str, Cost]:
    """What a request costs if several servers count on one Redis, asked as much in all."""
    (folder / "shared").mkdir()
    shared = arena.redis(folder / "shared")
    servers = [
        arena.begin_sidecar(f"replica {number}", Kind(), extent.users, shared=shared)
        for number in range(max(REPLICAS))
    ]
    with servers[0].asked() as client:
        push_subscriptions(client, extent.users)
    found: dict[str, list[Cost]] = {f"{number}": [] for number in REPLICAS}
    for _ in range(extent.rounds):
        for number in REPLICAS:
            found[f"{number}"].append(_together(servers[:number], extent))
    return {
        name: Cost(median(costs, "server_us"), median(costs, "redis_us"))
        for name, costs in found.items()
    }


def _together(servers: Sequence[Contestant], extent: Extent) -> Cost:
    """One round of several servers at the same time, each at its part of the rate."""
    redis, process = servers[0].redis, servers[0].redis_process
    assert redis is not None
    redis.forget_calls()
    before = sum(cpu_s(each.process) for each in servers), cpu_s(process)
    command = [sys.executable, "-m", "tests.benchmarks.open_loop"]
    command += ["--rate", f"{extent.rate / len(servers)}", "--seconds", f"{extent.seconds}"]
    command += ["--users", f"{extent.users}"]
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


def _print_sizing(costs: Costs, extent: Extent) -> None:
    dimension, grown = _REFERENCE
    if dimension not in costs:
        _note(f"what an installation needs follows from {dimension}, which was not measured")
        return
    cost = costs[dimension][grown]
    with tempfile.TemporaryDirectory(prefix="bench-") as name, redis_server(Path(name)) as server:
        redis = ObservedRedis(server.socket)
        weights = uvloop.run(memory.measure(server.url, redis, items=extent.items))
        redis.close()
    print(f"\nWhat an installation needs, no core busier than {sizing.BUSY:.0%}")
    print("\n".join(sizing.table(weights, cost)))
    most = cost.runs
    print(f"\nA core of Redis that is busy for half of its time: {most:,.0f} runs/s.")
    print("Beyond that a Cluster shares the apps among cores; one app stays on one of them.")
    crowds = costs.get(USERS_TOLD, {})
    if _HOT in crowds:
        hot = crowds[_HOT].runs
        print(f"One hot user of one app, with leases: {hot:,.0f} runs/s of that core.")


if __name__ == "__main__":
    main()
