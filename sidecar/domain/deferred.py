"""What was acknowledged and could not be counted yet?"""

from dataclasses import dataclass

from sidecar.domain.request import Amounts
from sidecar.domain.usage import UsageEvent


@dataclass(frozen=True, slots=True)
class DeferredEvents:
    """Reports of use; each counts once by its id, whenever that is."""

    events: tuple[UsageEvent, ...]


@dataclass(frozen=True, slots=True)
class DeferredCommit:
    """What a reservation's run has used; to say so twice is harmless."""

    reservation_id: str
    used: Amounts
    final: bool
    model: str = ""


@dataclass(frozen=True, slots=True)
class DeferredRelease:
    """A reservation that gives back what it holds; to say so twice is harmless."""

    reservation_id: str


Deferred = DeferredEvents | DeferredCommit | DeferredRelease
