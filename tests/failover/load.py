"""Callers who reserve and commit, each time for another user, and note what they were told."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from sidecar.domain.windows import Fixed
from sidecar.errors import MeterUnavailable, UnknownReservation
from sidecar.ports import Meter
from tests.contract.stores import World, limit
from tests.processes import await_that

UNITS: Final = 10
"""That every caller reserves, and commits."""
APPS: Final = 24
EVER: Final = limit(10**12, Fixed.LIFETIME, name="ever")
_CALLERS: Final = 32
_TOGETHER: Final = 64
_TTL_S: Final = 600


@dataclass(slots=True)
class Told:
    """What was said to one user, in seconds of the monotonic clock; 0 is never."""

    app: str
    user: str
    reserved_s: float = 0.0
    committed_s: float = 0.0

    @property
    def last_s(self) -> float:
        """When the last thing was said."""
        return max(self.reserved_s, self.committed_s)


@dataclass(slots=True)
class Load:
    """Users one after the other, of several callers at the same time.

    Attributes:
        told: what every user was told.
        answered: when calls began and ended that were answered.
        failed: the same of calls that were not.
        is_over: callers end with the user that they have.
    """

    meter: Meter
    told: list[Told] = field(default_factory=list)
    answered: list[tuple[float, float]] = field(default_factory=list)
    failed: list[tuple[float, float]] = field(default_factory=list)
    is_over: bool = False
    _world: World = field(init=False)

    def __post_init__(self) -> None:
        self._world = World(self.meter)

    async def run(self) -> None:
        """Go on until it is over."""
        await asyncio.gather(*(self._call() for _ in range(_CALLERS)))

    async def go_on(self, calls: int) -> None:
        """Return when so many more were answered."""
        goal = len(self.answered) + calls
        await asyncio.to_thread(await_that, lambda: len(self.answered) >= goal, "calls go on")

    async def levels(self, meter: Meter) -> list[tuple[int, int]]:
        """What the counters hold of each user: used, reserved."""
        found: list[tuple[int, int]] = []
        world = World(meter)
        for start in range(0, len(self.told), _TOGETHER):
            some = self.told[start : start + _TOGETHER]
            found += await asyncio.gather(
                *(world.of(told.app, told.user).level(EVER) for told in some)
            )
        return found

    async def _call(self) -> None:
        while not self.is_over:
            number = len(self.told)
            self.told.append(told := Told(f"app-{number % APPS}", f"user-{number}"))
            began = time.monotonic()
            try:
                # What was reserved may be forgotten before it is committed.
                with suppress(UnknownReservation):
                    await self._lead(told, began)
            except MeterUnavailable:
                self.failed.append((told.reserved_s or began, time.monotonic()))
                # Whoever is refused asks again, but not as fast as it can.
                await asyncio.sleep(0.01)

    async def _lead(self, told: Told, began: float) -> None:
        world = self._world.of(told.app, told.user)
        name = await world.held(EVER, tokens=UNITS, ttl_s=_TTL_S)
        told.reserved_s = time.monotonic()
        self.answered.append((began, told.reserved_s))
        await world.commit(name, UNITS)
        told.committed_s = time.monotonic()
        self.answered.append((told.reserved_s, told.committed_s))
