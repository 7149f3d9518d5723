"""What is told to the sidecar later, and who does it?

One thread for each client, begun when there is something to do: it sends usage in batches,
settles what could not be settled at once, and extends the reservations that are in use. What it
keeps is bounded; what comes beyond is dropped, counted and said. Nothing here may hold up or
break the runtime.
"""

import atexit
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from sidecar.client.asking import Ask, Reply, clock, usage
from sidecar.client.faults import Lost
from sidecar.client.waiting import Settlement, Waiting, time_there
from sidecar.client.wire import Address, Wire

_log = logging.getLogger("sidecar.client")

_BATCH: Final = 500
_LONGEST_PAUSE_S: Final = 30.0
_FIRST_PAUSE_S: Final = 0.25
_UNKNOWN: Final = 404
_DONE: Final = frozenset({_UNKNOWN, 409})
"""Of a reservation: it is unknown or over, and there is nothing left to settle."""


@dataclass(slots=True)
class Kept:
    """A reservation that is in use.

    Attributes:
        every_s: how often it is extended.
    """

    ask: Ask
    every_s: float
    due: float = 0.0


class Background:
    """Sends what can wait.

    Args:
        most: events and settlements that are kept while the sidecar is away.
        batch_s: how long an event waits for others.
    """

    def __init__(self, to: Address, *, most: int, batch_s: float) -> None:
        self._address = to
        self._most = most
        self._batch_s = batch_s
        self._events: deque[Waiting] = deque()
        self._settlements: deque[Settlement] = deque()
        self._kept: dict[int, Kept] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closing = False
        self._is_hurried = False
        self._failures = 0
        self._retry_at = 0.0
        self.dropped = 0

    # -- what others ask for; each returns at once --------------------------------------------

    def report(self, event: Mapping[str, Any]) -> bool:
        """Send a usage event soon; False if there is no room for it."""
        return self._put(self._events, Waiting(event, time.monotonic()))

    def settle(self, settlement: Settlement) -> bool:
        """Commit or release as soon as somebody answers; False if there is no room for it."""
        return self._put(self._settlements, settlement)

    def keep(self, key: int, ask: Ask, every_s: float) -> None:
        """Extend a reservation again and again, until it is let go."""
        with self._changed:
            self._kept[key] = Kept(ask, every_s, time.monotonic() + every_s)
            self._begin()

    def let_go(self, key: int) -> None:
        """Extend a reservation no more."""
        with self._changed:
            self._kept.pop(key, None)

    # -- the end ---------------------------------------------------------------------------------

    def flush(self, within_s: float) -> bool:
        """Wait until all is sent; False if it is not by then."""
        deadline = time.monotonic() + within_s
        with self._changed:
            self._is_hurried, self._retry_at = True, 0.0
            self._changed.notify_all()
            while self._pending and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            self._is_hurried = False
            return not self._pending

    def close(self, within_s: float) -> None:
        """Send what is left, in that time, and end."""
        if not self.flush(within_s):
            _log.warning("%d reports of usage were not delivered in time", self._pending)
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(self._address.timeout_s + 1.0)
        atexit.unregister(self._at_exit)

    @property
    def _pending(self) -> int:
        return len(self._events) + len(self._settlements)

    def _at_exit(self) -> None:
        self.close(within_s=5.0)

    def _put(self, queue: deque[Any], item: object) -> bool:
        with self._changed:
            if self._is_closing or self._pending >= self._most:
                self.dropped += 1
                if self.dropped in (1, 10, 100) or self.dropped % 1_000 == 0:
                    _log.error("%d reports of usage were dropped", self.dropped)
                return False
            queue.append(item)
            self._begin()
            return True

    def _begin(self) -> None:
        if self._thread is None or not self._thread.is_alive():
            if self._thread is None:
                atexit.register(self._at_exit)
            self._thread = threading.Thread(target=self._work, name="sidecar-client", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    # -- the thread -------------------------------------------------------------------------------

    def _work(self) -> None:
        with closing(Wire(self._address, most=1, is_hopeless=lambda: False)) as wire:
            while self._await_work():
                try:
                    self._send_due(wire)
                except Exception:  # noqa: BLE001 - a fault here must not end what others rely on
                    _log.exception("reporting failed")
                    self._note_failure(None)

    def _await_work(self) -> bool:
        """Return when something is due; False when there is nothing to be done ever more."""
        with self._changed:
            while not self._is_closing:
                now = time.monotonic()
                due = min((each.due for each in self._kept.values()), default=float("inf"))
                if self._pending:
                    due = min(due, self._retry_at)
                if due <= now:
                    break
                self._changed.wait(None if due == float("inf") else due - now)
            return not self._is_closing

    def _send_due(self, wire: Wire) -> None:
        now = time.monotonic()
        with self._changed:
            due = [each for each in self._kept.values() if each.due <= now]
            for each in due:
                each.due = now + each.every_s
        for each in due:
            # One that gets lost has a second chance before the reservation expires.
            self._ask(wire, each.ask)
        if self._pending and now >= self._retry_at:
            self._send_settlements(wire)
            self._send_events(wire)

    def _send_settlements(self, wire: Wire) -> None:
        while self._settlements:
            settlement = self._settlements[0]
            reply = self._ask(wire, settlement.ask)
            if reply is None or (reply.status >= 400 and not _is_final(reply)):
                self._note_failure(reply)
                return
            if reply.status >= 400 and reply.status not in _DONE:
                _log.error("a reservation was not settled: %s %s", reply.status, reply.body)
            if reply.status == _UNKNOWN and settlement.instead is not None:
                # The store has lost it; what was used was used. Put there before the settlement
                # goes, so that whoever waits for all to be sent waits for this too.
                self._events.append(settlement.instead)
            self._drop_first(self._settlements, 1)

    def _send_events(self, wire: Wire) -> None:
        while self._events:
            if not self._is_hurried and len(self._events) < _BATCH:
                self._gather()
            batch = list(islice(self._events, _BATCH))
            reply = self._report(wire, batch)
            if reply is None or (reply.status >= 400 and not _is_final(reply)):
                self._note_failure(reply)
                return
            if reply.status >= 400:
                _log.error("%d events were refused: %s %s", len(batch), reply.status, reply.body)
            elif rejected := (reply.body or {}).get("rejected"):
                _log.error("events were rejected: %s", rejected)
            self._drop_first(self._events, len(batch))

    def _report(self, wire: Wire, batch: Sequence[Waiting]) -> Reply | None:
        there, now = None, time.monotonic()
        if any(each.is_late(now) for each in batch):
            asked = self._ask(wire, clock())
            if asked is None:
                return None
            there, now = time_there(asked), time.monotonic()
        return self._ask(wire, usage([each.told(now, there) for each in batch]))

    def _gather(self) -> None:
        """Let others come, for a moment."""
        until = time.monotonic() + self._batch_s
        with self._changed:
            while (
                not self._is_closing
                and not self._is_hurried
                and len(self._events) < _BATCH
                and (left := until - time.monotonic()) > 0
            ):
                self._changed.wait(left)

    def _drop_first(self, queue: deque[Any], count: int) -> None:
        with self._changed:
            for _ in range(count):
                queue.popleft()
            self._failures, self._retry_at = 0, 0.0
            self._changed.notify_all()

    def _note_failure(self, reply: Reply | None) -> None:
        """Come back later: twice as late each time, and not all at once."""
        self._failures += 1
        pause = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(self._failures, 16))
        pause *= random.uniform(0.5, 1.0)  # noqa: S311 - to spread, not to hide
        if reply is not None and reply.retry_after_s is not None:
            pause = max(pause, min(reply.retry_after_s, _LONGEST_PAUSE_S))
        self._retry_at = time.monotonic() + pause

    def _ask(self, wire: Wire, ask: Ask) -> Reply | None:
        try:
            return wire.exchange(ask)
        except Lost:
            return None


def _is_final(reply: Reply) -> bool:
    """Whether it would be answered the same another time."""
    return 400 <= reply.status < 500 and reply.status not in (401, 403, 408, 429)
