"""How long is what kept? In milliseconds."""

import time
from typing import Final

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
KEPT_MS: Final = 7 * DAY_MS
"""Ended reservations, and periods for late events."""
EVENTS_REMEMBERED_MS: Final = 8 * DAY_MS
"""Ids of events, and what sessions were counted as."""
REQUESTS_REMEMBERED_MS: Final = 600_000
"""A request's id, and the limits of an ended reservation, beyond the hold."""
REPORTED_MS: Final = 90 * DAY_MS
"""Rollups, and grants that are over."""
STATED_MS: Final = 400 * DAY_MS
"""Statements, from the end of their period on."""
NEVER: Final = 2**62


def system_ms() -> int:
    """What the machine's clock shows."""
    return time.time_ns() // 1_000_000
