"""What a limit has left of its last period may be used in the next one, as a grant is."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from sidecar.adapters.guarded.breaker import Breaker
from sidecar.adapters.guarded.meter import AtHand, GuardedMeter, Waits
from sidecar.domain.counting import Counter, lay_out
from sidecar.domain.limits import Charge, escaped
from sidecar.domain.request import Subject
from sidecar.domain.rollover import grant_of, note, noting, of_past
from sidecar.domain.statements import Statement, StatementKey, StatementPage
from sidecar.domain.usage import ChargedEvent, Hold, Metering, Tally
from sidecar.domain.windows import from_ms, to_ms
from sidecar.errors import GrantConflict
from sidecar.ports import Clock, Meter, Statements

_log = structlog.get_logger("sidecar.grants")
_KEPT: Final = 65_536
_PERIODS: Final = 64
"""Of one counter: more than there are statements of."""
_FRESH: Final = timedelta(days=30)
"""So long after it was noted what is carried may still have to be granted. A grant that is used up
is forgotten some day, and must not come again."""


class RolledMeter(GuardedMeter):
    """Grants what was left of the last period before anything is counted in the next one.

    Whoever comes first in a period notes how much it is, in a counter of its own, so that all
    replicas grant the same, and once.

    Args:
        inner, breaker, at_hand: as for the `GuardedMeter`.
        statements: what periods came to, as the same store noted it.
    """

    def __init__(
        self,
        inner: Meter,
        breaker: Breaker,
        statements: Statements,
        clock: Clock,
        at_hand: AtHand | None = None,
    ) -> None:
        super().__init__(inner, breaker, at_hand)
        self._statements = statements
        self._clock = clock
        self._granted: dict[tuple[str, str, str, str], int] = {}

    def read(self, subject: Subject, charges: Sequence[Charge], *, since: float) -> Waits[Metering]:
        """What the counters of these charges hold, and what grants add for the subject."""
        asked = super().read
        if not _carry(charges):
            return asked(subject, charges, since=since)
        return self._brought(subject, charges, since, partial(asked, subject, charges, since=since))

    def reserve(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Waits[Metering]:
        """Hold every charge, or none if an enforced limit has no room."""
        asked = super().reserve
        if not _carry(charges):
            return asked(hold, charges, since=since)
        subject = hold.request.subject
        return self._brought(subject, charges, since, partial(asked, hold, charges, since=since))

    def extend(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Waits[Metering]:
        """Hold further units, or none, and let the reservation live its `ttl_s` from now."""
        asked, subject = super().extend, hold.request.subject
        return self._brought(subject, charges, since, partial(asked, hold, charges, since=since))

    async def record(self, app_id: str, events: Sequence[ChargedEvent], *, since: float) -> Tally:
        """Count events that were not counted before, each in the window of its own time."""
        for charged in events:
            if _carry(charged.charges):
                await self._bring(charged.event.request.subject, charged.charges, since)
        return await super().record(app_id, events, since=since)

    async def _brought(
        self,
        subject: Subject,
        charges: Sequence[Charge],
        since: float,
        ask: Callable[[], Waits[Metering]],
    ) -> Metering:
        """What is answered after what limits carry is granted."""
        await self._bring(subject, charges, since)
        return await ask()

    async def _bring(self, subject: Subject, charges: Sequence[Charge], since: float) -> None:
        """Grant what limits carry into their present periods, where that is not known to be."""
        for charge in charges:
            if charge.limit.rollover is None:
                continue
            now = self._clock.now()
            (counter,) = lay_out((charge,), to_ms(now)).counters
            key = subject.app_id, subject.user_id, charge.limit.id, charge.counter
            if self._granted.get(key) != counter.a:
                await self._carry(subject, charge, counter, now, since)
                if len(self._granted) >= _KEPT:
                    self._granted.clear()
                self._granted[key] = counter.a

    async def _carry(
        self, subject: Subject, charge: Charge, counter: Counter, now: datetime, since: float
    ) -> None:
        noted = noting(charge.limit, charge.counter, charge.cycle)
        units = await self._used(subject, noted, since)
        if not units:
            left = await self._left(subject, charge, counter, since)
            name = f"rollover:{charge.limit.id}:{noted.counter}:{counter.a}"
            amount = Charge(noted.limit, noted.counter, left + 1, noted.cycle)
            event = note(subject, amount, name, now)
            await super().record(subject.app_id, [event], since=since)
            # Of several who note it at the same time, the first one counts.
            units = await self._used(subject, noted, since)
        elif now - from_ms(counter.a) > _FRESH:
            return
        # It may have been noted for the limit of another plan, which lets more be carried on.
        carried = min(units - 1, charge.limit.rollover or 0)
        if carried > 0:
            await self._push(subject, charge, counter.a, counter.b, carried, since)

    async def _left(self, subject: Subject, charge: Charge, counter: Counter, since: float) -> int:
        """How much of the last period is left that may be carried into this one."""
        limit = charge.limit
        first = StatementKey(escaped(subject.user_id), charge.counter, -1)
        page = await self._statements.page(
            subject.app_id, subject.user_id, first, _PERIODS, since=since
        )
        (before,) = lay_out((charge,), counter.a - 1).counters
        last = _last(page.statements, before, counter)
        start_ms = before.a if last is None else last.key.start_ms
        past = of_past(limit, charge.counter, from_ms(start_ms), from_ms(counter.b))
        (reading,) = (await super().read(subject, [past], since=since)).readings
        included, used = limit.included, reading.used
        if last is not None:
            included, used = last.included, last.used
        elif not used and not _was_there(charge, counter, page):
            included = 0
        if last is not None and (last.is_cut or last.end_ms > counter.a):
            # What was carried into it would outlive it.
            await self._push(subject, charge, last.key.start_ms, counter.b, 0, since)
        left = 0 if included is None else included - used - reading.reserved
        return max(0, min(limit.rollover or 0, left))

    async def _used(self, subject: Subject, charge: Charge, since: float) -> int:
        (reading,) = (await super().read(subject, [charge], since=since)).readings
        return reading.used

    async def _push(
        self, subject: Subject, charge: Charge, start: int, end: int, amount: int, since: float
    ) -> None:
        pushed = grant_of(subject, charge.limit, start, end, amount)
        try:
            await self.grant(pushed, since=since)
        except GrantConflict as conflict:
            # Others gave the user more grants than are drawn; the limit holds without this one.
            _log.warning(
                "rollover_not_granted",
                app_id=subject.app_id,
                limit=charge.limit.id,
                amount=amount,
                why=str(conflict),
            )


def _carry(charges: Sequence[Charge]) -> bool:
    """Whether any of the limits lets something be used in the next period."""
    for charge in charges:  # noqa: SIM110 # each check waits for it, and a generator is slower
        if charge.limit.rollover is not None:
            return True
    return False


def _last(statements: Sequence[Statement], before: Counter, counter: Counter) -> Statement | None:
    """What the last period came to, None where nothing was used in it.

    Args:
        before: the last period, as the subscription would tell it now.
    """
    past = [
        each
        for each in statements
        if each.key.counter == counter.name
        and each.key.start_ms < counter.a
        and not each.overlaps
        # With a new billing day it is another one.
        and each.end_ms > before.a
    ]
    return past[-1] if past else None


def _was_there(charge: Charge, counter: Counter, page: StatementPage) -> bool:
    """Whether the subject, and somebody who counted, was there before the present period."""
    held_since, counted_from_ms = charge.held_since, page.counted_from_ms
    return (
        held_since is not None
        and held_since < from_ms(counter.a)
        and counted_from_ms is not None
        and counted_from_ms < counter.a
    )
