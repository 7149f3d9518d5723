"""What was acknowledged and could not be counted yet?"""

from sidecar.domain.request import Amounts
from sidecar.domain.usage import UsageEvent
from sidecar.domain.value import value


@value
class DeferredEvents:
    """Reports of use; each counts once by its id, whenever that is."""

    events: tuple[UsageEvent, ...]


@value
class DeferredCommit:
    """What a reservation's run has used; to say so twice is harmless."""

    reservation_id: str
    used: Amounts
    final: bool
    model: str = ""


@value
class DeferredRelease:
    """A reservation that gives back what it holds; to say so twice is harmless."""

    reservation_id: str


Deferred = DeferredEvents | DeferredCommit | DeferredRelease
