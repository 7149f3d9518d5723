"""Who is told how the server is doing, and who tells it?"""

from collections.abc import Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from sidecar.domain.standing import Standing


class Part(Protocol):
    """One part of the server that can say how it stands."""

    @property
    def name(self) -> str:
        """Under which it is shown; one word."""
        ...

    def status(self) -> Coroutine[None, None, Standing]:
        """How it stands now."""
        ...


class Exposition(Protocol):
    """All that was counted."""

    def text(self) -> str:
        """As Prometheus reads it."""
        ...


class Requests(Protocol):
    """Hears of each request that was answered; never waits."""

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note one; the route is a path of the table, empty for none of them."""
        ...


class UsageWatch(Protocol):
    """Hears of usage events that nobody counts; never waits."""

    def rejected(self, events: int) -> None:
        """Note so many that are not as they should be."""
        ...


class Traces(Protocol):
    """Follows requests through the server."""

    def request(
        self, method: str, path: str, headers: Sequence[tuple[bytes, bytes]]
    ) -> AbstractContextManager[object]:
        """Whatever happens within belongs to this request; names of headers in lower case."""
        ...


class StoreWatch(Protocol):
    """Hears of each visit to the store; never waits."""

    def asked(self, operation: str, began_s: float) -> None:
        """Note one that is answered just now.

        Args:
            operation: one of a few.
            began_s: by the monotonic clock.
        """
        ...

    def failed(self, operation: str, began_s: float, fault: str, *, is_late: bool) -> None:
        """Note one that came to nothing just now.

        Args:
            is_late: whether that is because there was no time left.
        """
        ...
