"""What one process of a race does: many callers, each leading one reservation after another.

Any call may be cancelled and made again, or made twice, with the same ids; the meter promises
that both are harmless. A caller that holds units then extends, reports, commits in parts, all,
less or more, releases, withdraws, forgets its hold, or comes after it expired.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, MutableSequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.sharedctypes import SynchronizedArray
from multiprocessing.synchronize import Barrier
from typing import Final, TypeVar

import uvloop

from sidecar.domain.decision import Reservation
from sidecar.domain.request import Amounts
from sidecar.domain.usage import Hold
from sidecar.domain.windows import from_ms, to_ms
from sidecar.errors import MeterUnavailable, ReservationEnded, UnknownReservation
from sidecar.ports import Meter
from tests.contract.leases import is_child
from tests.contract.stores import World, reservation_name
from tests.race.course import LANES, Course, app_of, meter_over
from tests.race.ledger import LedgerWriter, Part

T = TypeVar("T")

START_S: Final = 60.0
SETTLED_S: Final = 60
"""How long a hold lives that is settled in time, even on a busy machine."""

BRIEF_S: Final = 1
"""How long a hold lives that nobody settles, or too late."""

HOT: Final = 256
"""Requests in which all processes ask for the same users."""


def race(course: Course, index: int, start: Barrier, done: "SynchronizedArray[int]") -> None:
    """Run one process's share, from the moment when all are ready."""

    async def run() -> None:
        async with meter_over(course) as meter:
            with LedgerWriter(course.ledger(index)) as ledger:
                await meter.ping(since=time.monotonic())
                await asyncio.to_thread(start.wait, START_S)
                await Racer(course, index, meter, ledger, done).run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


@dataclass(slots=True)
class Run:
    """A reservation and how much of it was told to be used.

    Attributes:
        held: units of all its parts.
        drawn: units that it was charged.
    """

    world: World
    id: str
    expires_ms: int
    held: int
    drawn: int = 0


