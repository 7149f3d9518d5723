"""What a budget had left of its last period may be used in the next one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sidecar.domain.manifest import Carry, Manifest, carries, carrying, counted
from sidecar.domain.request import Subject
from sidecar.domain.windows import from_ms
from sidecar.ports import Clock, Manifests, ManifestSync, Meter

_LATEST: Final = timedelta(days=7)
"""So long after its end a period's counters can be relied upon."""
_KEPT: Final = 4_096


class CarriedManifests:
    """Adds to each budget that rolls over what was left of the period before.

    Whoever first asks in a period notes it in a counter of its own, where all others find it.
    """

    def __init__(self, inner: Manifests, meter: Meter, clock: Clock) -> None:
        self._inner = inner
        self._meter = meter
        self._clock = clock
        self._known: dict[str, tuple[Manifest, Sequence[int], Manifest]] = {}

    async def find(self, app_id: str, *, since: float) -> Manifest | None:
        """What holds for an app now, None where nothing was ever said."""
        manifest = await self._inner.find(app_id, since=since)
        if manifest is None:
            return None
        now = self._clock.now()
        wanted = carries(manifest, now)
        if not wanted:
            return manifest
        starts = [carry.start for carry in wanted]
        known = self._known.get(app_id)
        if known is None or known[0] is not manifest or known[1] != starts:
            units = await self._noted(manifest, wanted, now, since)
            known = manifest, starts, carrying(manifest, units)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[app_id] = known
        return known[2]

    async def any(self, *, since: float) -> bool:
        """Whether one was ever pushed, for whatever app."""
        return await self._inner.any(since=since)

    async def sync(self, pushed: Manifest, *, since: float) -> ManifestSync:
        """Put a pushed manifest in the place of what is stored, unless that is newer."""
        return await self._inner.sync(pushed, since=since)

    async def _noted(
        self, manifest: Manifest, wanted: Sequence[Carry], now: datetime, since: float
    ) -> Mapping[str, int]:
        """The units that each budget carries on, noted now where nobody did before."""
        units = await self._read(manifest, wanted, since)
        new = [
            carry
            for carry in wanted
            if not units[carry.budget][0] and now - from_ms(carry.start) < _LATEST
        ]
        if new:
            maxima = {budget.id: budget.maximum or 0 for budget in manifest.budgets}
            events = []
            for carry in new:
                left = max(0, maxima[carry.budget] - units[carry.budget][1])
                noted = replace(carry.noted, amount=left + 1)
                events.append(counted(manifest.app_id, noted, now))
            await self._meter.record(manifest.app_id, events, since=since)
            # Of several who note it at the same time, the first one counts.
            units = await self._read(manifest, wanted, since)
        return {name: max(0, noted - 1) for name, (noted, _) in units.items()}

    async def _read(
        self, manifest: Manifest, wanted: Sequence[Carry], since: float
    ) -> Mapping[str, tuple[int, int]]:
        """What is noted, and what was used in the last period, by the id of the budget."""
        charges = [charge for carry in wanted for charge in (carry.noted, carry.last)]
        subject = Subject(manifest.app_id, "")
        readings = (await self._meter.read(subject, charges, since=since)).readings
        used = [reading.used for reading in readings]
        return {
            carry.budget: (noted, last)
            for carry, noted, last in zip(wanted, used[::2], used[1::2], strict=True)
        }
