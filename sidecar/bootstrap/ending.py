"""How does a server end? It says so, serves on for a while, finishes, and is gone.

Whoever sends requests hears of an end later than the server does: a balancer asks `/readyz` now
and then. So the first SIGTERM only lets that answer 503, and each answer ask for another
connection; what comes meanwhile is answered. Then nothing more is accepted, what is under way is
finished, leases are given back and logs are written. A second signal waits for nobody.
"""

import asyncio
import multiprocessing
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import structlog
import uvicorn

from sidecar.ports import Fact

ENDING: Final = "ending"
"""Under which name a connection finds it."""
FORCE: Final = signal.SIGQUIT
"""Tells a worker to wait for nobody; whoever began it may tell it to end more than once."""
_DRAIN_S: Final = 2.0

_log = structlog.get_logger("sidecar.server")


class Ending:
    """Whether this process is about to end.

    Args:
        drain_s: how long it serves on after it was told; None is two seconds, and none where a
            person sits before it.
    """

    def __init__(self, drain_s: float | None = None) -> None:
        self._drain_s = drain_s
        self.is_begun = False

    @property
    def fact(self) -> Fact:
        """That it does not end, for whoever asks whether it is ready."""
        return Fact("running", "The server is about to end.", lambda: not self.is_begun)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Hear signals in front of the uvicorn that runs this, as long as this is open."""
        before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
        stop = before[signal.SIGTERM]
        assert callable(stop)
        server = getattr(stop, "__self__", None)
        assert isinstance(server, uvicorn.Server)
        loop, is_worker = asyncio.get_running_loop(), multiprocessing.parent_process() is not None

        def end(sent: signal.Signals) -> None:
            # A service's supervisor tells all processes of a group, and then the first one
            # tells its workers again.
            if self.is_begun and is_worker:
                return
            if self.is_begun:
                force()
                return
            self.is_begun = True
            wait_s = self._wait_s(sent)
            if wait_s:
                _log.info("draining", seconds=wait_s)
            loop.call_later(wait_s, stop, sent, None)

        def force() -> None:
            self.is_begun = True
            _log.warning("ending_at_once")
            stop(signal.SIGTERM, None)
            for connection in list(server.server_state.connections):
                connection.transport.abort()

        loop.add_signal_handler(signal.SIGTERM, end, signal.SIGTERM)
        if is_worker:
            loop.add_signal_handler(FORCE, force)
        else:
            loop.add_signal_handler(signal.SIGINT, end, signal.SIGINT)
        try:
            yield
        finally:
            for each, handler in before.items():
                loop.remove_signal_handler(each)
                signal.signal(each, handler)
            if is_worker:
                loop.remove_signal_handler(FORCE)

    def _wait_s(self, sent: signal.Signals) -> float:
        if sent is signal.SIGINT:
            return 0.0
        if self._drain_s is not None:
            return self._drain_s
        return 0.0 if sys.stderr.isatty() else _DRAIN_S
