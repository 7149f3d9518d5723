"""Where do several workers find the policies that one process reads for all of them?"""

import asyncio
import fcntl
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from sidecar.adapters.metrics.cells import SharedCells
from sidecar.adapters.metrics.instruments import Instruments
from sidecar.bootstrap.observing import count_reloads
from sidecar.bootstrap.policies import watched_policies
from sidecar.policy.reloading.kept import Found, KeptPolicies, published
from sidecar.settings import Settings

_PREFIX: Final = "sidecar-policies-"
_FRESH_S: Final = 60.0
"""A folder may be so old before whoever made it says that it is in use."""


class PublishedPolicies:
    """The policies of all workers, watched in a thread beside the one that looks after these.

    Attributes:
        folder: where they are published.
        counted: where all workers count, and this process what becomes of the policies.
    """

    def __init__(self, kept: KeptPolicies, folder: Path) -> None:
        self.folder = folder
        self.counted = folder / "counted"
        self.counted.mkdir()
        count_reloads(kept, Instruments(SharedCells(self.counted, "parent")))
        self._kept = kept
        self._loop = asyncio.new_event_loop()
        self._ending = asyncio.Event()
        published(kept, folder)

    def reload_soon(self) -> None:
        """Read all directories again; returns at once, and may be called by a signal."""
        self._loop.call_soon_threadsafe(self._kept.reload_soon)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Read them anew as long as this is open."""
        thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._watch()))
        thread.start()
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._ending.set)
            thread.join()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _watch(self) -> None:
        async with self._kept.up_to_date():
            await self._ending.wait()


@contextmanager
def published_policies(settings: Settings, found: Found) -> Iterator[PublishedPolicies]:
    """Policies in a folder of their own, which goes away in the end."""
    clear_up(Path(tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as folder:
        policies = PublishedPolicies(watched_policies(settings, found), Path(folder))
        with _kept(Path(folder)), policies.watched():
            yield policies


def clear_up(within: Path) -> None:
    """Take away the folders of servers that were killed: they hold what stood in their policies."""
    for folder in within.glob(f"{_PREFIX}*"):
        # Another one may have gone before, or may be somebody else's.
        with suppress(OSError):
            found = folder.lstat()
            if found.st_uid != os.getuid() or time.time() - found.st_mtime < _FRESH_S:
                continue
            with _opened(folder) as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)


@contextmanager
def _kept(folder: Path) -> Iterator[None]:
    """Say that a folder is in use: whoever clears up old ones (systemd does) passes over it."""
    with _opened(folder) as descriptor:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(folder, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
