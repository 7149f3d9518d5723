"""What does the control plane say to events, and is that the end of them?"""

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog

from sidecar.adapters.control_plane.bodies import as_events, as_it_came
from sidecar.adapters.web import Answer, Web
from sidecar.domain.event_log import Format, LoggedEvent, Settled, Taken
from sidecar.errors import Unavailable
from sidecar.ports import Clock

_KNOWN_ALREADY: Final = 409
_TOO_MANY: Final = 429
_SHORTEST, _LONGEST = timedelta(seconds=1), timedelta(minutes=5)
_LONGEST_ASKED: Final = timedelta(hours=1)
"""How long a `Retry-After` is heeded."""
_PATIENCE_S: Final = 4.0
_HINT: Final = "`sidecar outbox list` shows it; mend the cause, then `sidecar outbox retry --all`"
"""How long events are sent before it is noted what became of them."""

_log = structlog.get_logger("sidecar.outbox")


class Receiver:
    """The control plane: events go there in their order, and none behind one that it did not take.

    Args:
        url: where they are posted.
        key: of ours there, empty for none.
    """

    def __init__(self, web: Web, url: str, written: Format, key: str, clock: Clock) -> None:
        self._web = web
        self._url = url
        self._format = written
        self._clock = clock
        self._headers = {"Content-Type": "application/json"}
        if key:
            self._headers["X-Internal-API-Key"] = key

    async def tell(self, taken: Taken, done: list[str]) -> Settled:
        """Send events, and say what became of those that had their turn.

        Args:
            done: gets the place of each that was delivered, even if this is cancelled.
        """
        aside: dict[str, int] = {}
        begun = self._clock.monotonic()
        for message in self._messages(taken.events):
            answer, fault = await self._post(message)
            status = 0 if answer is None else answer.status
            if (200 <= status < 300) or status == _KNOWN_ALREADY:
                done += [event.place for event in message]
            elif not (400 <= status < 500) or status == _TOO_MANY:
                passed = done or aside
                pause = self._pause(0 if passed else taken.tries, answer)
                return Settled(tuple(done), aside, pause, fault)
            elif len(message) > 1:
                # One of them may be at fault: each is asked alone, which the next round ends.
                return await self._tell_apart(message, taken.tries, done, aside)
            else:
                aside[message[0].place] = status
                _log.error("event_set_aside", id=message[0].id, fault=fault, hint=_HINT)
            if self._clock.monotonic() - begun > _PATIENCE_S:
                break
        return Settled(tuple(done), aside)

    async def _tell_apart(
        self, events: Sequence[LoggedEvent], tries: int, done: list[str], aside: dict[str, int]
    ) -> Settled:
        begun = self._clock.monotonic()
        for event in events:
            told = await self.tell(Taken((event,), tries), done)
            aside |= told.aside
            if told.again_in is not None:
                return Settled(tuple(done), aside, told.again_in, told.fault)
            if self._clock.monotonic() - begun > _PATIENCE_S:
                break
        return Settled(tuple(done), aside)

    def _messages(self, events: Sequence[LoggedEvent]) -> list[Sequence[LoggedEvent]]:
        return [events] if self._format is Format.EVENTS else [(event,) for event in events]

    async def _post(self, events: Sequence[LoggedEvent]) -> tuple[Answer | None, str]:
        text = as_events(events) if self._format is Format.EVENTS else as_it_came(events[0])
        try:
            answer = await self._web.ask("POST", self._url, headers=self._headers, text=text)
        except Unavailable as error:
            return None, str(error)
        return answer, f"it answered {answer.status}"

    def _pause(self, tries: int, answer: Answer | None) -> timedelta:
        longest = min(_SHORTEST * (1 << min(tries, 20)), _LONGEST)
        pause = longest * random.uniform(0.5, 1)  # noqa: S311 # nobody gains by guessing it
        asked = None if answer is None else answer.retry_after_s(self._clock.now())
        if asked is not None:
            pause = max(pause, min(timedelta(seconds=asked), _LONGEST_ASKED))
        return max(pause, _SHORTEST)
