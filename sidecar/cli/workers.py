"""Who begins workers, and begins another where one dies? This process, which answers nobody."""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.resource_tracker import ensure_running
from types import FrameType

import uvicorn
from uvicorn.supervisors import Multiprocess

from sidecar.bootstrap.ending import FORCE
from sidecar.cli.published import PublishedPolicies


class Workers(Multiprocess):
    """uvicorn's supervisor; a hang-up reads the policies again and leaves the workers alone.

    The first signal to end goes to the workers, which finish; the second lets them finish nothing.
    """

    def __init__(
        self, config: uvicorn.Config, sockets: list[socket.socket], policies: PublishedPolicies
    ) -> None:
        super().__init__(config, sockets)
        # A worker passes on what it is asked, and an answer waits for the outcome.
        signal.signal(signal.SIGHUP, lambda *_: policies.reload_soon())
        for ending in (signal.SIGTERM, signal.SIGINT):
            signal.signal(ending, self._end)

    def init_processes(self) -> None:
        """Begin all workers."""
        with _deaf_to_terminal():
            super().init_processes()

    def keep_subprocess_alive(self) -> None:
        """Begin another worker for each that died."""
        with _deaf_to_terminal():
            super().keep_subprocess_alive()

    def _end(self, sent: int, frame: FrameType | None) -> None:
        if not self.should_exit.is_set():
            self.should_exit.set()
            return
        for process in self.processes:
            if process.pid is not None and process.exitcode is None:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, FORCE)


@contextmanager
def _deaf_to_terminal() -> Iterator[None]:
    """Let no worker that is begun meanwhile hear a Ctrl-C: it is for the process that tells all.

    A terminal sends it to every process; one that still imports its modules would die of it, and
    say so at length. What this thread does not hear, another thread of this process does.
    """
    # Beginning this in between would let the signal through again.
    ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
