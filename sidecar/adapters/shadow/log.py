"""Who puts decisions to a candidate? A task of its own, a little at a time.

A decision costs its answer one place in a queue. What does not fit is left out and counted: the
candidate may fall behind, and never holds anybody up.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog

from sidecar.adapters.shadow.comparing import question
from sidecar.adapters.shadow.tally import Tally
from sidecar.beside import beside
from sidecar.domain.limits import Reading
from sidecar.domain.policies import Comparison
from sidecar.errors import Unavailable
from sidecar.ports import Checked, Clock, Meter, Rules

MOST_WAITING: Final = 1_000
_SLICE_S: Final = 0.001
"""How long answers wait at most for a comparison that has begun."""
_SHARE: Final = 0.1
"""The part of this process's time that goes into comparing."""
_IDLE_S: Final = 0.05
_READS_A_SECOND: Final = 100
_TOLD_EVERY_S: Final = 10.0

_log = structlog.get_logger("sidecar.shadow")


class ShadowDecisions:
    """A decision log that asks a candidate too.

    Args:
        candidate: the set to compare with, None as long as there is none.
    """

    def __init__(self, candidate: Callable[[], Rules | None], meter: Meter, clock: Clock) -> None:
        self._candidate = candidate
        self._meter = meter
        self._clock = clock
        self._waiting: deque[Checked] = deque()
        self._tally = Tally()
        self._reads = _Allowance(_READS_A_SECOND, clock.monotonic())
        self._waited_s = 0.0
        self._told_s = clock.monotonic()
        self._told = 0

    @property
    def comparison(self) -> Comparison | None:
        """What the candidate would have changed, None as long as there is none."""
        return self._tally.comparison

    def record(self, checked: Checked) -> None:
        """Let one decision wait for its comparison."""
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(checked)
        else:
            self._tally.leave_out()

    def unknown_model(self, model: str) -> None:
        """Note nothing."""

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Compare as long as this is open; what still waits then is forgotten."""
        async with beside(self._keep_comparing):
            yield

    async def _keep_comparing(self) -> None:
        while True:
            began_s, self._waited_s = self._clock.monotonic(), 0.0
            await self._compare_until(began_s + _SLICE_S)
            self._tell(began_s)
            if self._waiting:
                worked_s = self._clock.monotonic() - began_s - self._waited_s
                await asyncio.sleep(worked_s * (1 / _SHARE - 1))
            else:
                await asyncio.sleep(_IDLE_S)

    async def _compare_until(self, end_s: float) -> None:
        while self._waiting and self._clock.monotonic() < end_s:
            checked, rules = self._waiting.popleft(), self._candidate()
            if rules is None:
                continue
            try:
                await self._compare(checked, rules)
            except Exception as error:  # noqa: BLE001  a candidate may fail, answers go on
                self._tally.leave_out()
                _log.error("shadow_failed", decision_id=checked.decision.id, exc_info=error)

    async def _compare(self, checked: Checked, rules: Rules) -> None:
        decision = checked.decision
        self._tally.compare(decision.revision, rules.revision, decision.at)
        asked = question(checked, rules)
        read: tuple[Reading, ...] = ()
        if asked.unread:
            for charge in asked.unread:
                self._tally.note_uncounted(charge.limit.id)
            since = self._clock.monotonic()
            if not self._reads.take(since):
                self._tally.leave_out()
                return
            try:
                subject = checked.request.subject
                read = (await self._meter.read(subject, asked.unread, since=since)).readings
            except Unavailable:
                self._tally.leave_out()
                return
            finally:
                self._waited_s += self._clock.monotonic() - since
        self._tally.note(asked.answered(read))

    def _tell(self, now_s: float) -> None:
        """Say in the log that there are further differences, now and then."""
        if now_s < self._told_s + _TOLD_EVERY_S or self._tally.different == self._told:
            return
        self._told_s, self._told = now_s, self._tally.different
        found = self._tally.comparison
        if found is not None and found.different:
            _log.info(
                "shadow_differences",
                compared=found.compared,
                different=found.different,
                left_out=found.left_out,
                effects=dict(found.effects),
                shadow_revision=found.shadow_revision,
            )


class _Allowance:
    """So many a second, and what was not taken is not kept for longer than that."""

    def __init__(self, a_second: int, now_s: float) -> None:
        self._most = float(a_second)
        self._left = self._most
        self._at_s = now_s

    def take(self, now_s: float) -> bool:
        """Take one, if there is one left."""
        self._left = min(self._most, self._left + (now_s - self._at_s) * self._most)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True
