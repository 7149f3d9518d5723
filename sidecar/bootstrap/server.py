"""What is opened in which order, until requests are answered?"""

import asyncio
import gc
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from pydantic import SecretStr
from starlette.applications import Starlette

from sidecar.adapters.clock import PatientClock, SystemClock
from sidecar.adapters.decisions.files import Series
from sidecar.adapters.decisions.hidden import Hidden
from sidecar.adapters.decisions.lines import Lines
from sidecar.adapters.decisions.recorder import RecordedDecisions
from sidecar.adapters.decisions.several import DecisionLogs
from sidecar.adapters.decisions.told import LoggedDecisions, NoDecisions
from sidecar.adapters.metrics.pdp import CountedPDP
from sidecar.adapters.shadow.log import ShadowDecisions
from sidecar.adapters.standby.remembered import RememberedFacts
from sidecar.adapters.watches import StoreWatches
from sidecar.adapters.web import Web
from sidecar.api.app import Parts, Portal, Watching, build_app
from sidecar.api.auth import Keys
from sidecar.api.nearby import ANY, Nearby
from sidecar.api.observed import AccessLog
from sidecar.api.portal.own import Shop
from sidecar.bootstrap.ending import ENDING, Ending
from sidecar.bootstrap.identity import identities_of
from sidecar.bootstrap.observing import Observed, Observing, count_reloads
from sidecar.bootstrap.outside import (
    event_deliveries_of,
    payments_of,
    subscriptions_of,
    wallets_of,
    webhooks_of,
)
from sidecar.bootstrap.policies import (
    find_policies,
    followed_policies,
    urls_of,
    watched_policies,
)
from sidecar.bootstrap.spooling import PATIENCE_S, spool_of
from sidecar.bootstrap.standing import parts_of
from sidecar.bootstrap.stores import store_of
from sidecar.bootstrap.tracing import Tracing, tracing_of
from sidecar.facts import Facts
from sidecar.logs import configure_logging
from sidecar.pdp import PDP
from sidecar.policy.reloading.kept import Found, LoadedPolicies
from sidecar.policy.snapshot import PolicySet
from sidecar.ports import Checked, Clock, DecisionLog, Directories, Identities, Subscriptions
from sidecar.ports.watching import Requests, StoreWatch
from sidecar.settings import Settings


