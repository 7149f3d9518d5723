"""What becomes of a line until it stands in a file? It waits here, within bounds, and is lost last.

A disk that takes none is tried again each second; the process's log hears of it once, and once
when it is over.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import monotonic
from typing import Final

import structlog

from sidecar.adapters.decisions.files import Series

_BATCH: Final = 1 << 18
_MOST_WAITING: Final = 1 << 23
"""Bytes that are kept for a disk that takes none just now."""
_SECOND: Final = 1.0
_TOLD_EVERY_S: Final = 60.0
"""A disk that is behind again and again is told of no more often."""


class Losses:
    """Counts the decisions that were lost, and says so once until it is over, now and then."""

    def __init__(self) -> None:
        self._log = structlog.get_logger("sidecar.decisions")
        self._is_told = False
        self._tell_again_at = 0.0
        self.count = 0

    def add(self, count: int, why: str) -> None:
        """Count so many; 0 for what may still be mended."""
        self.count += count
        if not self._is_told and monotonic() >= self._tell_again_at:
            self._is_told = True
            self._tell_again_at = monotonic() + _TOLD_EVERY_S
            self._log.error("decisions_not_written", why=why, lost=self.count)

    def end(self) -> None:
        """Say that it is over, if it was told."""
        if self._is_told:
            self._is_told = False
            self._log.info("decisions_written_again", lost=self.count)

    def sum_up(self) -> None:
        """Say in the end how many there were."""
        if self.count:
            self._log.error("decisions_lost", lost=self.count)


class Writer:
    """Brings lines to the disk in a thread of its own, several together.

    Attributes:
        written: how many there are on it.
    """

    def __init__(self, series: Series, losses: Losses) -> None:
        self._series = series
        self._losses = losses
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self.written = 0
        self._try_again_at = 0.0
        self._sync_at = 0.0
        self._thread = ThreadPoolExecutor(1, "decisions")

    def __iter__(self) -> Iterator[bytes]:
        """The lines that are in no file yet."""
        return iter(self._waiting)

    def __len__(self) -> int:
        """How many lines are in no file yet."""
        return len(self._waiting)

    def keep(self, line: bytes) -> None:
        """Let a line wait for the next time that is written, if there is room."""
        if self._bytes + len(line) > _MOST_WAITING:
            self._losses.add(1, "the disk is behind")
            return
        self._waiting.append(line)
        self._bytes += len(line)

    async def write(self) -> None:
        """Write what waits, unless the disk failed just now; once a second for power cuts too."""
        if monotonic() < self._try_again_at:
            return
        loop = asyncio.get_running_loop()
        try:
            while self._waiting:
                batch = self._batch()
                await loop.run_in_executor(self._thread, self._series.append, b"".join(batch))
                for line in batch:
                    self._waiting.popleft()
                    self._bytes -= len(line)
                self.written += len(batch)
            if monotonic() >= self._sync_at:
                self._sync_at = monotonic() + _SECOND
                await loop.run_in_executor(self._thread, self._series.sync)
        except OSError as error:
            self._try_again_at = monotonic() + _SECOND
            self._losses.add(0, f"{self._series.folder}: {error.strerror or error}")
            return
        self._losses.end()

    async def close(self) -> None:
        """Write what waits a last time, whatever was before."""
        self._try_again_at = 0.0
        await self.write()
        if self._waiting:
            self._losses.add(len(self._waiting), "the disk takes none")
        with suppress(OSError):
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._series.close)
        self._thread.shutdown(wait=False)

    def _batch(self) -> list[bytes]:
        """The next lines; they stay where they are until they are written."""
        batch, size = [], 0
        for line in self._waiting:
            batch.append(line)
            size += len(line)
            if size >= _BATCH:
                break
        return batch
