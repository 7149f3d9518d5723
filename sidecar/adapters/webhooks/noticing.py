"""Which decisions give occasion to a notice? Looked at beside the answers, never before them."""

import asyncio
import json
import secrets
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final

import structlog

from sidecar.beside import beside
from sidecar.domain.notices import Message, Notice, notices_of
from sidecar.errors import Unavailable
from sidecar.ports import Checked, Clock, Notices

MOST_WAITING: Final = 10_000
_MOST_TOLD: Final = 50_000
_AGAIN_S: Final = 1.0

_log = structlog.get_logger("sidecar.webhooks")


class NoticedDecisions:
    """A decision log that tells the outside of limits that are reached.

    What was told already is remembered here, and in the store for all processes together.

    Args:
        has_receiver: whether there is still somebody to be told.
    """

    def __init__(self, notices: Notices, clock: Clock, has_receiver: Callable[[], bool]) -> None:
        self._notices = notices
        self._clock = clock
        self._has_receiver = has_receiver
        self._waiting: deque[Notice] = deque()
        self._come = asyncio.Event()
        self._told: OrderedDict[str, datetime] = OrderedDict()
        self.left_out = 0

    def record(self, checked: Checked) -> None:
        """Let what a decision gives occasion to wait for the store."""
        if not checked.decision.reasons:
            return
        for notice in notices_of(checked.request, checked.decision, checked.wallet):
            self.tell(notice)

    def tell(self, notice: Notice) -> None:
        """Let one notice wait for the store, unless it was told before."""
        if not self._has_receiver():
            return
        known_until = self._told.get(notice.occasion)
        if known_until is not None and notice.at < known_until:
            return
        if len(self._waiting) >= MOST_WAITING:
            if not self.left_out:
                _log.error("webhooks_left_out", hint="the store does not take them")
            self.left_out += 1
            return
        self._told[notice.occasion] = notice.until
        self._told.move_to_end(notice.occasion)
        while len(self._told) > _MOST_TOLD:
            self._told.popitem(last=False)
        self._waiting.append(notice)
        self._come.set()

    def unknown_model(self, model: str) -> None:
        """Note nothing."""

    @property
    def waiting(self) -> int:
        """Notices that the store does not have yet."""
        return len(self._waiting)

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Hand over as long as this is open, and what still waits in the end."""
        async with beside(self._keep_handing_over):
            yield
        with suppress(Unavailable):
            await self._hand_over()

    async def _keep_handing_over(self) -> None:
        while True:
            await self._come.wait()
            self._come.clear()
            try:
                await self._hand_over()
            except Unavailable as error:
                _log.warning("webhooks_wait", waiting=len(self._waiting), error=str(error))
                await asyncio.sleep(_AGAIN_S)
                self._come.set()

    async def _hand_over(self) -> None:
        while self._waiting:
            notice = self._waiting[0]
            message = Message("msg_" + secrets.token_urlsafe(18), _body(notice))
            since = self._clock.monotonic()
            await self._notices.add(message, notice.occasion, notice.at, notice.until, since=since)
            # Not before it is there: who is cancelled in between hands it over again.
            self._waiting.popleft()


def _body(notice: Notice) -> str:
    whole = {"type": notice.kind, "timestamp": notice.at, "data": notice.data}
    return json.dumps(whole, default=_written, separators=(",", ":"))


def _written(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    raise TypeError(f"a notice cannot say {type(value).__name__}")
