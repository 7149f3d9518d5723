"""How do several workers answer from one and the same policies? This process reads them for all.

What it accepts it publishes in a folder of its own, and every worker follows: those that serve
take it over in place, one that is begun later begins with it.
"""

import asyncio
import fcntl
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from uvicorn.supervisors import Multiprocess

from sidecar.bootstrap.policies import watched_policies
from sidecar.policy.reloading.kept import Found, KeptPolicies, published
from sidecar.settings import Settings


class PublishedPolicies:
    """The policies of all workers, watched in a thread beside the one that looks after these.

    Attributes:
        folder: where they are published.
    """

    def __init__(self, kept: KeptPolicies, folder: Path) -> None:
        self.folder = folder
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
    with tempfile.TemporaryDirectory(prefix="sidecar-policies-") as folder:
        policies = PublishedPolicies(watched_policies(settings, found), Path(folder))
        with _kept(folder), policies.watched():
            yield policies


@contextmanager
def _kept(folder: str) -> Iterator[None]:
    """Say that a folder is in use: whoever clears up old ones (systemd does) passes over it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


class Workers(Multiprocess):
    """uvicorn's supervisor; a hang-up reads the policies again and leaves the workers alone."""

    def __init__(
        self, config: uvicorn.Config, sockets: list[socket.socket], policies: PublishedPolicies
    ) -> None:
        super().__init__(config, sockets)
        # A worker passes on what it is asked, and an answer waits for the outcome.
        signal.signal(signal.SIGHUP, lambda *_: policies.reload_soon())
