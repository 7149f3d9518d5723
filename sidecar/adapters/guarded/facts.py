"""What others said, behind the breaker of the store that keeps it."""

from sidecar.adapters.guarded.breaker import Breaker, StoreSuspended
from sidecar.domain.manifest import Manifest
from sidecar.domain.request import Subject
from sidecar.domain.subscription import Subscription, SyncOutcome
from sidecar.domain.wallet import Wallet
from sidecar.errors import SubscriptionsUnavailable
from sidecar.ports import Manifests, ManifestSync, Subscriptions, Wallets


class GuardedSubscriptions:
    """Asks for subscriptions, unless their store has just failed again and again."""

    def __init__(self, inner: Subscriptions, breaker: Breaker) -> None:
        self._inner = inner
        self._breaker = breaker

    async def find(self, subject: Subject, *, since: float) -> Subscription:
        """The state for the subject's app, else for all its apps, else one that says `none`."""
        try:
            return await self._breaker.ask(self._inner.find, subject, since=since)
        except StoreSuspended as error:
            raise SubscriptionsUnavailable(str(error)) from error

    async def sync(self, pushed: Subscription, *, since: float) -> tuple[SyncOutcome, Subscription]:
        """Merge a pushed state with what is stored, and say what that did."""
        try:
            return await self._breaker.ask(self._inner.sync, pushed, since=since)
        except StoreSuspended as error:
            raise SubscriptionsUnavailable(str(error)) from error


class GuardedManifests:
    """Asks for manifests, unless their store has just failed again and again."""

    def __init__(self, inner: Manifests, breaker: Breaker) -> None:
        self._inner = inner
        self._breaker = breaker

    async def find(self, app_id: str, *, since: float) -> Manifest | None:
        """What holds for an app, None where nothing was ever said."""
        return await self._breaker.ask(self._inner.find, app_id, since=since)

    async def any(self, *, since: float) -> bool:
        """Whether one was ever pushed, for whatever app."""
        return await self._breaker.ask(self._inner.any, since=since)

    async def sync(self, pushed: Manifest, *, since: float) -> ManifestSync:
        """Put a pushed manifest in the place of what is stored, unless that is newer."""
        return await self._breaker.ask(self._inner.sync, pushed, since=since)


class GuardedWallets:
    """Asks for balances, unless their store has just failed again and again."""

    def __init__(self, inner: Wallets, breaker: Breaker) -> None:
        self._inner = inner
        self._breaker = breaker

    async def find(self, subject: Subject, *, since: float) -> Wallet:
        """The balance as it was told last, or a wallet of which nobody told one."""
        return await self._breaker.ask(self._inner.find, subject, since=since)

    async def sync(self, told: Wallet, *, since: float) -> tuple[SyncOutcome, Wallet]:
        """Put a balance in the place of an older one, and say what that did."""
        return await self._breaker.ask(self._inner.sync, told, since=since)
