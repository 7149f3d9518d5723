"""What a manifest says was used elsewhere is counted, once for each budget and period."""

from collections.abc import Mapping
from dataclasses import replace

from sidecar.domain.manifest import Manifest, counted, is_stale, period_start
from sidecar.domain.request import Subject
from sidecar.ports import Clock, Manifests, ManifestSync, Meter


class SeededManifests:
    """Lets counters begin where the platform's stand."""

    def __init__(self, inner: Manifests, meter: Meter, clock: Clock) -> None:
        self._inner = inner
        self._meter = meter
        self._clock = clock

    async def find(self, app_id: str, *, since: float) -> Manifest | None:
        """What holds for an app, None where nothing was ever said."""
        return await self._inner.find(app_id, since=since)

    async def any(self, *, since: float) -> bool:
        """Whether one was ever pushed, for whatever app."""
        return await self._inner.any(since=since)

    async def sync(self, pushed: Manifest, *, since: float) -> ManifestSync:
        """Raise the counters that a manifest speaks of for the first time, and store it.

        A counter never holds less than what the platform says at first; what it holds already
        the platform may know of, so that the two are not added up.
        """
        stored = await self._inner.find(pushed.app_id, since=since)
        if not is_stale(stored, pushed):
            seeded = await self._seed(pushed, stored.seeded if stored else {}, since)
            pushed = replace(pushed, seeded=seeded)
        return await self._inner.sync(pushed, since=since)

    async def _seed(
        self, pushed: Manifest, known: Mapping[str, int], since: float
    ) -> Mapping[str, int]:
        """The periods of all counters that were raised, before this or now."""
        now, app_id = self._clock.now(), pushed.app_id
        starts = {charge: period_start(charge, now) for charge in pushed.seeds(now)}
        new = [it for it, start in starts.items() if known.get(it.counter) != start]
        if new:
            read = await self._meter.read(Subject(app_id, ""), new, since=since)
            events = [
                counted(app_id, replace(charge, amount=charge.amount - reading.used), now)
                for charge, reading in zip(new, read.readings, strict=True)
                if charge.amount > reading.used
            ]
            # Each has an id: the same push again, or one at the same time, counts nothing more.
            await self._meter.record(app_id, events, since=self._clock.monotonic())
        return {**known, **{charge.counter: start for charge, start in starts.items()}}
