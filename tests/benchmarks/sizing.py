"""How much Redis does an installation need, by what was measured?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tests.benchmarks import memory
from tests.benchmarks.memory import Weight

_DAY_S: Final = 86_400
_REPORTED_DAYS: Final = 91
_REPEATED_S: Final = 600
_TTL_S: Final = 60


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
)


def shown(size: float) -> str:
    """Bytes as a person reads them."""
    for unit in ("B", "kB", "MB"):
        if size < 1_000:
            return f"{size:.0f} {unit}"
        size /= 1_000
    return f"{size:.1f} GB"
