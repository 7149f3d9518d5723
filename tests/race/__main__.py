"""`make race`: eight processes over Redis, a Cluster and one SQLite file, against an exact log."""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.processes import redis_cluster, redis_server
from tests.race.admission import Admitted, measured
from tests.race.course import Course
from tests.race.leased import measured_leased
from tests.race.run import Figures, run_race, tell_progress

USERS = {"redis": 33, "cluster": 33, "sqlite": 15}
"""So many that about half of the requests find room at what each store does in a second."""

LEASED: dict[str, Any] = {
    "users": 1, "processes": 4, "scale": 40, "windows_ms": (12_000, 30_000), "leases": True,
}  # fmt: skip
"""Where processes answer in memory: one user at a time asks often, and has room for a while."""


def main() -> int:
    """Print the table; 0 if every promise was kept."""
    parser = argparse.ArgumentParser(prog="make race", description=__doc__)
    parser.add_argument("--operations", type=int, default=1_000_000, help="on each store")
    parser.add_argument("--overspending", type=float, default=0.0)
    parser.add_argument("--store", choices=[*USERS, "all"], default="all")
    parser.add_argument("--seed", type=int, default=20_260_505)
    parser.add_argument("--seeds", type=int, default=3, help="of each trace of under-admission")
    parser.add_argument("--leases", action="store_true", help="answer in memory, on Redis")
    told = parser.parse_args()
    if told.leases and told.store in ("all", "sqlite"):
        told.store = "redis"
    figures: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory(prefix="race-") as name:
        for store in USERS if told.store == "all" else (told.store,):
            folder = Path(name) / store
            folder.mkdir()
            course = Course(
                str(folder / "race.db"),
                folder,
                operations=told.operations,
                users=USERS[store],
                overspending=told.overspending,
                seed=told.seed,
            )
            if told.leases:
                course = replace(course, **LEASED)
            tell_progress(f"{store}: {course.processes} processes, seed {told.seed}")
            if store == "sqlite":
                figures[store] = run_race(course, tell_progress)
                continue
            with redis_cluster(folder) if store == "cluster" else redis_server(folder) as server:
                figures[store] = run_race(replace(course, store=server.url), tell_progress)
        with redis_server(Path(name)) as server:
            course = Course(server.url, Path(name), operations=0, users=1)
            admitted = measured_leased(course) if told.leases else measured(course, told.seeds)
    print_table(figures, admitted)
    kept = all(is_kept(each) for each in figures.values())
    return 0 if kept and all(is_close(each) for each in admitted.values()) else 1


def is_kept(figures: Figures) -> bool:
    """Whether one store kept every promise."""
    worst = figures.overrun
    return (
        worst.charged <= 0
        and worst.decided <= 0
        and worst.total <= worst.bound
        and figures.counters == figures.ledger
        and not (figures.differing or figures.adrift or figures.held)
        and not (figures.tally["wrong"] or figures.tally["unavailable"])
    )


def is_close(admitted: Admitted) -> bool:
    """Whether hardly less was let through than an exact log would."""
    return admitted.over <= 0 and admitted.missing <= 0.02


def print_table(figures: dict[str, Figures], admitted: dict[str, Admitted]) -> None:
    """One column for each store, then one line for each trace."""
    print(f"{'':32}" + "".join(f"{store:>14}" for store in figures))
    for label, cells in _rows(figures).items():
        print(f"{label:32}" + "".join(f"{cell:>14}" for cell in cells))
    for name, each in admitted.items():
        print(
            f"under-admission, {name + ' trace':15}{each.missing:>14.2%}"
            f"   ({each.metered} of {each.exact} units, fullest window {each.over:+}, "
            f"{each.in_memory} answered in memory)"
        )


def _rows(figures: dict[str, Figures]) -> dict[str, list[str]]:
    columns = list(figures.values())
    counted = {
        "operations": "operations", "grants": "grants", "  in memory": "in memory",
        "refusals": "refusals",
        "events": "events", "cancelled callers": "cancelled", "calls made twice": "repeated",
        "late commits": "late", "refused after the end": "ended", "unavailable": "unavailable",
        "wrong answers": "wrong",
    }  # fmt: skip
    rows = {label: [f"{each.tally[key]:,}" for each in columns] for label, key in counted.items()}
    rows["users"] = [f"{each.users:,}" for each in columns]
    rows["overrun of what was granted"] = [f"{each.overrun.charged:+,}" for each in columns]
    rows["  and when it was decided"] = [f"{each.overrun.decided:+,}" for each in columns]
    rows["overrun with late and unasked"] = [f"{each.overrun.total:+,}" for each in columns]
    rows["  its bound"] = [f"{each.overrun.bound:,}" for each in columns]
    rows["units in the counters"] = [f"{each.counters:,}" for each in columns]
    rows["units in the ledger"] = [f"{each.ledger:,}" for each in columns]
    rows["users that differ"] = [f"{each.differing:,}" for each in columns]
    rows["users whose windows drifted"] = [f"{each.adrift:,}" for each in columns]
    rows["units held after the end"] = [f"{each.held:,}" for each in columns]
    rows["seconds"] = [f"{each.seconds:,.1f}" for each in columns]
    rows["operations per second"] = [
        f"{each.tally['operations'] / each.seconds:,.0f}" for each in columns
    ]
    return rows


if __name__ == "__main__":
    sys.exit(main())
