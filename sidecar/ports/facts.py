"""What was said of a subject by others, and what time is it?"""

from collections.abc import Awaitable, Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from sidecar.domain.manifest import Manifest
from sidecar.domain.request import Subject
from sidecar.domain.subscription import Subscription, SyncOutcome
from sidecar.domain.value import value
from sidecar.domain.wallet import Wallet

V = TypeVar("V")


@dataclass(frozen=True, slots=True, eq=False)
class Known(Generic[V]):
    """A fact that nobody has to wait for; who asks for it may look at the value at once.

    It stands for an answer and not for its value, so it can be waited for among others
    (`asyncio.gather` tells them apart by their hash) whatever the value is.
    """

    value: V

    def __await__(self) -> Generator[None, None, V]:
        """The value, at once."""
        yield from ()
        return self.value


class Clock(Protocol):
    """The time, for people and for time-outs."""

    def now(self) -> datetime:
        """The aware UTC time."""
        ...

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        ...


class Subscriptions(Protocol):
    """What the billing side said of each user."""

    def find(self, subject: Subject, *, since: float) -> Awaitable[Subscription]:
        """The state for the subject's app, else for all its apps, else one that says `none`.

        Raises:
            SubscriptionsUnavailable: it could not be had in time.
        """
        ...

    async def sync(self, pushed: Subscription, *, since: float) -> tuple[SyncOutcome, Subscription]:
        """Merge a pushed state with what is stored, and say what that did.

        Raises:
            SubscriptionsUnavailable: nothing is known to be stored.
        """
        ...


@value
class ManifestSync:
    """What a push of a manifest did.

    Attributes:
        previous: what held before it, None where nothing did.
        state: what holds now.
    """

    outcome: SyncOutcome
    previous: Manifest | None
    state: Manifest


class Manifests(Protocol):
    """What the platform said of each app."""

    def find(self, app_id: str, *, since: float) -> Awaitable[Manifest | None]:
        """What holds for an app beside its users' plans, None where nothing was ever said.

        Raises:
            Unavailable: it could not be had in time.
        """
        ...

    async def any(self, *, since: float) -> bool:
        """Whether one was ever pushed, for whatever app; once it was, it stays so.

        Raises:
            Unavailable: it could not be had in time.
        """
        ...

    async def sync(self, pushed: Manifest, *, since: float) -> ManifestSync:
        """Put a pushed manifest in the place of what is stored, unless that is newer.

        Raises:
            Unavailable: nothing is known to be stored; the same push again is harmless.
        """
        ...


class Wallets(Protocol):
    """What was said of each user's balance by whoever keeps it."""

    def find(self, subject: Subject, *, since: float) -> Awaitable[Wallet]:
        """The balance as it was told last, or a wallet of which nobody told one.

        Raises:
            Unavailable: it could not be had in time.
        """
        ...

    async def sync(self, told: Wallet, *, since: float) -> tuple[SyncOutcome, Wallet]:
        """Put a balance in the place of an older one, and say what that did.

        What is found from then on says what was used when the balance was told.

        Raises:
            Unavailable: nothing is known to be stored; the same again is harmless.
        """
        ...
