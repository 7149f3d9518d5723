"""How is the store doing? How long each visit takes, and whether there was an answer."""

from time import monotonic
from typing import Final

from sidecar.adapters.metrics import catalogue
from sidecar.adapters.metrics.instruments import Histogram, Instruments

_MOST_OPERATIONS: Final = 50


class CountedStore:
    """Counts visits to the store."""

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._up = instruments.gauge(catalogue.STORE_UP)
        self._up.set(1)
        self._seconds = instruments.by_name("operation", self._histogram, most=_MOST_OPERATIONS)

    def asked(self, operation: str, began_s: float) -> None:
        """Note one visit that is answered just now."""
        self._seconds.of(operation).observe(monotonic() - began_s)
        self._up.set(1)

    def failed(self, operation: str, began_s: float, fault: str, *, is_late: bool) -> None:
        """Note one that came to nothing just now."""
        self._seconds.of(operation).observe(monotonic() - began_s)
        self._up.set(0)
        kind = "timeout" if is_late else "error"
        self._instruments.counter(catalogue.STORE_ERRORS, operation, kind).add()

    def _histogram(self, operation: str) -> Histogram:
        for kind in ("timeout", "error"):
            self._instruments.counter(catalogue.STORE_ERRORS, operation, kind)
        return self._instruments.histogram(catalogue.STORE_SECONDS, operation)
