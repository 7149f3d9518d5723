"""Real servers for tests: each on its own port or socket, ended by whoever began it."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, Self

import hiredis
import httpx

from tests.ready import Copy, can_be_copied, copy

ROOT = Path(__file__).parent.parent
START_S = 20.0

SERVICE: Final = "counters"
"""What sentinels call the master that they watch."""
SLOTS: Final = 16_384


_IN_TESTS: Final = {
    "SIDECAR_DRAIN_S": "0",  # nobody looks elsewhere meanwhile
    "SIDECAR_STORE_TIMEOUT_MS": "5000",  # a busy machine is no finding
}
FRESH: Final = ("-m", "sidecar")
"""A process of its own from the first byte on."""

Process = subprocess.Popen[bytes] | Copy


class Sidecar:
    """A `sidecar serve` process and a client that speaks to it.

    Args:
        program: what Python begins with, such as `FRESH`; if nothing, it is a copy of a process
            that has begun.
    """

    def __init__(
        self,
        *,
        policies: Path | str = "policies/platform",
        store: str,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        arguments: tuple[str, ...] = (),
        program: tuple[str, ...] = (),
    ) -> None:
        told = ("--policies", str(ROOT / policies), "--store", store)
        self._arguments = ("serve", "--port", "0", *told, *arguments)
        self._cwd = cwd
        self._env = clean_environment() | _IN_TESTS | dict(env or {})
        # Workers are begun by what begins them, which a copy knows nothing of.
        is_copy = not program and "--workers" not in arguments and can_be_copied(self._env)
        self._program = () if is_copy else program or FRESH
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
        self._told.close()
        return code

    def start(self) -> None:
        """Start, and return when it says where it listens."""
        reading, writing = os.pipe()
        self._told = os.fdopen(reading, encoding="utf-8")
        with os.fdopen(writing, "wb") as telling, (self._cwd / "stderr.log").open("ab") as errors:
            self.process = self._begun(telling, errors)
        self.banner = []
        for line in self._told:
            self.banner.append(line.rstrip())
            if line.startswith("  callers"):
                break
        else:
            raise AssertionError(f"the server did not start: {self.errors()}")
        self.url = self.banner[0].removeprefix("sidecar listens on ")
        # To read all certificates takes 25 ms, and nobody here has one.
        self.client = httpx.Client(base_url=self.url, timeout=START_S, verify=False)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait(START_S)
        self._told.close()
        self.client.close()

    def _begun(self, told: IO[bytes], errors: IO[bytes]) -> Process:
        if not self._program:
            with Path(os.devnull).open("rb") as nothing:
                files = (nothing, told, errors)
                return copy(self._arguments, cwd=self._cwd, env=self._env, files=files)
        return subprocess.Popen(
            [sys.executable, *self._program, *self._arguments],
            cwd=self._cwd,
            env=self._env,
            stdout=told,
            stderr=errors,
        )

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
    """A real redis-server on a unix socket, with nothing on disk.

    Args:
        port: where it listens besides, if that is not 0.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        _demand_redis()
        self._folder = folder
        self._port = port
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"

    def start(self) -> None:
        """Start, and return when it answers."""
        self.process = subprocess.Popen(
            [
                "redis-server", "--port", str(self._port), "--unixsocket", str(self.socket),
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
def redis_server(folder: Path, port: int = 0) -> Iterator[RedisServer]:
    """A running redis-server."""
    server = RedisServer(folder, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class RedisNode:
    """A real redis-server on a port, one of several that know each other.

    Args:
        folder: of its own; there it notes who the others are, never a key.
        settings: lines of its configuration.
        mode: what stands on its command line beside the configuration.
    """

    def __init__(self, folder: Path, port: int, *settings: str, mode: tuple[str, ...] = ()) -> None:
        _demand_redis()
        folder.mkdir(parents=True)
        self.port = port
        self.name = f"127.0.0.1:{port}"
        self._log = folder / "redis.log"
        file = folder / "redis.conf"
        file.write_text("\n".join((f"port {port}", "bind 127.0.0.1", f"dir {folder}", *settings)))
        self._command = ["redis-server", str(file), *mode]

    def start(self) -> None:
        """Start, and return when it answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        await_that(self._answers, f"{self.name} answers, see {self._log}")

    def ask(self, *words: str | int) -> Any:
        """The reply of a command.

        Raises:
            hiredis.ReplyError: it is an error.
            OSError: there is none.
        """
        with socket.create_connection(("127.0.0.1", self.port), START_S) as client:
            client.sendall(hiredis.pack_command(words))  # type: ignore[arg-type] # its stub: 1-tuple
            reader = hiredis.Reader(encoding="utf-8", errors="surrogateescape")
            while (reply := reader.gets()) is False:
                data = client.recv(65_536)
                if not data:
                    raise ConnectionResetError(f"{self.name} hung up")
                reader.feed(data)
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def kill(self) -> None:
        """End it as a power cut would, even where it stands still; it can be started again."""
        self.process.kill()
        self.process.wait(START_S)

    def halt(self) -> None:
        """Let it stand still with its connections open."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on where it stood still."""
        self.process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING") == "PONG")
        except hiredis.ReplyError as error:
            # It wants a password, but it is there.
            return str(error).startswith("NOAUTH")

    def has_in_step(self, replicas: int) -> bool:
        """Whether so many replicas follow it and have all that it has."""
        role, at, followers = self.ask("ROLE")
        return role == "master" and [int(each[2]) for each in followers].count(at) >= replicas


_IN_MEMORY: Final = (
    'save ""', "appendonly no", "maxmemory-policy noeviction",
    # A replica that begins is filled at once.
    "repl-diskless-sync yes", "repl-diskless-sync-delay 0",
)  # fmt: skip


class RedisSentinel:
    """A master with replicas, and three sentinels that put another in its place when it is gone."""

    DOWN_AFTER_MS: Final = 700

    def __init__(self, folder: Path, replicas: int) -> None:
        ports = free_ports(1 + replicas + 3)
        first = ports[0]
        follows = f"replicaof 127.0.0.1 {first}"
        self.servers = [RedisNode(folder / f"{first}", first, *_IN_MEMORY)]
        for port in ports[1:-3]:
            self.servers.append(RedisNode(folder / f"{port}", port, *_IN_MEMORY, follows))
        watches = (
            f"sentinel monitor {SERVICE} 127.0.0.1 {first} 2",
            f"sentinel down-after-milliseconds {SERVICE} {self.DOWN_AFTER_MS}",
            f"sentinel failover-timeout {SERVICE} 3000",
        )
        self.sentinels = [
            RedisNode(folder / f"{port}", port, *watches, mode=("--sentinel",))
            for port in ports[-3:]
        ]
        names = ",".join(sentinel.name for sentinel in self.sentinels)
        self.url = f"redis+sentinel://{names}/{SERVICE}"

    @property
    def master(self) -> RedisNode:
        """The server that the sentinels name."""
        port = int(self.sentinels[0].ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)[1])
        return next(server for server in self.servers if server.port == port)

    def start(self) -> None:
        """Start, and return when everybody knows everybody."""
        for server in self.servers:
            server.start()
        master, *replicas = self.servers
        await_that(lambda: master.has_in_step(len(replicas)), "the replicas follow")
        for sentinel in self.sentinels:
            sentinel.start()
        await_that(lambda: all(map(self._is_informed, self.sentinels)), "the sentinels know all")

    def stop(self) -> None:
        """End all processes."""
        _end(*self.sentinels, *self.servers)

    def _is_informed(self, sentinel: RedisNode) -> bool:
        words = sentinel.ask("SENTINEL", "MASTER", SERVICE)
        state = dict(zip(words[::2], words[1::2], strict=True))
        others = int(state["num-other-sentinels"]), int(state["num-slaves"])
        return others == (len(self.sentinels) - 1, len(self.servers) - 1)


class RedisCluster:
    """Three masters that share the slots, and behind each so many replicas."""

    NODE_TIMEOUT_MS: Final = 1_000

    def __init__(self, folder: Path, replicas: int) -> None:
        masters = 3
        ports = free_ports(2 * masters * (1 + replicas))
        self._buses = dict(zip(ports[::2], ports[1::2], strict=True))
        self.nodes = [
            RedisNode(
                folder / f"{port}", port, *_IN_MEMORY,
                "cluster-enabled yes",
                f"cluster-port {bus}",
                f"cluster-node-timeout {self.NODE_TIMEOUT_MS}",
                # Who has lost a master still serves the slots of the others.
                "cluster-require-full-coverage no",
            )
            for port, bus in self._buses.items()
        ]  # fmt: skip
        self.masters, self._replicas = self.nodes[:masters], self.nodes[masters:]
        names = ",".join(node.name for node in self.masters)
        self.url = f"redis+cluster://{names}"

    def start(self) -> None:
        """Start, and return when every node serves with all its replicas."""
        for node in self.nodes:
            node.start()
        first, *others = self.nodes
        for place, node in enumerate(self.masters):
            begin, end = (SLOTS * each // len(self.masters) for each in (place, place + 1))
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", place + 1)
            node.ask("CLUSTER", "ADDSLOTSRANGE", begin, end - 1)
        for node in others:
            node.ask("CLUSTER", "MEET", "127.0.0.1", first.port, self._buses[first.port])
        await_that(lambda: all(map(self._knows_all, self.nodes)), "the nodes know each other")
        for place, node in enumerate(self._replicas):
            node.ask("CLUSTER", "REPLICATE", self.id_of(self.masters[place % len(self.masters)]))
        await_that(lambda: all(map(_serves, self.nodes)), "every node serves")
        behind = len(self._replicas) // len(self.masters)
        await_that(
            lambda: all(node.has_in_step(behind) for node in self.masters), "the replicas follow"
        )

    def stop(self) -> None:
        """End all processes."""
        _end(*self.nodes)

    def id_of(self, node: RedisNode) -> str:
        """What the nodes call one of them."""
        return str(node.ask("CLUSTER", "MYID"))

    def owner_of(self, slot: int) -> RedisNode:
        """The node that serves a slot, as the first that lives knows it."""
        for node in self.nodes:
            with suppress(OSError):
                for begin, end, (_, port, *_), *_ in node.ask("CLUSTER", "SLOTS"):
                    if begin <= slot <= end:
                        return next(each for each in self.nodes if each.port == port)
        raise AssertionError(f"nobody serves slot {slot}")

    def _knows_all(self, node: RedisNode) -> bool:
        lines = str(node.ask("CLUSTER", "NODES")).splitlines()
        ready = [line for line in lines if "handshake" not in line and "noaddr" not in line]
        return len(ready) == len(lines) == len(self.nodes)


def _serves(node: RedisNode) -> bool:
    return "cluster_state:ok" in str(node.ask("CLUSTER", "INFO")).splitlines()


def _end(*nodes: RedisNode) -> None:
    for node in nodes:
        # One that never came up has no process.
        if hasattr(node, "process"):
            node.kill()


@contextmanager
def redis_sentinel(folder: Path, replicas: int = 1) -> Iterator[RedisSentinel]:
    """A running master with replicas, watched by three sentinels."""
    group = RedisSentinel(folder / "sentinel", replicas)
    try:
        group.start()
        yield group
    finally:
        group.stop()


@contextmanager
def redis_cluster(folder: Path, replicas: int = 0) -> Iterator[RedisCluster]:
    """A running Cluster of three masters, each with so many replicas."""
    cluster = RedisCluster(folder / "cluster", replicas)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


def await_that(holds: Callable[[], bool], what: str) -> None:
    """Return when it holds; a server that does not answer yet is waited for."""
    deadline = time.monotonic() + START_S
    while True:
        with suppress(OSError, hiredis.ReplyError):
            if holds():
                return
        assert time.monotonic() < deadline, f"not so after {START_S:.0f} s: {what}"
        time.sleep(0.01)


def _demand_redis() -> None:
    if shutil.which("redis-server") is None:
        raise AssertionError("redis-server is missing: run `make system-packages`")


def clean_environment() -> dict[str, str]:
    """The environment without anybody's settings."""
    ours = ("SIDECAR_", "MOZAIKS_", "INTERNAL_API_KEY", "CONTROL_PLANE_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def free_port() -> int:
    """A port that nobody listens on."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, each another."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
