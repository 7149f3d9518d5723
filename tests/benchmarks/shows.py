"""What has to be shown of speed, and was it?"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.benchmarks import workers
from tests.benchmarks.beside import Alone
from tests.benchmarks.claim import Show, at_least
from tests.benchmarks.contestants import (
    ECHO,
    EXACT,
    LEASED,
    RULES,
    SQLITE,
    SUBJECTS,
    USUAL,
    WORKERS,
)
from tests.benchmarks.parts import Phase
from tests.benchmarks.rooms import POLICY
from tests.benchmarks.rounds import CHECKS, Round, Rounds, ratios

SLOW_OF: Final = 10_000
"""One answer in so many may be slow beyond what the echo's are."""


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a worker: seconds until it was ready, megabytes when it was idle."""

    ready_s: float
    idle_mb: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All that was measured in one run.

    Attributes:
        closed: rounds with as many answers as there can be.
        half: rounds at half of that, at a constant rate.
        parts: what the server's CPU was at.
        alone: what needs no server.
        told: what else is to be said of a server.
    """

    closed: Rounds
    half: Rounds = field(default_factory=dict)
    starts: Sequence[Start] = ()
    parts: Mapping[str, Phase] = field(default_factory=dict)
    alone: Mapping[str, Sequence[Alone]] = field(default_factory=dict)
    told: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def shows_of(measured: Measured) -> list[Show]:
    """Every claim of which both sides were measured."""
    closed = measured.closed
    found = []
    for one, other, goal, what in (
        (EXACT, ECHO, 0.60, "throughput of exact checks / echo, better 0.75"),
        (EXACT, USUAL, 15.0, "throughput of exact checks / FastAPI, cel-python, limits"),
        (LEASED, ECHO, 0.80, "throughput with leases / echo"),
        (SQLITE, ECHO, 0.30, "throughput on SQLite / echo"),
        (RULES, EXACT, 0.90, "throughput with 2,000 rules / with 20"),
        (SUBJECTS, EXACT, 0.90, "throughput with 10^6 subjects / with 1,000"),
    ):
        if one in closed and other in closed:
            further = "".join(
                f"; {figure:,.0f} {name}" for name, figure in measured.told.get(one, {}).items()
            )
            found.append(at_least(what, ratios(closed[one], closed[other], "rate"), goal, further))
    if EXACT in closed:
        found.append(_calls([*closed[EXACT], *measured.half.get(EXACT, ())]))
    if measured.parts:
        found.append(_policy(measured.parts[CHECKS]))
    if WORKERS in closed and EXACT in closed:
        found.append(workers.show_of(closed))
    found += _at_half(measured.half)
    found += _starts(measured.starts)
    return found


def _calls(rounds: Sequence[Round]) -> Show:
    asked = sum(each.requests for each in rounds)
    calls = sum(round(each.calls * each.requests) for each in rounds)
    # wrk does not count the answers that it still waits for at the end of a round.
    unanswered = sum(each.unanswered for each in rounds)
    told = f"{calls} calls of scripts for {asked} requests"
    is_met = asked <= calls <= asked + unanswered
    return Show("one Redis call a request", told, f"{asked} to {asked + unanswered}", is_met)


def _policy(phase: Phase) -> Show:
    """Of the server's CPU alone, which is stricter than of it and Redis's."""
    share, whole = phase.shares[POLICY], phase.server_us + phase.redis_us
    with_redis = share * phase.server_us / whole
    ways = "".join(f", {way} {part:.1%}" for way, part in phase.ways.items())
    told = (
        f"{share:.1%} ± {phase.error(POLICY):.1%} of the server's{ways}; {with_redis:.1%} of both"
    )
    return Show("policy part of a check's CPU", told, "<= 10 %", share <= 0.1)


def _at_half(half: Rounds) -> list[Show]:
    if ECHO not in half or EXACT not in half:
        return []
    echo, ours = half[ECHO], half[EXACT]
    found = []
    for part, name in (("p99", "p99 / p50"), ("p999", "p99.9 / p50")):
        theirs, own = _tail(echo, part), _tail(ours, part)
        told = f"{own:.1f}, the echo's {theirs:.1f}: {own / theirs:.2f} times"
        found.append(
            Show(f"at half of its capacity, {name}", told, "<= 2 times", own <= 2 * theirs)
        )
    slow, allowed = (sum(each.slow for each in rounds) for rounds in (ours, echo))
    asked = sum(each.requests for each in ours)
    lasted = sum(each.requests / each.rate for each in ours)
    told = f"{slow} of {asked} in {lasted:.0f} s, the echo {allowed}"
    goal = f"<= {allowed} + 1 in {SLOW_OF:,}"
    is_met = slow <= allowed + asked / SLOW_OF
    return [*found, Show("answers above 50 ms", told, goal, is_met)]


def _tail(rounds: Sequence[Round], part: str) -> float:
    return float(statistics.median(getattr(each, part) / each.p50 for each in rounds))


def _starts(starts: Sequence[Start]) -> list[Show]:
    if not starts:
        return []
    idle, ready = (
        [getattr(each, part) for each in starts] for part in ("idle_mb", "ready_s")
    )  # fmt: skip
    return [
        Show(
            "resident memory of an idle worker",
            f"{statistics.median(idle):.1f} MB ({min(idle):.1f}-{max(idle):.1f})",
            "<= 80 MB",
            statistics.median(idle) <= 80,
        ),
        Show(
            "ready after its start",
            f"{statistics.median(ready):.2f} s ({min(ready):.2f}-{max(ready):.2f})",
            "<= 1.5 s",
            statistics.median(ready) <= 1.5,
        ),
    ]
