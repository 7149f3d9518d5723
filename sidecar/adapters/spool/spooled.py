"""The spool: several who come at the same time share one sync of the disk, and nobody else waits.

What is kept goes to the store again, in its order, as soon as that takes writes. A segment that
was counted in part when the process died is counted again from its beginning: each entry counts
once, however often it comes.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from pathlib import Path
from time import monotonic, time
from typing import Final, Self, TypeVar

import structlog

from sidecar.adapters.spool.frames import Entry, entries_in, frame_of
from sidecar.adapters.spool.segments import Segment, Segments
from sidecar.beside import beside
from sidecar.domain.deferred import Deferred, DeferredEvents
from sidecar.errors import NotKept, RequestFault, SubscriptionsUnavailable, Unavailable
from sidecar.ports import Clock, SpoolReport

Count = Callable[[Deferred, datetime], Awaitable[None]]

T = TypeVar("T")

_log = structlog.get_logger("sidecar.spool")

_ADOPT_EVERY_S: Final = 5.0
_AGAIN_S: Final = 0.25
_LATER_S: Final = 5.0
_AT_ONCE: Final = 4
"""Entries that are counted side by side: whoever is answered meanwhile comes first."""
_MOST_WAITING: Final = 10_000
"""Entries that wait for the disk; whoever comes then is refused."""


class SpooledEntries:
    """Keeps what the store cannot take, and counts it later.

    Args:
        count: counts an entry that came at an instant; raises `Unavailable` if it cannot yet.
        may_count: returns if the store takes writes, else raises `Unavailable`.
        most_bytes: of the folder.
        in_order: whether events of an app are counted one after another, as they came.
    """

    def __init__(
        self,
        folder: Path,
        count: Count,
        may_count: Callable[[], Awaitable[None]],
        clock: Clock,
        *,
        most_bytes: int,
        in_order: bool = False,
    ) -> None:
        self._folder = folder
        self._count = count
        self._may_count = may_count
        self._clock = clock
        self._in_order = in_order
        self._segments = Segments(folder, most_bytes)
        self._thread = ThreadPoolExecutor(1, "spool")
        self._pending: list[tuple[bytes, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._replayed = 0
        self._refused = 0
        self._fault = ""

    @property
    def report(self) -> SpoolReport:
        """How it stands."""
        segments = list(self._segments)
        entries = sum(segment.entries - segment.counted for segment in segments)
        oldest = min((segment.oldest for segment in segments if segment.size), default=time())
        return SpoolReport(
            entries=entries,
            bytes=sum(segment.size for segment in segments),
            oldest_s=max(0.0, time() - oldest),
            replayed=self._replayed,
            refused=self._refused,
            fault=self._fault,
        )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """Count what waits as long as this is open; what is left then stays for the next."""
        if not _may_be_written(self._folder):
            self._note_fault(f"{self._folder} cannot be written")
        async with beside(self._replay_for_ever):
            yield self
        if self._writing is not None:
            await self._writing
        await self._in_thread(self._segments.close)
        self._thread.shutdown(wait=False)

    async def keep(self, entry: Deferred) -> None:
        """Return when the entry survives a power cut.

        Raises:
            NotKept: it does not.
        """
        if len(self._pending) >= _MOST_WAITING:
            raise NotKept("too many entries wait for the disk")
        kept: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((frame_of(Entry(self._clock.now(), entry)), kept))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write())
        # Whoever goes away does not take the others' entries along.
        await asyncio.shield(kept)

    async def _write(self) -> None:
        """Bring what has come to the disk, all that came meanwhile with the next sync."""
        while self._pending:
            batch, self._pending = self._pending, []
            frames = [frame for frame, _ in batch]
            try:
                await self._in_thread(self._segments.append, frames)
            except OSError as error:
                self._note_fault(error.strerror or str(error))
                for _, kept in batch:
                    _tell(kept, NotKept(f"the spool cannot be written: {self._fault}"))
                continue
            if self._fault:
                _log.info("spool_writable_again")
                self._fault = ""
            for _, kept in batch:
                _tell(kept, None)

    def _note_fault(self, fault: str) -> None:
        if not self._fault:
            _log.error("spool_not_writable", folder=str(self._folder), fault=fault)
        self._fault = fault

    # -- counting ---------------------------------------------------------------------------

    async def _replay_for_ever(self) -> None:
        adopt_at = 0.0
        while True:
            if monotonic() >= adopt_at:
                adopt_at = monotonic() + _ADOPT_EVERY_S
                with suppress(OSError):
                    if found := await self._in_thread(self._segments.adopt):
                        _log.info("spool_adopted", segments=found)
            pause_s = _AGAIN_S
            if any(segment.size for segment in self._segments):
                with suppress(Unavailable, OSError):
                    await self._may_count()
                    if not await self._replay():
                        pause_s = _LATER_S
            await asyncio.sleep(pause_s)

    async def _replay(self) -> bool:
        """Count all that stands in the segments; whether there was nothing that had to be put off.

        Raises:
            Unavailable: the store is away again.
            OSError: a segment could not be read.
        """
        await self._in_thread(self._segments.seal)
        put_off = 0
        while self._segments.sealed:
            segment = self._segments.sealed[0]
            put_off += await self._replay_segment(segment)
            self._segments.sealed.pop(0)
            await self._in_thread(segment.remove)
        _log.info("spool_replayed", replayed=self._replayed, refused=self._refused)
        return not put_off

    async def _replay_segment(self, segment: Segment) -> int:
        """Count what stands in a segment, from where it was left; how much was put off."""
        content = await self._in_thread(segment.path.read_bytes)
        entries = [entry for entry in entries_in(content) if entry is not None]
        if len(entries) < segment.entries:
            # A torn end was never acknowledged; a damaged place was, and is said.
            lost = segment.entries - len(entries)
            _log.error("spool_damaged", segment=segment.path.name, lost=lost)
        segment.entries = len(entries)
        put_off = 0
        for together in _independent(entries[segment.counted :], in_order=self._in_order):
            left = await asyncio.gather(*map(self._is_counted, together))
            again = [
                entry for entry, is_counted in zip(together, left, strict=True) if not is_counted
            ]
            if again:
                await self._in_thread(self._segments.append, list(map(frame_of, again)))
                put_off += len(again)
            segment.counted += len(together)
        return put_off

    async def _is_counted(self, entry: Entry) -> bool:
        """Count one entry, once and for all; False for one of a user of whom nothing is told now.

        Raises:
            Unavailable: the store is away.
        """
        try:
            await self._count(entry.deferred, entry.at)
        except RequestFault as fault:
            self._refused += 1
            _log.warning("spool_entry_refused", fault=str(fault))
        except SubscriptionsUnavailable:
            # If the store is there, it is the billing side that is not: others go on.
            await self._may_count()
            return False
        except Unavailable:
            raise
        except Exception as defect:  # noqa: BLE001  whatever it is, it holds up no other
            await self._in_thread(self._segments.set_aside, frame_of(entry))
            self._refused += 1
            _log.error("spool_entry_set_aside", exc_info=defect)
        else:
            self._replayed += 1
        return True

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, work, *arguments)


def _independent(entries: Sequence[Entry], *, in_order: bool) -> Iterator[list[Entry]]:
    """The entries in their order, those together that do not wait for one another."""
    together: list[Entry] = []
    names: set[str] = set()
    for entry in entries:
        own = _reservations_of(entry.deferred)
        if in_order and isinstance(entry.deferred, DeferredEvents):
            own |= {f"app {event.request.subject.app_id}" for event in entry.deferred.events}
        if len(together) == _AT_ONCE or not names.isdisjoint(own):
            yield together
            together, names = [], set()
        together.append(entry)
        names |= own
    if together:
        yield together


def _reservations_of(deferred: Deferred) -> set[str]:
    if isinstance(deferred, DeferredEvents):
        return {event.reservation_id for event in deferred.events if event.reservation_id}
    return {deferred.reservation_id}


def _may_be_written(folder: Path) -> bool:
    standing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    return os.access(standing, os.W_OK | os.X_OK)


def _tell(kept: asyncio.Future[None], error: NotKept | None) -> None:
    if kept.done():
        return
    if error is None:
        kept.set_result(None)
    else:
        kept.set_exception(error)
        # Whoever has gone away need not be told.
        kept.exception()
