"""What is counted, and by whom? The instruments of one process, and who looks at what.

Whoever counts something for itself only needs a line in `_looks` to be seen.
"""

import platform
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sidecar import __version__
from sidecar.adapters.control_plane.deliveries import EventDeliveries
from sidecar.adapters.decisions.recorder import RecordedDecisions
from sidecar.adapters.decisions.told import LoggedDecisions
from sidecar.adapters.metrics import catalogue
from sidecar.adapters.metrics.answered import CountedRequests, CountedUsage
from sidecar.adapters.metrics.cells import Place, SharedCells, cells_in_memory
from sidecar.adapters.metrics.decisions import CountedDecisions
from sidecar.adapters.metrics.described import NANO, Metric
from sidecar.adapters.metrics.instruments import Instruments
from sidecar.adapters.metrics.process import LoopLag, ProcessFigures
from sidecar.adapters.metrics.scrape import Look, Scrape
from sidecar.adapters.metrics.store import CountedStore
from sidecar.adapters.shadow.log import ShadowDecisions
from sidecar.bootstrap.identity import LateIdentities
from sidecar.bootstrap.outside import Webhooks
from sidecar.bootstrap.stores import Cache, Store
from sidecar.domain.policies import PolicyReport
from sidecar.policy.reloading.in_force import Attempt, WatchedPolicies
from sidecar.policy.reloading.kept import KeptPolicies
from sidecar.ports import Spool


class Observing:
    """Everything that one process counts with.

    Args:
        shared: a folder where all workers count, None where this process is alone.
    """

    def __init__(self, shared: Path | None) -> None:
        cells = cells_in_memory() if shared is None else SharedCells(shared)
        self.instruments = Instruments(cells)
        self.decisions = CountedDecisions(self.instruments)
        self.requests = CountedRequests(self.instruments)
        self.usage = CountedUsage(self.instruments)
        self.store = CountedStore(self.instruments)

    def scrape_of(self, observed: "Observed") -> Scrape:
        """What is told of all this, and of what others count for themselves."""
        looks = list(_looks(self.instruments, observed))

        def facts() -> Iterator[Place]:
            version = __version__, platform.python_version()
            yield Place(catalogue.BUILD_INFO.name, version)
            revision = observed.policies.loaded.snapshot.revision
            yield Place(catalogue.POLICY_INFO.name, (revision,))

        return Scrape(self.instruments, looks, facts)

    @asynccontextmanager
    async def opened(self, scrape: Scrape) -> AsyncIterator[None]:
        """Look as long as this is open."""
        lag = LoopLag(self.instruments.histogram(catalogue.LOOP_LAG))
        try:
            async with scrape.opened(), lag.opened():
                yield
        finally:
            self.instruments.cells.close()


@dataclass(frozen=True, slots=True)
class Observed:
    """Whoever counts for itself; None for what this process does not have."""

    policies: KeptPolicies
    store: Store
    told: LoggedDecisions
    decisions: RecordedDecisions
    shadow: ShadowDecisions | None
    webhooks: Webhooks | None
    spool: Spool | None
    outbox: EventDeliveries | None
    identities: LateIdentities


def count_reloads(policies: KeptPolicies, instruments: Instruments) -> None:
    """Count what each attempt to change the policies comes to, in the process that judges them."""
    by_outcome = {
        result: instruments.counter(catalogue.RELOADS, result)
        for result in ("loaded", "unchanged", "rejected")
    }

    def note(attempt: Attempt) -> None:
        by_outcome[attempt.reloaded.outcome.value].add()

    if isinstance(policies.live, WatchedPolicies):
        policies.live.after_each.append(note)


def _looks(instruments: Instruments, observed: Observed) -> Iterator[Look]:
    """Who looks at what, each second and before each scrape."""

    def follow(metric: Metric, *labels: str) -> Callable[[int], None]:
        return instruments.counter(metric, *labels).follow

    def show(metric: Metric, *labels: str) -> Callable[[int], None]:
        return instruments.gauge(metric, *labels).set

    yield ProcessFigures(instruments).look
    yield _policies(observed, show(catalogue.POLICY_LOADED), show(catalogue.POLICY_REJECTED))
    yield _each(follow(catalogue.UNPRICED), lambda: observed.told.unpriced)
    yield from _store(observed.store, follow, show)
    log = observed.decisions
    yield _each(follow(catalogue.LOG_WRITTEN), lambda: log.written)
    yield _each(follow(catalogue.LOG_DROPPED), lambda: log.lost)
    yield _each(show(catalogue.LOG_WAITING), lambda: log.waiting)
    yield from _shadow(observed.shadow, follow)
    yield from _webhooks(observed.webhooks, follow, show)
    yield from _spool(observed.spool, follow, show)
    yield from _outbox(observed.outbox, follow, show)


