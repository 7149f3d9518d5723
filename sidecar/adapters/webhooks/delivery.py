"""How does a message come to its receiver? Tried until it is taken, at growing intervals.

Source of the schedule: the Standard Webhooks specification, section on retries.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final

import structlog

from sidecar.adapters.web import Answer, Web
from sidecar.adapters.webhooks.signing import Signer
from sidecar.beside import beside
from sidecar.domain.notices import Message
from sidecar.errors import Unavailable
from sidecar.ports import Clock, Notices

SCHEDULE: Final = (
    timedelta(seconds=5), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2),
    timedelta(hours=5), timedelta(hours=10), timedelta(hours=14), timedelta(hours=20),
    timedelta(hours=24),
)  # fmt: skip
"""What is waited after each try that failed; after the last one a message is given up."""
_JITTER: Final = 0.1
_LEASE: Final = timedelta(seconds=60)
"""How long nobody else takes a message that is being sent; longer than any answer takes."""
_AT_ONCE: Final = 20
_POLL_S: Final = 1.0
_GONE: Final = 410

_log = structlog.get_logger("sidecar.webhooks")


class Deliveries:
    """Sends what waits in the store; several processes share the work.

    Args:
        url: of the receiver.
        poll_s: how often the store is looked at.

    Attributes:
        is_disabled: whether the receiver has said that it is gone.
        delivered, failed, given_up: tries that ended so, since this process began.
    """

    def __init__(
        self,
        notices: Notices,
        web: Web,
        signer: Signer,
        url: str,
        clock: Clock,
        *,
        poll_s: float = _POLL_S,
    ) -> None:
        self._notices = notices
        self._web = web
        self._signer = signer
        self._url = url
        self._clock = clock
        self._poll_s = poll_s
        self.is_disabled = False
        self.delivered = self.failed = self.given_up = 0

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Send as long as this is open; what was not taken waits for the next who does."""
        async with beside(self._keep_sending):
            yield

    async def _keep_sending(self) -> None:
        while not self.is_disabled:
            sent = 0
            with suppress(Unavailable):
                sent = await self.send_due()
            if sent < _AT_ONCE:
                await asyncio.sleep(self._poll_s)

    async def send_due(self) -> int:
        """Try everything that is due now once, and say how many that were.

        Raises:
            Unavailable: the store did not answer.
        """
        now, since = self._clock.now(), self._clock.monotonic()
        due = await self._notices.take(now, now + _LEASE, _AT_ONCE, since=since)
        await asyncio.gather(*map(self._send, due))
        return len(due)

    async def _send(self, message: Message) -> None:
        if self.is_disabled:
            return
        now = self._clock.now()
        headers = {
            "Content-Type": "application/json",
            **self._signer.headers(message.id, now, message.body),
        }
        answer: Answer | None = None
        fault = ""
        try:
            answer = await self._web.ask("POST", self._url, headers=headers, text=message.body)
            fault = f"it answered {answer.status}"
        except Unavailable as error:
            fault = str(error)
        if answer is not None and answer.status == _GONE:
            self.is_disabled = True
            _log.error("webhooks_disabled", hint="the receiver is gone; a restart asks it again")
        taken = answer is not None and answer.is_success
        again_at = None if taken else self._again_at(message, answer)
        if taken:
            self.delivered += 1
        else:
            self.failed += again_at is not None
            self.given_up += again_at is None
            told = "webhook_given_up" if again_at is None else "webhook_not_taken"
            _log.warning(told, id=message.id, tries=message.tries + 1, fault=fault)
        await self._notices.settle(message.id, again_at, since=self._clock.monotonic())

    def _again_at(self, message: Message, answer: Answer | None) -> datetime | None:
        """When it is tried again, None for never."""
        if self.is_disabled or message.tries >= len(SCHEDULE):
            return None
        pause = SCHEDULE[message.tries]
        pause += pause * random.uniform(0, _JITTER)  # noqa: S311 # nobody gains by guessing it
        asked = "" if answer is None else answer.headers.get("retry-after", "")
        if asked.isdecimal():
            pause = max(pause, min(timedelta(seconds=int(asked[:9])), SCHEDULE[-1]))
        return self._clock.now() + pause
