"""`make bench-scale`: how does the cost of a check grow, and what does an installation need?

One thing grows, all else is the reference load of `make bench`: servers in alternating rounds,
CPU of server and Redis for each request, of which a run has two. What one core of Redis holds,
when a Cluster is needed, what a hot app can ask for and a sizing table are computed from that.

    python -m tests.benchmarks.scale [--only rules plans limits users replicas sizing] [--quick]
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import uvloop

from tests.benchmarks import load, memory, readme, replicas, report, scaled, sizing
from tests.benchmarks.contestants import LEASED, SIDECARS, Arena, Contestant, Kind, demand_wrk
from tests.benchmarks.cores import places
from tests.benchmarks.growing import Growth
from tests.benchmarks.load import USERS, Crowd
from tests.benchmarks.memory import Weight
from tests.benchmarks.observed import ObservedRedis
from tests.benchmarks.replicas import REPLICAS
from tests.benchmarks.rounds import Round, Rounds, alternate, closed, median, open_loop
from tests.benchmarks.scaled import HALF, HOT, Costs
from tests.benchmarks.sizing import Cost
from tests.processes import FRESH, redis_server

POLICIES: Final[Mapping[str, Mapping[int, Kind]]] = {
    "rules": {number: Kind(growth=Growth(rules=number)) for number in (20, 200, 2_000)},
    "plans": {number: Kind(growth=Growth(plans=number)) for number in (5, 50, 500)},
    scaled.LIMITS: {number: Kind(growth=Growth(limits=number)) for number in (3, 1, 8, 16)},
}
CROWDS: Final = (1_000, 1, 10_000, 100_000, 1_000_000)
REPLICAS_TOLD: Final = "replicas"
SIZING: Final = "sizing"
DIMENSIONS: Final = (*POLICIES, scaled.USERS, REPLICAS_TOLD, SIZING)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured.

    Attributes:
        steps: how far each thing grows, the reference first.
        users: who ask, where their number does not grow.
        items: of each thing that is weighed.
        rate: requests in a second, of all replicas together.
        program: what sidecars begin with.
    """

    rounds: int
    seconds: float
    steps: int
    users: int
    items: int
    rate: float
    program: tuple[str, ...]


FULL: Final = Extent(5, 3.0, len(CROWDS), USERS, 5_000, 1_000.0, FRESH)
QUICK: Final = Extent(1, 0.5, 2, 50, 200, 200.0, ())


def main(arguments: Sequence[str] | None = None) -> Costs:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="make bench-scale",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=DIMENSIONS, default=DIMENSIONS)
    parser.add_argument("--rounds", type=int, default=FULL.rounds)
    parser.add_argument("--readme", action="store_true", help="put the figures there")
    parser.add_argument("--quick", action="store_true", help="too short to say anything")
    given = parser.parse_args(arguments)
    extent = QUICK if given.quick else replace(FULL, rounds=given.rounds)
    demand_wrk()
    begun = time.monotonic()
    print(report.setting())
    costs: Costs = {}
    for dimension in DIMENSIONS:
        if dimension in given.only and dimension != SIZING:
            with tempfile.TemporaryDirectory(prefix="bench-") as name:
                costs[dimension] = _grown(Path(name), dimension, extent)
    how = f"medians of {extent.rounds} rounds of {extent.seconds:g} s"
    where = report.wrapped(f"On {os.cpu_count()} cores, {places().told}; {how}.")
    told = {"make bench-scale": [*where, "", *scaled.told(costs)]}
    if SIZING in given.only and scaled.LIMITS in costs:
        cost = costs[scaled.LIMITS][HALF]
        told["make bench-scale, sizing"] = sizing.table(_weigh(extent), cost)
    for place, lines in told.items():
        print("\n".join(["", *lines]))
        if given.readme:
            readme.put(place, lines)
    print(f"\n{time.monotonic() - begun:.0f} s in all; {report.setting()}")
    return costs


def _note(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def _grown(folder: Path, dimension: str, extent: Extent) -> dict[str, Cost]:
    _note(f"lets {dimension} grow")
    with Arena(folder, program=extent.program) as arena:
        if dimension == REPLICAS_TOLD:
            return replicas.measure(
                arena,
                folder,
                REPLICAS[: extent.steps],
                users=extent.users,
                rounds=extent.rounds,
                rate=extent.rate,
                seconds=extent.seconds,
            )
        servers = _begin(arena, dimension, extent)
        rounds = _measure(servers, folder / "loads", extent)
        if dimension == scaled.LIMITS:
            first = servers[0]
            rounds[HALF] = _at_half(first, rounds[first.name], extent)
        further = {
            each.name: "".join(f", {figure:,.0f} {name}" for name, figure in each.told.items())
            for each in servers
        }
    return {
        name + further.get(name, ""): Cost(median(found, "server_us"), median(found, "redis_us"))
        for name, found in rounds.items()
    }


def _begin(arena: Arena, dimension: str, extent: Extent) -> list[Contestant]:
    if dimension in POLICIES:
        return [
            arena.begin_sidecar(f"{number:,}", kind, extent.users)
            for number, kind in [*POLICIES[dimension].items()][: extent.steps]
        ]
    servers = []
    for users in CROWDS[: extent.steps]:
        kind = Kind(is_filled=users > USERS)
        _note(f"begins: {users:,} users")
        servers.append(arena.begin_sidecar(f"{users:,}", kind, users))
    return [*servers, arena.begin_sidecar(HOT, SIDECARS[LEASED], 1)]


def _measure(servers: Sequence[Contestant], loads: Path, extent: Extent) -> Rounds:
    for users in {each.users for each in servers}:
        load.write(loads / str(users), Crowd(users))
    measure = partial(closed, loads=loads, seconds=extent.seconds)
    return alternate(servers, extent.rounds, measure, _note)


def _at_half(server: Contestant, full: Sequence[Round], extent: Extent) -> list[Round]:
    """At half of what it could do: there is less to be done at once, so each takes more."""
    rate = median(full, "rate") / 2
    return [open_loop(server, rate, extent.seconds) for _ in range(extent.rounds)]


def _weigh(extent: Extent) -> dict[str, Weight]:
    """What each thing that is kept takes of Redis's memory."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name, redis_server(Path(name)) as server:
        redis = ObservedRedis(server.socket)
        weights = uvloop.run(memory.measure(server.url, redis, items=extent.items))
        redis.close()
    return weights


if __name__ == "__main__":
    main()
