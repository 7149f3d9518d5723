"""`make bench`: what does a check cost beside a bare echo of the same bytes?

Every server has a process, a port and a Redis of its own, is asked who it is, and the scripts
that its Redis ran are held to the requests that were answered. A check holds, and the commit
after it counts as a request too. Alternating rounds, medians and spread: read the ratios,
absolute figures are this machine's.

    python -m tests.benchmarks [--only echo check ...] [--rounds 10] [--seconds 3] [--quick]
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Final

from tests.benchmarks import beside, load, parts, readme, report, starting
from tests.benchmarks.beside import LIBRARY, LITELLM
from tests.benchmarks.contestants import (
    ECHO,
    EXACT,
    MILLION,
    NAMES,
    Arena,
    Contestant,
    demand_wrk,
)
from tests.benchmarks.cores import places
from tests.benchmarks.load import USERS, Crowd
from tests.benchmarks.parts import Phase
from tests.benchmarks.rounds import Round, Rounds, alternate, closed, median, open_loop
from tests.benchmarks.shows import Measured, Start, shows_of

HALF: Final = "half"
STARTS: Final = "starts"
PARTS: Final = "parts"
FURTHER: Final = (HALF, STARTS, PARTS, LIBRARY, LITELLM)


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured.

    Attributes:
        half_rounds: of each server at half of its capacity.
        half_seconds: of such a round.
        users: who ask.
        subjects: where there are many.
    """

    rounds: int
    seconds: float
    half_rounds: int
    half_seconds: float
    users: int
    subjects: int
    starts: int


def main(arguments: Sequence[str] | None = None) -> Measured:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    every = (*NAMES, *FURTHER)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of " + ", ".join(every))
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3.0, help="of a round of one server")
    parser.add_argument("--half-rounds", type=int, default=20, help="at half of the capacity")
    parser.add_argument("--half-seconds", type=float, default=6.0, help="of such a round")
    parser.add_argument("--starts", type=int, default=5, help="of a worker, one after another")
    parser.add_argument("--users", type=int, default=USERS, help="who ask")
    parser.add_argument("--subjects", type=int, default=MILLION, help="where there are many")
    parser.add_argument("--readme", action="store_true", help="put the figures there")
    parser.add_argument("--quick", action="store_true", help="too short to say anything")
    given = parser.parse_args(arguments)
    wanted = list(given.only or every)
    unknown = [name for name in wanted if name not in every]
    if unknown:
        parser.error(f"nothing is called {', '.join(unknown)}; there are {', '.join(every)}")
    extent = Extent(**{each.name: getattr(given, each.name) for each in fields(Extent)})
    if given.quick:
        extent = Extent(2, 1.0, 2, 1.0, 100, 10_000, 1)
    demand_wrk()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        return _run(Path(name), wanted, extent, into_readme=given.readme)


def _note(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def _run(folder: Path, wanted: Sequence[str], extent: Extent, *, into_readme: bool) -> Measured:
    begun = time.monotonic()
    print(report.setting())
    print(f"{places().told}; {extent.rounds} alternating rounds: medians, and least-most beneath")
    starts: list[Start] = []
    with Arena(folder, users=extent.users, subjects=extent.subjects) as arena:
        if STARTS in wanted:
            store, _, _ = arena.redis(_made(folder / "starts"))
            starts = [starting.start_once(store, folder) for _ in range(extent.starts)]
        servers: list[Contestant] = []
        for name in NAMES:
            if name in wanted:
                _note(f"begins: {name}")
                servers.append(arena.begin(name))
        loads = folder / "loads"
        for users in {extent.users, *(each.users for each in servers)}:
            load.write(loads / str(users), Crowd(users))
        as_many_as_can_be = partial(closed, loads=loads, seconds=extent.seconds)
        full = alternate(servers, extent.rounds, as_many_as_can_be, _note) if servers else {}
        half = _at_half(servers, full, extent) if HALF in wanted else {}
        phases: dict[str, Phase] = {}
        if PARTS in wanted:
            _note("looks at what the server's CPU is at")
            phases = parts.measure(arena, folder, loads, 3 * extent.seconds)
        chosen = {name: name in wanted for name in (LIBRARY, LITELLM)}
        alone = beside.measure(arena, chosen, extent.rounds, extent.seconds, _note)
    told = {each.name: each.told for each in servers}
    measured = Measured(full, half, starts, phases, alone, told)
    _print(measured)
    if into_readme:
        readme.put("make bench", _for_readme(measured, extent))
    print(f"\n{time.monotonic() - begun:.0f} s in all; {report.setting()}")
    return measured


def _at_half(servers: Sequence[Contestant], full: Rounds, extent: Extent) -> Rounds:
    """Each at half of what it could do before, at a constant rate."""
    chosen = [each for each in servers if each.name in (ECHO, EXACT)]

    def measure(each: Contestant) -> Round:
        return open_loop(each, median(full[each.name], "rate") / 2, extent.half_seconds)

    return alternate(chosen, extent.half_rounds, measure, _note)


def _print(measured: Measured) -> None:
    if measured.closed:
        print("\nAs much as can be, 32 connections (wrk)")
        print("\n".join(report.table(measured.closed, ECHO)))
    if measured.half:
        print("\nAt half of that, at a constant rate, from the instant at which each was due")
        print("\n".join(report.table(measured.half, ECHO)))
        where = "on the same" if places().client & places().redis else "on another"
        print("\n".join(report.client_told(measured.half, where)))
    if measured.alone:
        print("\nWithout HTTP")
        print("\n".join(report.alone_told(measured.alone, measured.closed.get(ECHO, ()))))
    if measured.parts:
        print("\nWhat the server's CPU is at, by samples")
        print("\n".join(report.parts_told(measured.parts)))
    for name, told in measured.told.items():
        for what, figure in told.items():
            print(f"{name}: {figure:.0f} {what}")
    print()
    for show in shows_of(measured):
        print(show)


def _for_readme(measured: Measured, extent: Extent) -> list[str]:
    how = f"{extent.rounds} alternating rounds of {extent.seconds:g} s"
    told = f"{os.cpu_count()} cores: {places().told}. {how}: medians, least and most in brackets."
    return [*report.wrapped(told), "", *readme.figures_of(measured)]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
