"""Where are numbers counted, so that a scrape of any worker finds those of all?

Each process counts in cells of its own: 64-bit integers that it alone writes. One that is alone
has them in memory. Of several, each has a file that is mapped into memory, so that a cell costs no
more, is read while it is counted in, and outlives whoever counted, by kill -9 too. Who comes next
goes on in the file of one that is gone: nothing that was counted is ever taken back, and there
are never more files than there were workers at once.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import orjson

_CELLS: Final = 16_384
_BYTES: Final = _CELLS * 8
_MOST_FILES: Final = 1_024
NOWHERE: Final = 0
_VALUES: Final = ".cells"
_NAMES: Final = ".names"


class Place(NamedTuple):
    """Which number it is: a metric's name, then the values of its labels."""

    name: str
    labels: tuple[str, ...]


class Row(NamedTuple):
    """What stands in the cells of one place.

    Attributes:
        is_live: whether the process that counts there still lives.
    """

    place: Place
    values: list[int]
    is_live: bool


class Cells:
    """The numbers of one process.

    Attributes:
        numbers: to count in, at the index that `at` tells.
    """

    def __init__(self, numbers: memoryview) -> None:
        self.numbers = numbers
        self._widths: dict[Place, tuple[int, int]] = {}
        # The first ones belong to whatever finds no room.
        self._next = 64

    def at(self, place: Place, width: int) -> int:
        """The index of a place's first cell; the same place has the same one again.

        Where there is no room left it is `NOWHERE`: what is counted there is told by nobody.
        """
        known = self._widths.get(place)
        if known is not None and known[1] == width:
            return known[0]
        if self._next + width > len(self.numbers):
            return NOWHERE
        index, self._next = self._next, self._next + width
        self._widths[place] = index, width
        self._made(place, index, width)
        return index

    def rows(self) -> Iterator[Row]:
        """What is counted here."""
        for place, (index, width) in self._widths.items():
            yield Row(place, self.numbers[index : index + width].tolist(), is_live=True)

    def close(self) -> None:
        """Count no more."""

    def _made(self, place: Place, index: int, width: int) -> None:
        """A place has its cells now."""

    def adopt(self, widths: dict[Place, tuple[int, int]]) -> None:
        """Go on where another has counted."""
        self._widths = widths
        self._next = max((index + width for index, width in widths.values()), default=self._next)


def cells_in_memory() -> Cells:
    """Cells that this process alone reads."""
    return Cells(memoryview(bytearray(_BYTES)).cast("q"))


class SharedCells(Cells):
    """Cells in a folder, where all who count there can be read.

    Args:
        folder: of all of them, there already.
        kind: what this process is; only those of a kind go on in each other's files.
    """

    def __init__(self, folder: Path, kind: str = "worker") -> None:
        self._folder = folder
        # The lock is this process's for as long as it lives, however it ends.
        self._file, self._lock = _free_file(folder, kind)
        mapped = mmap.mmap(self._lock, _BYTES)
        names = self._file.with_suffix(_NAMES)
        super().__init__(memoryview(mapped).cast("q"))
        self.adopt(_read_names(names))
        self._names = os.open(names, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        # A line that another did not bring to its end would spoil the next.
        os.write(self._names, b"\n")

    def rows(self) -> Iterator[Row]:
        """What is counted here, and what all others in the folder count or have counted."""
        yield from super().rows()
        for file in sorted(self._folder.glob(f"*{_VALUES}")):
            if file != self._file:
                yield from _rows_of(file)

    def close(self) -> None:
        """Let another go on here."""
        os.close(self._names)
        os.close(self._lock)

    def _made(self, place: Place, index: int, width: int) -> None:
        # One write for one line: whoever reads meanwhile sees all of it, or an end without one.
        os.write(self._names, orjson.dumps((index, width, *place)) + b"\n")


def _free_file(folder: Path, kind: str) -> tuple[Path, int]:
    """The first file of a kind that nobody counts in, and what holds its lock."""
    for number in range(1, _MOST_FILES + 1):
        file = folder / f"{kind}-{number}{_VALUES}"
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        if os.fstat(descriptor).st_size < _BYTES:
            os.ftruncate(descriptor, _BYTES)
        return file, descriptor
    raise OSError(f"{folder}: more than {_MOST_FILES} processes count here")


def _rows_of(file: Path) -> Iterator[Row]:
    widths = _read_names(file.with_suffix(_NAMES))
    with file.open("rb") as opened:
        is_live = _is_locked(opened.fileno())
        if os.fstat(opened.fileno()).st_size < _BYTES:
            # It was made just now.
            return
        mapped = mmap.mmap(opened.fileno(), _BYTES, access=mmap.ACCESS_READ)
    # Not a copy of the file: numbers change meanwhile, and each is read as a whole.
    numbers = memoryview(mapped).cast("q")
    for place, (index, width) in widths.items():
        yield Row(place, numbers[index : index + width].tolist(), is_live)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _read_names(file: Path) -> dict[Place, tuple[int, int]]:
    widths: dict[Place, tuple[int, int]] = {}
    for line in file.read_bytes().split(b"\n") if file.exists() else ():
        try:
            index, width, name, labels = orjson.loads(line)
        except ValueError:
            # It was being written just now, or its writer was killed over it.
            continue
        widths[Place(name, tuple(labels))] = index, width
    return widths
