"""How fast was a server in a round, what did it cost, and did it do what was asked?"""

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.benchmarks.contestants import Contestant
from tests.benchmarks.cores import begun_on, busy_s, cpu_s, family_of, places, resident_mb
from tests.benchmarks.observed import ObservedRedis
from tests.processes import ROOT

_SCRIPT: Final = Path(__file__).with_name("closed.lua")
BOTH: Final = "both"
CHECKS: Final = "checks"
_QUIET_S: Final = 0.1
_PATIENCE_S: Final = 20.0
_AGAIN: Final = 2
_FIGURES: Final = "figures "


class Mismatch(AssertionError):
    """What was measured is not what was meant."""


@dataclass(frozen=True, slots=True)
class Round:
    """One server in one round; times are in milliseconds, costs in microseconds a request.

    Attributes:
        rate: answers in a second.
        slow: answers after more than 50 ms, where that was counted.
        late: how late the client was itself at the 99th percentile, where it knows.
        latest: the same at the worst.
        busy: part of a core that the client took, where it knows.
        calls: scripts that Redis ran, for each request.
        resident_mb: memory of the server's largest process.
        others: cores that were busy with nothing of this.
        unanswered: requests that the client may have sent and not counted.
    """

    requests: int
    rate: float
    p50: float
    p99: float
    p999: float
    most: float
    server_us: float
    redis_us: float
    client_us: float
    calls: float
    resident_mb: float
    slow: int = 0
    late: float = 0.0
    latest: float = 0.0
    busy: float = 0.0
    others: float = 0.0
    unanswered: int = 0


Rounds = dict[str, list[Round]]
"""By the name of the server."""


def closed(contestant: Contestant, loads: Path, seconds: float, what: str = BOTH) -> Round:
    """As many as it can answer to some who each wait for their answer (wrk).

    Args:
        what: checks with their commits, or checks alone.
    """
    # wrk knows whole seconds.
    lasts = max(1, round(seconds))
    command = ["wrk", "-t1", f"-c{contestant.connections}", f"-d{lasts}", "-s", str(_SCRIPT)]
    command += [contestant.url, "--", str(loads / str(contestant.users)), what]

    def figures(shown: str) -> str:
        return next(
            line.removeprefix(_FIGURES) for line in shown.splitlines() if line.startswith(_FIGURES)
        )

    return _round(contestant, command, figures, unanswered=contestant.connections)


def open_loop(contestant: Contestant, rate: float, seconds: float) -> Round:
    """At a constant rate."""
    command = [sys.executable, "-m", "tests.benchmarks.open_loop", contestant.url]
    command += ["--rate", f"{rate:.1f}", "--seconds", str(seconds)]
    command += ["--users", str(contestant.users)]
    return _round(contestant, command, str.strip, unanswered=0)


def _round(
    contestant: Contestant,
    command: Sequence[str],
    figures: Callable[[str], str],
    *,
    unanswered: int,
) -> Round:
    """Let a client ask, and look at everybody before and after.

    Args:
        unanswered: requests that the client may have sent and not counted.
    """
    redis = contestant.redis
    if redis is not None:
        _settle(redis)
        redis.forget_calls()
    begun, before = time.monotonic(), _used(contestant)
    with begun_on(places().client):
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    lasted, after = time.monotonic() - begun, _used(contestant)
    told = json.loads(figures(done.stdout))
    count = told["requests"]
    if told["refused"] or told.get("broken"):
        raise Mismatch(f"{contestant.name}: answers that are none: {told}")
    if not count:
        raise Mismatch(f"{contestant.name}: no answer at all")
    *ours, everybody = (b - a for a, b in zip(before, after, strict=True))
    server, store, client = (used / count * 1e6 for used in ours)
    calls = 0 if redis is None else redis.scripts[0]
    if contestant.calls is not None and not (
        contestant.calls * count <= calls <= contestant.calls * (count + unanswered)
    ):
        raise Mismatch(f"{contestant.name}: {count} requests, {calls} calls of scripts")
    return Round(
        requests=count,
        rate=count / told["us"] * 1e6,
        p50=told["p50"] / 1e3,
        p99=told["p99"] / 1e3,
        p999=told["p999"] / 1e3,
        most=told["most"] / 1e3,
        server_us=server,
        redis_us=store,
        client_us=client,
        calls=calls / count,
        resident_mb=max(map(resident_mb, family_of(contestant.process))),
        slow=told.get("slow", 0),
        late=told.get("late", 0) / 1e3,
        latest=told.get("latest", 0) / 1e3,
        busy=told.get("busy", 0.0),
        others=max(0.0, everybody - sum(ours)) / lasted,
        unanswered=unanswered,
    )


def _settle(redis: ObservedRedis) -> None:
    """Return when what the last client did not wait for has come to its end."""
    before, deadline = -1, time.monotonic() + _PATIENCE_S
    while (calls := redis.scripts[0]) != before:
        assert time.monotonic() < deadline, "somebody still asks"
        before = calls
        time.sleep(_QUIET_S)


def _used(contestant: Contestant) -> tuple[float, float, float, float]:
    """Seconds of processors until now: of server, its Redis, all clients, everybody here."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    redis = cpu_s(contestant.redis_process) if contestant.redis_process else 0.0
    clients = children.ru_utime + children.ru_stime
    return cpu_s(contestant.process), redis, clients, busy_s()


def alternate(
    contestants: Sequence[Contestant],
    rounds: int,
    measure: Callable[[Contestant], Round],
    note: Callable[[str], None],
) -> Rounds:
    """Every server in every round, another one first each time.

    Raises:
        Mismatch: a round was no figure again and again.
    """
    measured: Rounds = {each.name: [] for each in contestants}
    for turn in range(rounds):
        first = turn % len(contestants)
        begun = time.monotonic()
        for each in (*contestants[first:], *contestants[:first]):
            measured[each.name].append(_repeated(measure, each, note))
        note(f"round {turn + 1} of {rounds}: {time.monotonic() - begun:.0f} s")
    return measured


def _repeated(
    measure: Callable[[Contestant], Round], contestant: Contestant, note: Callable[[str], None]
) -> Round:
    """A round, once more where it was no figure: a quarter of an hour is not lost with it."""
    for _ in range(_AGAIN):
        try:
            return measure(contestant)
        except (Mismatch, subprocess.CalledProcessError) as error:
            note(f"a round is no figure and is repeated: {error}")
    return measure(contestant)


def median(rounds: Sequence[object], part: str) -> float:
    """The median of one figure."""
    return float(statistics.median(getattr(each, part) for each in rounds))


def spread(rounds: Sequence[Round], part: str) -> tuple[float, float]:
    """The least and the most of one figure."""
    figures = [getattr(each, part) for each in rounds]
    return min(figures), max(figures)


def ratios(one: Sequence[Round], other: Sequence[Round], part: str) -> list[float]:
    """One server's figure to another's, round by round."""
    return [getattr(a, part) / getattr(b, part) for a, b in zip(one, other, strict=True)]
