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
