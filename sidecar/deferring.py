"""What if use is reported while the store is away? It is kept, and counted when the store is back.

A reservation that was given out meanwhile is known to no store: what it used is charged as an
event, in the window in which it was given out, and what is said of it later finds it ended.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sidecar.domain.decision import Decision
from sidecar.domain.deferred import Deferred, DeferredCommit, DeferredEvents, DeferredRelease
from sidecar.domain.limits import Charge, Limit
from sidecar.domain.modes import Mode
from sidecar.domain.provisional import Provisional, read_provisional
from sidecar.domain.request import UNTOLD, Amounts
from sidecar.domain.usage import (
    ChargedEvent,
    EventKind,
    Hold,
    ReservationState,
    Settlement,
    Tally,
    UsageEvent,
)
from sidecar.errors import (
    OutboxFull,
    RequestFault,
    ReservationEnded,
    Unavailable,
    UnknownReservation,
)
from sidecar.facts import Facts
from sidecar.pdp import PDP
from sidecar.ports import (
    Clock,
    DecisionLog,
    Meter,
    Policies,
    Spool,
)

_OLDEST: Final = timedelta(days=7)
_NOTHING: Final = Amounts()


class DeferringPDP(PDP):
    """Decides as the PDP does, and keeps what the store cannot take.

    Args:
        spool: where it is kept, None where it is refused instead.
    """

    def __init__(
        self,
        policies: Policies,
        facts: Facts,
        meter: Meter,
        log: DecisionLog,
        clock: Clock,
        spool: Spool | None = None,
    ) -> None:
        super().__init__(policies, facts, meter, log, clock)
        self.spool = spool

    async def record(self, events: Sequence[UsageEvent]) -> Tally:
        """Count reported use, each event once, now or as soon as the store takes it.

        Raises:
            Unavailable: some may not have been counted; sending all again is harmless.
        """
        try:
            return await self._count(events)
        except Unavailable as error:
            await self._keep(DeferredEvents(tuple(events)), error)
            self._note_use(events)
            return Tally(len(events), 0, degraded=True)

    async def commit(
        self, reservation_id: str, used: Amounts, *, final: bool, model: str = ""
    ) -> Settlement:
        """Charge what a reservation's run has used, now or as soon as the store takes it."""
        try:
            settled = await self._commit(reservation_id, used, final=final, model=model)
        except Unavailable as error:
            await self._keep(DeferredCommit(reservation_id, used, final, model), error)
            state = ReservationState.COMMITTED if final else ReservationState.HELD
            settled = _later(reservation_id, state)
        if self._standby is not None and final:
            self._standby.settle(reservation_id, used, self._clock.now())
        return settled

    async def release(self, reservation_id: str) -> Settlement:
        """Give back what a reservation holds, now or as soon as the store takes it."""
        try:
            settled = await self._release(reservation_id)
        except Unavailable as error:
            await self._keep(DeferredRelease(reservation_id), error)
            settled = _later(reservation_id, ReservationState.RELEASED)
        if self._standby is not None:
            self._standby.settle(reservation_id, _NOTHING, self._clock.now())
        return settled

    async def extend(
        self, reservation_id: str, ttl_s: int, estimate: Amounts, request_id: str = ""
    ) -> Decision:
        """Let a reservation live on and hold a further estimate; see `PDP.extend`."""
        meant = read_provisional(reservation_id)
        if meant is None:
            return await super().extend(reservation_id, ttl_s, estimate, request_id)
        await self._adopt(meant, self._clock.monotonic())
        return await super().extend(meant.hold_id, ttl_s, estimate, request_id)

    async def count_deferred(self, deferred: Deferred, at: datetime) -> None:
        """Count what was kept.

        Args:
            at: when it came; use that is too old by now to be counted when it was is counted then.

        Raises:
            Unavailable: it must be kept on; the same again is harmless.
            RequestFault: what it names is not known, or has ended.
        """
        match deferred:
            case DeferredEvents(events):
                oldest = self._clock.now() - _OLDEST
                try:
                    await self._count([_not_before(event, oldest, at) for event in events])
                except OutboxFull as error:
                    # It was acknowledged: it waits here until it may wait there.
                    raise Unavailable(str(error)) from error
            case DeferredCommit(reservation_id, used, final, model):
                await self._commit(reservation_id, used, final=final, model=model)
            case DeferredRelease(reservation_id):
                await self._release(reservation_id)

    def _note_use(self, events: Sequence[UsageEvent]) -> None:
        """Let what is decided by memory know of what was kept."""
        now, rules = self._clock.now(), self._policies.snapshot
        for reported in events if self._standby is not None else ():
            if reported.kind is EventKind.SUMMARY:
                # How much of it was told before, only the store knows.
                continue
            request = self._pricing.event(rules, reported).request
            subscription, manifest = self._facts.remembered(rules, request, now)
            if subscription is not None and self._standby is not None:
                charges = rules.charges(subscription, request, now, manifest)
                self._standby.use(request.subject, charges, now)

    async def _keep(self, deferred: Deferred, error: Unavailable) -> None:
        if self.spool is None:
            raise error
        await self.spool.keep(deferred)

    # -- now --------------------------------------------------------------------------------

    async def _count(self, events: Sequence[UsageEvent]) -> Tally:
        provisional = {
            event.reservation_id: meant
            for event in events
            if event.reservation_id and (meant := read_provisional(event.reservation_id))
        }
        for meant in provisional.values():
            await self._adopt(meant, self._clock.monotonic())
        holds = {name: meant.hold_id for name, meant in provisional.items()}
        if holds:
            events = [
                replace(event, reservation_id=holds.get(event.reservation_id, event.reservation_id))
                for event in events
            ]
        return await super().record(events)

    async def _commit(
        self, reservation_id: str, used: Amounts, *, final: bool, model: str
    ) -> Settlement:
        meant = read_provisional(reservation_id)
        if meant is None:
            return await super().commit(reservation_id, used, final=final, model=model)
        # All its visits to the store have the time of one.
        since = self._clock.monotonic()
        try:
            # The store may have made the hold, only too late to say so.
            settled = await super().commit(meant.hold_id, used, final=final, model=model)
        except ReservationEnded as error:
            if not final or error.state != ReservationState.COMMITTED:
                raise
            # It was charged already, as an event.
            return replace(_later(reservation_id, ReservationState.COMMITTED), degraded=False)
        except UnknownReservation:
            if final:
                await self._charge(meant, used, model, since)
                await self._end(meant, since)
                return replace(_later(reservation_id, ReservationState.COMMITTED), degraded=False)
            await self._adopt(meant, since)
            settled = await super().commit(meant.hold_id, used, final=final, model=model)
        return replace(settled, reservation_id=reservation_id)

    async def _release(self, reservation_id: str) -> Settlement:
        meant = read_provisional(reservation_id)
        if meant is None:
            return await super().release(reservation_id)
        try:
            settled = await super().release(meant.hold_id)
        except UnknownReservation:
            await self._adopt(meant, self._clock.monotonic())
            settled = await super().release(meant.hold_id)
        return replace(settled, reservation_id=reservation_id)

    async def _charge(self, meant: Provisional, used: Amounts, model: str, since: float) -> None:
        """Count what a run has used when it was let through, once however often it is said."""
        now, rules = self._clock.now(), self._policies.snapshot
        request = replace(meant.request, model=model or meant.request.model)
        event = UsageEvent(meant.event_id, meant.at, request, _total(used, meant))
        event = self._pricing.event(rules, event)
        subject = request.subject
        subscription, manifest = await self._facts.told(subject, since)
        charges = rules.charges(subscription, event.request, now, manifest)
        # Reports count the request when the reservation ends.
        event = replace(event, used=replace(event.used, requests=0))
        await self._meter.record(subject.app_id, [ChargedEvent(event, charges)], since=since)

    async def _end(self, meant: Provisional, since: float) -> None:
        """Let the store know a reservation as committed, so that what comes late is no more use."""
        await self._hold_nothing(meant, (), since)
        with contextlib.suppress(RequestFault):
            await self._meter.commit(meant.hold_id, _NOTHING, final=True, since=since)

    async def _adopt(self, meant: Provisional, since: float) -> None:
        """Let the store know a reservation that goes on, so that all can be done with it."""
        now, rules = self._clock.now(), self._policies.snapshot
        subscription, manifest = await self._facts.told(meant.request.subject, since)
        charges = rules.charges(subscription, meant.request, now, manifest)
        await self._hold_nothing(meant, charges, since)

    async def _hold_nothing(
        self, meant: Provisional, charges: Sequence[Charge], since: float
    ) -> None:
        """Make the reservation in the store, unless it is there; it was let through already."""
        # With an id no lease answers it, and the same comes to the same.
        request = replace(meant.request, estimate=_NOTHING, request_id=meant.event_id)
        hold = Hold(meant.hold_id, f"dec_{meant.event_id}", request)
        asked = tuple(
            replace(charge, limit=_mild(charge.limit), amount=0, is_asked=False)
            for charge in charges
        )
        with contextlib.suppress(RequestFault):
            await self._meter.reserve(hold, asked, since=since)


