"""Where are decisions and reservations counted? Around the decision point, which knows of none."""

from collections.abc import Sequence
from time import monotonic

from sidecar.adapters.metrics import catalogue
from sidecar.adapters.metrics.decisions import CountedDecisions
from sidecar.adapters.metrics.instruments import Counter, Instruments
from sidecar.deferring import DeferringPDP
from sidecar.domain.decision import Decision
from sidecar.domain.request import Amounts, CheckRequest
from sidecar.domain.usage import ReservationState, Settlement, Tally, UsageEvent
from sidecar.facts import Facts
from sidecar.ports import (
    Clock,
    DecisionLog,
    Meter,
    Policies,
)


class CountedPDP(DeferringPDP):
    """A decision point whose answers are counted.

    Args:
        counted: counts decisions.
        instruments: count all else.
    """

    def __init__(
        self,
        policies: Policies,
        facts: Facts,
        meter: Meter,
        log: DecisionLog,
        clock: Clock,
        *,
        counted: CountedDecisions,
        instruments: Instruments,
    ) -> None:
        super().__init__(policies, facts, meter, log, clock)
        self._decided = counted.decided

        def event(name: str) -> Counter:
            return instruments.counter(catalogue.RESERVATIONS, name)

        self._held, self._extended = event("held"), event("extended")
        self._committed, self._released = event("committed"), event("released")
        self._late, self._expired = event("late"), event("expired")
        self._accepted = instruments.counter(catalogue.USAGE_EVENTS, "accepted")
        self._duplicates = instruments.counter(catalogue.USAGE_EVENTS, "duplicate")
        self._deferred = instruments.counter(catalogue.USAGE_EVENTS, "deferred")
        self._accepted_tokens = instruments.counter(catalogue.USAGE_TOKENS, "accepted")
        self._duplicate_tokens = instruments.counter(catalogue.USAGE_TOKENS, "duplicate")

    async def check(self, request: CheckRequest) -> Decision:
        """Allow, warn or deny; see `PDP.check`."""
        began = monotonic()
        decision = await super().check(request)
        self._decided(decision, monotonic() - began)
        if decision.reservation is not None:
            self._held.add()
        return decision

    async def extend(
        self, reservation_id: str, ttl_s: int, estimate: Amounts, request_id: str = ""
    ) -> Decision:
        """Let a reservation live on; see `PDP.extend`."""
        began = monotonic()
        decision = await super().extend(reservation_id, ttl_s, estimate, request_id)
        self._decided(decision, monotonic() - began)
        if not decision.is_denied:
            self._extended.add()
        return decision

    async def record(self, events: Sequence[UsageEvent]) -> Tally:
        """Count reported use; see `PDP.record`."""
        tally = await super().record(events)
        if tally.degraded:
            self._deferred.add(len(events))
        return tally

    # -- now, or when the store is back -----------------------------------------------------

    async def _count(self, events: Sequence[UsageEvent]) -> Tally:
        tally = await super()._count(events)
        self._accepted.add(tally.accepted)
        self._duplicates.add(tally.duplicates)
        self._accepted_tokens.add(tally.tokens)
        self._duplicate_tokens.add(sum(event.used.tokens for event in events) - tally.tokens)
        return tally

    async def _commit(
        self, reservation_id: str, used: Amounts, *, final: bool, model: str
    ) -> Settlement:
        settled = await super()._commit(reservation_id, used, final=final, model=model)
        self._note(settled)
        return settled

    async def _release(self, reservation_id: str) -> Settlement:
        settled = await super()._release(reservation_id)
        self._note(settled)
        return settled

    def _note(self, settled: Settlement) -> None:
        expires_at = settled.expires_at
        match settled.state:
            case ReservationState.COMMITTED if expires_at and expires_at <= self._clock.now():
                self._late.add()
            case ReservationState.COMMITTED:
                self._committed.add()
            case ReservationState.RELEASED:
                self._released.add()
            case ReservationState.EXPIRED:
                # Nobody hears of an expiry as such: whoever comes next ends what is overdue.
                self._expired.add()
