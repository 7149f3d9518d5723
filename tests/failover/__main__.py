"""`make failover`: masters are killed under load, behind sentinels and in a Cluster."""

import argparse
import logging
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import structlog

from tests.failover.drill import Drill, Figures, Kind, is_kept, run_drill

DRILLS: Final = {
    "sentinel": Drill(Kind.SENTINEL, replicas=2),
    "sentinel, wait": Drill(Kind.SENTINEL, replicas=2, wait_replicas=1),
    "sentinel, 5 ms": Drill(Kind.SENTINEL, replicas=2, late_s=0.005),
    "sentinel, 5 ms, wait": Drill(Kind.SENTINEL, replicas=2, late_s=0.005, wait_replicas=1),
    "cluster": Drill(Kind.CLUSTER, replicas=2),
    "cluster, wait": Drill(Kind.CLUSTER, replicas=2, wait_replicas=1),
}
"""Replicas that follow at once or 5 ms behind; answered at once or when one of two has it."""


def main() -> int:
    """Print the table; 0 if nothing was stuck and nothing that WAIT covers is missing."""
    parser = argparse.ArgumentParser(prog="make failover", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="of each drill")
    parser.add_argument("--drill", choices=DRILLS, action="append", help="default: all")
    asked = parser.parse_args()
    # Outages are what this is about; the table tells of them.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print_row("", list(ROWS))
    kept = True
    for name in asked.drill or DRILLS:
        rounds = []
        for _ in range(asked.rounds):
            with tempfile.TemporaryDirectory(prefix="failover-") as folder:
                rounds.append(run_drill(DRILLS[name], Path(folder)))
        print_row(name, [show(rounds) for show in ROWS.values()])
        kept = kept and all(is_kept(DRILLS[name], each) for each in rounds)
    return 0 if kept else 1


def _median(of: Callable[[Figures], float]) -> Callable[[Sequence[Figures]], str]:
    return lambda rounds: f"{statistics.median(map(of, rounds)):,.1f}"


def _worst(of: Callable[[Figures], float]) -> Callable[[Sequence[Figures]], str]:
    return lambda rounds: f"{max(map(of, rounds)):,.2f}"


def _each(of: Callable[[Figures], int]) -> Callable[[Sequence[Figures]], str]:
    return lambda rounds: " ".join(f"{of(figures):,}" for figures in rounds)


ROWS: Final = {
    "calls/s": _median(lambda figures: figures.per_second),
    "median ms": _median(lambda figures: figures.median_ms),
    "degraded s": _median(lambda figures: figures.degraded_s),
    "at worst": _worst(lambda figures: figures.degraded_s),
    "slowest call s": _worst(lambda figures: figures.slowest_s),
    "units told": lambda rounds: f"{sum(figures.answered for figures in rounds):,}",
    "missing": _each(lambda figures: figures.missing),
    "later": _each(lambda figures: figures.missing_later),
    "beyond": _each(lambda figures: figures.beyond),
}


def print_row(name: str, cells: Sequence[str]) -> None:
    """One line of the table."""
    print(f"{name:21}" + "".join(f"  {cell:>15}" for cell in cells), flush=True)


if __name__ == "__main__":
    sys.exit(main())
