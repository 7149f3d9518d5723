"""In which files do decisions stand? In those of one folder, one series for each process.

A process begins a file of its own, so that what a killed one left behind ends in a torn line at
most, and nothing is ever written behind that. The name of a file says when it was begun.
"""

import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Final

from sidecar.adapters.decisions.chain import Link, link_behind
from sidecar.ports import Clock

_NAMES: Final = "decisions-*.ndjson"
_MODE: Final = 0o640


def decision_files(folder: Path) -> list[Path]:
    """The files of a folder, the oldest first."""
    return sorted(file for file in folder.glob(_NAMES) if file.is_file())


def series_of(file: Path) -> str:
    """What the files of one process have in common."""
    return file.stem.rpartition("-")[2]


class Series:
    """The files of this process; every call may wait for the disk.

    Args:
        file_bytes: a file that has as many is followed by another.
        files: how many the folder keeps; the oldest go first, but none that is being written.
        chain: whether each line carries the hash of the one before.
    """

    def __init__(
        self, folder: Path, clock: Clock, *, file_bytes: int, files: int, chain: bool = False
    ) -> None:
        self.folder = folder
        self._clock = clock
        self._file_bytes = file_bytes
        self._files = files
        self._path = folder
        self._series = secrets.token_hex(4)
        self._is_chained = chain
        self._link: Link | None = None
        self._begun = 0
        self._descriptor = -1
        self._size = 0
        self._is_unsynced = False

    def append(self, lines: bytes) -> None:
        """Write whole lines.

        Raises:
            OSError: none of them is in the file.
        """
        if self._descriptor < 0 or self._size >= self._file_bytes or self._is_gone():
            self.close()
            self._begin()
        link = self._link
        if link is not None:
            lines, link = link.linked(lines)
        rest = memoryview(lines)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            # What was written of them would stand in front of the next ones.
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
                if not self._size:
                    self._path.unlink()
            self._forget()
            raise
        self._link = link
        is_first, self._size = not self._size, self._size + len(lines)
        self._is_unsynced = True
        if is_first:
            # Not before: on a disk that takes none, the old ones are all that there is.
            self._clear_up()

    def sync(self) -> None:
        """Let what was written survive a power cut.

        Raises:
            OSError: it may not.
        """
        if self._is_unsynced:
            self._is_unsynced = False
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file that is open, if one is.

        Raises:
            OSError: what it has may not survive a power cut.
        """
        try:
            self.sync()
        finally:
            self._forget()

    def _begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._is_chained and self._link is None:
            self._link = link_behind(reversed(decision_files(self.folder)))
        self._begun += 1
        name = f"{self._clock.now():%Y%m%dT%H%M%S.%fZ}-{self._begun:04}-{self._series}"
        self._path = self.folder / f"decisions-{name}.ndjson"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, _MODE)
        self._size = 0
        # Whoever clears up leaves alone what is locked; not every file system knows locks.
        with suppress(OSError):
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def _clear_up(self) -> None:
        for file in decision_files(self.folder)[: -self._files]:
            with suppress(OSError), file.open("rb") as old:
                fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
                file.unlink()

    def _is_gone(self) -> bool:
        """Whether somebody has taken the file away."""
        try:
            return self._path.stat().st_ino != os.fstat(self._descriptor).st_ino
        except FileNotFoundError:
            return True

    def _forget(self) -> None:
        if self._descriptor >= 0:
            with suppress(OSError):
                os.close(self._descriptor)
        self._descriptor, self._is_unsynced = -1, False
