"""How do commands and replies share one socket?

Commands of one turn of the event loop are written together, replies are matched in order by
hiredis. A caller that gives up only abandons its future; its reply is still consumed in its
place, so replies never cross.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Final

import hiredis

from sidecar.errors import Unavailable

Reply = object
Argument = str | bytes | int
Refusal = hiredis.ReplyError
"""A reply that says why there is none."""

_BYTES: Final = "surrogateescape"
"""How a text holds what is no text; nothing gets lost."""
_FLUSH_AT: Final = 8
_MAX_WAITING: Final = 20_000
_STUCK_S: Final = 1.0
_GRACE_S: Final = 0.002
_NEVER: Final = float("inf")
_ASKING: Final = hiredis.pack_command(("ASKING",))
_Waiting = tuple[float, float, asyncio.Future[Reply]]
"""When a command was written, until when its reply is waited for, and the reply."""


class StoreUnavailable(Unavailable):
    """Redis did not answer in time, refused, or answered with an error."""


class NotReplicated(StoreUnavailable):
    """It was done, but too few replicas have it."""


class Channel(asyncio.Protocol):
    """One connected socket: commands out, replies in, in the same order.

    Args:
        writer: of the streams that hold the socket; they close it when they go away.
        timeout_s: how long a request may wait in all, for the message that says so.
    """

    def __init__(self, writer: asyncio.StreamWriter, timeout_s: float) -> None:
        self._transport = writer.transport
        self._writer = writer
        self._late = f"Redis did not answer within {timeout_s * 1000:.0f} ms"
        self._reader = hiredis.Reader(encoding="utf-8", errors=_BYTES)
        self._waiting: deque[_Waiting] = deque()
        self._outgoing: list[bytes] = []
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = _NEVER
        self._loop = asyncio.get_running_loop()
        self._opened_s = self._loop.time()
        self.is_open = True
        self._transport.set_protocol(self)

    @property
    def age_s(self) -> float:
        """How long ago it was opened."""
        return self._loop.time() - self._opened_s

    def ask(
        self, command: tuple[Argument, ...], deadline: float, *, asking: bool = False
    ) -> asyncio.Future[Reply]:
        """The reply, which may be a `Refusal`; whoever awaits it may give up at any time.

        Args:
            deadline: of the monotonic clock.
            asking: the slot of its keys is still on its way to this server.

        Raises:
            StoreUnavailable: none in time, or too many wait already.
            NotReplicated: it was done, but that is not enough.
            ConnectionResetError: the connection broke; whether it was done nobody knows.
        """
        if deadline < self._alarm_at:
            self._set_alarm(deadline)
        if asking:
            return self._send_asking(command, deadline)
        return self.send(command, deadline)

    def send(
        self, command: tuple[Argument, ...], deadline: float = _NEVER
    ) -> asyncio.Future[Reply]:
        """Write a command with the next batch; the future of its reply.

        Raises:
            StoreUnavailable: too many wait already.
        """
        future = self._queue(command, deadline)
        if len(self._waiting) == 1:
            # Nothing is under way: there is no company to wait for.
            self._flush()
        elif len(self._outgoing) == 1:
            self._loop.call_soon(self._flush)
        elif len(self._outgoing) >= _FLUSH_AT:
            # Let Redis work on the first while the others are still being prepared.
            self._flush()
        return future

    def _send_asking(self, command: tuple[Argument, ...], deadline: float) -> asyncio.Future[Reply]:
        """Write a command for a slot that is on its way here; nothing comes between the two."""
        self._flush()
        future = self._queue(command, deadline)
        # The reply of ASKING comes first, and is nobody's.
        nobody = self._loop.time(), _NEVER, self._loop.create_future()
        self._waiting.insert(len(self._waiting) - 1, nobody)
        self._outgoing[-1] = _ASKING + self._outgoing[-1]
        self._flush()
        return future

    def _queue(self, command: tuple[Argument, ...], deadline: float) -> asyncio.Future[Reply]:
        if len(self._waiting) >= _MAX_WAITING:
            raise StoreUnavailable("too many commands wait for Redis")
        # Before anybody waits: what cannot be packed must not stand in the way of others' replies.
        packed = hiredis.pack_command(command)  # type: ignore[arg-type] # its stub: 1-tuple
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting.append((self._loop.time(), deadline, future))
        self._outgoing.append(packed)
        return future

    # -- deadlines --------------------------------------------------------------------------

    # One timer looks after all who wait: to set and to cancel one for each takes longer than
    # the rest of a request's way through here.

    def _set_alarm(self, at: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = at
        self._alarm = self._loop.call_later(at - time.monotonic(), self._ring)

    def _ring(self) -> None:
        """Time is up for some; but this process may be what is late.

        Replies that lie in the socket are read before anybody is told that there are none.
        """
        self._alarm, self._alarm_at = None, _NEVER
        now, following = time.monotonic(), _NEVER
        for deadline, future in self._pending():
            if deadline > now:
                following = min(following, deadline)
            elif not future.done():
                self._loop.call_later(_GRACE_S, self._give_up, future)
        if following < _NEVER:
            self._set_alarm(following)

    def _pending(self) -> Iterator[tuple[float, asyncio.Future[Reply]]]:
        """Who may wait for a reply, and until when."""
        return ((deadline, future) for _, deadline, future in self._waiting)

    def _give_up(self, future: asyncio.Future[Reply]) -> None:
        if future.done():
            return
        _fail(future, StoreUnavailable(self._late))
        if self._waiting and self._loop.time() - self._waiting[0][0] > _STUCK_S:
            # Nothing has come back for too long.
            self.close()

    def close(self) -> None:
        """Drop the connection; whoever waits is told."""
        self.is_open = False
        self._transport.abort()

    def _flush(self) -> None:
        # A transport that is on its way out would only complain of every write.
        if self._outgoing and self.is_open and not self._transport.is_closing():
            self._transport.write(b"".join(self._outgoing))
        self._outgoing.clear()

    def _take(self, deadline: float, future: asyncio.Future[Reply], reply: Reply) -> None:
        if not future.done():
            future.set_result(reply)

    def data_received(self, data: bytes) -> None:
        """Give each reply to the caller whose turn it is."""
        try:
            self._reader.feed(data)
            while (reply := self._reader.gets()) is not False:
                _, deadline, future = self._waiting.popleft()
                self._take(deadline, future, reply)
        except (hiredis.ProtocolError, IndexError):
            # What follows on this connection belongs to nobody.
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell everybody who waits that no reply will come."""
        self.is_open = False
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm, self._alarm_at = None, _NEVER
        while self._waiting:
            _fail(self._waiting.popleft()[2], _lost())


