"""The machine's own time."""

import time
from datetime import UTC, datetime


class SystemClock:
    """The time of the machine that this process runs on."""

    def now(self) -> datetime:
        """The aware UTC time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        return time.monotonic()


class PatientClock(SystemClock):
    """The same for work for which nobody waits: it has so much longer for each visit to a store."""

    def __init__(self, patience_s: float) -> None:
        self._patience_s = patience_s

    def monotonic(self) -> float:
        """Seconds that only ever grow; somewhat ahead, so that what waits begins later."""
        return super().monotonic() + self._patience_s