Told = Callable[..., Callable[[int], None]]


def _each(tell: Callable[[int], None], read: Callable[[], int]) -> Look:
    return lambda: tell(read())


def _policies(
    observed: Observed, loaded: Callable[[int], None], rejected: Callable[[int], None]
) -> Look:
    def look() -> None:
        report: PolicyReport = observed.policies.live.report
        if report.in_force is not None:
            loaded(int(report.in_force.loaded_at.timestamp() * NANO))
        rejected(report.rejection is not None and report.rejection.stands)

    return look


def _store(store: Store, follow: Told, show: Told) -> Iterator[Look]:
    opened, spared = follow(catalogue.BREAKER_OPENED), follow(catalogue.BREAKER_SPARED)
    is_open = show(catalogue.BREAKER_OPEN)

    def breaker() -> None:
        report = store.breaker.report
        opened(report.opened)
        spared(report.spared)
        is_open(store.breaker.is_open)

    yield breaker
    for name, cache in store.caches.items():
        yield _cache(name, cache, follow, show)
    lost, leases = follow(catalogue.STORE_LOST), show(catalogue.LEASES)
    answers, leased = follow(catalogue.LEASE_ANSWERS), store.leased
    if leased is not None:
        yield _each(lost, lambda: leased.losses)
        yield _each(leases, lambda: leased.leases)
        yield _each(answers, lambda: leased.answered)


def _cache(name: str, cache: Cache, follow: Told, show: Told) -> Look:
    hits, misses = (follow(catalogue.CACHE_REQUESTS, name, each) for each in ("hit", "miss"))
    entries = show(catalogue.CACHE_ENTRIES, name)

    def look() -> None:
        hits(cache.hits)
        misses(cache.misses)
        entries(len(cache))

    return look


def _shadow(shadow: ShadowDecisions | None, follow: Told) -> Iterator[Look]:
    same, different, left_out = (
        follow(catalogue.SHADOW, result) for result in ("same", "different", "left_out")
    )

    def look() -> None:
        found = None if shadow is None else shadow.comparison
        if found is not None:
            same(found.compared - found.different)
            different(found.different)
            left_out(found.left_out)

    yield look


def _webhooks(webhooks: Webhooks | None, follow: Told, show: Told) -> Iterator[Look]:
    results = [
        follow(catalogue.WEBHOOKS, result)
        for result in ("delivered", "failed", "given_up", "left_out")
    ]
    waiting, disabled = show(catalogue.WEBHOOKS_WAITING), show(catalogue.WEBHOOKS_DISABLED)
    if webhooks is None:
        return
    sent, noticed = webhooks.deliveries, webhooks.noticed

    def look() -> None:
        counts = sent.delivered, sent.failed, sent.given_up, noticed.left_out
        for tell, count in zip(results, counts, strict=True):
            tell(count)
        waiting(noticed.waiting)
        disabled(sent.is_disabled)

    yield look


def _outbox(outbox: EventDeliveries | None, follow: Told, show: Told) -> Iterator[Look]:
    results = [follow(catalogue.OUTBOX, result) for result in ("delivered", "refused", "failed")]
    waiting, set_aside = show(catalogue.OUTBOX_WAITING), show(catalogue.OUTBOX_SET_ASIDE)
    oldest = show(catalogue.OUTBOX_OLDEST)
    if outbox is None:
        return

    def look() -> None:
        counts = outbox.delivered, outbox.refused, outbox.failed
        for tell, count in zip(results, counts, strict=True):
            tell(count)
        waiting(outbox.backlog.waiting)
        set_aside(outbox.backlog.set_aside)
        oldest(int(outbox.lag_s * NANO))

    yield look


def _spool(spool: Spool | None, follow: Told, show: Told) -> Iterator[Look]:
    entries, size = show(catalogue.SPOOL_ENTRIES), show(catalogue.SPOOL_BYTES)
    oldest, failing = show(catalogue.SPOOL_OLDEST), show(catalogue.SPOOL_FAILING)
    replayed, refused = follow(catalogue.SPOOL_REPLAYED), follow(catalogue.SPOOL_REFUSED)
    if spool is None:
        return

    def look() -> None:
        report = spool.report
        entries(report.entries)
        size(report.bytes)
        oldest(int(report.oldest_s * NANO))
        failing(bool(report.fault))
        replayed(report.replayed)
        refused(report.refused)

    yield look
