"""What was measured of growth, and what follows from it, in Markdown."""

from collections.abc import Mapping
from typing import Final

from tests.benchmarks.memory import Weight
from tests.benchmarks.sizing import BUSY, Cost, table

Costs = dict[str, dict[str, Cost]]
"""By what grows, and how far it has grown."""

LIMITS: Final = "limits"
USERS: Final = "users"
HALF: Final = "3, at half of the capacity"
HOT: Final = "1, with leases"


def told(costs: Costs, weights: Mapping[str, Weight]) -> list[str]:
    """Everything in Markdown: what was measured, then what follows from it."""
    lines = ["CPU in microseconds for each request, measured:", ""]
    lines += ["| what grows | to | server | Redis | beside the first |", "|---" * 5 + "|"]
    for dimension, grown in costs.items():
        first = next(iter(grown.values()))
        for name, cost in grown.items():
            beside = cost.whole_us / first.whole_us
            cells = f"{cost.server_us:.0f} | {cost.redis_us:.1f} | {beside:.2f}"
            lines.append(f"| {dimension} | {name} | {cells} |")
    if LIMITS not in costs:
        return lines
    cost = costs[LIMITS][HALF]
    lines += ["", *_redis_told(cost)]
    if HOT in costs.get(USERS, {}):
        lines += _hot_told(cost, costs[USERS][HOT])
    if weights:
        lines += ["", f"What an installation needs, no core busier than {BUSY:.0%}, computed:", ""]
        lines += table(weights, cost)
    return lines


def _redis_told(cost: Cost) -> list[str]:
    return [
        "Computed from the reference at half of its capacity, a run being a check that holds and"
        " its commit:",
        "",
        f"* one worker, busy for {BUSY:.0%} of its time, serves {cost.worker_runs:,.0f} runs/s;",
        f"* one core of Redis, busy for {BUSY:.0%}, counts {cost.runs:,.0f} runs/s, and"
        f" {cost.runs / BUSY:,.0f} at the very most: as much as"
        f" {cost.runs / cost.worker_runs:.1f} such workers ask;",
        f"* beyond {cost.runs:,.0f} runs/s a Cluster is needed: each master is one more such core,"
        " and an app stays on one of them;",
        f"* so {cost.runs:,.0f} runs/s are what one hot app can have;",
    ]


def _hot_told(cost: Cost, leased: Cost) -> list[str]:
    return [
        f"* one hot user with leases takes {leased.redis_us:.1f} µs of Redis a request instead of"
        f" {cost.redis_us:.1f}: {leased.runs:,.0f} runs/s of that core.",
    ]
