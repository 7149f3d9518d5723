"""What becomes of the spool's files when they are torn, full or left behind?"""

import asyncio
import resource
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sidecar.adapters.clock import SystemClock
from sidecar.adapters.spool.frames import Entry, entries_in, frame_of
from sidecar.adapters.spool.segments import Segments
from sidecar.adapters.spool.spooled import SpooledEntries
from sidecar.domain.deferred import Deferred, DeferredCommit, DeferredEvents, DeferredRelease
from sidecar.domain.request import Amounts, CheckRequest, Subject
from sidecar.domain.usage import UsageEvent
from sidecar.errors import NotKept, SubscriptionsUnavailable, Unavailable, UnknownReservation

AT = datetime(2026, 5, 5, 12, 0, tzinfo=UTC)
MB = 1 << 20
PATIENCE_S = 30.0


def event(name: str) -> DeferredEvents:
    request = CheckRequest(Subject("acme", "bøb"), model="m", attributes={"a": [1, {"b": None}]})
    return DeferredEvents((UsageEvent(name, AT, request, Amounts(tokens=5)),))


def commit(reservation_id: str) -> DeferredCommit:
    return DeferredCommit(reservation_id, Amounts(tokens=7), final=True, model="gpt")


class Counting:
    """A store that takes entries when it is there, and remembers them."""

    def __init__(self) -> None:
        self.is_there = True
        self.untold: set[str] = set()
        self.counted: list[tuple[Deferred, datetime]] = []

    async def count(self, deferred: Deferred, at: datetime) -> None:
        await self.ping()
        if isinstance(deferred, DeferredEvents) and deferred.events[0].id in self.untold:
            raise SubscriptionsUnavailable("the billing side is away")
        if isinstance(deferred, DeferredRelease):
            raise UnknownReservation(deferred.reservation_id)
        self.counted.append((deferred, at))

    async def ping(self) -> None:
        if not self.is_there:
            raise Unavailable("away")

    @property
    def entries(self) -> list[Deferred]:
        return [deferred for deferred, _ in self.counted]


def spool(folder: Path, store: Counting, most_bytes: int = MB) -> SpooledEntries:
    return SpooledEntries(folder, store.count, store.ping, SystemClock(), most_bytes=most_bytes)


def _found_in(folder: Path) -> list[Deferred]:
    return [
        entry.deferred
        for path in sorted(folder.iterdir())
        for entry in entries_in(path.read_bytes())
        if entry is not None
    ]


