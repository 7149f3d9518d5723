"""Which servers are measured? Each has a process and a port of its own, and is asked who it is."""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx

from sidecar.domain.modes import Ceiling
from sidecar.policy.load import load
from tests.benchmarks.cores import Cores, begun_on, listens, places
from tests.benchmarks.growing import Growth
from tests.benchmarks.load import INTERNAL_KEY, RUNTIME_KEY, USERS
from tests.benchmarks.many import fill, push_subscriptions
from tests.benchmarks.observed import ObservedRedis
from tests.processes import (
    FRESH,
    ROOT,
    START_S,
    Sidecar,
    clean_environment,
    free_port,
    redis_server,
)

MILLION: Final = 1_000_000
ECHO: Final = "echo"
EXACT: Final = "check"
LEASED: Final = "leases"
SQLITE: Final = "sqlite"
RULES: Final = "rules"
SUBJECTS: Final = "subjects"
ECHO_WORKERS: Final = "echo-workers"
WORKERS: Final = "workers"
RECORDED: Final = "recorded"
SHADOWED: Final = "shadow"
USUAL: Final = "usual"
TITLES: Final = {
    ECHO: "bare echo",
    EXACT: "exact checks on Redis",
    LEASED: "… with leases",
    SQLITE: "… on SQLite",
    RULES: "… with 2,000 rules",
    SUBJECTS: "… with 10^6 subjects",
    ECHO_WORKERS: "echo, two workers",
    WORKERS: "checks, two workers",
    RECORDED: "… decisions recorded",
    SHADOWED: "… beside a shadow",
    USUAL: "FastAPI, celpy, limits",
}
"""What each server is called in tables; its name is what it is asked for by."""

Shared = tuple[str, ObservedRedis, int]
"""A Redis: its address, how it is observed, and the number of its process."""