@asynccontextmanager
async def running(
    settings: Settings, policies: PolicySet
) -> AsyncIterator[tuple[PDP, Subscriptions, Clock]]:
    """A decision point without a server, for commands."""
    store = store_of(settings)
    async with store.opened():
        clock, log = SystemClock(), NoDecisions()
        yield (
            PDP(
                LoadedPolicies(policies),
                Facts(store.subscriptions, store.manifests, store.wallets),
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
    counted_in: Path | None = None,
    *,
    hears_signals: bool = False,
    on_file: bool = False,
) -> Starlette:
    """The ASGI application; its lifespan opens and closes the store.

    Args:
        found: the policies, where they were judged already.
        followed_in: where another process publishes the policies that all answer from.
        counted_in: where several processes count, so that a scrape of one tells of all.
        hears_signals: whether it ends as it is told to by them; the server that runs it hears
            them otherwise.
        on_file: whether it listens on a unix socket, which no name can be made to lead to.

    Raises:
        ConfigurationError: the policies or the store's address are wrong.
    """
    configure_logging(log_format, settings.secrets)
    if followed_in is None:
        kept = watched_policies(settings, found or find_policies(settings))
    else:
        kept = followed_policies(settings, followed_in, _ask_parent_to_reload)
    observing, tracing = Observing(counted_in), tracing_of(settings)
    watch: StoreWatch = observing.store
    if tracing is not None:
        watch = StoreWatches(observing.store, tracing.requests)
    store = store_of(settings, watch)
    web = Web() if tracing is None else Web(along=tracing.headers)
    ending = Ending(settings.sidecar_drain_s)
    subscriptions = subscriptions_of(settings, store.subscriptions, web)
    wallets = wallets_of(settings, store.wallets, web, lambda: kept.loaded.snapshot)
    told, decisions = LoggedDecisions(), _recorded(settings)

    def begin_anew() -> None:
        told.begin_anew()
        observing.decisions.know(frozenset(kept.loaded.snapshot.plan_ids))

    begin_anew()
    kept.loaded.when_put = begin_anew
    count_reloads(kept, observing.instruments)
    logs: list[DecisionLog] = [told, decisions]
    shadow = None
    if kept.shadow is not None:
        shadow = ShadowDecisions(lambda: kept.candidate.snapshot, store.unrolled, SystemClock())
        logs.append(shadow)
    webhooks = webhooks_of(settings, store.notices, web, lambda: kept.live.report)
    if webhooks is not None:
        logs.append(webhooks.noticed)
    deliveries = event_deliveries_of(settings, store, web)
    if tracing is not None:
        logs.append(tracing.decisions)
    in_force = kept.loaded if tracing is None else tracing.policies(kept.loaded)

    def deciding(clock: Clock, standby: RememberedFacts | None = None) -> CountedPDP:
        return CountedPDP(
            in_force,
            Facts(subscriptions, store.manifests, wallets, standby),
            store.meter,
            DecisionLogs(*logs),
            clock,
            counted=observing.decisions,
            instruments=observing.instruments,
        )

    pdp = deciding(SystemClock(), RememberedFacts())
    spool = spool_of(settings, deciding(PatientClock(PATIENCE_S)), store)
    pdp.spool = spool
    identities = identities_of(settings, web)
    observed = Observed(
        kept, store, told, decisions, shadow, webhooks, spool, deliveries, identities
    )
    scrape = observing.scrape_of(observed)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Mapping[str, object]]:
        async with AsyncExitStack() as stack:
            if tracing is not None:
                await stack.enter_async_context(tracing.opened())
            await stack.enter_async_context(store.opened())
            await stack.enter_async_context(store.changes.opened())
            await stack.enter_async_context(web)
            if spool is not None:
                await stack.enter_async_context(spool.opened())
            await stack.enter_async_context(decisions.opened())
            if shadow is not None:
                await stack.enter_async_context(shadow.opened())
            if webhooks is not None:
                await stack.enter_async_context(webhooks.opened())
            if deliveries is not None:
                await stack.enter_async_context(deliveries.opened())
            await stack.enter_async_context(kept.up_to_date())
            await stack.enter_async_context(observing.opened(scrape))
            _calm_garbage_collection()
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGHUP, kept.reload_soon)
            _end_with_parent(loop)
            if hears_signals:
                stack.enter_context(ending.heard())
            yield {ENDING: ending}
            loop.remove_signal_handler(signal.SIGHUP)

    keys = Keys(
        runtime=_revealed(settings.sidecar_runtime_keys),
        internal=_revealed(settings.internal_api_keys),
        read=_revealed(settings.sidecar_read_keys),
        # What stands before a unix socket may call it as it likes.
        nearby=Nearby([ANY] if on_file else _names(settings)),
    )
    parts = Parts(
        pdp=pdp,
        subscriptions=subscriptions,
        manifests=store.manifests,
        wallets=wallets,
        meter=store.meter,
        policies=kept.loaded,
        clock=SystemClock(),
        keys=keys,
        decisions=decisions,
        directories=Directories(
            kept.live, kept.shadow, lambda: None if shadow is None else shadow.comparison
        ),
        payments=payments_of(settings, web),
        statements=store.statements,
        apps=store.apps,
        settle=settings.sidecar_settle,
        facts=(ending.fact,),
        proxies=settings.sidecar_trusted_proxies,
        events=store.events,
        outbox=store.outbox,
        watching=Watching(
            exposition=scrape,
            listeners=_listeners(settings, observing, tracing),
            usage=observing.usage,
            parts=parts_of(settings, observed),
            traces=None if tracing is None else tracing.requests,
        ),
        portal=_portal(settings, identities),
        tell=None if webhooks is None else webhooks.noticed.tell,
    )
    return build_app(parts, lifespan)


def _names(settings: Settings) -> list[str]:
    """By which names callers without a key may call the server."""
    if settings.sidecar_insecure and not settings.sidecar_hosts:
        return [ANY]
    return settings.sidecar_hosts


def _portal(settings: Settings, identities: Identities) -> Portal:
    """Who tells users apart, and where they are sent."""
    urls = urls_of(settings)
    return Portal(
        identities,
        Shop(urls.upgrade_to, urls.top_up_of),
        settings.sidecar_portal_url or "/portal",
        settings.sidecar_portal_ancestors,
    )


def _listeners(settings: Settings, observing: Observing, tracing: Tracing | None) -> list[Requests]:
    """Who hears how each request was answered."""
    found: list[Requests] = [observing.requests]
    if tracing is not None:
        found.append(tracing.requests)
    if settings.sidecar_access_log:
        found.append(AccessLog())
    return found


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


def _recorded(settings: Settings) -> RecordedDecisions:
    folder, allows = settings.sidecar_decision_log, settings.sidecar_decision_log_allows
    series = None
    if folder is not None:
        series = Series(
            folder,
            SystemClock(),
            file_bytes=settings.sidecar_decision_log_file_mb << 20,
            files=settings.sidecar_decision_log_files,
            chain=settings.sidecar_decision_log_chain,
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
        wallet=checked.wallet,
        every_rule=False,
    ).as_plain()


def _revealed(secrets: list[SecretStr]) -> list[str]:
    return [secret.get_secret_value() for secret in secrets]
