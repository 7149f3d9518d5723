"""How do accepted events come to the control plane? App by app, by one process at a time."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final

import structlog

from sidecar.adapters.arrivals import Arrivals
from sidecar.adapters.control_plane.receiver import Receiver
from sidecar.beside import beside
from sidecar.domain.event_log import Backlog, Settled
from sidecar.errors import Unavailable
from sidecar.ports import Clock, Outbox

BATCH: Final = 100
_AT_ONCE: Final = 8
"""Apps whose events are delivered side by side."""
_POLL_S: Final = 1.0
_MEASURED: Final = 20.0
"""Counting what waits takes so small a part of the time: a twentieth."""

_log = structlog.get_logger("sidecar.outbox")


class EventDeliveries:
    """Delivers what waits in the store; several processes share the work.

    Args:
        arrivals: apps for which this process has just logged something.
        poll_s: how often the store is looked at for others.
    """

    def __init__(
        self,
        outbox: Outbox,
        receiver: Receiver,
        arrivals: Arrivals,
        clock: Clock,
        *,
        poll_s: float = _POLL_S,
    ) -> None:
        self._outbox = outbox
        self._receiver = receiver
        self._arrivals = arrivals
        self._clock = clock
        self._poll_s = poll_s
        self._holder = secrets.token_urlsafe(12)
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self.backlog = Backlog()
        self.fault = ""
        self.delivered = self.refused = self.failed = 0

    @property
    def lag_s(self) -> float:
        """How long the first of those that wait has waited, as far as was seen."""
        return self.backlog.lag_s(self._clock.now())

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Deliver as long as this is open; what is left waits for whoever is there next."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._stop)
            await stack.enter_async_context(beside(self._keep_delivering))
            await stack.enter_async_context(beside(self._keep_counting))
            yield

    async def _keep_delivering(self) -> None:
        everywhere = True
        while True:
            if len(self._busy) >= _AT_ONCE:
                await asyncio.wait(self._busy.values(), return_when=asyncio.FIRST_COMPLETED)
                continue
            room = _AT_ONCE - len(self._busy)
            apps = self._arrivals.take(room)
            with suppress(Unavailable):
                since = self._clock.monotonic()
                apps += await self._outbox.due(room, everywhere=everywhere, since=since)
                everywhere = False
            for app_id in apps:
                self._begin(app_id)
            await self._arrivals.wait(self._poll_s)

    def _begin(self, app_id: str) -> None:
        if app_id in self._busy:
            # It may just have found nothing, so it looks once more.
            self._again.add(app_id)
        elif len(self._busy) >= _AT_ONCE:
            self._arrivals.note(app_id)
        else:
            task = self._busy[app_id] = asyncio.create_task(self._deliver(app_id))
            task.add_done_callback(lambda task: self._end(app_id, task))

    def _end(self, app_id: str, task: asyncio.Task[None]) -> None:
        del self._busy[app_id]
        if not task.cancelled() and (defect := task.exception()) is not None:
            # The app's turn comes again when what was taken is free for others.
            _log.error("delivery_failed", app_id=app_id, exc_info=defect)
        if app_id in self._again:
            self._again.remove(app_id)
            self._arrivals.note(app_id)
        self._arrivals.wake()

    async def _deliver(self, app_id: str) -> None:
        """Deliver what an app has, until there is nothing more or nobody takes it."""
        with suppress(Unavailable):
            while await self.deliver_some(app_id):
                pass

    async def deliver_some(self, app_id: str) -> bool:
        """Deliver the next events of an app; whether there may be more to deliver now.

        Raises:
            Unavailable: the store did not answer; what was delivered may come again.
        """
        since = self._clock.monotonic()
        taken = await self._outbox.take(app_id, self._holder, BATCH, since=since)
        if taken is None:
            return False
        done: list[str] = []
        try:
            settled = await self._receiver.tell(taken, done)
        except asyncio.CancelledError:
            with suppress(Unavailable):
                await self._settle(app_id, Settled(tuple(done)), let_go=True)
            raise
        is_all = len(settled.done) + len(settled.aside) == len(taken.events)
        let_go = settled.again_in is not None or (is_all and len(taken.events) < BATCH)
        self._say(app_id, settled)
        await self._settle(app_id, settled, let_go=let_go)
        return settled.again_in is None

    async def _settle(self, app_id: str, settled: Settled, *, let_go: bool) -> None:
        since = self._clock.monotonic()
        await self._outbox.settle(app_id, self._holder, settled, let_go=let_go, since=since)

    def _say(self, app_id: str, settled: Settled) -> None:
        """Count it, and tell once that nothing gets through, and once that it does again."""
        self.delivered += len(settled.done)
        self.refused += len(settled.aside)
        self.failed += settled.again_in is not None
        if settled.again_in is not None and not self.fault:
            _log.warning("control_plane_does_not_take", app_id=app_id, fault=settled.fault)
        elif settled.again_in is None and self.fault:
            _log.info("control_plane_takes_again", app_id=app_id)
        self.fault = settled.fault

    async def _keep_counting(self) -> None:
        """Count what waits, so that the store knows when it is too much."""
        while True:
            begun = self._clock.monotonic()
            with suppress(Unavailable):
                self.backlog = await self._outbox.backlog(since=begun)
            took_s = self._clock.monotonic() - begun
            await asyncio.sleep(max(self._poll_s, _MEASURED * took_s))

    async def _stop(self) -> None:
        tasks = list(self._busy.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
