"""Where is kept what the store cannot take just now?"""

from typing import Protocol

from sidecar.domain.deferred import Deferred
from sidecar.domain.value import value


@value
class SpoolReport:
    """How a spool stands, for whoever watches; of this process alone.

    Attributes:
        entries: that wait to be counted.
        bytes: of the files in which they stand.
        oldest_s: how long the oldest one has waited, 0 where none waits.
        replayed: entries that were counted since the process began.
        refused: entries that could not be counted, because what they name is not known.
        fault: why nothing can be kept, empty as far as is known.
    """

    entries: int = 0
    bytes: int = 0
    oldest_s: float = 0.0
    replayed: int = 0
    refused: int = 0
    fault: str = ""


class Spool(Protocol):
    """Keeps what was acknowledged until the store takes it."""

    async def keep(self, entry: Deferred) -> None:
        """Return when the entry survives a power cut.

        Raises:
            NotKept: it does not; nothing may be acknowledged.
        """
        ...

    @property
    def report(self) -> SpoolReport:
        """How it stands."""
        ...
