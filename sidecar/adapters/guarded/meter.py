"""A meter behind a breaker."""

import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from sidecar.adapters.guarded.breaker import Breaker, StoreSuspended
from sidecar.adapters.guarded.owed import Owed
from sidecar.domain.grants import Grant, GrantBalance, GrantOutcome
from sidecar.domain.limits import Charge
from sidecar.domain.request import Amounts, CheckRequest, Subject
from sidecar.domain.usage import ChargedEvent, Hold, Metering, Settlement, Tally, UsageRow
from sidecar.errors import Unavailable
from sidecar.ports import Meter

T = TypeVar("T")

AtHand = Callable[[Hold, Sequence[Charge]], Metering | None]
Waits = Coroutine[Any, Any, T]
"""What is awaited elsewhere: whatever only passes on adds nothing to a request's way."""


class GuardedMeter:
    """Asks a meter, unless its store has just failed again and again.

    Args:
        at_hand: what can be answered without asking the store, None where it must be asked.
    """

    def __init__(self, inner: Meter, breaker: Breaker, at_hand: AtHand | None = None) -> None:
        self._inner = inner
        self._breaker = breaker
        self._at_hand = at_hand
        self._owed = Owed(self._withdraw_now, breaker)

    def read(self, subject: Subject, charges: Sequence[Charge], *, since: float) -> Waits[Metering]:
        """What the counters of these charges hold, and what grants add for the subject."""
        return self._breaker.ask(self._inner.read, subject, charges, since=since)

    async def reserve(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        """Hold every charge, or none if an enforced limit has no room."""
        if self._at_hand is not None:
            answer = self._at_hand(hold, charges)
            if answer is not None:
                return answer
        try:
            return await self._breaker.ask(self._inner.reserve, hold, charges, since=since)
        except StoreSuspended:
            raise
        except Unavailable:
            self._owed.note_doubt(hold.reservation_id)
            raise

    def recall(
        self, hold: Hold, charges: Sequence[Charge], *, since: float
    ) -> Waits[Metering | None]:
        """The first answer to a request whose id came before, None if none is remembered."""
        return self._breaker.ask(self._inner.recall, hold, charges, since=since)

    def extend(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Waits[Metering]:
        """Hold further units, or none, and let the reservation live its `ttl_s` from now."""
        return self._breaker.ask(self._inner.extend, hold, charges, since=since)

    def held_request(self, reservation_id: str, *, since: float) -> Waits[CheckRequest]:
        """The request that a live reservation was made for."""
        return self._breaker.ask(self._inner.held_request, reservation_id, since=since)

    def commit(
        self,
        reservation_id: str,
        used: Amounts,
        *,
        final: bool,
        since: float,
        model: str = "",
    ) -> Waits[Settlement]:
        """Charge what the run has used so far, in the windows in which it was held."""
        return self._breaker.ask(
            self._inner.commit, reservation_id, used, final=final, since=since, model=model
        )

    def release(self, reservation_id: str, *, since: float) -> Waits[Settlement]:
        """Give back all that is held."""
        return self._breaker.ask(self._inner.release, reservation_id, since=since)

    async def withdraw(self, reservation_id: str, *, since: float) -> None:
        """Undo a reservation whose request was refused after all, and forget it.

        If that cannot be done now, it is done when the store answers again.
        """
        try:
            await self._breaker.ask(self._inner.withdraw, reservation_id, since=since)
        except Unavailable:
            self._owed.add_doubtful(reservation_id)
            raise

    def record(self, app_id: str, events: Sequence[ChargedEvent], *, since: float) -> Waits[Tally]:
        """Count events that were not counted before, each in the window of its own time."""
        return self._breaker.ask(self._inner.record, app_id, events, since=since)

    def grant(self, grant: Grant, *, since: float) -> Waits[tuple[GrantOutcome, GrantBalance]]:
        """Add units to what a user may use, or revoke what is left of them."""
        return self._breaker.ask(self._inner.grant, grant, since=since)

    def grants(self, subject: Subject, *, since: float) -> Waits[tuple[GrantBalance, ...]]:
        """The grants that a user has in an app, in the order in which they are drawn."""
        return self._breaker.ask(self._inner.grants, subject, since=since)

    def usage(
        self, app_id: str, user_id: str | None, first_hour: int, last_hour: int, *, since: float
    ) -> Waits[tuple[UsageRow, ...]]:
        """What was used hour by hour, of one user or, with None, of all together."""
        return self._breaker.ask(
            self._inner.usage, app_id, user_id, first_hour, last_hour, since=since
        )

    def ping(self, *, since: float) -> Waits[None]:
        """Return if the store answers."""
        return self._breaker.ask(self._inner.ping, since=since)

    async def close(self) -> None:
        """Leave what could not be given back to its expiry."""
        await self._owed.close()

    async def _withdraw_now(self, reservation_id: str) -> None:
        await self._breaker.ask(self._inner.withdraw, reservation_id, since=time.monotonic())
