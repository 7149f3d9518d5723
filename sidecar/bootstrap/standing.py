"""How does each part of the server stand, for a person and for a program?

A further part is one more entry of the list that `parts_of` returns: a name, and how it is asked.
"""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sidecar.adapters.control_plane.deliveries import EventDeliveries
from sidecar.adapters.decisions.recorder import RecordedDecisions
from sidecar.adapters.shadow.log import ShadowDecisions
from sidecar.beside import ends_of_work
from sidecar.bootstrap.identity import LateIdentities
from sidecar.bootstrap.observing import Observed
from sidecar.bootstrap.outside import Webhooks
from sidecar.bootstrap.stores import Store, describe_store
from sidecar.domain.policies import Comparison, PolicyReport
from sidecar.domain.standing import Standing, State
from sidecar.errors import Unavailable
from sidecar.ports import Directory, Spool
from sidecar.settings import Settings


@dataclass(frozen=True, slots=True)
class Named:
    """A part that is asked by a function."""

    name: str
    status: Callable[[], Coroutine[None, None, Standing]]


def parts_of(settings: Settings, observed: Observed) -> list[Named]:
    """What this server is made of, in the order in which it is shown."""
    return [Named(name, _asked(told)) for name, told in _parts(settings, observed)]


Told = Callable[[], Standing] | Callable[[], Coroutine[None, None, Standing]]


def _asked(told: Told) -> Callable[[], Coroutine[None, None, Standing]]:
    async def ask() -> Standing:
        standing = told()
        return standing if isinstance(standing, Standing) else await standing

    return ask


def _parts(settings: Settings, observed: Observed) -> Iterator[tuple[str, Told]]:
    policies, store = observed.policies, observed.store
    yield "store", lambda: _store(settings, store)
    yield "breaker", lambda: _breaker(store)
    yield "spool", lambda: _spool(observed.spool)
    yield "policies", lambda: _directory(policies.live)
    yield "shadow", lambda: _shadow(policies.shadow, observed.shadow)
    yield "subscriptions", lambda: _subscriptions(settings)
    yield "caches", lambda: _caches(store)
    yield "changes", lambda: _changes(store)
    yield "decision_log", lambda: _decision_log(settings, observed.decisions)
    yield "webhooks", lambda: _webhooks(observed.webhooks)
    yield "outbox", lambda: _outbox(observed.outbox)
    yield "leases", lambda: _leases(settings, store)
    yield "identity_provider", lambda: _identity_provider(settings, observed.identities)
    yield "traces", lambda: _traces(settings)
    # Of this server: another one may have been in this process before.
    before = ends_of_work()
    yield "process", lambda: _process(before)


async def _store(settings: Settings, store: Store) -> Standing:
    began_s = time.monotonic()
    facts: dict[str, object] = {
        "kind": "sqlite" if store.leased is None else "redis",
        "address": describe_store(settings.sidecar_store),
        "reachable": True,
    }
    if store.leased is not None:
        # Since this process began: an app that was counted before, and is not any more.
        facts["data_sets_lost"] = store.leased.losses
    try:
        await store.meter.ping(since=began_s)
    except Unavailable as error:
        return Standing(State.DOWN, facts | {"reachable": False}, str(error))
    facts["latency_ms"] = round((time.monotonic() - began_s) * 1000, 2)
    note = await store.note()
    if store.leased is not None:
        facts["evicts"] = note is not None
        if store.leased.losses:
            note = "counters of an app were found gone; it is counted anew"
    return Standing(State.DEGRADED if note else State.OK, facts, note or "")


def _breaker(store: Store) -> Standing:
    report = store.breaker.report
    facts = {
        "state": report.state.value,
        "for_s": int(report.since_s),
        "opened": report.opened,
        "spared": report.spared,
    }
    if store.breaker.is_open:
        return Standing(State.DEGRADED, facts, "the store is not asked; failure modes decide")
    return Standing(State.OK, facts)


def _spool(spool: Spool | None) -> Standing:
    if spool is None:
        return Standing(State.OFF)
    report = spool.report
    facts = {
        "entries": report.entries,
        "bytes": report.bytes,
        "oldest_s": int(report.oldest_s),
        "replayed": report.replayed,
        "refused": report.refused,
    }
    if report.fault:
        return Standing(State.DEGRADED, facts, f"nothing can be kept: {report.fault}")
    if report.entries:
        return Standing(State.DEGRADED, facts, "use waits to be counted")
    return Standing(State.OK, facts)


def _directory(directory: Directory) -> Standing:
    report = directory.report
    facts, in_force, refused = _described(report), report.in_force, report.rejection
    if in_force is None:
        return Standing(State.DEGRADED, facts, "nothing of it has loaded yet")
    if refused is not None and refused.stands:
        told = refused.message.partition("\n")[0]
        return Standing(State.DEGRADED, facts, f"what stands there was refused: {told}")
    return Standing(State.OK, facts)


