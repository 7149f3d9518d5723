"""What does a process count with? Handles on cells, made once; to count is to add to one."""

from bisect import bisect_left
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from sidecar.adapters.metrics.catalogue import OVERFLOW
from sidecar.adapters.metrics.cells import NOWHERE, Cells, Place
from sidecar.adapters.metrics.described import OTHER, Metric

T = TypeVar("T")

_BOOKED: Final = 500


class Counter:
    """Counts, and only ever up."""

    __slots__ = ("_index", "_numbers", "_seen")

    def __init__(self, numbers: memoryview, index: int) -> None:
        self._numbers = numbers
        self._index = index
        self._seen = 0

    def add(self, amount: int = 1) -> None:
        """Count so many more."""
        self._numbers[self._index] += amount

    def follow(self, count: int) -> None:
        """Count what another has counted since it was told last; one that has begun anew too."""
        self.add(count - self._seen if count >= self._seen else count)
        self._seen = count


class Gauge:
    """Holds what was told last."""

    __slots__ = ("_index", "_numbers")

    def __init__(self, numbers: memoryview, index: int) -> None:
        self._numbers = numbers
        self._index = index

    def set(self, value: int) -> None:
        """Hold this from now on."""
        self._numbers[self._index] = value


class Histogram:
    """Counts how often something was how long, and for how long in all."""

    __slots__ = ("_bounds", "_index", "_numbers", "_sum", "_unit")

    def __init__(self, numbers: memoryview, index: int, metric: Metric) -> None:
        self._numbers = numbers
        self._index = index
        self._unit = metric.unit
        self._bounds = [round(bound * metric.unit) for bound in metric.bounds]
        self._sum = index + len(self._bounds) + 1

    def observe(self, value: float) -> None:
        """Count one."""
        numbers, units = self._numbers, int(value * self._unit)
        numbers[self._index + bisect_left(self._bounds, units)] += 1
        numbers[self._sum] += units


class Instruments:
    """The handles of one process."""

    def __init__(self, cells: Cells) -> None:
        self.cells = cells
        self.counter(OVERFLOW, "cells")

    def counter(self, metric: Metric, *labels: str) -> Counter:
        """Of a metric, with the values of its labels."""
        return Counter(self.cells.numbers, self._index(metric, labels))

    def gauge(self, metric: Metric, *labels: str) -> Gauge:
        """Of a metric, with the values of its labels."""
        return Gauge(self.cells.numbers, self._index(metric, labels))

    def histogram(self, metric: Metric, *labels: str) -> Histogram:
        """Of a metric, with the values of its labels."""
        return Histogram(self.cells.numbers, self._index(metric, labels), metric)

    def by_name(self, label: str, make: Callable[[str], T], *, most: int = _BOOKED) -> "ByName[T]":
        """Handles by the value of a label that is not known beforehand."""
        return ByName(make, most, self.counter(OVERFLOW, label))

    def _index(self, metric: Metric, labels: tuple[str, ...]) -> int:
        assert len(labels) == len(metric.labels), metric.name
        index = self.cells.at(Place(metric.name, labels), metric.width)
        if index == NOWHERE and metric is not OVERFLOW:
            self.counter(OVERFLOW, "cells").add()
        return index


class ByName(Generic[T]):
    """Handles by the value of a label, of which there may be any number; some are told apart.

    Args:
        most: who comes after so many is `_other`, and is counted.
    """

    def __init__(self, make: Callable[[str], T], most: int, overflow: Counter) -> None:
        self._make = make
        self._most = most
        self._overflow = overflow
        self._known: dict[str, T] = {}
        self._other: T | None = None

    def of(self, name: str) -> T:
        """The handle for this value."""
        known = self._known.get(name)
        if known is not None:
            return known
        if len(self._known) < self._most:
            made = self._known[name] = self._make(name)
            return made
        return self.other()

    def other(self) -> T:
        """The handle for all that are not told apart."""
        self._overflow.add()
        if self._other is None:
            self._other = self._make(OTHER)
        return self._other

    def known(self, name: str) -> T | None:
        """The handle for this value, if it has one already."""
        return self._known.get(name)