KEYS: Final = {
    "MOZAIKS_MODE": "platform",
    "SIDECAR_RUNTIME_KEYS": RUNTIME_KEY,
    "INTERNAL_API_KEY": INTERNAL_KEY,
    # What is late is to be seen in the figures, not as a refusal.
    "SIDECAR_STORE_TIMEOUT_MS": "5000",
}


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server that runs, and what is behind it.

    Attributes:
        users: of the crowd that asks it.
        connections: that ask it at once, fewer where an answer takes long.
        calls: scripts that Redis runs for each request, None where that is not fixed.
        redis: that it counts on, and whose number of process.
        told: what else is to be said of it.
    """

    name: str
    url: str
    process: int
    users: int = USERS
    redis: ObservedRedis | None = None
    redis_process: int = 0
    connections: int = 32
    calls: int | None = None
    told: dict[str, float] = field(default_factory=dict)

    @property
    def port(self) -> int:
        """Where it listens."""
        port = urlsplit(self.url).port
        assert port is not None
        return port

    def asked(self) -> httpx.Client:
        """A client of it."""
        return httpx.Client(base_url=self.url, timeout=START_S)


@dataclass(frozen=True, slots=True)
class Kind:
    """How a sidecar differs from the reference: in each, what is not said is as there."""

    env: Mapping[str, str] = field(default_factory=dict)
    is_embedded: bool = False
    workers: int = 1
    is_filled: bool = False
    """Whether all users have counters before anybody is asked about."""
    growth: Growth = field(default_factory=Growth)
    own_folder: tuple[str, ...] = ()
    """Settings whose value is a folder of its own."""

    @property
    def may_lease(self) -> bool:
        """Whether some requests are answered without Redis."""
        return "SIDECAR_LEASES" in self.env


SIDECARS: Final[Mapping[str, Kind]] = {
    EXACT: Kind(),
    LEASED: Kind(env={"SIDECAR_LEASES": "true"}),
    SQLITE: Kind(is_embedded=True),
    RULES: Kind(growth=Growth(rules=2_000)),
    SUBJECTS: Kind(is_filled=True),
    WORKERS: Kind(workers=2),
    RECORDED: Kind(own_folder=("SIDECAR_DECISION_LOG",)),
    SHADOWED: Kind(env={"SIDECAR_SHADOW_POLICIES": str(ROOT / "policies/platform")}),
}
_APPLICATIONS: Final = {
    ECHO: ("tests.benchmarks.echo:app", "echo", 1),
    ECHO_WORKERS: ("tests.benchmarks.echo:app", "echo", 2),
    USUAL: ("tests.benchmarks.usual:app", "usual", 1),
}
NAMES: Final = tuple(TITLES)


class Arena:
    """Begins servers, and ends them with itself.

    Args:
        folder: for what they keep.
        users: who ask.
        subjects: how many there are where there are many.
        program: what sidecars begin with; if nothing, they are copies of a process that has begun,
            which are soon there and not what anybody deploys.
    """

    def __init__(
        self,
        folder: Path,
        *,
        users: int = USERS,
        subjects: int = MILLION,
        program: tuple[str, ...] = FRESH,
    ) -> None:
        self._folder = folder
        self._users = users
        self._subjects = subjects
        self._program = program
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def begin(self, name: str) -> Contestant:
        """Begin one, and make sure that it is who it should be."""
        if name in _APPLICATIONS:
            begun = self._application(name)
        else:
            users = self._subjects if name == SUBJECTS else self._users
            begun = self.begin_sidecar(name, SIDECARS[name], users)
        assert listens(begun.process, begun.port), f"{name}: somebody else has port {begun.port}"
        return begun

    def begin_observable(self) -> Contestant:
        """Begin the reference so that its stack can be looked at."""
        program = ("-m", "tests.benchmarks.observable")
        return self.begin_sidecar(f"{EXACT}-observable", Kind(), self._users, program=program)

    def begin_sidecar(
        self,
        name: str,
        kind: Kind,
        users: int,
        *,
        shared: Shared | None = None,
        program: tuple[str, ...] = (),
    ) -> Contestant:
        """Begin a sidecar.

        Args:
            shared: a Redis that others count on too, and whose users are known already.
            program: what runs in the place of the command.
        """
        home = self._home(name)
        policies = kind.growth.written(home / "policies")
        program = program or self._program
        env = KEYS | dict(kind.env)
        if program:
            env |= {"PYTHONPATH": str(ROOT)}
        env |= {setting: str(home / setting.lower()) for setting in kind.own_folder}
        redis, process = None, 0
        store = f"sqlite:///{home}/counters.db"
        if not kind.is_embedded:
            store, redis, process = shared or self.redis(home)
        arguments = ("--workers", str(kind.workers)) if kind.workers > 1 else ()
        cores = places().workers if kind.workers > 1 else places().server
        # Whoever is copied would stay there for all its copies.
        with begun_on(cores) if program else nullcontext():
            sidecar = self._stack.enter_context(
                Sidecar(
                    policies=policies,
                    store=store,
                    cwd=home,
                    env=env,
                    arguments=arguments,
                    program=program,
                )
            )
        contestant = Contestant(
            name,
            sidecar.url,
            sidecar.process.pid,
            users,
            redis=redis,
            redis_process=process,
            calls=None if redis is None or kind.may_lease else 1,
        )
        _identify(sidecar.client, policies, store)
        if redis is not None and kind.is_filled:
            contestant.told["bytes a subject"] = fill(sidecar.client, redis, users)
        elif shared is None:
            push_subscriptions(sidecar.client, users)
        return contestant

    def _application(self, name: str) -> Contestant:
        application, identity, workers = _APPLICATIONS[name]
        env, redis, process = clean_environment() | {"PYTHONPATH": str(ROOT)}, None, 0
        if name == USUAL:
            store, redis, process = self.redis(self._home(name))
            env |= {"REDIS": store}
        cores = places().workers if workers > 1 else places().server
        url, server = self._uvicorn(application, env, cores, workers)
        _await(lambda: httpx.get(f"{url}/readyz").json() == {"server": identity}, name)
        told = Contestant(name, url, server.pid, self._users, redis=redis, redis_process=process)
        return replace(told, connections=4) if name == USUAL else told

    def redis_of(self, name: str) -> str:
        """The address of a Redis for somebody who is no server."""
        return self.redis(self._home(name))[0]

    def redis(self, home: Path) -> Shared:
        """A Redis that counts from nothing."""
        port = free_port()
        with begun_on(places().redis):
            server = self._stack.enter_context(redis_server(home, port))
        observed = ObservedRedis(server.socket)
        self._stack.callback(observed.close)
        return f"redis://127.0.0.1:{port}", observed, server.process.pid

    def _uvicorn(
        self, application: str, env: Mapping[str, str], cores: Cores, workers: int
    ) -> tuple[str, "subprocess.Popen[bytes]"]:
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", application, "--port", str(port)]
        command += ["--no-access-log", "--log-level", "error", "--workers", str(workers)]
        with begun_on(cores):
            process = subprocess.Popen(command, cwd=ROOT, env=dict(env))
        self._stack.callback(process.wait)
        self._stack.callback(process.terminate)
        return f"http://127.0.0.1:{port}", process

    def _home(self, name: str) -> Path:
        home = self._folder / name
        home.mkdir()
        return home


def _identify(client: httpx.Client, policies: Path, store: str) -> None:
    """Hold what a server says of itself to what was asked for."""
    expected = load(policies, ceiling=Ceiling.RAISED)
    told: dict[str, Any] = client.get(
        "/v1/status", headers={"X-Internal-API-Key": INTERNAL_KEY}
    ).json()
    parts = {name: part["facts"] for name, part in told["parts"].items()}
    where = store.removeprefix("sqlite:///")
    assert parts["policies"]["revision"] == expected.revision, told
    assert where in parts["store"]["address"], told


def _await(holds: Callable[[], bool], name: str) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            if holds():
                return
        except httpx.TransportError:
            time.sleep(0.02)
        assert time.monotonic() < deadline, f"{name} did not start"


def demand_wrk() -> None:
    """Say what is missing.

    Raises:
        AssertionError: there is no wrk.
    """
    if shutil.which("wrk") is None:
        raise AssertionError("wrk is missing: run `make system-packages`")
