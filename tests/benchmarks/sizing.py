"""How many workers and how much Redis does an installation need, by what was measured?"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

from tests.benchmarks import memory
from tests.benchmarks.memory import Weight

_DAY_S: Final = 86_400
_REPORTED_DAYS: Final = 91
_REPEATED_S: Final = 600
_TTL_S: Final = 60
BUSY: Final = 0.5
"""Of a core: beyond that, answers begin to wait for each other."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What is asked of a sidecar, day and night.

    Attributes:
        rate: requests in a second, each of which is reserved and committed, on average.
        users: who are active on every day.
        limits: of each user; one over a fixed window, the others over sliding ones.
        hours: of a day in which a user is active with one model, workflow, agent and plugin.
        run_s: how long a reservation lives.
    """

    rate: float
    users: int
    limits: int = 3
    hours: int = 4
    run_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of CPU for each request, of which a run has two: its check and its commit."""

    server_us: float
    redis_us: float

    def workers(self, rate: float) -> int:
        """Workers for so many runs in a second, none of which is busy for more than half."""
        return max(1, ceil(2 * rate * self.server_us / 1e6 / BUSY))

    def redis_busy(self, rate: float) -> float:
        """Cores of Redis that so many runs in a second keep busy."""
        return 2 * rate * self.redis_us / 1e6

    @property
    def whole_us(self) -> float:
        """Of both."""
        return self.server_us + self.redis_us

    @property
    def worker_runs(self) -> float:
        """Runs in a second that keep one worker busy for half of the time."""
        return BUSY / (2 * self.server_us / 1e6)

    @property
    def runs(self) -> float:
        """Runs in a second that keep one core of Redis busy for half of the time."""
        return BUSY / self.redis_busy(1)


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes, by what they are for."""

    limits: float
    reservations: float
    ends: float
    reports: float

    @property
    def whole(self) -> float:
        """All of them."""
        return self.limits + self.reservations + self.ends + self.reports


def need_of(installation: Installation, weights: Mapping[str, Weight]) -> Need:
    """Bytes of an installation that has run for long enough to forget as much as it learns."""
    rate, users = installation.rate, installation.users
    row = _row(weights)
    day = weights[memory.USER_DAY].grown + (installation.hours - 1) * row
    return Need(
        limits=users
        * (
            weights[memory.PERIOD].grown
            + (installation.limits - 1) * weights[memory.SLIDING[60]].grown
        ),
        reservations=rate
        * (
            installation.run_s * weights[memory.LIVE].grown
            + (_TTL_S - installation.run_s + _REPEATED_S) * weights[memory.ENDED].grown
        ),
        ends=rate * memory.DAYS_REMEMBERED * _DAY_S * weights[memory.REMEMBERED].grown,
        reports=users * _REPORTED_DAYS * day,
    )


def _row(weights: Mapping[str, Weight]) -> float:
    """What a further row of reports takes."""
    longer = weights[memory.LONG_USER_DAY].grown - weights[memory.USER_DAY].grown
    return longer / (memory.HOURS - 1)


EXAMPLES: Final = (
    Installation(rate=1, users=1_000),
    Installation(rate=10, users=10_000),
    Installation(rate=100, users=100_000),
    Installation(rate=1_000, users=1_000_000),
)


def table(weights: Mapping[str, Weight], cost: Cost) -> list[str]:
    """What each example needs, in Markdown."""
    parts = ("limits", "reservations", "ends", "reports", "whole")
    lines = [
        "| runs/s | users | workers | Redis cores | limits | reservations | remembered ends"
        " | reports | memory in all |",
        "|---" * 9 + "|",
    ]
    for each in EXAMPLES:
        need = need_of(each, weights)
        memory_told = " | ".join(shown(getattr(need, part)) for part in parts)
        workers, busy = cost.workers(each.rate), cost.redis_busy(each.rate)
        lines.append(
            f"| {each.rate:,g} | {each.users:,} | {workers} | {busy:.2g} | {memory_told} |"
        )
    return lines


def shown(size: float) -> str:
    """Bytes as a person reads them."""
    for unit in ("B", "kB", "MB"):
        if size < 1_000:
            return f"{size:.0f} {unit}"
        size /= 1_000
    return f"{size:.1f} GB"
