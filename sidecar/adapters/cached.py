"""Facts remembered for a moment, so that a busy user or app is not looked up at every check."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from sidecar.adapters.recent import Known, Recent
from sidecar.domain.manifest import Manifest
from sidecar.domain.request import Subject
from sidecar.domain.subscription import Subscription, SyncOutcome
from sidecar.ports import Manifests, ManifestSync, Subscriptions

_User = tuple[str, str]
_NONE: Final[Known[Manifest | None]] = Known(None)


class CachedSubscriptions(Recent[_User, Subscription]):
    """Remembers what was found, by app and user: a tenant plays no part.

    A push through this process is seen at once, one through another when the entry is old.

    Args:
        lifetime_s: how long an entry is believed; more than 0.
        capacity: entries kept, the oldest goes first.
    """

    def __init__(
        self,
        inner: Subscriptions,
        *,
        lifetime_s: float = 0.5,
        capacity: int = 50_000,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        def ask(key: _User, since: float) -> Awaitable[Subscription]:
            return inner.find(Subject(*key), since=since)

        super().__init__(ask, lifetime_s=lifetime_s, capacity=capacity, monotonic=monotonic)
        self._inner = inner

    async def find(self, subject: Subject, *, since: float) -> Subscription:
        """What is remembered, else what the store says."""
        return await self.recall((subject.app_id, subject.user_id), since)

    async def sync(self, pushed: Subscription, *, since: float) -> tuple[SyncOutcome, Subscription]:
        """Pass a push on, and forget what it makes old."""
        try:
            return await self._inner.sync(pushed, since=since)
        finally:
            self.forget(lambda key: key[1] == pushed.user_id)


class CachedManifests(Recent[str, Manifest | None]):
    """Remembers what holds for each app, that nothing was pushed for it, and for none at all.

    A push through this process is seen at once, one through another when the entry is old.

    Args:
        lifetime_s: how long an entry is believed; more than 0.
    """

    def __init__(
        self,
        inner: Manifests,
        *,
        lifetime_s: float = 0.5,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(self._asked_of, lifetime_s=lifetime_s, monotonic=monotonic)
        self._inner = inner
        self._are_some = False
        self._none_until = 0.0

    def find(self, app_id: str, *, since: float) -> Awaitable[Manifest | None]:
        """What is remembered, else what the store says."""
        # Most installations have none: there, no app is asked for by its name.
        if self._none_until and self._monotonic() < self._none_until:
            return _NONE
        return self.recall(app_id, since)

    async def any(self, *, since: float) -> bool:
        """Whether one was ever pushed, for whatever app."""
        return await self._inner.any(since=since)

    async def sync(self, pushed: Manifest, *, since: float) -> ManifestSync:
        """Pass a push on, and forget what it makes old."""
        try:
            return await self._inner.sync(pushed, since=since)
        finally:
            self._none_until = 0.0
            self.forget(lambda app_id: app_id == pushed.app_id)

    async def _asked_of(self, app_id: str, since: float) -> Manifest | None:
        if not self._are_some:
            pushes = self._pushes
            self._are_some = await self._inner.any(since=since)
            if not self._are_some:
                if pushes == self._pushes:
                    self._none_until = self._monotonic() + self._lifetime_s
                return None
        return await self._inner.find(app_id, since=since)
