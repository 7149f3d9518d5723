"""The meter on Redis that answers hot users in memory, out of units held there in advance.

What is held in advance, a lease, is a reservation like any other, so no unit is used that Redis
was not asked for before. Where no lease can answer, Redis does.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from sidecar.adapters.documents import fingerprint, write_request
from sidecar.adapters.redis.apps import RedisApps
from sidecar.adapters.redis.connection import Argument, RedisConnection, Script
from sidecar.adapters.redis.event_log import RedisEventLog
from sidecar.adapters.redis.keys import app_prefix, quoted
from sidecar.adapters.redis.lease import Child, Lease, parent_of
from sidecar.adapters.redis.leasing import Key, Leasing
from sidecar.adapters.redis.lines import Told, dimensions, read_told
from sidecar.adapters.redis.meter import RedisMeter
from sidecar.adapters.redis.operation import Operation, Outcome
from sidecar.adapters.redis.script import LEDGER, PLAIN
from sidecar.adapters.redis.settling import Settling
from sidecar.domain.decision import Reservation
from sidecar.domain.limits import Charge
from sidecar.domain.request import Amounts, CheckRequest
from sidecar.domain.usage import (
    ChargedEvent,
    Hold,
    Metering,
    OnExpiry,
    ReservationState,
    Settlement,
    Tally,
    UsageEvent,
    app_of,
)
from sidecar.domain.windows import from_ms
from sidecar.errors import (
    MeterUnavailable,
    ReservationEnded,
    Unavailable,
    UnknownReservation,
)

LEASE = Script(*LEDGER, "sessions.lua", "lease.lua")
DRAW = Script(*PLAIN, "draw.lua")
LEASES = (LEASE, DRAW)
"""What is run beside the scripts of the meter."""

_REMEMBERED: Final = 1_024
"""Requests whose first answer is known, for when the same comes again at once."""


class LeasedMeter(RedisMeter):
    """Counts in Redis, and answers in memory where a user is hot and has plenty of room.

    Args:
        connection, now_ms, on_expiry, log: as for the `RedisMeter`.
        leases: whether anything is held in advance. What another process answered out of a
            lease, or this one before it was begun anew, is settled in any case.
        monotonic: seconds that only ever grow.

    Attributes:
        answered: reservations that were made in memory.
    """

    def __init__(
        self,
        connection: RedisConnection,
        now_ms: Callable[[], int] | None = None,
        on_expiry: OnExpiry = OnExpiry.RELEASE,
        *,
        leases: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
        log: RedisEventLog | None = None,
        apps: RedisApps | None = None,
    ) -> None:
        super().__init__(connection, now_ms, on_expiry, log, apps)
        self._has_leases = leases
        self._monotonic = monotonic
        self._settling = Settling(
            self._run_lease, self._run_draw, connection.is_over, monotonic, is_one=connection.is_one
        )
        self._leasing = Leasing(
            super().reserve,
            super().withdraw,
            self._settling,
            monotonic,
            is_charged=on_expiry is OnExpiry.CHARGE,
        )
        self._answered: OrderedDict[str, Metering | None] = OrderedDict()
        self.answered = 0

    @property
    def leases(self) -> int:
        """How many leases there are now."""
        return len(self._leasing)

    def reserve(
        self, hold: Hold, charges: Sequence[Charge], *, since: float
    ) -> Coroutine[Any, Any, Metering]:
        """Hold every charge, or none if an enforced limit has no room."""
        key = self._key_of(hold, charges)
        if key is None:
            return super().reserve(hold, charges, since=since)
        return self._reserve_hot(hold, charges, since, key)

    def at_hand(self, hold: Hold, charges: Sequence[Charge]) -> Metering | None:
        """What a lease answers, None if Redis must be asked."""
        key = self._key_of(hold, charges)
        return None if key is None else self._answer(key, hold, charges)

    async def extend(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        """Hold further units, or none, and let the reservation live its `ttl_s` from now."""
        await self._promote([hold.reservation_id], since)
        return await super().extend(hold, charges, since=since)

    async def held_request(self, reservation_id: str, *, since: float) -> CheckRequest:
        """The request that a live reservation was made for."""
        child = self._child(reservation_id)
        if child is None:
            return await super().held_request(reservation_id, since=since)
        if child.expires_ms <= child.lease.now_ms(self._monotonic()):
            raise ReservationEnded(reservation_id, ReservationState.EXPIRED)
        return child.hold.request

    def commit(
        self,
        reservation_id: str,
        used: Amounts,
        *,
        final: bool,
        since: float,
        model: str = "",
    ) -> Coroutine[Any, Any, Settlement]:
        """Charge what the run has used so far, in the windows in which it was held."""
        commit = super().commit
        if parent_of(reservation_id):
            commit = self._commit_of_lease
        return commit(reservation_id, used, final=final, since=since, model=model)

    async def release(self, reservation_id: str, *, since: float) -> Settlement:
        """Give back all that is held."""
        if self._is_child(reservation_id, lease := self._settling.lease_of(reservation_id)):
            child, rest = None if lease is None else lease.live.get(reservation_id), (0, 0)
            if child is not None:
                rest = (child.expires_ms, child.hold.request.estimate.tokens)
            outcome = await self._do("release", reservation_id, child, since, rest=rest)
            if outcome.state != "promoted":
                return _settlement(reservation_id, outcome, ReservationState.RELEASED)
        return await super().release(reservation_id, since=since)

    async def withdraw(self, reservation_id: str, *, since: float) -> None:
        """Give back all that is held, and forget the reservation and its request's id."""
        child = self._child(reservation_id)
        if child is None:
            await super().withdraw(reservation_id, since=since)
        else:
            # Nobody else was told of it.
            self._settling.forget(child)

    async def record(self, app_id: str, events: Sequence[ChargedEvent], *, since: float) -> Tally:
        """Count events that were not counted before, each in the window of its own time."""
        await self._promote({charged.event.reservation_id for charged in events}, since)
        return await super().record(app_id, events, since=since)

    async def drain(self) -> None:
        """Give back what leases have left, and make no more."""
        await self._leasing.drain()
        await self._settling.drain()

    async def _reserve_hot(
        self, hold: Hold, charges: Sequence[Charge], since: float, key: Key
    ) -> Metering:
        answer = self._answer(key, hold, charges)
        if answer is None:
            answer = await super().reserve(hold, charges, since=since)
            self._leasing.consider(key, hold, charges, answer)
        return answer

    async def _commit_of_lease(
        self, reservation_id: str, used: Amounts, *, final: bool, since: float, model: str = ""
    ) -> Settlement:
        """The same of what a lease has answered, here or elsewhere."""
        if not final:
            await self._promote([reservation_id], since)
        elif self._is_child(reservation_id, lease := self._settling.lease_of(reservation_id)):
            child = None if lease is None else lease.live.get(reservation_id)
            total = used if child is None else child.used(used)
            outcome = await self._do(
                "commit", reservation_id, child, since, told=used, used=total, model=quoted(model)
            )
            if outcome.state == "unknown" and child is not None:
                # Redis has lost what was held; what was used of it counts all the same.
                return await self._count(child, total, model, since)
            if outcome.state != "promoted":
                return _settlement(reservation_id, outcome, ReservationState.COMMITTED)
        return await super().commit(reservation_id, used, final=final, since=since, model=model)

    def _key_of(self, hold: Hold, charges: Sequence[Charge]) -> Key | None:
        """Which lease may answer, None where none may."""
        request = hold.request
        if not self._has_leases or request.request_id or not charges:
            return None
        counters = []
        for charge in charges:
            if charge.limit.base is not None:
                # A balance may be told anew meanwhile.
                return None
            counters.append(charge.counter)
        subject = request.subject
        return subject.app_id, subject.user_id, request.ttl_s, *counters

    def _answer(self, key: Key, hold: Hold, charges: Sequence[Charge]) -> Metering | None:
        """What a lease answers, None if Redis must be asked."""
        name = hold.reservation_id
        if name in self._answered:
            # The same again: whoever answered first answers again.
            return self._answered[name]
        issued = self._leasing.answer(key, hold, charges, self._monotonic())
        answer = None
        if issued is not None:
            child, readings = issued
            self.answered += 1
            tokens, expires_at = hold.request.estimate.tokens, from_ms(child.expires_ms)
            answer = Metering(
                readings,
                Reservation(child.id, expires_at, tokens),
                decision_id=hold.decision_id,
                counters_lost=self._epochs.is_lost(child.lease.app_id),
            )
        self._answered[name] = answer
        if len(self._answered) > _REMEMBERED:
            self._answered.popitem(last=False)
        return answer

    def _is_child(self, reservation_id: str, lease: Lease | None) -> bool:
        """Whether a lease answered it, here or elsewhere, and it is not known to have a record.

        Args:
            lease: the one, if it is of this process.

        Raises:
            UnknownReservation: it was withdrawn.
        """
        if lease is None:
            return bool(parent_of(reservation_id))
        if reservation_id in lease.withdrawn:
            raise UnknownReservation(reservation_id)
        return reservation_id not in lease.promoted

    def _child(self, reservation_id: str) -> Child | None:
        """What a lease answered here, if neither an end nor a record of it is known."""
        lease = self._settling.lease_of(reservation_id)
        return None if lease is None else lease.live.get(reservation_id)

    async def _promote(self, reservation_ids: Iterable[str], since: float) -> None:
        """Give children records of their own, so that all can be done with them."""
        found = [child for child in map(self._child, reservation_ids) if child is not None]
        for child in found:
            # Redis may have done it though nobody hears of that.
            child.is_plain = False
        if found:
            await asyncio.gather(
                *(
                    self._do("promote", child.id, child, since, rest=_promotion(child))
                    for child in found
                )
            )

    def _do(
        self,
        action: str,
        reservation_id: str,
        child: Child | None,
        since: float,
        *,
        rest: tuple[object, ...] = (),
        told: Amounts | None = None,
        used: Amounts | None = None,
        model: str = "",
    ) -> Awaitable[Outcome]:
        app_id = app_of(reservation_id) if child is None else child.lease.app_id
        if app_id is None:
            raise UnknownReservation(reservation_id)
        return self._settling.do(
            Operation(action, app_id, reservation_id, since, child, rest, told, used, model)
        )

    async def _count(self, child: Child, used: Amounts, model: str, since: float) -> Settlement:
        """Count what a child has used as if it had held nothing; once, however often it comes."""
        request = child.hold.request
        at = from_ms(child.issued_ms)
        request = replace(request, model=model or request.model)
        event = UsageEvent(child.id, at, request, used)
        charges = tuple(
            replace(charge, amount=used.of(charge.limit.meter)) for charge in child.charges
        )
        charged = ChargedEvent(event, charges)
        await super().record(child.lease.app_id, [charged], since=since)
        tokens, expires_at = request.estimate.tokens, from_ms(child.expires_ms)
        return Settlement(child.id, ReservationState.COMMITTED, expires_at, tokens, ())

    async def _run_lease(
        self, app_ids: Sequence[str], operations: bytes, since: float
    ) -> list[str]:
        keys = list(map(app_prefix, app_ids))
        return (await self._run_for(LEASE, app_ids, keys, [operations], since)).lines

    async def _run_draw(
        self, app_ids: Sequence[str], keys: Sequence[str], rest: Sequence[Argument], since: float
    ) -> Told:
        return await self._run_for(DRAW, app_ids, keys, rest, since)

    async def _run_for(
        self,
        script: Script,
        app_ids: Sequence[str],
        keys: Sequence[str],
        rest: Sequence[Argument],
        since: float,
    ) -> Told:
        """What is told behind the epochs of the apps."""
        try:
            reply = await self._connection.run(script, keys, (self._now(), *rest), since=since)
        except Unavailable as error:
            raise MeterUnavailable(str(error)) from error
        (_, *lines), numbers = read_told(reply)
        for app_id, epoch in zip(app_ids, lines, strict=False):
            self._epochs.see(app_id, epoch)
        return Told(lines[len(app_ids) :], numbers)


def _promotion(child: Child) -> tuple[object, ...]:
    """What lease.lua reads of a promotion."""
    hold, request = child.hold, child.hold.request
    document = write_request(request)
    return (
        child.expires_ms, request.estimate.tokens, hold.rates.input, hold.rates.output,
        fingerprint(document), hold.decision_id, dimensions(request), document, child.amounts,
    )  # fmt: skip


def _settlement(reservation_id: str, outcome: Outcome, wanted: ReservationState) -> Settlement:
    """An outcome in the words of the ports.

    Raises:
        UnknownReservation, ReservationEnded: it could not be done.
    """
    match outcome.state:
        case "unknown":
            raise UnknownReservation(reservation_id)
        case "ended-committed" | "ended-released":
            raise ReservationEnded(reservation_id, outcome.state.removeprefix("ended-"))
        case "expired":
            wanted = ReservationState.EXPIRED
    expires_at = from_ms(outcome.expires_ms)
    return Settlement(reservation_id, wanted, expires_at, outcome.tokens, outcome.readings)
