"""What has to be shown of speed, and was it?"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.benchmarks.beside import Alone
from tests.benchmarks.contestants import (
    ECHO,
    ECHO_WORKERS,
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
from tests.benchmarks.rounds import CHECKS, Round, Rounds, median, ratios

SLOW_OF: Final = 10_000
"""One answer in so many may be slow beyond what the echo's are."""


@dataclass(frozen=True, slots=True)
class Show:
    """One claim: what, what was found, what was wanted."""

    what: str
    found: str
    goal: str
    is_met: bool

    def __str__(self) -> str:
        """A line of the report."""
        verdict = "met" if self.is_met else "MISSED"
        return f"{verdict:6} {self.what}: {self.found} (goal {self.goal})"


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
    """

    closed: Rounds
    half: Rounds = field(default_factory=dict)
    starts: Sequence[Start] = ()
    parts: Mapping[str, Phase] = field(default_factory=dict)
    alone: Mapping[str, Sequence[Alone]] = field(default_factory=dict)


def shows_of(measured: Measured) -> list[Show]:
    """Every claim of which both sides were measured."""
    closed = measured.closed
    found = []
    for one, other, goal, what in (
        (EXACT, ECHO, 0.60, "throughput of exact checks / echo"),
        (EXACT, USUAL, 15.0, "throughput of exact checks / FastAPI, cel-python, limits"),
        (LEASED, ECHO, 0.80, "throughput with leases / echo"),
        (SQLITE, ECHO, 0.30, "throughput on SQLite / echo"),
        (RULES, EXACT, 0.90, "throughput with 2,000 rules / with 20"),
        (SUBJECTS, EXACT, 0.90, "throughput with 10^6 subjects / with 1,000"),
    ):
        if one in closed and other in closed:
            found.append(_at_least(what, ratios(closed[one], closed[other], "rate"), goal))
    if EXACT in closed:
        found.append(_calls([*closed[EXACT], *measured.half.get(EXACT, ())]))
    if measured.parts:
        share = measured.parts[CHECKS].shares[POLICY]
        found.append(Show("policy part of a check's CPU", f"{share:.1%}", "<= 10 %", share <= 0.1))
    if WORKERS in closed and EXACT in closed:
        found.append(_workers(closed))
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


def _at_least(what: str, found: Sequence[float], goal: float) -> Show:
    middle = statistics.median(found)
    told = f"{middle:.2f} ({min(found):.2f}-{max(found):.2f})"
    return Show(what, told, f">= {goal:.2f}", middle >= goal)


def _workers(closed: Rounds) -> Show:
    """Two workers, with what else the processors did meanwhile."""
    found = ratios(closed[WORKERS], closed[EXACT], "rate")
    show = _at_least("throughput of two workers / one", found, 1.70)
    rounds = closed[WORKERS]
    rate = median(rounds, "rate")
    shares = [rate * median(rounds, part) / 1e6 for part in ("client_us", "redis_us", "server_us")]
    told = "client {:.2f}, Redis {:.2f}, workers {:.2f} cores".format(*shares)
    if ECHO_WORKERS in closed and ECHO in closed:
        echo = statistics.median(ratios(closed[ECHO_WORKERS], closed[ECHO], "rate"))
        told += f"; two workers of the echo / one: {echo:.2f}"
    return Show(show.what, f"{show.found}; {told}", show.goal, show.is_met)


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
