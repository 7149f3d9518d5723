"""What is a metric called, what does it say, and what are those of several workers together?"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

OTHER: Final = "_other"
"""A label's value for all that have no place of their own."""
NANO: Final = 1_000_000_000
LATENCIES: Final = (
    0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.15, 0.3, 1.0, 2.5,
)  # fmt: skip
"""Seconds; 0.05 is what a request may wait for the store, unless it is set."""


class Kind(StrEnum):
    """What scrapers call it."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One name that is told.

    Attributes:
        unit: how many of what is counted are one of what is told: cells hold integers.
        together: what the gauges of several workers are in one; counters are added.
        bounds: of the buckets of a histogram, in what is told.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    unit: int = 1
    together: Callable[[Iterable[int]], int] = sum
    bounds: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """How many cells it takes: one, or those of a histogram, the rest and the sum."""
        return len(self.bounds) + 2 if self.kind is Kind.HISTOGRAM else 1


def counter(name: str, told: str, *labels: str, unit: int = 1) -> Metric:
    """What only ever grows."""
    return Metric(name, Kind.COUNTER, told, labels, unit)


def gauge(
    name: str,
    told: str,
    *labels: str,
    unit: int = 1,
    together: Callable[[Iterable[int]], int] = sum,
) -> Metric:
    """What goes up and down."""
    return Metric(name, Kind.GAUGE, told, labels, unit, together)


def latency(name: str, told: str, *labels: str) -> Metric:
    """How long something took, in seconds."""
    return Metric(name, Kind.HISTOGRAM, told, labels, NANO, bounds=LATENCIES)