class ConfirmedChannel(Channel):
    """A channel that gives no reply before replicas have what stood before it.

    Behind each batch a WAIT asks for them: Redis then answers for whatever its data had become
    by that time, be it written by this batch or, where a command was sent twice, before. One
    batch is under way at a time, and whoever comes meanwhile shares the next: a WAIT takes a
    journey to a replica and back, and holds up whatever stands behind it.

    Args:
        replicas: how many must have it, within half the time of a request.
    """

    def __init__(self, writer: asyncio.StreamWriter, timeout_s: float, replicas: int) -> None:
        super().__init__(writer, timeout_s)
        self._replicas = replicas
        # Less than what would look like a connection on which nothing comes back.
        wait_ms = int(min(timeout_s, _STUCK_S) * 500)
        wait = ("WAIT", replicas, max(1, wait_ms))
        self._wait = hiredis.pack_command(wait)  # type: ignore[arg-type] # its stub: 1-tuple
        self._end: asyncio.Future[Reply] | None = None
        self._unconfirmed: list[tuple[float, asyncio.Future[Reply], Reply]] = []

    def _flush(self) -> None:
        if self._end is not None:
            return
        if self._outgoing and self.is_open:
            self._end = self._loop.create_future()
            self._outgoing.append(self._wait)
            self._waiting.append((self._loop.time(), _NEVER, self._end))
        super()._flush()

    def _pending(self) -> Iterator[tuple[float, asyncio.Future[Reply]]]:
        """Who waits for a reply, and who waits for its confirmation."""
        unconfirmed = ((deadline, future) for deadline, future, _ in self._unconfirmed)
        return chain(super()._pending(), unconfirmed)

    def _take(self, deadline: float, future: asyncio.Future[Reply], reply: Reply) -> None:
        if future is not self._end:
            self._unconfirmed.append((deadline, future, reply))
            return
        self._end = None
        batch, self._unconfirmed = self._unconfirmed, []
        if isinstance(reply, int) and reply >= self._replicas:
            for until, each, own in batch:
                super()._take(until, each, own)
        elif isinstance(reply, int):
            few = f"{reply} of {self._replicas} replicas have what was written"
            for until, each, own in batch:
                if isinstance(own, Refusal):
                    super()._take(until, each, own)
                else:
                    _fail(each, NotReplicated(few))
        else:
            # It is no master any more: what it has written may be forgotten.
            self._unconfirmed = batch
            self.close()
        self._flush()

    def connection_lost(self, error: Exception | None) -> None:
        """Tell everybody who waits that no reply will come, nor a confirmation."""
        for _, future, _ in self._unconfirmed:
            _fail(future, _lost())
        self._unconfirmed.clear()
        super().connection_lost(error)


def bytes_of(reply: str) -> bytes:
    """What was sent to us as this text."""
    return reply.encode("utf-8", _BYTES)


def _fail(future: asyncio.Future[Reply], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
        # An abandoned future must not complain that nobody looked.
        future.exception()


def _lost() -> ConnectionResetError:
    return ConnectionResetError("the connection to Redis was lost")