async def becomes(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def test_an_entry_is_read_as_it_was_written() -> None:
    entries = [Entry(AT, each) for each in (event("e-1"), commit("res_x"), DeferredRelease("r"))]

    assert list(entries_in(b"".join(map(frame_of, entries)))) == entries


def test_a_torn_end_and_a_damaged_place_cost_what_stood_there() -> None:
    frames = [frame_of(Entry(AT, event(f"e-{number}"))) for number in range(4)]
    damaged = bytearray(b"".join(frames))
    damaged[len(frames[0]) + 40] ^= 0xFF
    found = list(entries_in(bytes(damaged[:-7])))

    assert [entry and entry.deferred for entry in found] == [event("e-0"), None, event("e-2"), None]


@pytest.mark.parametrize("cut", range(0, 400, 13))
def test_wherever_a_file_ends_what_stands_whole_in_front_is_read(cut: int) -> None:
    frames = [frame_of(Entry(AT, event(f"e-{number}"))) for number in range(3)]
    content = b"".join(frames)[:-cut] if cut else b"".join(frames)
    whole = sum(len(content) >= sum(map(len, frames[: n + 1])) for n in range(3))

    assert [entry for entry in entries_in(content) if entry] == [
        Entry(AT, event(f"e-{number}")) for number in range(whole)
    ]


async def test_what_is_kept_is_counted_in_its_order_when_the_store_is_there(tmp_path: Path) -> None:
    store = Counting()
    store.is_there = False
    async with spool(tmp_path / "spool", store).opened() as kept:
        for number in range(50):
            await kept.keep(commit("same"))
            await kept.keep(event(f"e-{number}"))
        assert kept.report.entries == 100
        assert kept.report.bytes == sum(f.stat().st_size for f in (tmp_path / "spool").iterdir())
        store.is_there = True
        await becomes(lambda: kept.report.replayed == 100)
        await becomes(lambda: kept.report.bytes == 0)
        names = [e.events[0].id for e in store.entries if isinstance(e, DeferredEvents)]

        assert names == [f"e-{number}" for number in range(50)]
        # Its bytes are forgotten before the file is taken away.
        await becomes(lambda: not list((tmp_path / "spool").iterdir()))


async def test_events_of_an_app_are_counted_one_after_another_where_their_order_is_told(
    tmp_path: Path,
) -> None:
    store = Counting()
    store.is_there = False
    kept = [event(f"e-{number}") for number in range(3)]

    async def count(deferred: Deferred, at: datetime) -> None:
        for _ in range(5 if deferred == kept[0] else 0):
            # A large report takes many visits to the store.
            await asyncio.sleep(0)
        await store.count(deferred, at)

    told = SpooledEntries(tmp_path, count, store.ping, SystemClock(), most_bytes=MB, in_order=True)
    async with told.opened():
        for each in kept:
            await told.keep(each)
        store.is_there = True
        await becomes(lambda: len(store.counted) == len(kept))

    assert store.entries == kept


async def test_what_another_process_left_behind_is_taken_over(tmp_path: Path) -> None:
    away, store = Counting(), Counting()
    away.is_there = False
    async with spool(tmp_path, away).opened() as dead:
        await dead.keep(event("left"))
        async with spool(tmp_path, store).opened() as other:
            await other.keep(event("own"))
            await becomes(lambda: bool(store.counted))
            # What is locked belongs to a process that lives.
            assert store.entries == [event("own")]
    async with spool(tmp_path, store).opened():
        await becomes(lambda: len(store.counted) == 2)

    assert store.entries[1] == event("left")
    assert away.counted == []


async def test_an_entry_that_names_what_is_not_known_stops_no_other(tmp_path: Path) -> None:
    store = Counting()
    store.is_there = False
    async with spool(tmp_path, store).opened() as kept:
        await kept.keep(DeferredRelease("res_unknown"))
        await kept.keep(event("e"))
        store.is_there = True
        await becomes(lambda: kept.report.bytes == 0)

        assert (kept.report.refused, kept.report.replayed) == (1, 1)


async def test_an_entry_that_meets_a_defect_is_set_aside_whole(tmp_path: Path) -> None:
    class Defective(Counting):
        async def count(self, deferred: Deferred, at: datetime) -> None:
            if deferred == event("bad"):
                raise RuntimeError("a defect")
            await super().count(deferred, at)

    store = Defective()
    async with spool(tmp_path, store).opened() as kept:
        await kept.keep(event("bad"))
        await kept.keep(event("good"))
        await becomes(lambda: kept.report.bytes == 0 and len(list(tmp_path.iterdir())) == 1)

    assert store.entries == [event("good")]
    assert _found_in(tmp_path) == [event("bad")]


async def test_a_user_of_whom_nothing_is_told_holds_up_nobody_else(tmp_path: Path) -> None:
    store = Counting()
    store.untold = {"untold"}
    async with spool(tmp_path, store).opened() as kept:
        await asyncio.gather(*(kept.keep(event(name)) for name in ("untold", "a", "b")))
        await becomes(lambda: len(store.counted) == 2 and kept.report.entries == 1)
        came = time.time()
    store.untold.clear()
    async with spool(tmp_path, store).opened():
        await becomes(lambda: len(store.counted) == 3)

    assert store.entries[-1] == event("untold")
    # It is counted as of when it came.
    assert store.counted[-1][1].timestamp() < came


async def test_a_full_spool_refuses_and_takes_more_when_there_is_room_again(
    tmp_path: Path,
) -> None:
    store = Counting()
    store.is_there = False
    async with spool(tmp_path, store, most_bytes=4_000).opened() as kept:
        taken = 0
        with suppress(NotKept):
            while taken < 100:
                await kept.keep(event(f"e-{taken}"))
                taken += 1
        assert 3 < taken < 20
        assert "full" in kept.report.fault
        store.is_there = True
        await becomes(lambda: kept.report.bytes == 0)
        await kept.keep(event("after"))
        await becomes(lambda: len(store.counted) == taken + 1)

        assert kept.report.fault == ""


def test_a_disk_that_takes_half_a_frame_has_none_of_it(tmp_path: Path) -> None:
    """The kernel itself refuses: no file of this process may grow beyond some bytes."""
    segments = Segments(tmp_path, MB)
    frame = frame_of(Entry(AT, event("e")))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(frame) + 10, before[1]))
    try:
        segments.append([frame])
        with pytest.raises(OSError, match="File too large"):
            segments.append([frame])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    segments.append([frame])
    segments.close()
    found = [
        entry for path in sorted(tmp_path.iterdir()) for entry in entries_in(path.read_bytes())
    ]

    assert found == [Entry(AT, event("e"))] * 2


async def test_a_folder_that_cannot_be_made_is_said_and_refuses(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    async with spool(tmp_path / "file" / "spool", Counting()).opened() as kept:
        with pytest.raises(NotKept):
            await kept.keep(event("e"))

        assert kept.report.fault


async def test_many_who_come_at_once_share_a_few_syncs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncs = 0
    append = Segments.append

    def counted(self: Segments, frames: list[bytes]) -> None:
        nonlocal syncs
        syncs += 1
        append(self, frames)

    monkeypatch.setattr(Segments, "append", counted)
    store = Counting()
    store.is_there = False
    async with spool(tmp_path, store).opened() as kept:
        await asyncio.gather(*(kept.keep(event(f"e-{number}")) for number in range(500)))

        assert kept.report.entries == 500
        assert syncs <= 3
