"""In which files do entries stand? In segments of one folder, each locked by whom it belongs to.

A process writes to a segment of its own and holds its lock as long as it lives. What a dead one
left behind has no lock any more, and belongs to whoever takes that. A segment goes when all that
stands in it is counted.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NAMES: Final = "spool-*.log"
_MODE: Final = 0o640
_SEGMENT: Final = 8 << 20


@dataclass(slots=True)
class Segment:
    """A file whose lock this process holds.

    Attributes:
        size: bytes that survive a power cut.
        entries: as far as they are known.
        oldest: when the first of them was written, in seconds since 1970.
        counted: how many of the entries are done with.
    """

    path: Path
    descriptor: int
    size: int
    entries: int
    oldest: float
    counted: int = 0

    def remove(self) -> None:
        """Let the file go, with its lock."""
        with suppress(OSError):
            self.path.unlink()
        self.let_go()

    def let_go(self) -> None:
        """Leave the file to whoever takes it."""
        with suppress(OSError):
            os.close(self.descriptor)


class Segments:
    """The segments that belong to this process; every call may wait for the disk.

    Args:
        most_bytes: of all segments in the folder, whosever they are.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder = folder
        self._most_bytes = most_bytes
        self._series = secrets.token_hex(4)
        self._begun = 0
        self.active: Segment | None = None
        self.sealed: list[Segment] = []

    def __iter__(self) -> Iterator[Segment]:
        yield from self.sealed
        if self.active is not None:
            yield self.active

    def append(self, frames: list[bytes]) -> None:
        """Write frames so that they survive a power cut.

        Raises:
            OSError: none of them does, as far as that can be known.
        """
        data = b"".join(frames)
        if self._bytes() + len(data) > self._most_bytes:
            raise OSError(0, f"the spool is full: {self._most_bytes >> 20} MB")
        if self.active is not None and (self.active.size >= _SEGMENT or _is_gone(self.active)):
            self.seal()
        segment = self.active or self._begin()
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(segment.descriptor, rest) :]
            os.fdatasync(segment.descriptor)
        except OSError:
            # What was not acknowledged must not be counted, nor stand in front of the next ones.
            with suppress(OSError):
                os.ftruncate(segment.descriptor, segment.size)
            self.seal()
            raise
        segment.size += len(data)
        segment.entries += len(frames)

    def seal(self) -> None:
        """Write no more to the segment that is written to; the next entry begins another."""
        if self.active is None:
            return
        if self.active.entries:
            self.sealed.append(self.active)
        else:
            self.active.remove()
        self.active = None

    def adopt(self) -> int:
        """Take over what dead processes have left behind; how many segments that is."""
        mine = {segment.path for segment in self}
        found = 0
        for path in sorted(self.folder.glob(_NAMES)):
            if path in mine:
                continue
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                segment = Segment(path, descriptor, 0, 0, time.time())
                if not _is_locked(descriptor) or _is_gone(segment):
                    segment.let_go()
                    continue
                told = os.fstat(descriptor)
                segment.size, segment.oldest = told.st_size, told.st_mtime
                self.sealed.append(segment)
                found += 1
        return found

    def set_aside(self, frame: bytes) -> None:
        """Keep what could not be counted where nobody counts it.

        Raises:
            OSError: it is not kept.
        """
        path = self.folder / f"aside-{self._series}.log"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            os.write(descriptor, frame)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Leave what is not counted to whoever comes next."""
        self.seal()
        for segment in self.sealed:
            segment.let_go()
        self.sealed.clear()

    def _bytes(self) -> int:
        return sum(_size_of(path) for path in self.folder.glob(_NAMES))

    def _begin(self) -> Segment:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._begun += 1
        path = self.folder / f"spool-{time.time_ns():020}-{self._series}-{self._begun:06}.log"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(path, flags, _MODE)
        self.active = Segment(path, descriptor, 0, 0, time.time())
        if not _is_locked(descriptor):
            self.active.let_go()
            self.active = None
            raise BlockingIOError(0, "another process was faster")
        # The name must survive a power cut too.
        with suppress(OSError):
            directory = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        return self.active


def _is_locked(descriptor: int) -> bool:
    """Whether the lock of a file is ours now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_gone(segment: Segment) -> bool:
    """Whether somebody has taken the file away."""
    try:
        return segment.path.stat().st_ino != os.fstat(segment.descriptor).st_ino
    except FileNotFoundError:
        return True


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
