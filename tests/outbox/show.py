"""What arrives of events that were acknowledged, when servers are killed while they come?"""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

import httpx

from tests.commands import sidecar
from tests.outbox.plane import Plane
from tests.processes import Sidecar

APPS: Final = 4
_TOGETHER: Final = (1, 20, 7, 50, 3)
_PATIENCE_S: Final = 300.0


@dataclass
class Shown:
    """What came of it.

    Attributes:
        acknowledged: the ids of each app, in the order in which they were sent.
        again: posts that failed and were sent again.
        kills: servers that were killed.
        early: events that the control plane had before it was there.
        drained_s: how long it took to deliver what had waited.
    """

    plane: Plane
    acknowledged: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    again: int = 0
    kills: int = 0
    early: int = 0
    drained_s: float = 0.0

    @property
    def sent(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    @property
    def missing(self) -> set[str]:
        """Acknowledged, and never delivered."""
        return {name for names in self.acknowledged.values() for name in names} - self.plane.ids()

    @property
    def out_of_order(self) -> list[str]:
        """Apps whose events did not come in their order."""
        return [
            app for app, names in self.acknowledged.items() if self.plane.first_seen(app) != names
        ]


class Replica:
    """A server that is killed and begun again while it is used."""

    def __init__(self, server: Sidecar) -> None:
        self.server = server
        self._one_at_a_time = threading.Lock()
        self._stands = threading.Event()
        self._stands.set()

    def post(self, client: httpx.Client, events: Sequence[dict[str, object]]) -> bool:
        """Send events; whether all were acknowledged."""
        if not self._stands.wait(_PATIENCE_S):
            return False
        try:
            answer = client.post(f"{self.server.url}/v1/usage", json=events)
        except httpx.TransportError:
            return False
        return answer.status_code == 202 and answer.json()["rejected"] == []

    def kill_and_begin(self) -> None:
        """End it as a power cut would, and begin it again."""
        with self._one_at_a_time:
            self._stands.clear()
            self.server.kill()
            self.server.start()
            self._stands.set()


def show(
    folder: Path, store: str, events: int, *, replicas: int = 1, is_away: bool = True
) -> Shown:
    """Send events, kill twice, and wait until all have arrived.

    Args:
        is_away: whether the control plane is away until all are sent.
    """
    plane = Plane()
    shown = Shown(plane)
    with _servers(folder, store, plane, replicas) as servers:
        with nullcontext() if is_away else plane.listening():
            _send(shown, servers, events)
            if not is_away:
                _await(lambda: not shown.missing)
        shown.early = len(plane.ids()) if is_away else 0
        if is_away:
            with plane.listening():
                began = time.monotonic()
                _hurry(folder, store, plane)
                _await(lambda: not shown.missing)
                shown.drained_s = time.monotonic() - began
        _await(lambda: _waiting(servers[0]) == 0)
    return shown


def _send(shown: Shown, servers: Sequence[Replica], events: int) -> None:
    """Send so many events of several apps at once, each app's in their order."""
    share = events // APPS
    lock = threading.Lock()
    marks = {events // 3, 2 * events // 3}

    def may_kill(replica: Replica) -> None:
        with lock:
            passed = {mark for mark in marks if shown.sent >= mark}
            if not passed:
                return
            marks.difference_update(passed)
            shown.kills += 1
        # Others send meanwhile: it is killed while it answers them.
        replica.kill_and_begin()

    def send(app: str) -> None:
        numbers, turn = iter(range(share)), count()
        with httpx.Client(timeout=20) as client:
            for size in _sizes(share):
                names = [f"{app}-{next(numbers):06}" for _ in range(size)]
                batch = [_event(app, name) for name in names]
                while not servers[next(turn) % len(servers)].post(client, batch):
                    with lock:
                        shown.again += 1
                with lock:
                    shown.acknowledged[app] += names
                may_kill(servers[next(turn) % len(servers)])

    with ThreadPoolExecutor(APPS) as pool:
        for sent in [pool.submit(send, f"app-{number}") for number in range(APPS)]:
            sent.result()


def _sizes(share: int) -> Iterator[int]:
    for turn in count():
        size = min(_TOGETHER[turn % len(_TOGETHER)], share)
        if size == 0:
            return
        yield size
        share -= size


def _event(app: str, name: str) -> dict[str, object]:
    return {"event_id": name, "app_id": app, "user_id": f"u{hash(name) % 7}", "total_tokens": 3}


@contextmanager
def _servers(folder: Path, store: str, plane: Plane, replicas: int) -> Iterator[list[Replica]]:
    with ExitStack() as stack:
        servers = [
            stack.enter_context(Sidecar(store=store, cwd=folder, env=_env(plane)))
            for _ in range(replicas)
        ]
        yield [Replica(server) for server in servers]


def _env(plane: Plane) -> dict[str, str]:
    return {
        "CONTROL_PLANE_USAGE_INGEST_ENABLED": "true",
        "CONTROL_PLANE_USAGE_INGEST_URL": plane.url,
        # A busy machine is no finding.
        "SIDECAR_STORE_TIMEOUT_MS": "5000",
    }


def _hurry(folder: Path, store: str, plane: Plane) -> None:
    """Have all that waits tried at once, as an operator would."""
    code, told, fault = sidecar(
        folder, "outbox", "retry", "--all", "--store", store, env=_env(plane)
    )
    assert code == 0, told + fault


def _waiting(replica: Replica) -> int:
    waiting: int = replica.server.client.get("/v1/outbox").json()["waiting"]
    return waiting


def _await(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"not so after {_PATIENCE_S:.0f} s"
        time.sleep(0.05)
