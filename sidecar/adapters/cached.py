"""Facts remembered for a while, so that a busy user or app is not looked up at every check."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from sidecar.adapters.changes import MANIFEST, SUBSCRIPTION, SURE_S, WALLET, Changes
from sidecar.adapters.recent import CAPACITY, Recent
from sidecar.domain.manifest import Manifest
from sidecar.domain.request import Subject
from sidecar.domain.subscription import Subscription, SyncOutcome
from sidecar.domain.wallet import Wallet
from sidecar.ports import Known, Manifests, ManifestSync, Subscriptions, Wallets

_User = tuple[str, str]
_NONE: Final[Known[Manifest | None]] = Known(None)
_ANY: Final = ""


class CachedSubscriptions(Recent[_User, Subscription]):
    """Remembers what was found, by app and user: a tenant plays no part.

    A push through this process is seen at once, one through another when it is heard of or when
    the entry is old.

    Args:
        changes: what other processes push.
        lifetime_s: how long an entry is believed where changes are not heard of; more than 0.
        capacity: entries kept, the oldest goes first; long histories count for several.
    """

    def __init__(
        self,
        inner: Subscriptions,
        changes: Changes | None = None,
        *,
        lifetime_s: float = SURE_S,
        capacity: int = CAPACITY,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        def ask(key: _User, since: float) -> Awaitable[Subscription]:
            return inner.find(Subject(*key), since=since)

        super().__init__(
            ask,
            lambda key: key[1],
            changes,
            weigh=lambda state: 1 + (len(state.history) + len(state.metadata)) // 8,
            lifetime_s=lifetime_s,
            capacity=capacity,
            monotonic=monotonic,
        )
        self._inner = inner
        self._changes.tell(SUBSCRIPTION, self.forget)

    def find(self, subject: Subject, *, since: float) -> Awaitable[Subscription]:
        """What is remembered, else what the store says."""
        return self.recall((subject.app_id, subject.user_id), since)

    async def sync(self, pushed: Subscription, *, since: float) -> tuple[SyncOutcome, Subscription]:
        """Pass a push on, and forget what it makes old."""
        try:
            return await self._inner.sync(pushed, since=since)
        finally:
            self.forget(pushed.user_id)


class CachedManifests:
    """Remembers what holds for each app, that nothing was pushed for it, and for none at all.

    A push through this process is seen at once, one through another when it is heard of or when
    the entry is old.

    Args:
        changes: what other processes push.
        lifetime_s: how long an entry is believed where changes are not heard of; more than 0.
    """

    def __init__(
        self,
        inner: Manifests,
        changes: Changes | None = None,
        *,
        lifetime_s: float = SURE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        changes = changes or Changes()
        self._inner = inner
        self._of_apps: Recent[str, Manifest | None] = Recent(
            self._ask,
            str,
            changes,
            is_lasting=_is_lasting,
            weigh=_weight,
            lifetime_s=lifetime_s,
            monotonic=monotonic,
        )
        self._any: Recent[str, bool] = Recent(
            lambda _, since: inner.any(since=since),
            str,
            changes,
            lifetime_s=lifetime_s,
            monotonic=monotonic,
        )
        self._are_some = False
        changes.tell(MANIFEST, self._forget)

    def find(self, app_id: str, *, since: float) -> Awaitable[Manifest | None]:
        """What is remembered, else what the store says."""
        # Most installations have none: there, no app is asked for by its name.
        if not self._are_some:
            known = self._any.known(_ANY)
            if known is not None and not known.value:
                return _NONE
        return self._of_apps.recall(app_id, since)

    @property
    def hits(self) -> int:
        """How often something was remembered, that there is none at all too."""
        return self._of_apps.hits + self._any.hits

    @property
    def misses(self) -> int:
        """How often it was not."""
        return self._of_apps.misses + self._any.misses

    def __len__(self) -> int:
        """How many entries are kept."""
        return len(self._of_apps) + len(self._any)

    async def any(self, *, since: float) -> bool:
        """Whether one was ever pushed, for whatever app."""
        return await self._inner.any(since=since)

    async def sync(self, pushed: Manifest, *, since: float) -> ManifestSync:
        """Pass a push on, and forget what it makes old."""
        try:
            return await self._inner.sync(pushed, since=since)
        finally:
            self._forget(pushed.app_id)

    def _forget(self, app_id: str | None) -> None:
        self._of_apps.forget(app_id)
        self._any.forget(_ANY)

    async def _ask(self, app_id: str, since: float) -> Manifest | None:
        if not self._are_some:
            self._are_some = await self._any.recall(_ANY, since)
        return await self._inner.find(app_id, since=since) if self._are_some else None


def _is_lasting(manifest: Manifest | None) -> bool:
    """Whether it stays as it is at the end of a period."""
    return manifest is None or not any(budget.rollover for budget in manifest.budgets)


def _weight(manifest: Manifest | None) -> int:
    if manifest is None:
        return 1
    parts = manifest.budgets, manifest.features, manifest.overrides, manifest.seeded
    return 1 + sum(map(len, (*parts, manifest.allowed, manifest.blocked))) // 8


class CachedWallets(Recent[_User, Wallet]):
    """Remembers each user's balance, and that nobody told of one.

    One that is told through this process is seen at once, one through another when it is heard of
    or when the entry is old. What was spent meanwhile is counted all the same: an old balance goes
    with an old count.

    Args:
        changes: what other processes are told.
        lifetime_s: how long an entry is believed where changes are not heard of; more than 0.
    """

    def __init__(
        self,
        inner: Wallets,
        changes: Changes | None = None,
        *,
        lifetime_s: float = SURE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        def ask(key: _User, since: float) -> Awaitable[Wallet]:
            return inner.find(Subject(*key), since=since)

        super().__init__(
            ask, lambda key: key[1], changes, lifetime_s=lifetime_s, monotonic=monotonic
        )
        self._inner = inner
        self._changes.tell(WALLET, self.forget)

    def find(self, subject: Subject, *, since: float) -> Awaitable[Wallet]:
        """What is remembered, else what the store says."""
        return self.recall((subject.app_id, subject.user_id), since)

    async def sync(self, told: Wallet, *, since: float) -> tuple[SyncOutcome, Wallet]:
        """Pass a balance on, and forget what it makes old."""
        try:
            return await self._inner.sync(told, since=since)
        finally:
            self.forget(told.user_id)