def _described(report: PolicyReport) -> dict[str, object]:
    in_force, refused = report.in_force, report.rejection
    facts: dict[str, object] = {"directory": report.directory, "revision": None}
    if in_force is not None:
        facts |= {
            "revision": in_force.revision,
            "generation": in_force.generation,
            "loaded_at": in_force.loaded_at,
            "mode": in_force.mode.value,
            "plans": len(in_force.plans),
            "limits": in_force.limits,
            "rules": in_force.rules,
        }
    last: datetime | None = None if refused is None else refused.at
    return facts | {
        "rejected": refused is not None and refused.stands,
        "last_rejected_at": last,
    }


def _shadow(directory: Directory | None, shadow: ShadowDecisions | None) -> Standing:
    if directory is None or shadow is None:
        return Standing(State.OFF)
    standing = _directory(directory)
    return Standing(
        standing.state, {**standing.facts, **_compared(shadow.comparison)}, standing.note
    )


def _compared(found: Comparison | None) -> Mapping[str, object]:
    if found is None:
        return {"compared": 0, "different": 0, "left_out": 0}
    return {
        "compared": found.compared, "different": found.different, "left_out": found.left_out,
    }  # fmt: skip


def _subscriptions(settings: Settings) -> Standing:
    pulled = settings.subscription_api_url is not None
    return Standing(State.OK, {"source": "pushed, else pulled" if pulled else "pushed"})


def _caches(store: Store) -> Standing:
    facts = {
        name: {"entries": len(cache), "hits": cache.hits, "misses": cache.misses}
        for name, cache in store.caches.items()
    }
    return Standing(State.OK, facts)


def _changes(store: Store) -> Standing:
    changes = store.changes
    facts = {"sure": changes.is_sure, "listening": changes.is_listening, "lost": changes.losses}
    if not changes.is_sure:
        return Standing(State.DEGRADED, facts, "what was pushed is looked up twice a second")
    if changes.is_listening is False:
        return Standing(State.DEGRADED, facts, "nobody tells of a push; it is looked for")
    return Standing(State.OK, facts)


def _decision_log(settings: Settings, log: RecordedDecisions) -> Standing:
    folder = settings.sidecar_decision_log
    facts = {
        "directory": None if folder is None else str(folder),
        "allows": settings.sidecar_decision_log_allows,
        "written": log.written,
        "waiting": log.waiting,
        "lost": log.lost,
    }
    if log.lost:
        return Standing(State.DEGRADED, facts, f"{log.lost} decisions could not be recorded")
    return Standing(State.OFF if folder is None else State.OK, facts)


def _webhooks(webhooks: Webhooks | None) -> Standing:
    if webhooks is None:
        return Standing(State.OFF)
    sent = webhooks.deliveries
    facts = {
        "delivered": sent.delivered,
        "failed": sent.failed,
        "given_up": sent.given_up,
        "waiting": webhooks.noticed.waiting,
        "left_out": webhooks.noticed.left_out,
    }
    if sent.is_disabled:
        note = "the receiver says that it is gone; a restart asks it again"
        return Standing(State.DEGRADED, facts, note)
    return Standing(State.OK, facts)


def _outbox(outbox: EventDeliveries | None) -> Standing:
    if outbox is None:
        return Standing(State.OFF)
    backlog = outbox.backlog
    facts = {
        "waiting": backlog.waiting,
        "set_aside": backlog.set_aside,
        "oldest_s": int(outbox.lag_s),
        "delivered": outbox.delivered,
        "refused": outbox.refused,
        "failed": outbox.failed,
    }
    if outbox.fault:
        return Standing(State.DEGRADED, facts, f"events are not taken: {outbox.fault}")
    if backlog.set_aside:
        return Standing(State.DEGRADED, facts, "events were refused: `sidecar outbox list`")
    return Standing(State.OK, facts)


def _leases(settings: Settings, store: Store) -> Standing:
    if not settings.sidecar_leases or store.leased is None:
        return Standing(State.OFF)
    return Standing(
        State.OK, {"active": store.leased.leases, "answered_in_memory": store.leased.answered}
    )


def _identity_provider(settings: Settings, identities: LateIdentities) -> Standing:
    if settings.sidecar_jwks_url is None:
        return Standing(State.OFF)
    key_set = identities.key_set
    facts: dict[str, object] = {"keys": 0 if key_set is None else key_set.count}
    if key_set is not None and key_set.fault:
        return Standing(State.DEGRADED, facts, f"its keys cannot be had: {key_set.fault}")
    return Standing(State.OK, facts)


def _traces(settings: Settings) -> Standing:
    exporter = settings.traces_exporter
    return Standing(State.OFF) if exporter is None else Standing(State.OK, {"exporter": exporter})


def _process(before: Mapping[str, int]) -> Standing:
    ended = {
        name: times - before.get(name, 0)
        for name, times in ends_of_work().items()
        if times > before.get(name, 0)
    }
    facts = {"pid": os.getpid(), "tasks": len(asyncio.all_tasks()), "ended": sum(ended.values())}
    if ended:
        return Standing(State.DEGRADED, facts, f"begun again after a defect: {', '.join(ended)}")
    return Standing(State.OK, facts)
