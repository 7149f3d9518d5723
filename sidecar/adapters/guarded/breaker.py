"""Is the store worth asking just now?

After several failures in a row, or of many, nobody asks it: all are told at once. A task beside
them then asks on its own, one question at a time and at its own pace, so that the first request
after the fault finds a store that answers, whether there is much traffic or none.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, ParamSpec, TypeVar

import structlog

from sidecar.beside import kept_up
from sidecar.errors import RequestFault, Unavailable

P = ParamSpec("P")
T = TypeVar("T")

_log = structlog.get_logger("sidecar.store")

IN_A_ROW: Final = 5
_SHARE: Final = 0.5
_WEIGHT: Final = 1 / 64
_FORGOTTEN: Final = 0.01
_SPACING_S: Final = 0.25
_FIRST_S: Final = 0.1


class BreakerState(StrEnum):
    """closed asks the store, open does not, half_open has one question under way."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class StoreSuspended(Unavailable):
    """The store has failed again and again, and is not asked at this moment."""


@dataclass(frozen=True, slots=True)
class BreakerReport:
    """How a breaker stands, for whoever watches.

    Attributes:
        since_s: how long it has stood so.
        opened: how often it has opened since the process began.
        spared: calls that were told at once instead of waiting.
    """

    state: BreakerState
    since_s: float
    opened: int
    spared: int


class Breaker:
    """Lets calls through to a store, unless it has just failed again and again.

    Args:
        probe: returns if the store can be used again.
        in_a_row: failures after which it opens. Where several servers share the work, one that
            is gone must not stand for all: then it takes more.
        spacing_s: between one probe and the next.
    """

    def __init__(
        self,
        probe: Callable[[], Awaitable[None]],
        *,
        in_a_row: int = IN_A_ROW,
        spacing_s: float = _SPACING_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._probe = probe
        self._most = in_a_row
        self._spacing_s = spacing_s
        self._monotonic = monotonic
        self._changed_s = monotonic()
        self._in_a_row = 0
        self._share = 0.0
        self._opened = 0
        self._spared = 0
        self._is_probing = False
        self._probing: asyncio.Task[None] | None = None
        self.is_open = False

    @property
    def report(self) -> BreakerReport:
        """How it stands."""
        state = BreakerState.CLOSED
        if self.is_open:
            state = BreakerState.HALF_OPEN if self._is_probing else BreakerState.OPEN
        since_s = self._monotonic() - self._changed_s
        return BreakerReport(state, since_s, self._opened, self._spared)

    async def ask(self, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """What a call returns.

        Raises:
            StoreSuspended: it was not made.
        """
        if self.is_open:
            self._spared += 1
            raise StoreSuspended("the store has failed again and again")
        try:
            result = await call(*args, **kwargs)
        except RequestFault:
            # The store has answered; what was asked for cannot be.
            self._note_success()
            raise
        except Unavailable as error:
            self._note_failure(error)
            raise
        if self._share:
            self._note_success()
        return result

    async def close(self) -> None:
        """Probe no more."""
        if self._probing is not None:
            self._probing.cancel()
            with suppress(asyncio.CancelledError):
                await self._probing

    def _note_success(self) -> None:
        self._in_a_row = 0
        self._share -= self._share * _WEIGHT
        if self._share < _FORGOTTEN:
            self._share = 0.0

    def _note_failure(self, error: Unavailable) -> None:
        self._in_a_row += 1
        self._share += (1 - self._share) * _WEIGHT
        if not self.is_open and (self._in_a_row >= self._most or self._share >= _SHARE):
            self._open(error)

    def _open(self, error: Unavailable) -> None:
        self.is_open = True
        self._opened += 1
        self._changed_s = self._monotonic()
        _log.warning("store_suspended", cause=str(error))
        # Nobody else asks: no defect may end it.
        work = kept_up(self._probe_until_it_answers, "store_probe")
        self._probing = asyncio.create_task(work)

    async def _probe_until_it_answers(self) -> None:
        pause_s = min(_FIRST_S, self._spacing_s)
        while self.is_open:
            await asyncio.sleep(pause_s)
            pause_s = self._spacing_s
            self._is_probing = True
            try:
                await self._probe()
            except Unavailable:
                continue
            finally:
                self._is_probing = False
            self._close()

    def _close(self) -> None:
        lasted_s = self._monotonic() - self._changed_s
        self.is_open = False
        self._in_a_row, self._share = 0, 0.0
        self._changed_s = self._monotonic()
        _log.info("store_asked_again", after_s=round(lasted_s, 2), spared=self._spared)
