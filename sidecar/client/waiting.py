"""When was it used, by the clock of whoever counts it?

A report that is kept while the sidecar is away belongs into the hour in which it was made, not into
that of its arrival. The clock of this machine may be wrong, and a time that the sidecar does not
believe would lose the report: so all that is measured here is how long it has waited, and the time
of day is the sidecar's own, from the `Date` of an answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from sidecar.client.asking import Ask, Reply

FRESH_S: Final = 2.0
"""What has waited for less counts when it arrives; `Date` is not more exact than a second."""
OLDEST_S: Final = 6.5 * 86_400
"""The sidecar takes what is seven days old."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A usage event that is to be sent.

    Attributes:
        since_s: when it was reported, by the clock that `time.monotonic` reads.
    """

    event: Mapping[str, Any]
    since_s: float

    def is_late(self, now_s: float) -> bool:
        """Whether it has to say when it was reported, and does not."""
        waited = now_s - self.since_s
        return FRESH_S <= waited <= OLDEST_S and self.event.get("event_ts") is None

    def told(self, now_s: float, there: datetime | None) -> Mapping[str, Any]:
        """The event as it is sent.

        Args:
            there: what time it is at the sidecar; None where that is not known.
        """
        if there is None or not self.is_late(now_s):
            return self.event
        at = there - timedelta(seconds=now_s - self.since_s)
        return {**self.event, "event_ts": at.isoformat()}


@dataclass(frozen=True, slots=True)
class Settlement:
    """A reservation that is to be settled.

    Attributes:
        instead: what was used, as an event, where the sidecar has lost the reservation; None of a
            release, which charges nothing.
    """

    ask: Ask
    instead: Waiting | None = None


def time_there(reply: Reply) -> datetime | None:
    """What time it is where an answer comes from, None where it does not say."""
    try:
        at = parsedate_to_datetime(reply.date)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
