"""Which requests were answered how, and what of them was not taken?"""

from typing import Final

from sidecar.adapters.metrics import catalogue
from sidecar.adapters.metrics.described import OTHER
from sidecar.adapters.metrics.instruments import Counter, Instruments

_MOST_ROUTES: Final = 100
_STATUSES: Final = range(100, 600)


class CountedRequests:
    """Counts requests that were answered."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._routes = instruments.by_name("route", _Route, most=_MOST_ROUTES)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one."""
        by_status = self._routes.of(route).by_status
        counter = by_status.get(status)
        if counter is None:
            shown = str(status) if status in _STATUSES else OTHER
            counter = self._instruments.counter(catalogue.HTTP_REQUESTS, route or OTHER, shown)
            by_status[status] = counter
        counter.add()


class _Route:
    """What a path was answered with."""

    def __init__(self, _: str) -> None:
        self.by_status: dict[int, Counter] = {}


class CountedUsage:
    """Counts usage events that were rejected; the others are counted where they are taken."""

    def __init__(self, instruments: Instruments) -> None:
        self._rejected = instruments.counter(catalogue.USAGE_EVENTS, "rejected")

    def rejected(self, events: int) -> None:
        """Count so many."""
        self._rejected.add(events)
