"""From settings to a running decision point: the one place where ports meet adapters."""

import asyncio
import gc
import multiprocessing
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr
from starlette.applications import Starlette

from sidecar.adapters.address import SqliteAddress, read_address
from sidecar.adapters.cached import CachedManifests, CachedSubscriptions
from sidecar.adapters.clock import SystemClock
from sidecar.adapters.decisions.files import Series
from sidecar.adapters.decisions.hidden import Hidden
from sidecar.adapters.decisions.lines import Lines
from sidecar.adapters.decisions.recorder import RecordedDecisions
from sidecar.adapters.decisions.several import DecisionLogs
from sidecar.adapters.decisions.told import LoggedDecisions, NoDecisions
from sidecar.adapters.payments.gateway import GatewayPayments
from sidecar.adapters.payments.mock import MockPayments
from sidecar.adapters.pulled.source import BillingSide
from sidecar.adapters.pulled.subscriptions import PulledSubscriptions
from sidecar.adapters.redis.connection import RedisConnection
from sidecar.adapters.redis.documents import REPLACE
from sidecar.adapters.redis.leased import LEASE, LeasedMeter
from sidecar.adapters.redis.manifests import RedisManifests
from sidecar.adapters.redis.meter import SCRIPTS
from sidecar.adapters.redis.notices import NOTICE, RedisNotices
from sidecar.adapters.redis.subscriptions import RedisSubscriptions
from sidecar.adapters.seeded import SeededManifests
from sidecar.adapters.shadow.log import ShadowDecisions
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.manifests import SqliteManifests
from sidecar.adapters.sqlite.meter import SqliteMeter
from sidecar.adapters.sqlite.notices import SqliteNotices
from sidecar.adapters.sqlite.subscriptions import SqliteSubscriptions
from sidecar.adapters.web import Web
from sidecar.adapters.webhooks.delivery import Deliveries
from sidecar.adapters.webhooks.noticing import NoticedDecisions
from sidecar.adapters.webhooks.rejections import Rejections
from sidecar.adapters.webhooks.signing import Signer
from sidecar.api.app import Parts, build_app
from sidecar.api.auth import Keys
from sidecar.domain.policies import PolicyReport
from sidecar.domain.usage import OnExpiry
from sidecar.errors import Unavailable
from sidecar.logs import configure_logging
from sidecar.pdp import PDP
from sidecar.policy.load import load, shipped
from sidecar.policy.price_file import load_prices
from sidecar.policy.prices import PriceList
from sidecar.policy.reloading.contents import Origin
from sidecar.policy.reloading.kept import (
    Found,
    KeptPolicies,
    LoadedPolicies,
    find,
    followed,
    watched,
)
from sidecar.policy.remedies import Urls
from sidecar.policy.snapshot import PolicySet
from sidecar.ports import (
    Checked,
    Clock,
    DecisionLog,
    Directories,
    Manifests,
    Meter,
    Notices,
    Payments,
    Subscriptions,
)
from sidecar.settings import Settings


class Store:
    """Counters and what others said on one technology, opened before the first request."""

    def __init__(
        self,
        url: str,
        timeout_ms: int,
        on_expiry: OnExpiry = OnExpiry.RELEASE,
        *,
        leases: bool = False,
    ) -> None:
        address = read_address(url)
        self.meter: Meter
        self.subscriptions: Subscriptions
        self.notices: Notices
        manifests: Manifests
        self._database: Database | None = None
        self._redis: RedisConnection | None = None
        self._leased: LeasedMeter | None = None
        if isinstance(address, SqliteAddress):
            self._database = Database(address.file)
            self.meter = SqliteMeter(self._database, on_expiry=on_expiry)
            self.subscriptions = SqliteSubscriptions(self._database)
            self.notices = SqliteNotices(self._database)
            manifests = SqliteManifests(self._database)
        else:
            scripts = (*SCRIPTS, LEASE, REPLACE, NOTICE)
            self._redis = RedisConnection(url, timeout_s=timeout_ms / 1000, scripts=scripts)
            self._leased = LeasedMeter(self._redis, on_expiry=on_expiry, leases=leases)
            self.meter = self._leased
            self.subscriptions = CachedSubscriptions(RedisSubscriptions(self._redis))
            self.notices = RedisNotices(self._redis)
            manifests = RedisManifests(self._redis)
        # Most apps have none, and shall not pay for asking each time.
        self.manifests: Manifests = CachedManifests(
            SeededManifests(manifests, self.meter, SystemClock())
        )

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
            if self._database is not None:
                self._database.close()
            if self._leased is not None:
                await self._leased.drain()
            if self._redis is not None:
                await self._redis.close()


