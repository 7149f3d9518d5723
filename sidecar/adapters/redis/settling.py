"""How do the ends of reservations that a lease answered reach Redis? Many in one call.

While a call is under way, those that come wait for the next, unless they are many; each caller is
answered when its own is done. Redis knows what it did already, so that any call may come twice.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Final

import orjson

from sidecar.adapters.documents import read_limits
from sidecar.adapters.redis.connection import Argument
from sidecar.adapters.redis.drawing import DONE, Drawn, read, written
from sidecar.adapters.redis.lease import Child, Lease, parent_of
from sidecar.adapters.redis.lines import Told
from sidecar.adapters.redis.operation import Operation, Outcome
from sidecar.domain.counting import instant_or_none
from sidecar.domain.limits import Reading
from sidecar.domain.usage import PLACE, token_of
from sidecar.errors import MeterUnavailable

_TOGETHER: Final = 256
_MANY: Final = 12
"""So many go though another call is under way: Redis need not wait for the next one either."""
_AT_ONCE: Final = 3
_AGAIN_S: Final = 0.2
_REMEMBERED_MS: Final = 600_000

Settle = Callable[[Sequence[str], bytes, float], Awaitable[list[str]]]
"""lease.lua for some apps, with its second argument and `since`: its lines of parents."""
Draw = Callable[[Sequence[str], Sequence[str], Sequence[Argument], float], Awaitable[Told]]
"""draw.lua for some apps, with its keys, its arguments and `since`."""


class Settling:
    """Sends operations on children, and gives back what is left of leases that end.

    Args:
        is_late: whether a request that waits since then has waited as long as it may.
        is_one: whether one call may be for several apps; else each has calls of its own.
    """

    def __init__(
        self,
        settle: Settle,
        draw: Draw,
        is_late: Callable[[float], bool],
        monotonic: Callable[[], float],
        *,
        is_one: bool,
    ) -> None:
        self._settle = settle
        self._draw = draw
        self._is_late = is_late
        self._monotonic = monotonic
        self._is_one = is_one
        self._leases: dict[str, Lease] = {}
        # By the app or, where a call is for all of them, under one empty name.
        self._waiting: defaultdict[str, list[Operation]] = defaultdict(list)
        self._ending: defaultdict[str, set[Lease]] = defaultdict(set)
        self._begins: set[str] = set()
        self._sending: defaultdict[str, set[asyncio.Task[None]]] = defaultdict(set)
        self._retries: dict[str, asyncio.TimerHandle] = {}

    @property
    def is_idle(self) -> bool:
        """Whether nothing is on its way."""
        return not (self._sending or self._begins)

    def add(self, lease: Lease) -> None:
        """Know a lease of this process, until all its children have ended."""
        now_s = self._monotonic()
        # Some never do: whoever knows nothing of them any more can end them still.
        while self._leases:
            oldest = next(iter(self._leases.values()))
            if oldest.now_ms(now_s) < oldest.expires_ms + _REMEMBERED_MS:
                break
            del self._leases[oldest.id]
        self._leases[lease.id] = lease

    def lease_of(self, reservation_id: str) -> Lease | None:
        """The lease that answered a reservation, if it is one of this process."""
        return self._leases.get(parent_of(reservation_id))

    def do(self, operation: Operation) -> Awaitable[Outcome]:
        """Do it with the next call.

        Raises:
            MeterUnavailable: the store did not answer in time; the same again is harmless.
        """
        line = self._line_of(operation.app_id)
        self._waiting[line].append(operation)
        self._send(line)
        return operation.outcome

    def end(self, lease: Lease) -> None:
        """Hand out nothing more, and give back what nobody has."""
        lease.is_over = True
        if lease.id not in self._leases:
            return
        retry = self._retries.pop(lease.id, None)
        if retry is not None:
            retry.cancel()
        line = self._line_of(lease.app_id)
        self._ending[line].add(lease)
        self._send(line)

    def forget(self, child: Child) -> None:
        """Undo a child that nobody was told of."""
        lease = child.lease
        lease.settle(child, None)
        lease.withdrawn.add(child.id)
        if lease.is_over:
            self.end(lease)

    async def drain(self) -> None:
        """Return when nothing is under way any more; what failed ends by its own expiry."""
        while not self.is_idle:
            await asyncio.sleep(0)
            if self._sending:
                await asyncio.wait(set(chain.from_iterable(self._sending.values())))
        for retry in self._retries.values():
            retry.cancel()

    def _line_of(self, app_id: str) -> str:
        return "" if self._is_one else app_id

    def _send(self, line: str) -> None:
        under_way = len(self._sending.get(line, ()))
        if under_way and (under_way == _AT_ONCE or len(self._waiting.get(line, ())) < _MANY):
            return
        if line not in self._begins:
            # In the next turn of the loop, so that what comes in this one goes along.
            self._begins.add(line)
            asyncio.get_running_loop().call_soon(self._begin, line)

    def _begin(self, line: str) -> None:
        """Send what waits."""
        self._begins.discard(line)
        batch = self._waiting.pop(line, [])
        if len(batch) > _TOGETHER:
            self._waiting[line] = batch[_TOGETHER:]
            del batch[_TOGETHER:]
        try:
            self._start_calls(line, batch)
        except BaseException:
            self._cut_short(batch)
            raise

    def _start_calls(self, line: str, batch: Sequence[Operation]) -> None:
        groups: dict[str, list[Operation]] = {}
        for operation in batch:
            groups.setdefault(parent_of(operation.reservation_id), []).append(operation)
        # Of some the last child has ended meanwhile.
        ending = {each for each in self._ending.pop(line, ()) if each.id in self._leases}
        for lease in ending:
            groups.setdefault(lease.id, [])
        now_s, drawn, parents = self._monotonic(), list[Drawn](), list[_Parent]()
        for name, operations in groups.items():
            lease_or_none = self._leases.get(name)
            if lease_or_none is not None and lease_or_none not in ending:
                plain = self._drawn(lease_or_none, operations)
                if plain is not None:
                    drawn.append(plain)
                    continue
            parents.append(self._parent(name, lease_or_none, operations, now_s))
        if drawn:
            plain_ones = list(chain.from_iterable(each.operations for each in drawn))
            self._start(line, plain_ones, self._send_drawn(line, drawn, plain_ones))
        if parents:
            others = list(chain.from_iterable(each.operations for each in parents))
            self._start(line, others, self._send_others(line, parents, others, ending))

    def _start(
        self, line: str, batch: Sequence[Operation], call: Coroutine[Any, Any, None]
    ) -> None:
        task = asyncio.create_task(call)
        self._sending[line].add(task)
        task.add_done_callback(partial(self._done, line, batch))

    def _done(self, line: str, batch: Sequence[Operation], task: "asyncio.Task[None]") -> None:
        self._sending[line].discard(task)
        if not self._sending[line]:
            del self._sending[line]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            told = {"message": "ends of reservations were not sent", "exception": error}
            asyncio.get_running_loop().call_exception_handler(told)
        if task.cancelled() or error is not None:
            self._cut_short((*batch, *self._waiting.pop(line, ())))
        elif line in self._waiting or line in self._ending:
            self._send(line)

    @staticmethod
    def _cut_short(batch: Sequence[Operation]) -> None:
        """Nobody waits for ever."""
        for operation in batch:
            operation.fail(MeterUnavailable("the store was closed"))

    def _drawn(self, lease: Lease, operations: list[Operation]) -> Drawn | None:
        """What is told of a lease, None where anything is unusual, or the last child ends."""
        for operation in operations:
            if not operation.is_plain:
                return None
        if not lease.is_over:
            return Drawn(lease, operations, [])
        ending = [each.child for each in operations if each.child is not None]
        if len(lease.live) <= len(ending):
            return None
        return Drawn(lease, operations, lease.kept(ending))

    async def _send_drawn(self, line: str, leases: list[Drawn], batch: Sequence[Operation]) -> None:
        apps: dict[str, list[Drawn]] = {}
        for drawn in leases:
            apps.setdefault(drawn.lease.app_id, []).append(drawn)
        keys, rest = written(apps)
        since = min([operation.since for operation in batch])
        try:
            told = await self._draw(list(apps), keys, rest, since)
        except MeterUnavailable as error:
            self._after_failure(line, batch, (), error, was_late=self._is_late(since))
            return
        again = []
        for drawn, letters in read(
            list(chain.from_iterable(apps.values())), told, self._monotonic()
        ):
            lease, readings = drawn.lease, drawn.lease.readings()
            for operation, letter in zip(drawn.operations, letters, strict=True):
                child = operation.child
                assert child is not None  # it is plain
                if letter == DONE:
                    tokens = child.hold.request.estimate.tokens
                    outcome = Outcome("committed", child.expires_ms, tokens, readings)
                    operation.answer(outcome)
                else:
                    child.is_plain = False
                    again.append(operation)
            if lease.is_over and lease.kept() != drawn.kept:
                self.end(lease)
        if again:
            self._waiting[line][:0] = again

    async def _send_others(
        self,
        line: str,
        parents: Sequence["_Parent"],
        batch: Sequence[Operation],
        ending: set[Lease],
    ) -> None:
        apps: dict[str, list[_Parent]] = {}
        for parent in parents:
            apps.setdefault(parent.app_id, []).append(parent)
        rows = orjson.dumps([[parent.row for parent in of_app] for of_app in apps.values()])
        since = min((operation.since for operation in batch), default=time.monotonic())
        try:
            lines = await self._settle(list(apps), rows, since)
        except MeterUnavailable as error:
            self._after_failure(line, batch, ending, error, was_late=self._is_late(since))
            return
        position = 0
        for parent in chain.from_iterable(apps.values()):
            behind = position + 3 + len(parent.operations)
            self._take(parent, lines[position:behind])
            position = behind

    def _parent(
        self, id_: str, lease: Lease | None, operations: list[Operation], now_s: float
    ) -> "_Parent":
        app_id = operations[0].app_id if lease is None else lease.app_id
        if lease is None or not lease.is_over:
            return _Parent(id_, app_id, lease, operations)
        ending = {
            each.child
            for each in operations
            if each.ends_surely(now_s) and each.child is not None and each.child.id in lease.live
        }
        kept, is_last = lease.kept(ending), len(ending) == len(lease.live)
        return _Parent(id_, app_id, lease, operations, kept, is_last)

    def _take(self, parent: "_Parent", lines: Sequence[str]) -> None:
        """Tell the callers and the lease what became of the operations on its children."""
        lease, operations = parent.lease, parent.operations
        outcomes = [line.split() for line in lines[3:]]
        for operation, (state, _, _) in zip(operations, outcomes, strict=True):
            operation.note(state)
        if lease is None:
            readings = _readings(*lines[:3])
        else:
            if lines[0]:
                lease.learn(_integers(lines[0]), self._monotonic(), _integers(lines[1]))
            readings = lease.readings()
            if parent.is_last:
                self._leases.pop(lease.id, None)
            elif lease.is_over and lease.kept() != parent.kept:
                self.end(lease)
        for operation, (state, expires_ms, tokens) in zip(operations, outcomes, strict=True):
            operation.answer(Outcome(state, int(expires_ms), int(tokens), readings))

    def _after_failure(
        self,
        line: str,
        batch: Sequence[Operation],
        ending: Iterable[Lease],
        error: MeterUnavailable,
        *,
        was_late: bool,
    ) -> None:
        """Let those try again whose own time is not over, if that was what was wrong."""
        patient = [each for each in batch if was_late and not self._is_late(each.since)]
        if patient:
            self._waiting[line][:0] = patient
        for operation in batch:
            if operation not in patient:
                operation.fail(error)
        for lease in ending:
            if lease.now_ms(self._monotonic()) < lease.expires_ms:
                loop = asyncio.get_running_loop()
                self._retries[lease.id] = loop.call_later(_AGAIN_S, self.end, lease)


@dataclass(slots=True, eq=False)
class _Parent:
    """What a call says of one lease.

    Attributes:
        lease: None for one of another process.
        kept, is_last: see lease.lua.
    """

    id: str
    app_id: str
    lease: Lease | None
    operations: list[Operation]
    kept: list[int] = field(default_factory=list)
    is_last: bool = False

    @property
    def row(self) -> list[object]:
        """As lease.lua reads it."""
        token = token_of(self.id)
        return [
            token[:PLACE], token[PLACE:], self.kept, int(self.is_last),
            int(self.lease is None), [operation.row for operation in self.operations],
        ]  # fmt: skip


def _integers(text: str) -> list[int]:
    return [int(number) for number in text.split()]


def _readings(levels: str, granted: str, limits: str) -> tuple[Reading, ...]:
    """What a lease of another process says of its limits; nothing if there is none any more."""
    if not limits:
        return ()
    known, numbers = read_limits(limits), _integers(levels)
    more = _integers(granted) or [0] * len(known)
    readings = []
    for (limit, i), units in zip(known, more, strict=True):
        used, held, resets_ms = numbers[3 * i : 3 * i + 3]
        readings.append(Reading(limit, used, held, 0, instant_or_none(resets_ms), granted=units))
    return tuple(readings)
