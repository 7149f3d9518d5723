"""What was accepted, and what of it waits for the control plane?"""

from collections.abc import Sequence
from typing import Protocol

from sidecar.domain.event_log import AppLine, Asked, Backlog, Page, SetAside, Settled, Taken


class EventLog(Protocol):
    """Accepted events, each once, written in the step that counted it."""

    async def page(self, asked: Asked, *, since: float) -> Page:
        """Some of them, in the order in which they came, app by app or of one app.

        Raises:
            NothingKept: they are not kept.
            UnknownCursor: there is no such cursor.
            Unavailable: the store did not answer in time.
        """
        ...


class Outbox(Protocol):
    """What of the log the control plane does not have yet, in the order of each app.

    Raises, every method:
        Unavailable: the store did not answer in time; the same call again is harmless.
    """

    async def due(self, most: int, *, everywhere: bool = False, since: float) -> Sequence[str]:
        """Apps of which something may wait that can be delivered now.

        Args:
            everywhere: whether to look at every app, as after a start.
        """
        ...

    async def take(self, app_id: str, holder: str, most: int, *, since: float) -> Taken | None:
        """The next events of an app, which are then this holder's for a while.

        None if none waits, another holds them, or it is too early to try again.
        """
        ...

    async def settle(
        self, app_id: str, holder: str, settled: Settled, *, let_go: bool, since: float
    ) -> None:
        """Note what became of what was taken, unless another has it by now.

        Args:
            let_go: whether others may take what is left; else it is this holder's on.
        """
        ...

    async def backlog(self, *, since: float) -> Backlog:
        """How much waits, and for how long: the depth and the lag of the outbox."""
        ...

    async def lines(self, most: int, *, since: float) -> Sequence[AppLine]:
        """Apps of which something waits or is set aside."""
        ...

    async def set_aside(self, most: int, *, since: float) -> Sequence[SetAside]:
        """Events that were refused."""
        ...

    async def retry(self, app_id: str, place: str, *, since: float) -> bool:
        """Try an event that is set aside again, before the others; or the first one now.

        False if it is neither.
        """
        ...

    async def drop(self, app_id: str, place: str, *, since: float) -> bool:
        """Never deliver an event that is set aside, or the first that waits; False if neither."""
        ...
