"""Which technology keeps the counters and what others said?"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sidecar.adapters.address import Arrangement, SqliteAddress, mistakable, read_address
from sidecar.adapters.arrivals import Arrivals
from sidecar.adapters.cached import CachedManifests, CachedSubscriptions, CachedWallets
from sidecar.adapters.carried import CarriedManifests
from sidecar.adapters.changes import WatchedChanges
from sidecar.adapters.clock import SystemClock
from sidecar.adapters.guarded.breaker import IN_A_ROW, Breaker
from sidecar.adapters.guarded.facts import GuardedManifests, GuardedSubscriptions, GuardedWallets
from sidecar.adapters.guarded.meter import GuardedMeter
from sidecar.adapters.rolled import RolledMeter
from sidecar.adapters.seeded import SeededManifests
from sidecar.domain.event_log import Keeping
from sidecar.domain.usage import OnExpiry
from sidecar.errors import ConfigurationError, Unavailable
from sidecar.ports import (
    Apps,
    EventLog,
    Manifests,
    Meter,
    Notices,
    Outbox,
    Statements,
    Subscriptions,
    Wallets,
)
from sidecar.ports.watching import StoreWatch
from sidecar.settings import Settings

if TYPE_CHECKING:
    from sidecar.adapters.redis.apps import RedisApps
    from sidecar.adapters.redis.connection import RedisConnection
    from sidecar.adapters.redis.leased import LeasedMeter
    from sidecar.adapters.sqlite.database import Database

_KEPT_IN_A_FILE: Final = timedelta(days=35)
"""Events that are accepted; in Redis they would stand in memory."""
_IN_A_ROW_OF_SEVERAL = 64
"""Of servers that share the work, one may be gone for long while the others answer."""

Cache = CachedSubscriptions | CachedManifests | CachedWallets


class Store:
    """Counters and what others said on one technology, opened before the first request.

    Attributes:
        breaker: whether it is asked just now.
        caches: what is remembered of it for a moment, by what that is.
        leased: the meter on Redis, None where there is another.
        unrolled: the meter for whoever only looks on: it carries nothing into a period.
    """

    def __init__(
        self,
        url: str,
        timeout_ms: int,
        on_expiry: OnExpiry = OnExpiry.RELEASE,
        *,
        leases: bool = False,
        watch: StoreWatch | None = None,
        keeping: Keeping | None = None,
    ) -> None:
        address, clock = read_address(url), SystemClock()
        self.changes: WatchedChanges
        self.caches: dict[str, Cache] = {}
        self.notices: Notices
        self.statements: Statements
        self.events: EventLog
        self.outbox: Outbox
        self.apps: Apps
        self.arrivals = Arrivals()
        keeping = keeping or Keeping()
        manifests: Manifests
        self._database: Database | None = None
        self._redis: RedisConnection | None = None
        self._met: RedisApps | None = None
        self.leased: LeasedMeter | None = None
        # What the other one needs stays on the disk.
        if isinstance(address, SqliteAddress):
            from sidecar.adapters.sqlite import database
            from sidecar.adapters.sqlite.apps import SqliteApps
            from sidecar.adapters.sqlite.changes import SqliteChanges
            from sidecar.adapters.sqlite.event_log import SqliteEventLog
            from sidecar.adapters.sqlite.manifests import SqliteManifests
            from sidecar.adapters.sqlite.meter import SqliteMeter
            from sidecar.adapters.sqlite.notices import SqliteNotices
            from sidecar.adapters.sqlite.outbox import SqliteOutbox
            from sidecar.adapters.sqlite.statement_pages import SqliteStatements
            from sidecar.adapters.sqlite.subscriptions import SqliteSubscriptions
            from sidecar.adapters.sqlite.wallets import SqliteWallets

            self._database = database.Database(address.file, watch=watch)
            log = SqliteEventLog(self._database, keeping, self.arrivals)
            self.events = log
            self.outbox = SqliteOutbox(self._database, keeping.kept_ms)
            self.apps = SqliteApps(self._database)
            meter: Meter = SqliteMeter(self._database, on_expiry=on_expiry, log=log)
            self.breaker = Breaker(_probing(meter))
            self.statements = SqliteStatements(self._database)
            guarded = RolledMeter(meter, self.breaker, self.statements, clock)
            self.changes = SqliteChanges(self._database)
            subscriptions: Subscriptions = SqliteSubscriptions(self._database)
            self.notices = SqliteNotices(self._database)
            wallets: Wallets = SqliteWallets(self._database)
            manifests = SqliteManifests(self._database)
        else:
            from sidecar.adapters.redis import apps, connection, leased
            from sidecar.adapters.redis.changes import ANNOUNCE, RedisChanges
            from sidecar.adapters.redis.documents import REPLACE
            from sidecar.adapters.redis.event_log import COMING, PAGE, RedisEventLog
            from sidecar.adapters.redis.manifests import RedisManifests
            from sidecar.adapters.redis.meter import SCRIPTS
            from sidecar.adapters.redis.notices import NOTICE, RedisNotices
            from sidecar.adapters.redis.outbox import OUTBOX, RedisOutbox
            from sidecar.adapters.redis.statements import STATED, RedisStatements
            from sidecar.adapters.redis.subscriptions import RedisSubscriptions
            from sidecar.adapters.redis.wallets import RedisWallets

            further = (REPLACE, ANNOUNCE, NOTICE, STATED, COMING, PAGE, OUTBOX)
            scripts = (*SCRIPTS, *leased.LEASES, *further)
            timeout_s = timeout_ms / 1000
            self._redis = connection.RedisConnection(
                url, timeout_s=timeout_s, scripts=scripts, watch=watch
            )
            stream = RedisEventLog(self._redis, keeping, self.arrivals)
            self.events = stream
            self.outbox = RedisOutbox(self._redis, keeping.kept_ms, stream)
            self.apps = self._met = apps.RedisApps(self._redis)
            self.leased = leased.LeasedMeter(
                self._redis, on_expiry=on_expiry, leases=leases, log=stream, apps=self._met
            )
            meter = self.leased
            self.breaker = Breaker(_probing(self.leased), in_a_row=_in_a_row(address.arrangement))
            at_hand = self.leased.at_hand if leases else None
            self.statements = RedisStatements(self._redis)
            guarded = RolledMeter(self.leased, self.breaker, self.statements, clock, at_hand)
            self.changes = RedisChanges(self._redis)
            subscriptions = RedisSubscriptions(self._redis)
            self.notices = RedisNotices(self._redis)
            wallets = RedisWallets(self._redis)
            manifests = RedisManifests(self._redis)
        self.unrolled: Meter = GuardedMeter(meter, self.breaker)
        self._guarded = guarded
        self.meter: Meter = guarded
        remembered = CachedSubscriptions(
            GuardedSubscriptions(subscriptions, self.breaker), self.changes
        )
        self.subscriptions: Subscriptions = remembered
        self.caches["subscriptions"] = remembered
        told = CachedWallets(GuardedWallets(wallets, self.breaker), self.changes)
        self.wallets: Wallets = told
        self.caches["wallets"] = told
        # Most apps have none, and shall not pay for asking each time.
        asked = GuardedManifests(manifests, self.breaker)
        seeded = SeededManifests(asked, self.meter, clock)
        carried = CarriedManifests(seeded, self.meter, clock)
        cached = CachedManifests(carried, self.changes)
        self.manifests: Manifests = cached
        self.caches["manifests"] = cached

    async def note(self) -> str | None:
        """What an operator should know of a store that answers."""
        # Who may not ask is not told, and no worse off for it.
        with suppress(Unavailable):
            if self._redis is not None and await self._redis.evicts(since=time.monotonic()):
                return "Redis may evict counters: set maxmemory-policy noeviction"
        return None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open, and close in the end; Redis may come later, the file must be there."""
        if self._database is not None:
            self._database.open()
        try:
            yield
        finally:
            await self._guarded.close()
            await self.breaker.close()
            if self._database is not None:
                self._database.close()
            if self.leased is not None:
                await self.leased.drain()
            if self._met is not None:
                await self._met.close()
            if self._redis is not None:
                await self._redis.close()