def load_policies(settings: Settings) -> PolicySet:
    """The policies that the settings name, with the prices that they name.

    Raises:
        ConfigurationError: they do not load; the message has every finding.
    """
    origin = _origin(settings, _directory(settings))
    prices = prices_named_by(settings)
    return load(origin.directory, ceiling=origin.ceiling, urls=origin.urls, prices=prices)


def find_policies(settings: Settings) -> Found:
    """The policies that the settings name, judged as a server does before it answers from them.

    Raises:
        ConfigurationError: they do not load, or their tests fail; the message has every finding.
    """
    return find(_origin(settings, _directory(settings)), _shadow_origin(settings))


def watched_policies(settings: Settings, found: Found) -> KeptPolicies:
    """Policies that this process reads for itself."""
    return watched(found, SystemClock().now, settings.sidecar_policies_poll_s)


def prices_named_by(settings: Settings) -> PriceList | None:
    """The prices that the settings name, None if they name none.

    Raises:
        ConfigurationError: they do not load; the message has every finding.
    """
    return None if settings.sidecar_prices is None else load_prices(settings.sidecar_prices)


@asynccontextmanager
async def running(
    settings: Settings, policies: PolicySet
) -> AsyncIterator[tuple[PDP, Subscriptions, Clock]]:
    """A decision point without a server, for commands."""
    store = _store(settings)
    async with store.opened():
        clock, log = SystemClock(), NoDecisions()
        yield (
            PDP(
                LoadedPolicies(policies),
                store.subscriptions,
                store.manifests,
                store.meter,
                log,
                clock,
            ),
            store.subscriptions,
            clock,
        )


def create_app(
    settings: Settings,
    log_format: str = "console",
    found: Found | None = None,
    followed_in: Path | None = None,
) -> Starlette:
    """The ASGI application; its lifespan opens and closes the store.

    Args:
        found: the policies, where they were judged already.
        followed_in: where another process publishes the policies that all answer from.

    Raises:
        ConfigurationError: the policies or the store's address are wrong.
    """
    configure_logging(log_format)
    if followed_in is None:
        kept = watched_policies(settings, found or find_policies(settings))
    else:
        origin, shadow_origin = _origin(settings, _directory(settings)), _shadow_origin(settings)
        kept = followed(followed_in, origin, shadow_origin, _ask_parent_to_reload)
    store, web = _store(settings), Web()
    subscriptions = _subscriptions(settings, store, web)
    told, decisions = LoggedDecisions(), _recorded(settings)
    kept.loaded.when_put = told.begin_anew
    logs: list[DecisionLog] = [told, decisions]
    shadow = None
    if kept.shadow is not None:
        shadow = ShadowDecisions(lambda: kept.candidate.snapshot, store.meter, SystemClock())
        logs.append(shadow)
    webhooks = _webhooks(settings, store, web, lambda: kept.live.report)
    if webhooks is not None:
        logs.append(webhooks.noticed)
    pdp = PDP(
        kept.loaded,
        subscriptions,
        store.manifests,
        store.meter,
        DecisionLogs(*logs),
        SystemClock(),
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(store.opened())
            await stack.enter_async_context(web)
            await stack.enter_async_context(decisions.opened())
            if shadow is not None:
                await stack.enter_async_context(shadow.opened())
            if webhooks is not None:
                await stack.enter_async_context(webhooks.opened())
            await stack.enter_async_context(kept.up_to_date())
            _calm_garbage_collection()
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, kept.reload_soon)
            _end_with_parent(loop)
            yield
            loop.remove_signal_handler(signal.SIGHUP)

    keys = Keys(
        runtime=_revealed(settings.sidecar_runtime_keys),
        internal=_revealed(settings.internal_api_keys),
        read=_revealed(settings.sidecar_read_keys),
    )
    parts = Parts(
        pdp=pdp,
        subscriptions=subscriptions,
        manifests=store.manifests,
        meter=store.meter,
        policies=kept.loaded,
        clock=SystemClock(),
        keys=keys,
        decisions=decisions,
        directories=Directories(
            kept.live, kept.shadow, lambda: None if shadow is None else shadow.comparison
        ),
        payments=_payments(settings, web),
    )
    return build_app(parts, lifespan)


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
    store = Store(settings.sidecar_store, max(settings.sidecar_store_timeout_ms, 1_000))
    async with store.opened():
        try:
            await store.meter.ping(since=time.monotonic())
        except Unavailable as error:
            return StoreReport(fault=str(error))
        return StoreReport(note=await store.note())


