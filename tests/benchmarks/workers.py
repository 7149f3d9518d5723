"""Do two workers do nearly twice as much as one, and can this machine tell?

They need two free cores beside the client's and Redis's. Where there are fewer, what 1.7 times
as much would take of processors shows it, by what a request took of them with one worker.
"""

import statistics
from dataclasses import replace
from typing import Final

from tests.benchmarks.claim import Show, at_least
from tests.benchmarks.contestants import ECHO, ECHO_WORKERS, EXACT, WORKERS
from tests.benchmarks.cores import places
from tests.benchmarks.rounds import Round, Rounds, median, ratios

GOAL: Final = 1.70
_PARTS: Final = ("server_us", "redis_us", "client_us")


def show_of(closed: Rounds) -> Show:
    """The claim, with what each part took of the processors meanwhile."""
    one, two = closed[EXACT], closed[WORKERS]
    used = [median(two, "rate") * median(two, part) / 1e6 for part in _PARTS]
    needed = GOAL * _cores(one)
    there = len(places().all)
    free = there - median(one, "others")
    further = (
        f"; used workers {used[0]:.2f}, Redis {used[1]:.2f}, load generator {used[2]:.2f}"
        f" of {there} cores; {GOAL} times needs {needed:.2f} of the {free:.2f} that were free"
    )
    if ECHO_WORKERS in closed and ECHO in closed:
        echo = statistics.median(ratios(closed[ECHO_WORKERS], closed[ECHO], "rate"))
        further += f"; the echo's two workers {echo:.2f}"
    # What they take for a request is what would be left to grow by, were there cores enough.
    on_free_cores = 2 * median(one, "server_us") / median(two, "server_us")
    further += f"; by CPU a request, on free cores {on_free_cores:.2f} (computed)"
    show = at_least("throughput of two workers / one", ratios(two, one, "rate"), GOAL, further)
    return show if show.is_met or needed <= free else replace(show, is_met=None)


def _cores(rounds: list[Round]) -> float:
    """Cores that were busy with one worker's requests: its own, Redis's and the client's."""
    return median(rounds, "rate") * sum(median(rounds, part) for part in _PARTS) / 1e6
