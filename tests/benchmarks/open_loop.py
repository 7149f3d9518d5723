"""A client that asks at a constant rate, whatever the answers take.

Each request has an instant at which it is due, and its latency is counted from there: a server
that stands still is charged for all that was due meanwhile. One thread, plain sockets and a wait
of microseconds (timers of an event loop come in whole milliseconds), so that it is not what is
measured; how late it was itself is told beside.

    python -m tests.benchmarks.open_loop URL --rate 1000 --seconds 10
"""

import argparse
import ctypes
import gc
import json
import re
import select
import socket
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from time import perf_counter, process_time
from typing import Final
from urllib.parse import urlsplit

from tests.benchmarks.load import USERS, Crowd, app_of, checks, commits, name_of

SLOW_S: Final = 0.050
"""An answer after this is one that somebody notices."""

_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_RESERVED: Final = b'"reservation":{"id":"'
_DECISION: Final = b'"decision_id"'
_ECHOED: Final = b'"app_id"'
_MADE_UP: Final = b"res_YTAw.AAAAAAAAAAAAAAAAAAAAAAAA"
_PR_SET_TIMERSLACK: Final = 29
_PATIENCE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """What came of it; times are in microseconds.

    Attributes:
        most: the longest that any answer took.
        slow: answers after more than 50 ms.
        late: how late the client saw that a request was due, at the 99th percentile.
        latest: the same at the worst.
        busy: part of a core that the client took meanwhile.
    """

    requests: int
    us: int
    p50: int
    p99: int
    p999: int
    most: int
    slow: int
    refused: int
    late: int
    latest: int
    busy: float


class _Connection:
    __slots__ = ("due", "socket", "unfinished")

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.due = 0.0
        self.unfinished = b""


class Client:
    """Connections, and what is to be asked next."""

    def __init__(self, url: str, *, connections: int, crowd: Crowd) -> None:
        where = urlsplit(url)
        assert where.hostname is not None
        assert where.port is not None
        address = (where.hostname, where.port)
        self._all = [_Connection(address) for _ in range(connections)]
        # They take turns, for a server hangs up where nobody has asked for some seconds.
        self._free = deque(self._all)
        users = {user: (app_of(user).encode(), name_of(user).encode()) for user in {*crowd.turns}}
        self._turns = cycle([users[user] for user in crowd.turns])
        self._checks = cycle(
            [(part.head.encode(), part.middle.encode(), part.tail.encode()) for part in checks()]
        )
        self._commits = cycle(
            [(before.encode(), after.encode()) for before, after in commits()],
        )
        self._held: deque[bytes] = deque()
        self._waits, self._lates = array("d"), array("d")
        self._refused = 0

    def drive(self, rate: float, count: int) -> Told:
        """Ask so many times, so often a second."""
        polled = select.epoll()
        by_file = {each.socket.fileno(): each for each in self._all}
        for file in by_file:
            polled.register(file, select.EPOLLIN)
        due: deque[float] = deque()
        scheduled, begin, worked = 0, perf_counter(), process_time()
        after, given_up = begin, begin + count / rate + _PATIENCE_S
        while len(self._waits) < count:
            now = perf_counter()
            assert now < given_up, f"{count - len(self._waits)} answers are still awaited"
            while after <= now and scheduled < count:
                due.append(after)
                self._lates.append(now - after)
                scheduled += 1
                after = begin + scheduled / rate
            while due and self._free:
                self._ask(due.popleft())
            rest = after - perf_counter() if scheduled < count else 1.0
            select.select((polled,), (), (), max(0.0, rest))
            for file, _ in polled.poll(0):
                self._take(by_file[file])
        lasted = perf_counter() - begin
        polled.close()
        return self._told(lasted, process_time() - worked)

    def close(self) -> None:
        """Close all connections."""
        for each in self._all:
            each.socket.close()

    def _ask(self, due: float) -> None:
        if self._held:
            before, rest = next(self._commits)
            request = before + self._held.popleft() + rest
        else:
            (head, middle, tail), (app, name) = next(self._checks), next(self._turns)
            request = b"".join((head, app, middle, name, tail))
        connection = self._free.popleft()
        connection.due = due
        connection.socket.send(request)

    def _take(self, connection: _Connection) -> None:
        data = connection.unfinished + connection.socket.recv(65_536)
        assert data, "the server hung up"
        begin = data.find(b"\r\n\r\n")
        length = _LENGTH.search(data, 0, begin) if begin > 0 else None
        if length is None or len(data) < begin + 4 + int(length[1]):
            connection.unfinished = data
            return
        self._waits.append(perf_counter() - connection.due)
        connection.unfinished = b""
        self._free.append(connection)
        if data[9:12] != b"200":
            self._refused += 1
        elif (at := data.find(_RESERVED, begin)) >= 0:
            if data.find(_DECISION, begin) >= 0:
                at += len(_RESERVED)
                self._held.append(data[at : data.index(b'"', at)])
        elif data.find(_ECHOED, begin) >= 0:
            self._held.append(_MADE_UP)

    def _told(self, lasted: float, worked: float) -> Told:
        waits, lates = sorted(self._waits), sorted(self._lates)
        return Told(
            requests=len(waits),
            us=round(lasted * 1e6),
            p50=_at(waits, 0.5),
            p99=_at(waits, 0.99),
            p999=_at(waits, 0.999),
            most=_at(waits, 1.0),
            slow=sum(wait > SLOW_S for wait in waits),
            refused=self._refused,
            late=_at(lates, 0.99),
            latest=_at(lates, 1.0),
            busy=worked / lasted,
        )


def _at(ordered: Sequence[float], part: float) -> int:
    """Microseconds that so large a part is not above."""
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * part))] * 1e6)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what came of it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.open_loop")
    parser.add_argument("url")
    parser.add_argument("--rate", type=float, required=True, help="requests in a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--users", type=int, default=USERS)
    given = parser.parse_args(arguments)
    # Else the kernel lets it sleep 50 µs longer than it asks for.
    ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, 1)
    client = Client(given.url, connections=given.connections, crowd=Crowd(given.users))
    gc.disable()
    told = client.drive(given.rate, max(1, round(given.rate * given.seconds)))
    client.close()
    print(json.dumps(asdict(told)))


if __name__ == "__main__":
    main()
