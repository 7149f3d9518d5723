"""How do the ends of reservations that a lease answered reach Redis? Many in one call.

While one call is under way, those that come wait for the next; each caller is answered when its
own is done. Redis knows what it did already, so that any call may come twice.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from typing import Final

import orjson

from sidecar.adapters.documents import read_limits
from sidecar.adapters.redis.lease import Child, Lease, parent_of
from sidecar.domain.counting import instant_or_none
from sidecar.domain.limits import Reading
from sidecar.domain.request import Amounts
from sidecar.domain.usage import PLACE, token_of
from sidecar.domain.value import value
from sidecar.errors import MeterUnavailable

_TOGETHER: Final = 256
_AGAIN_S: Final = 0.2
_REMEMBERED_MS: Final = 600_000
_SURE_MS: Final = 1_000
"""By so much the store's clock, as a lease knows it, is never wrong."""


@value
class Outcome:
    """What became of an operation, in the words of lease.lua, and the limits after it."""

    state: str
    expires_ms: int
    tokens: int
    readings: tuple[Reading, ...]


@dataclass(slots=True, eq=False)
class Operation:
    """Something to be done with one child; it never changes.

    Attributes:
        app_id, reservation_id: of the child.
        rest: what lease.lua reads behind the action and the name.
        since: as in the ports.
        child: None where another process has answered it.
        used: all units of a commit by that child.
    """

    action: str
    app_id: str
    reservation_id: str
    rest: tuple[object, ...]
    since: float
    child: Child | None = None
    used: Amounts | None = None
    outcome: "asyncio.Future[Outcome]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def row(self) -> list[object]:
        """As lease.lua reads it."""
        return [self.action, token_of(self.reservation_id)[PLACE:], *self.rest]

    def ends_surely(self, now_s: float) -> bool:
        """Whether nothing is held for the child when this is done."""
        if self.child is None or self.action != "release":
            return self.child is not None
        return self.child.lease.now_ms(now_s) + _SURE_MS < self.child.expires_ms

    def note(self, state: str) -> None:
        """Tell the lease."""
        child = self.child
        match state:
            case "committed" if child is not None:
                child.lease.settle(child, self.used)
            case "released" if child is not None:
                child.lease.settle(child, None)
            case "promoted" if child is not None:
                child.lease.promoted.add(child.id)
                child.lease.live.pop(child.id, None)
            case "again" | "ended-committed" | "ended-released" if child is not None:
                # Who ended it, and with what, is not known: its units stay until the lease ends.
                child.lease.live.pop(child.id, None)

    def answer(self, outcome: Outcome) -> None:
        """Tell the caller."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def fail(self, error: MeterUnavailable) -> None:
        """Tell the caller that nothing is known."""
        if not self.outcome.done():
            self.outcome.set_exception(error)
            # An abandoned future must not complain that nobody looked.
            self.outcome.exception()


class Settling:
    """Sends operations on children, and gives back what is left of leases that end.

    Args:
        run: lease.lua for some apps, with its second argument and `since`; its lines of parents.
        is_late: whether a request that waits since then has waited as long as it may.
        is_one: whether one call may be for several apps; else each has calls of its own.
    """

    def __init__(
        self,
        run: Callable[[Sequence[str], bytes, float], Awaitable[list[str]]],
        is_late: Callable[[float], bool],
        monotonic: Callable[[], float],
        *,
        is_one: bool,
    ) -> None:
        self._run = run
        self._is_late = is_late
        self._monotonic = monotonic
        self._is_one = is_one
        self._leases: dict[str, Lease] = {}
        # By the app or, where a call is for all of them, under one empty name.
        self._waiting: defaultdict[str, list[Operation]] = defaultdict(list)
        self._ending: defaultdict[str, set[Lease]] = defaultdict(set)
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._retries: dict[str, asyncio.TimerHandle] = {}

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
        while self._sending:
            await asyncio.wait(self._sending.values())
        for retry in self._retries.values():
            retry.cancel()

    def _line_of(self, app_id: str) -> str:
        return "" if self._is_one else app_id

    def _send(self, line: str) -> None:
        if line not in self._sending:
            # It begins in the next turn of the loop, so that what comes in this one goes along.
            self._sending[line] = asyncio.create_task(self._send_all(line))

    async def _send_all(self, line: str) -> None:
        waiting, batch = self._waiting[line], list[Operation]()
        try:
            while waiting or line in self._ending:
                batch = waiting[:_TOGETHER]
                del waiting[:_TOGETHER]
                await self._send_batch(line, batch, self._ending.pop(line, set()))
        finally:
            del self._sending[line], self._waiting[line]
            for operation in (*batch, *waiting):
                # Where this was cut short, nobody waits for ever.
                operation.fail(MeterUnavailable("the store was closed"))

    async def _send_batch(self, line: str, batch: Sequence[Operation], ending: set[Lease]) -> None:
        apps: dict[str, dict[str, list[Operation]]] = {}
        for lease in ending:
            apps.setdefault(lease.app_id, {})[lease.id] = []
        for operation in batch:
            groups = apps.setdefault(operation.app_id, {})
            groups.setdefault(parent_of(operation.reservation_id), []).append(operation)
        now_s = self._monotonic()
        parents = [
            [self._parent(name, group, now_s) for name, group in groups.items()]
            for groups in apps.values()
        ]
        rows = orjson.dumps([[parent.row for parent in of_app] for of_app in parents])
        since = min((operation.since for operation in batch), default=time.monotonic())
        try:
            lines = await self._run(list(apps), rows, since)
        except MeterUnavailable as error:
            self._after_failure(line, batch, ending, error, was_late=self._is_late(since))
            return
        position = 0
        for parent in chain.from_iterable(parents):
            behind = position + 3 + len(parent.operations)
            self._take(parent, lines[position:behind])
            position = behind

    def _parent(self, id_: str, operations: list[Operation], now_s: float) -> "_Parent":
        lease = self._leases.get(id_)
        if lease is None or not lease.is_over:
            return _Parent(id_, lease, operations)
        ending = {each.reservation_id for each in operations if each.ends_surely(now_s)}
        return _Parent(id_, lease, operations, lease.kept(ending), lease.live.keys() <= ending)

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
                lease.learn(_levels(lines[0]), [int(units) for units in lines[1].split()])
            readings = lease.readings()
            if parent.is_last:
                self._leases.pop(lease.id, None)
            elif lease.is_over and lease.kept(()) != parent.kept:
                self.end(lease)
        for operation, (state, expires_ms, tokens) in zip(operations, outcomes, strict=True):
            operation.answer(Outcome(state, int(expires_ms), int(tokens), readings))

    def _after_failure(
        self,
        line: str,
        batch: Sequence[Operation],
        ending: set[Lease],
        error: MeterUnavailable,
        *,
        was_late: bool,
    ) -> None:
        """Let those try again whose own time is not over, if that was what was wrong."""
        patient = [each for each in batch if was_late and not self._is_late(each.since)]
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


def _levels(text: str) -> list[tuple[int, int, datetime | None]]:
    """Used, held, and when it resets, of each counter."""
    numbers = [int(number) for number in text.split()]
    return [
        (used, held, instant_or_none(resets_ms))
        for used, held, resets_ms in zip(*[iter(numbers)] * 3, strict=True)
    ]


def _readings(levels: str, granted: str, limits: str) -> tuple[Reading, ...]:
    """What a lease of another process says of its limits; nothing if there is none any more."""
    if not limits:
        return ()
    known, found = read_limits(limits), _levels(levels)
    more = [int(units) for units in granted.split()] or [0] * len(known)
    return tuple(
        Reading(limit, found[i][0], found[i][1], 0, found[i][2], granted=units)
        for (limit, i), units in zip(known, more, strict=True)
    )
