"""A process that has imported the whole program once, and of which each `sidecar` is a copy.

Beginning Python and importing everything is half a second of work, which a test that asks what a
command says would do again for nothing. What a fresh process does is asked of fresh ones: what it
imports, how it begins, how much memory it takes, and several workers.
"""

import atexit
import gc
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any, Final

FIXED_AT_START: Final = ("PYTHON", "LC_", "LANG", "LD_")
"""Variables that a process reads when it begins, and never again."""
_LONGEST: Final = 1 << 20


class Copy:
    """A process that was begun as a copy; it is asked as a `subprocess.Popen` is."""

    def __init__(self, status: socket.socket) -> None:
        self.pid = int.from_bytes(status.recv(4), "little")
        self.returncode: int | None = None
        self._status = status

    def poll(self) -> int | None:
        """How it ended, None while it lives."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """How it ended, in so many seconds.

        Raises:
            subprocess.TimeoutExpired: it has not.
        """
        if self.returncode is None:
            self._status.settimeout(timeout)
            try:
                told = self._status.recv(4)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired("sidecar", timeout or 0) from None
            assert told, "the process that is copied has ended"
            self.returncode = int.from_bytes(told, "little", signed=True)
            self._status.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


def can_be_copied(env: Mapping[str, str]) -> bool:
    """Whether a process with such an environment begins like one with ours."""
    return _fixed(env) == _fixed(os.environ)


def copy(
    arguments: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    files: tuple[IO[Any], IO[Any], IO[Any]],
) -> Copy:
    """Begin `sidecar` with arguments.

    Args:
        files: where it reads, writes, and writes errors.
    """
    told = json.dumps({"arguments": arguments, "cwd": str(cwd), "env": dict(env)}).encode()
    assert len(told) < _LONGEST
    ours, theirs = socket.socketpair()
    with theirs, _TURN:
        descriptors = [*(each.fileno() for each in files), theirs.fileno()]
        socket.send_fds(_original(), [told], descriptors)
    return Copy(ours)


_TURN: Final = threading.Lock()


@cache
def _original() -> socket.socket:
    """The way to the process that is copied, which begins now and ends with us."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LONGEST)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.ready", str(theirs.fileno())],
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _fixed(env: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in env.items() if name.startswith(FIXED_AT_START)}


# -- the process that is copied ---------------------------------------------------------------


def main() -> None:
    """Be copied whenever it is asked, until nobody is there to ask."""
    from sidecar.cli import main as sidecar
    from sidecar.cli.commands import LISTED, Commands

    commands = Commands()
    for name in LISTED:
        commands.get_command(None, name)  # type: ignore[arg-type] # which is not looked at
    for name in ("redis", "sqlite"):
        import_module(f"sidecar.adapters.{name}.meter")
    # Copies share the memory that none of them writes to.
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        told = _copied(asked)
    if told is not None:
        os.chdir(told["cwd"])
        os.environ.clear()
        os.environ.update(told["env"])
        time.tzset()
        sys.argv = ["sidecar", *told["arguments"]]
        sidecar()


def _copied(asked: socket.socket) -> dict[str, Any] | None:
    """What is asked of a copy, in that copy; None when nobody asks any more."""
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        selector.register(asked, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.data is not None:
                    selector.unregister(key.fd)
                    _tell_end(*key.data)
                    continue
                told, descriptors, _, _ = socket.recv_fds(asked, _LONGEST, 4)
                if not told:
                    return None
                *theirs, status = descriptors
                there = stack.enter_context(socket.socket(fileno=status))
                if (pid := os.fork()) == 0:
                    for place, each in enumerate(theirs):
                        os.dup2(each, place)
                        os.close(each)
                    wanted: dict[str, Any] = json.loads(told)
                    return wanted
                for each in theirs:
                    os.close(each)
                there.sendall(pid.to_bytes(4, "little"))
                ends = stack.enter_context(os.fdopen(os.pidfd_open(pid), "rb", buffering=0))
                selector.register(ends, selectors.EVENT_READ, (pid, ends, there))


def _tell_end(pid: int, ends: IO[bytes], status: socket.socket) -> None:
    _, ended = os.waitpid(pid, 0)
    with ends, status:
        status.sendall(os.waitstatus_to_exitcode(ended).to_bytes(4, "little", signed=True))


if __name__ == "__main__":
    main()
