"""Real servers for tests: each on its own port or socket, ended by whoever began it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx

ROOT = Path(__file__).parent.parent
START_S = 20.0


class Sidecar:
    """A `sidecar serve` process and a client that speaks to it."""

    def __init__(
        self,
        *,
        policies: Path | str = "policies/platform",
        store: str,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
    ) -> None:
        self._command = [
            sys.executable, "-m", "sidecar", "serve", "--port", "0",
            "--policies", str(ROOT / policies), "--store", store, *arguments,
        ]  # fmt: skip
        self._cwd = cwd
        self._env = clean_environment() | dict(env or {})
        self.banner: list[str] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> int:
        """End it as an orchestrator would; its exit code."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(START_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def start(self) -> None:
        """Start, and return when it says where it listens."""
        with (self._cwd / "stderr.log").open("ab") as errors:
            self.process = subprocess.Popen(
                self._command,
                cwd=self._cwd,
                env=self._env,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        self.banner = []
        for line in self.process.stdout:
            self.banner.append(line.rstrip())
            if line.startswith("  callers"):
                break
        else:
            raise AssertionError(f"the server did not start: {self.errors()}")
        self.url = self.banner[0].removeprefix("sidecar listens on ")
        self.client = httpx.Client(base_url=self.url, timeout=START_S)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(START_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.client.close()

    def errors(self) -> str:
        """What it wrote to standard error."""
        return (self._cwd / "stderr.log").read_text()

    def workers(self) -> set[int]:
        """Processes that this one began and that live."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return {
            int(child)
            for child in children.split()
            if "spawn_main" in Path(f"/proc/{child}/cmdline").read_text()
        }

    def wait_for_error(self, text: str) -> None:
        """Return when it has written a text to standard error."""
        deadline = time.monotonic() + START_S
        while text not in self.errors():
            assert time.monotonic() < deadline, f"{text!r} is not in: {self.errors()}"
            time.sleep(0.01)


class RedisServer:
    """A real redis-server on a unix socket, with nothing on disk."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("redis-server") is None:
            raise AssertionError("redis-server is missing: run `make system-packages`")
        self._folder = folder
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"

    def start(self) -> None:
        """Start, and return when it answers."""
        self.process = subprocess.Popen(
            [
                "redis-server", "--port", "0", "--unixsocket", str(self.socket),
                "--save", "", "--appendonly", "no", "--dir", str(self._folder),
                "--maxmemory-policy", "noeviction",
            ],
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            try:
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(str(self.socket))
                    probe.sendall(b"PING\r\n")
                    if probe.recv(16).startswith(b"+PONG"):
                        return
            except OSError:
                time.sleep(0.01)
        raise AssertionError("redis-server did not start")

    def command(self, *words: str) -> None:
        """Run a command that answers OK."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.socket))
            client.sendall(" ".join(words).encode() + b"\r\n")
            answer = client.recv(256)
        assert answer == b"+OK\r\n", answer

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait(START_S)


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A running redis-server."""
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def clean_environment() -> dict[str, str]:
    """The environment without anybody's settings."""
    ours = ("SIDECAR_", "MOZAIKS_", "INTERNAL_API_KEY", "CONTROL_PLANE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