def _ask_parent_to_reload() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None:
        os.kill(parent.pid, signal.SIGHUP)


def _end_with_parent(loop: asyncio.AbstractEventLoop) -> None:
    """Let a worker end as it is told to when whoever began it goes away, even by kill -9."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sentinel = parent.sentinel

    def end() -> None:
        loop.remove_reader(sentinel)
        signal.raise_signal(signal.SIGTERM)

    # A pipe whose other end the parent holds: it can be read when nobody holds it any more.
    loop.add_reader(sentinel, end)


def _calm_garbage_collection() -> None:
    """Leave what was built at the start alone: walking it would stop every check for a while."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _directory(settings: Settings) -> Path:
    return settings.sidecar_policies or shipped("self-hosted")


def _origin(settings: Settings, directory: Path) -> Origin:
    return Origin(
        directory,
        settings.sidecar_prices,
        settings.ceiling,
        _urls(settings),
        settings.sidecar_policy_tests_s,
    )


def _shadow_origin(settings: Settings) -> Origin | None:
    directory = settings.sidecar_shadow_policies
    return None if directory is None else _origin(settings, directory)


def _store(settings: Settings) -> Store:
    return Store(
        settings.sidecar_store,
        settings.sidecar_store_timeout_ms,
        settings.sidecar_on_expiry,
        leases=settings.sidecar_leases,
    )


def _recorded(settings: Settings) -> RecordedDecisions:
    folder, allows = settings.sidecar_decision_log, settings.sidecar_decision_log_allows
    series = None
    if folder is not None:
        series = Series(
            folder,
            SystemClock(),
            file_bytes=settings.sidecar_decision_log_file_mb << 20,
            files=settings.sidecar_decision_log_files,
        )
    lines = Lines(Hidden(settings.sidecar_sensitive_attributes), allows, _explained)
    return RecordedDecisions(lines, series, folder, allows)


def _explained(checked: Checked) -> object:
    """What each limit and rule saw that a decision looked at."""
    decision = checked.decision
    return checked.rules.explain(
        checked.request,
        checked.subscription,
        decision.readings,
        decision.at,
        manifest=checked.manifest,
        every_rule=False,
    ).as_plain()


def _urls(settings: Settings) -> Urls:
    return Urls(settings.sidecar_upgrade_url, settings.sidecar_top_up_url)


def _payments(settings: Settings, web: Web) -> Payments:
    if settings.mozaiks_gateway_url is None:
        return MockPayments(_urls(settings).upgrade_to)
    return GatewayPayments(web, settings.mozaiks_gateway_url, _app_key(settings))


@dataclass(frozen=True, slots=True)
class _Webhooks:
    """What tells the outside of its own accord."""

    noticed: NoticedDecisions
    rejections: Rejections
    deliveries: Deliveries

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        async with self.deliveries.opened(), self.noticed.opened(), self.rejections.opened():
            yield


def _webhooks(
    settings: Settings, store: Store, web: Web, report: Callable[[], PolicyReport]
) -> _Webhooks | None:
    url = settings.sidecar_webhook_url
    if url is None:
        return None
    signer, clock = Signer(settings.sidecar_webhook_secret.get_secret_value()), SystemClock()
    noticed = NoticedDecisions(store.notices, clock)
    return _Webhooks(
        noticed,
        Rejections(report, noticed.tell, clock),
        Deliveries(store.notices, web, signer, url, clock),
    )


def _app_key(settings: Settings) -> str:
    key = settings.mozaiks_app_key
    return "" if key is None else key.get_secret_value()


def _subscriptions(settings: Settings, store: Store, web: Web) -> Subscriptions:
    """What was pushed; where an address is set, what is told of whoever has nothing pushed."""
    if settings.subscription_api_url is None:
        return store.subscriptions
    source = BillingSide(web, settings.subscription_api_url, _app_key(settings))
    return PulledSubscriptions(store.subscriptions, source, SystemClock())


def _revealed(secrets: list[SecretStr]) -> list[str]:
    return [secret.get_secret_value() for secret in secrets]
