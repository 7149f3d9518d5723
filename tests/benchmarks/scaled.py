"""What was measured of growth, and what follows from it, in Markdown."""

from typing import Final

from tests.benchmarks.sizing import BUSY, Cost

Costs = dict[str, dict[str, Cost]]
"""By what grows, and how far it has grown."""

LIMITS: Final = "limits"
USERS: Final = "users"
ONE: Final = "1"
HALF: Final = "3, at half of the capacity"
HOT: Final = "1, with leases"


def told(costs: Costs) -> list[str]:
    """What was measured, then what follows from it."""
    lines = ["CPU in microseconds for each request, measured:", ""]
    lines += ["| what grows | to | server | Redis | beside the first |", "|---" * 5 + "|"]
    for dimension, grown in costs.items():
        first = next(iter(grown.values()))
        for name, cost in grown.items():
            beside = cost.whole_us / first.whole_us
            cells = f"{cost.server_us:.0f} | {cost.redis_us:.1f} | {beside:.2f}"
            lines.append(f"| {dimension} | {name} | {cells} |")
    if LIMITS in costs:
        busy, half = next(iter(costs[LIMITS].values())), costs[LIMITS][HALF]
        lines += ["", *_redis_told(busy, half)]
    if {ONE, HOT} <= costs.get(USERS, {}).keys():
        lines += _hot_told(costs[USERS][ONE], costs[USERS][HOT])
    return lines


def _redis_told(busy: Cost, half: Cost) -> list[str]:
    runs = f"{half.runs:,.0f} runs/s"
    return [
        "Computed from that, a run being a check that holds and the commit after it:",
        "",
        f"* one worker, busy for {BUSY:.0%} of its time, serves {half.worker_runs:,.0f} runs/s;",
        f"* one core of Redis, busy for {BUSY:.0%}, counts {runs}, as much as"
        f" {half.runs / half.worker_runs:.1f} such workers ask, and {busy.runs / BUSY:,.0f} at the"
        " very most;",
        f"* beyond {runs} a Cluster is needed: each of its masters is one more such core, and an"
        " app stays on one of them;",
        f"* so {runs} are what one hot app can have without leases;",
    ]


def _hot_told(exact: Cost, leased: Cost) -> list[str]:
    return [
        f"* a hot user takes {exact.redis_us:.1f} µs of Redis a request, with leases"
        f" {leased.redis_us:.1f}: {leased.runs / exact.runs:.1f} times as many runs of one core.",
    ]