class Racer:
    """All callers of one process."""

    def __init__(
        self,
        course: Course,
        index: int,
        meter: Meter,
        ledger: LedgerWriter,
        done: "SynchronizedArray[int] | MutableSequence[int]",
    ) -> None:
        self._course = course
        self._index = index
        self._world = World(meter)
        self._ledger = ledger
        self._tally = ledger.tally
        self._done = done
        self._random = random.Random(f"{course.seed}-{index}")
        self._operations = 0
        self._names = 0
        self._shared = 0
        self._late: deque[Run] = deque()

    async def run(self) -> None:
        """Ask until the quota is used up and every late caller has come."""
        await asyncio.gather(*(self._lane() for _ in range(LANES)))
        while self._late:
            await self._come_late()
            await asyncio.sleep(0.01)
        self._tally["operations"] = self._operations

    async def _lane(self) -> None:
        while self._operations < self._course.quota:
            await self._come_late()
            chance = self._random.random()
            if chance < 0.12:
                await self._report(self._somebody())
            elif chance < 0.16:
                await self._call(lambda: self._somebody().read(*self._course.limits))
            elif chance < 0.26:
                await self._share()
            else:
                await self._lead(self._somebody())

    # -- asking -----------------------------------------------------------------------------

    async def _call(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer of a call, which may be cancelled first, or made twice."""
        chance = self._random.random()
        if chance < 0.03:
            await self._cancel(ask)
        answer = await self._insist(ask)
        if chance > 0.95:
            self._tally["repeated"] += 1
            answer = await self._insist(ask)
        return answer

    async def _insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        while True:
            self._operations += 1
            self._done[self._index] = self._operations
            try:
                return await ask()
            except MeterUnavailable:
                self._tally["unavailable"] += 1
                if self._tally["unavailable"] > 1_000:
                    raise

    async def _cancel(self, ask: Callable[[], Awaitable[T]]) -> None:
        """Ask, and go away before the answer, at any point on its way."""
        self._operations += 1
        self._tally["cancelled"] += 1
        caller = asyncio.ensure_future(ask())
        for _ in range(self._random.randrange(4)):
            await asyncio.sleep(0)
        caller.cancel()
        with suppress(asyncio.CancelledError, MeterUnavailable):
            await caller

    # -- holding ----------------------------------------------------------------------------

    async def _lead(self, world: World) -> None:
        """One reservation, from its making to its end."""
        tokens, fate = self._size(), self._random.random()
        hold = self._hold(world, tokens, BRIEF_S if fate < 0.10 else SETTLED_S)
        if fate < 0.02:
            await self._cancel(lambda: world.make(hold, *self._course.limits))
            return
        run = await self._reserve(world, hold)
        if run is None or fate < 0.06:
            return
        if fate < 0.10:
            run.held = self._random.randint(0, tokens)
            self._late.append(run)
            return
        if self._random.random() < 0.15:
            await self._extend(run)
        for _ in range(self._random.choice((0, 0, 0, 1, 2))):
            used = self._random.randint(run.drawn, max(run.drawn, run.held))
            await self._commit(run, used, final=False)
        if self._random.random() < 0.1:
            await self._report(world, run)
        await self._settle(run)

    async def _share(self) -> None:
        """A request that every process makes, under one id: one of them is granted."""
        number, self._shared = self._shared, self._shared + 1
        dice = random.Random(f"{self._course.seed}-shared-{number}")
        world = self._of(f"hot-{number // HOT}")
        tokens = dice.randint(1, 100)
        hold = self._hold(world, tokens, SETTLED_S, f"shared-{number}")
        run = await self._reserve(world, hold)
        if run is not None:
            await self._commit(run, dice.randint(0, tokens), final=True)

    async def _reserve(self, world: World, hold: Hold) -> Run | None:
        began_ns = time.monotonic_ns()
        metering = await self._call(lambda: world.make(hold, *self._course.limits))
        reservation, tokens = metering.reservation, hold.request.estimate.tokens
        if reservation is None:
            self._tally["refusals"] += 1
            return None
        in_memory = is_child(reservation.id)
        self._tally["in memory"] += in_memory
        if not hold.request.request_id and not (
            metering.decision_id == hold.decision_id
            and (in_memory or reservation.id == hold.reservation_id)
        ):
            self._tally["wrong"] += 1
        self._granted(world, reservation, hold, 0, began_ns)
        return Run(world, reservation.id, to_ms(reservation.expires_at), tokens)

    async def _extend(self, run: Run) -> None:
        tokens, ttl_s = self._size(), SETTLED_S
        for part in range(1, self._random.choice((2, 2, 3))):
            # Longer each time: so the answer tells the instant at which it was granted.
            ttl_s += 30
            hold = self._hold(run.world, tokens, ttl_s)
            hold = Hold(run.id, hold.decision_id, hold.request)
            began_ns = time.monotonic_ns()
            charges = run.world.charges(hold.request, self._course.limits)
            metering = await self._call(
                lambda hold=hold, charges=charges: run.world.meter.extend(  # type: ignore[misc] # bound at once
                    hold, charges, since=time.monotonic()
                )
            )
            if metering.reservation is None:
                self._tally["refusals"] += 1
                return
            self._granted(run.world, metering.reservation, hold, part, began_ns)
            run.expires_ms = to_ms(metering.reservation.expires_at)
            run.held += tokens

    def _granted(
        self, world: World, reservation: Reservation, hold: Hold, part: int, began_ns: int
    ) -> None:
        self._tally["grants"] += 1
        expires_ms = to_ms(reservation.expires_at)
        at_ms = expires_ms - hold.request.ttl_s * 1_000
        tokens = hold.request.estimate.tokens
        granted = Part(at_ms, tokens, expires_ms, began_ns, time.monotonic_ns())
        self._ledger.granted(reservation.id, part, world.user, granted)

    # -- charging ---------------------------------------------------------------------------

    async def _commit(self, run: Run, used: int, *, final: bool) -> None:
        self._ledger.settling(run.id, time.monotonic_ns())
        await self._call(lambda: run.world.commit(run.id, used, final=final))
        self._charged(run, max(run.drawn, used))

    def _charged(self, run: Run, total: int) -> None:
        run.drawn = total
        late = time.time_ns() // 1_000_000 >= run.expires_ms
        self._tally["late"] += late
        self._ledger.charged(run.id, total, time.monotonic_ns(), late=late)

    async def _report(self, world: World, run: Run | None = None) -> None:
        """An event, on a hold or without one; on a hold no more than is left of it."""
        left = self._size() if run is None else max(0, run.held - run.drawn)
        tokens = self._random.randint(0, left)
        late_ms = self._random.choice((0, 0, 0, 300, 3_000))
        at = from_ms(time.time_ns() // 1_000_000 - late_ms)
        event = world.event(
            *self._course.limits,
            tokens=tokens,
            name=self._name(),
            at=at,
            reservation_id="" if run is None else run.id,
        )
        if run is not None:
            self._ledger.settling(run.id, time.monotonic_ns())
        await self._call(lambda: world.record(event))
        self._tally["events"] += 1
        if run is None:
            told_ns = time.monotonic_ns()
            self._ledger.reported(event.event.id, world.user, to_ms(at), tokens, told_ns)
        else:
            self._charged(run, run.drawn + tokens)

    async def _settle(self, run: Run) -> None:
        self._ledger.settling(run.id, time.monotonic_ns())
        chance = self._random.random()
        if chance < 0.7:
            await self._finish(run)
        elif chance < 0.92:
            await self._call(lambda: run.world.release(run.id))
            if self._random.random() < 0.1:
                await self._must_end(lambda: run.world.commit(run.id, run.held))
        else:
            with suppress(UnknownReservation):
                # Made twice, the second finds nothing.
                await self._call(lambda: run.world.withdraw(run.id))

    async def _finish(self, run: Run) -> None:
        """The final commit: what was held, less, nothing more than before, or too much."""
        rest = max(run.drawn, run.held)
        used = self._random.choice((rest, rest, self._random.randint(run.drawn, rest), run.drawn))
        if self._random.random() < self._course.overspending:
            used = rest + self._random.randint(1, 200)
        await self._commit(run, used, final=True)
        chance = self._random.random()
        if chance < 0.1:
            self._tally["double"] += 1
            await self._call(lambda: run.world.commit(run.id, used))
        elif chance < 0.15:
            await self._must_end(lambda: run.world.commit(run.id, used + 1))
        elif chance < 0.2:
            await self._must_end(lambda: run.world.release(run.id))

    async def _must_end(self, ask: Callable[[], Awaitable[object]]) -> None:
        """A call that comes after the end, and changes nothing."""
        try:
            await self._call(ask)
        except ReservationEnded:
            self._tally["ended"] += 1
        else:
            self._tally["wrong"] += 1

    async def _come_late(self) -> None:
        """Commit what expired in the meantime."""
        if self._late and self._late[0].expires_ms < time.time_ns() // 1_000_000:
            run = self._late.popleft()
            await self._commit(run, run.held, final=True)

    # -- dice -------------------------------------------------------------------------------

    def _size(self) -> int:
        chance = self._random.random()
        if chance < 0.02:
            return 0
        return self._random.randint(100, 400) if chance < 0.12 else self._random.randint(1, 100)

    def _somebody(self) -> World:
        generation = self._course.generation(self._operations)
        return self._of(f"u{generation}-{self._random.randrange(self._course.users)}")

    def _of(self, user: str) -> World:
        return self._world.of(app_of(user), user)

    def _name(self) -> str:
        self._names += 1
        return f"{self._index}-{self._names}"

    def _hold(self, world: World, tokens: int, ttl_s: int, request_id: str = "") -> Hold:
        name = self._name()
        request = world.request(Amounts(tokens), ttl_s, request_id)
        # Each process counts on from numbers of its own.
        number = self._names * 1_000 + self._index
        return Hold(reservation_name(world.app, number, request_id), f"dec_{name}", request)
