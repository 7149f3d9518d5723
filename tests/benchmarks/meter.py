"""`make bench-meter`: what does counting on Redis cost the client, the server and its memory?

In one run and in alternating rounds: our meter and our connection beside redis-py's evalsha of
the same script and beside the library `limits`, our script beside a bare one, and the bytes of
everything that is kept. Read the ratios: absolute figures are this machine's.

    python -m tests.benchmarks.meter [--quick] [--rounds 5] [--only client|server|memory]
"""

import argparse
import os
import platform
import statistics
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import uvloop

from tests.benchmarks import client_cost, memory, server_cost
from tests.benchmarks.client_cost import Load, Round, Rounds
from tests.benchmarks.memory import Weight
from tests.benchmarks.observed import ObservedRedis
from tests.benchmarks.server_cost import Cost, Costs
from tests.benchmarks.traffic import THREE, USERS
from tests.processes import redis_server

PARTS: Final = ("client", "server", "memory")
CPU_SHARE: Final = 0.35
"""Of redis-py's CPU, for the same command."""
SPEED_UP: Final = 1.8
"""Of redis-py's throughput at 64, where the server is not what limits it."""
BUSY: Final = 0.9
"""From here on the server is what limits."""
SCRIPT_SHARE: Final = 1.5
"""Of what a bare script of six commands takes."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    rounds: int
    operations: dict[Load, int]
    calls: int
    items: int


QUICK: Final = Extent(1, {load: 10 * load.at_once for load in client_cost.OPERATIONS}, 64, 500)

Seen = tuple[Costs, dict[str, Weight]]
"""What calls cost Redis, and what things weigh."""


def main(arguments: Sequence[str] | None = None) -> Seen:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="make bench-meter", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="too short to say anything")
    parser.add_argument("--only", choices=PARTS)
    told = parser.parse_args(arguments)
    full = Extent(told.rounds, client_cost.OPERATIONS, server_cost.OPERATIONS, memory.ITEMS)
    return uvloop.run(_measure(QUICK if told.quick else full, (told.only,) if told.only else PARTS))


async def _measure(extent: Extent, parts: Sequence[str]) -> Seen:
    with tempfile.TemporaryDirectory(prefix="bench-") as name, redis_server(Path(name)) as server:
        redis = ObservedRedis(server.socket)
        _print_setting(redis, extent)
        costs: Costs = {}
        weights: dict[str, Weight] = {}
        if "client" in parts:
            rounds = await client_cost.measure(
                server.url, redis, rounds=extent.rounds, operations=extent.operations
            )
            _print_client(rounds)
        if "server" in parts:
            costs = await server_cost.measure(
                server.url, redis, rounds=extent.rounds, operations=extent.calls
            )
            _print_server(costs)
        if "memory" in parts:
            weights = await memory.measure(server.url, redis, items=extent.items)
            _print_memory(weights)
        redis.close()
        print(f"\nload at the end: {_load()}")
        return costs, weights


def _print_setting(redis: ObservedRedis, extent: Extent) -> None:
    names = ", ".join(
        f"{name} {version(name)}" for name in ("redis", "hiredis", "limits", "uvloop")
    )
    print(f"Redis {redis.version}, Python {platform.python_version()}, {names}")
    print(f"{os.cpu_count()} cores, load at the start: {_load()}")
    print(f"{len(THREE)} limits, {USERS} users, {extent.rounds} alternating rounds:", end=" ")
    print("medians, (least-most)")


def _load() -> str:
    return " ".join(f"{each:.2f}" for each in os.getloadavg())


def _print_client(rounds: Rounds) -> None:
    print("\nWhat an operation costs who asks")
    print(
        f"{'at once':>7}  {'':26} {'ops/s':>7} {'':>17} {'CPU µs/op':>9} {'':>15} {'kernel':>6}"
        f" {'p50 ms':>7} {'p99 ms':>7} {'Redis µs/op':>11} {'busy':>5}"
    )
    for load, ways in rounds.items():
        for name, measured in ways.items():
            rates, cpu = [each.rate for each in measured], [each.client_us for each in measured]
            kernel, p50, p99, redis_us, busy = (
                statistics.median(getattr(each, part) for each in measured)
                for part in ("kernel_us", "p50_ms", "p99_ms", "redis_us", "busy")
            )
            print(
                f"{load!s:>8} {name:26} {statistics.median(rates):7.0f} {_spread(rates, 0):>17}"
                f" {statistics.median(cpu):9.1f} {_spread(cpu, 1):>15} {kernel:6.1f}"
                f" {p50:7.2f} {p99:7.2f} {redis_us:11.1f} {busy:5.0%}"
            )
    print("* client and server on one core: nobody is woken up, what is left is their own work\n")
    for load, ways in rounds.items():
        print(f"{load} at once: CPU of RedisConnection.run / redis-py", end=" ")
        share = _ratios(ways, client_cost.RUN, client_cost.PLAIN, lambda each: each.client_us)
        print(f"{_of(share)} goal <= {CPU_SHARE}: {_met(statistics.median(share) <= CPU_SHARE)}")
        bare = _ratios(ways, client_cost.BARE, client_cost.PLAIN, lambda each: each.client_us)
        print(f"{'':13}CPU of a bare write and read / redis-py {_of(bare)}")
        speed = _ratios(ways, client_cost.RUN, client_cost.PLAIN, lambda each: each.rate)
        busy = statistics.median(each.busy for each in ways[client_cost.RUN])
        print(f"{'':13}throughput of RedisConnection.run / redis-py {_of(speed)}", end=" ")
        print(_speed_goal(load, statistics.median(speed), busy))
        own = [
            meter.client_us - run.client_us
            for meter, run in zip(ways[client_cost.METER], ways[client_cost.RUN], strict=True)
        ]
        print(f"{'':13}RedisMeter's own work: {statistics.median(own):.1f} µs {_spread(own, 1)}")
        for name in (client_cost.PLAIN, client_cost.LIMITS):
            whole = _ratios(ways, client_cost.METER, name, lambda each: each.client_us)
            print(f"{'':13}CPU of RedisMeter.reserve / {name} {_of(whole)}")


def _speed_goal(load: Load, speed: float, busy: float) -> str:
    if load.at_once < max(each.at_once for each in client_cost.OPERATIONS):
        return f"(Redis {busy:.0%} busy)"
    if busy >= BUSY:
        return f"Redis is what limits it ({busy:.0%} busy)"
    return f"goal >= {SPEED_UP} (Redis {busy:.0%} busy): {_met(speed >= SPEED_UP)}"


def _ratios(
    ways: dict[str, list[Round]], one: str, other: str, part: Callable[[Round], float]
) -> list[float]:
    """Of one way to another, round by round."""
    return [part(a) / part(b) for a, b in zip(ways[one], ways[other], strict=True)]


def _print_server(costs: Costs) -> None:
    print("\nWhat a call costs Redis, in µs")
    print(f"{'':34} {'script: best':>12} {'median':>7} {'':>17} {'CPU in all':>10} {'commands':>8}")
    for name, measured in costs.items():
        script = [each.script_us for each in measured]
        whole, commands = (
            statistics.median(getattr(each, part) for each in measured)
            for part in ("whole_us", "commands")
        )
        print(f"{name:34} {min(script):12.1f} {statistics.median(script):7.1f}", end=" ")
        print(f"{_spread(script, 1):>17} {whole:10.1f} {commands:8.1f}")
    print()
    for ours, bare in server_cost.PAIRS:
        shares = [a.script_us / b.script_us for a, b in zip(costs[ours], costs[bare], strict=True)]
        best = _best(costs[ours]) / _best(costs[bare])
        print(f"{ours} / {bare}: {_of(shares)}, of the best rounds {best:.2f}", end=" ")
        print(f"goal <= {SCRIPT_SHARE}: {_met(best <= SCRIPT_SHARE)}")
    reserve, finish = (
        min(each.whole_us for each in costs[name])
        for name in (server_cost.RESERVE_USED, server_cost.FINISH)
    )
    print(
        f"one core of Redis reserves and commits {1e6 / (reserve + finish):.0f} times in a second"
    )


def _best(measured: Iterable[Cost]) -> float:
    return min(each.script_us for each in measured)


def _print_memory(weights: dict[str, Weight]) -> None:
    print("\nWhat is kept, in bytes")
    print(f"{'':38} {'each':>7} {'key alone':>9} {'of':>7}")
    for name, weight in weights.items():
        alone = "" if weight.alone is None else str(weight.alone)
        goal = memory.GOALS.get(name)
        told = "" if goal is None else f"  goal <= {goal}: {_met(weight.grown <= goal)}"
        print(f"{name:38} {weight.grown:7.0f} {alone:>9} {weight.items:7}{told}")


def _spread(figures: Sequence[float], digits: int) -> str:
    return f"({min(figures):.{digits}f}-{max(figures):.{digits}f})"


def _of(ratios: Sequence[float]) -> str:
    return f"{statistics.median(ratios):.2f} {_spread(ratios, 2)}"


def _met(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


if __name__ == "__main__":
    main()