def store_of(settings: Settings, watch: StoreWatch | None = None) -> Store:
    """The store that the settings name, not opened yet.

    Args:
        watch: hears of each visit.

    Raises:
        ConfigurationError: its address is wrong, or nobody is named for whom events wait.
    """
    return Store(
        settings.sidecar_store,
        settings.sidecar_store_timeout_ms,
        settings.sidecar_on_expiry,
        leases=settings.sidecar_leases,
        watch=watch,
        keeping=keeping_of(settings),
    )


def keeping_of(settings: Settings) -> Keeping:
    """What is kept of accepted events.

    Raises:
        ConfigurationError: they are to be posted, and it is not said where.
    """
    is_posted = settings.control_plane_usage_ingest_enabled
    if is_posted and settings.control_plane_usage_ingest_url is None:
        raise ConfigurationError(
            "CONTROL_PLANE_USAGE_INGEST_URL: is needed with CONTROL_PLANE_USAGE_INGEST_ENABLED; "
            "name the address that events are posted to"
        )
    kept = settings.sidecar_events_kept
    if kept is None:
        is_file = isinstance(read_address(settings.sidecar_store), SqliteAddress)
        kept = _KEPT_IN_A_FILE if is_file else timedelta()
    return Keeping(kept, settings.sidecar_outbox_max if is_posted else None)


def _probing(meter: Meter) -> Callable[[], Awaitable[None]]:
    return lambda: meter.ping(since=time.monotonic())


def _in_a_row(arrangement: Arrangement) -> int:
    return _IN_A_ROW_OF_SEVERAL if arrangement is Arrangement.CLUSTER else IN_A_ROW


def describe_store(url: str) -> str:
    """A store's address for people, without its password."""
    return str(read_address(url))


def is_in_memory(url: str) -> bool:
    """Whether each process would have a store of its own."""
    return read_address(url) == SqliteAddress(None)


def is_missing(url: str) -> bool:
    """Whether a store is a file that is not there; opening it would make it."""
    match read_address(url):
        case SqliteAddress(Path() as file):
            return not file.exists()
        case _:
            return False


@dataclass(frozen=True, slots=True)
class StoreReport:
    """How a store is found: why it cannot be used now, and what to mind if it can."""

    fault: str | None = None
    note: str | None = None


async def look_at_store(settings: Settings) -> StoreReport:
    """How the store is found now.

    Raises:
        ConfigurationError: it can never be used as it is set.
    """
    keeping_of(settings)
    store = Store(settings.sidecar_store, max(settings.sidecar_store_timeout_ms, 1_000))
    async with store.opened():
        try:
            await store.meter.ping(since=time.monotonic())
        except Unavailable as error:
            return StoreReport(str(error), mistakable(settings.sidecar_store))
        return StoreReport(note=await store.note() or mistakable(settings.sidecar_store))