def _mild(limit: Limit) -> Limit:
    """A limit that refuses nothing, however full it is."""
    return replace(limit, mode=limit.mode.narrowed(Mode.ADVISORY))


def _total(used: Amounts, meant: Provisional) -> Amounts:
    """What a run has used; of what it does not tell, what it was let through for."""
    estimate = meant.request.estimate
    received, sent = (
        min(getattr(estimate, name), used.tokens) if getattr(used, name) == UNTOLD
        else getattr(used, name)
        for name in ("input_tokens", "output_tokens")
    )  # fmt: skip
    return Amounts(used.tokens, received, sent, requests=1)


def _not_before(event: UsageEvent, oldest: datetime, came: datetime) -> UsageEvent:
    """An event in a time that can be counted in."""
    return event if event.at >= oldest else replace(event, at=max(event.at, came))


def _later(reservation_id: str, state: ReservationState) -> Settlement:
    """What can be said of a reservation of which the store says nothing."""
    meant = read_provisional(reservation_id)
    if meant is None:
        return Settlement(reservation_id, state, None, None, (), degraded=True)
    request = meant.request
    expires_at = meant.at + timedelta(seconds=request.ttl_s)
    tokens = request.estimate.tokens
    return Settlement(reservation_id, state, expires_at, tokens, (), degraded=True)
