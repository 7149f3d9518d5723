"""When are units held in advance, and which requests are answered out of them?"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from sidecar.adapters.redis.growth import Growth, growth_of, taken_of
from sidecar.adapters.redis.lease import (
    HOT,
    LONGEST_S,
    Child,
    Lease,
    Pace,
    Slice,
    end_of_life,
    is_near,
    slice_for,
)
from sidecar.adapters.redis.settling import Settling
from sidecar.domain.counting import lay_out
from sidecar.domain.limits import Charge, Reading
from sidecar.domain.usage import Hold, Metering, name_reservation
from sidecar.domain.windows import to_ms
from sidecar.errors import MeterUnavailable

_MOST_PACES = 20_000
"""Users of one time that are told apart; among so many, nobody is hot."""
_MOST_LEASES = 10_000
"""That answer at one time: each takes some five kilobytes."""

Key = tuple[str | int, ...]
"""What one lease is for: requests of one app and user, of one life, in the same counters."""


class Reserve(Protocol):
    """Holds units in Redis."""

    async def __call__(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        """See `Meter.reserve`."""
        ...


class Withdraw(Protocol):
    """Undoes that."""

    async def __call__(self, reservation_id: str, *, since: float) -> None:
        """See `Meter.withdraw`."""
        ...


class Leasing:
    """The leases out of which this process answers now.

    Args:
        reserve, withdraw: how units are held in advance.
        settling: is told of each lease, and gives back what it has left.
        monotonic: seconds that only ever grow.
        is_charged: whether what is held is charged when it expires.
    """

    def __init__(
        self,
        reserve: Reserve,
        withdraw: Withdraw,
        settling: Settling,
        monotonic: Callable[[], float],
        *,
        is_charged: bool,
    ) -> None:
        self._is_charged = is_charged
        self._reserve = reserve
        self._withdraw = withdraw
        self._settling = settling
        self._monotonic = monotonic
        self._leases: dict[Key, Lease] = {}
        self._making: dict[Key, asyncio.Task[None]] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._paces: dict[Key, Pace] = {}
        self._paces_before: dict[Key, Pace] = {}
        self._began_s = self._turn_s = 0.0
        self._is_drained = False

    def __len__(self) -> int:
        """How many leases there are now."""
        return len(self._leases)

    def answer(
        self, key: Key, hold: Hold, charges: Sequence[Charge], now_s: float
    ) -> tuple[Child, tuple[Reading, ...]] | None:
        """A child with the limits as they were before it, None if the store must be asked."""
        lease = self._leases.get(key)
        if lease is None:
            self.note(key, _by_counter(charges), now_s)
            return None
        issued = lease.issue(hold, charges, now_s)
        if lease.is_over:
            self._drop(key)
            self.note(key, _by_counter(charges), now_s)
            if (pace := self._paces.get(key)) is not None:
                pace.growth = lease.growth
        elif lease.is_late(now_s):
            self._follow(key, lease, hold, charges, now_s)
        return issued

    def consider(self, key: Key, hold: Hold, charges: Sequence[Charge], answer: Metering) -> None:
        """Begin a lease after this answer of the store, if many ask and there is room."""
        present, lease = self._paces.get(key), self._leases.get(key)
        if answer.reservation is None:
            return
        now_s = self._monotonic()
        if lease is not None:
            lease.hear(answer.readings, now_s)
        if lease is not None or present is None:
            return
        growth = present.growth = present.growth or growth_of(answer.readings)
        growth.hear(taken_of(answer.readings), now_s)
        if key in self._making or self._is_drained or len(self._leases) >= _MOST_LEASES:
            return
        before = self._paces_before.get(key, present)
        pace = max(present, before, key=lambda each: each.checks)
        if pace.checks < HOT or pace.is_vain:
            return
        made_ms = to_ms(answer.reservation.expires_at) - hold.request.ttl_s * 1_000
        rate = max(
            before.checks / LONGEST_S,
            # Of the first few within a moment nobody knows how they go on.
            present.checks / max(1.0, now_s - self._began_s),
        )
        self._begin(key, hold, charges, pace, growth, rate, made_ms, answer.readings)

    def note(self, key: Key, amounts: Sequence[int], now_s: float) -> None:
        """Note that somebody asked the store for so many units by counter."""
        if now_s >= self._turn_s:
            # Only the time before tells of the pace.
            self._paces_before = self._paces if now_s < self._turn_s + LONGEST_S else {}
            self._paces, self._began_s, self._turn_s = {}, now_s, now_s + LONGEST_S
        pace = self._paces.get(key)
        if pace is None:
            if len(self._paces) >= _MOST_PACES:
                return
            pace = self._paces[key] = Pace([0] * len(amounts))
        pace.add(amounts)

    def _follow(
        self, key: Key, lease: Lease, hold: Hold, charges: Sequence[Charge], now_s: float
    ) -> None:
        """Make the lease that takes the place of one, so that no check has to wait for it."""
        lease.is_followed = True
        if key not in self._making and not self._is_drained:
            rate = lease.pace.checks / max(1.0, now_s - lease.began_s)
            at_ms = lease.now_ms(now_s)
            readings = lease.readings()
            self._begin(key, hold, charges, lease.pace, lease.growth, rate, at_ms, readings)

    def _begin(
        self,
        key: Key,
        hold: Hold,
        charges: Sequence[Charge],
        pace: Pace,
        growth: Growth,
        rate: float,
        at_ms: int,
        readings: Sequence[Reading],
    ) -> None:
        """Begin a lease if there is room, for so many checks in a second as those of a pace."""
        layout = lay_out(charges, at_ms)
        ends_ms = end_of_life(layout.counters, at_ms, is_charged=self._is_charged)
        held = slice_for(pace, rate * (ends_ms - at_ms) / 1_000, layout, readings)
        if held is not None:
            making = self._make(key, hold, charges, held, pace, growth)
            self._making[key] = asyncio.create_task(making)

    async def drain(self) -> None:
        """Begin no more, and end those that there are."""
        self._is_drained = True
        if self._making:
            await asyncio.wait(self._making.values())
        for key in list(self._leases):
            self._drop(key)

    async def _make(
        self,
        key: Key,
        hold: Hold,
        charges: Sequence[Charge],
        held: Slice,
        pace: Pace,
        growth: Growth,
    ) -> None:
        try:
            lease = await self._hold(hold, charges, held, growth)
        finally:
            del self._making[key]
        if lease is None:
            pace.is_vain = True
            return
        self._settling.add(lease)
        if key in self._leases:
            self._drop(key)
        self._leases[key] = lease
        self._end_in_time(key, lease)

    async def _hold(
        self, hold: Hold, charges: Sequence[Charge], held: Slice, growth: Growth
    ) -> Lease | None:
        """A lease with so many units, None if they could not be held."""
        began_s, request = self._monotonic(), hold.request
        name = name_reservation(request.subject.app_id, secrets.token_urlsafe(18))
        # It outlives each of its children.
        lives_s = request.ttl_s + LONGEST_S
        parent = replace(hold, reservation_id=name, request=replace(request, ttl_s=lives_s))
        indexes = lay_out(charges, 0).indexes
        asked = [
            replace(charge, amount=held.units[index])
            for charge, index in zip(charges, indexes, strict=True)
        ]
        try:
            metering = await self._reserve(parent, asked, since=time.monotonic())
        except MeterUnavailable:
            # It may be held all the same; if this is lost as well, it expires.
            with contextlib.suppress(MeterUnavailable):
                await self._withdraw(name, since=time.monotonic())
            return None
        if metering.reservation is None:
            return None
        if any(map(is_near, metering.readings)):
            # Others came in between.
            with contextlib.suppress(MeterUnavailable):
                await self._withdraw(name, since=time.monotonic())
            return None
        expires_ms = to_ms(metering.reservation.expires_at)
        return Lease(
            request.subject,
            name,
            charges,
            metering.readings,
            held,
            growth,
            made_ms=expires_ms - lives_s * 1_000,
            expires_ms=expires_ms,
            began_s=began_s,
            is_charged=self._is_charged,
        )

    def _end_in_time(self, key: Key, lease: Lease) -> None:
        """End a lease when its time is over, also where nobody asks any more."""
        if self._leases.get(key) is not lease:
            return
        rest_s = 0.0 if lease.is_over else lease.ends_s - self._monotonic()
        if rest_s > 0:
            loop = asyncio.get_running_loop()
            self._timers[key] = loop.call_later(rest_s, self._end_in_time, key, lease)
        else:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        """Hand out nothing more of a lease."""
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
        self._settling.end(self._leases.pop(key))


def _by_counter(charges: Sequence[Charge]) -> Sequence[int]:
    """Limits that share a counter ask the same of it."""
    return tuple({charge.counter: charge.amount for charge in charges}.values())
