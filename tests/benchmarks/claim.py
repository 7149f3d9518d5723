"""One claim of speed: what was found, what was wanted, and was it met?"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Show:
    """One claim.

    Attributes:
        is_met: None where this machine cannot tell.
    """

    what: str
    found: str
    goal: str
    is_met: bool | None

    @property
    def verdict(self) -> str:
        """In a word."""
        if self.is_met is None:
            return "UNTOLD"
        return "met" if self.is_met else "MISSED"

    def __str__(self) -> str:
        """A line of the report."""
        return f"{self.verdict:6} {self.what}: {self.found} (goal {self.goal})"


def at_least(what: str, found: Sequence[float], goal: float, further: str = "") -> Show:
    """A claim of a ratio, of which each round found one.

    Args:
        further: what is to be said beside.
    """
    middle = statistics.median(found)
    told = f"{middle:.2f} ({min(found):.2f}-{max(found):.2f}){further}"
    return Show(what, told, f">= {goal:.2f}", middle >= goal)
