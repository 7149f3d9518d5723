"""The faults really happen: each is seen by a plain socket, and on the server behind it."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

import hiredis
import pytest

from tests.faults.proxy import FaultProxy
from tests.faults.weather import Faults
from tests.processes import RedisServer, redis_server

PATIENCE_S: Final = 10.0
QUIET_S: Final = 0.1


def packed(command: str) -> bytes:
    """A command as its words and their lengths."""
    words = command.encode().split()
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


class Caller:
    """A plain socket that speaks to Redis."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        if where.scheme == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
        else:
            self.socket = socket.socket()
        try:
            self.socket.connect(where.path or (where.hostname, where.port))
        except OSError:
            self.socket.close()
            raise
        self.socket.settimeout(PATIENCE_S)
        self._reader = hiredis.Reader()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def say(self, *commands: str) -> None:
        """Send commands in one write."""
        self.socket.sendall(b"".join(map(packed, commands)))

    def hear(self) -> object:
        """The next reply.

        Raises:
            ConnectionError: the connection ended before it.
        """
        while (reply := self._reader.gets()) is False:
            data = self.socket.recv(65_536)
            if not data:
                raise ConnectionAbortedError("the connection has ended")
            self._reader.feed(data)
        return reply

    def ask(self, command: str) -> object:
        """The reply to one command."""
        self.say(command)
        return self.hear()

    def hears_nothing(self) -> bool:
        """Whether there is a silence; not even an end."""
        self.socket.settimeout(QUIET_S)
        try:
            self.hear()
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(PATIENCE_S)
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def direct(server: RedisServer) -> Iterator[Caller]:
    """A way to an empty server that nothing happens on."""
    with Caller(server.url) as caller:
        assert caller.ask("FLUSHALL") == b"OK"
        yield caller


@pytest.fixture(params=["tcp", "unix"])
def proxy(
    request: pytest.FixtureRequest, server: RedisServer, tmp_path: Path
) -> Iterator[FaultProxy]:
    at = "redis://127.0.0.1:0" if request.param == "tcp" else f"unix://{tmp_path}/proxy.sock"
    with FaultProxy(server.url, at) as proxy:
        yield proxy


def until(is_so: Callable[[], bool]) -> None:
    """Return when something is so, because it happens elsewhere."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def callers_of(direct: Caller) -> int:
    """Connections that the server has, beside the one that asks."""
    told = direct.ask("CLIENT LIST")
    assert isinstance(told, bytes)
    return len(re.findall(rb"(?m)^id=", told)) - 1


def test_without_faults_everything_passes_as_it_is(proxy: FaultProxy) -> None:
    with Caller(proxy.url) as one, Caller(proxy.url) as other:
        assert one.ask("SET k v") == b"OK"
        assert other.ask("GET k") == b"v"
        one.say(*(f"ECHO {number}" for number in range(1_000)))
        assert [one.hear() for _ in range(1_000)] == [b"%d" % number for number in range(1_000)]
        seen = proxy.seen
        assert (seen.connections, seen.live) == (2, 2)
        assert (seen.commands, seen.replies) == (1_002, 1_002)
        assert (seen.dropped, seen.swallowed, seen.reset) == (0, 0, 0)
    until(lambda: proxy.seen.live == 0)


def test_messages_are_late_by_as_much_as_is_said_in_each_direction(
    proxy: FaultProxy, direct: Caller
) -> None:
    proxy.inject(Faults(commands_late_ms=250))
    with Caller(proxy.url) as caller:
        began = time.monotonic()
        caller.say("SET k v")
        assert direct.ask("GET k") is None
        assert caller.hear() == b"OK"
        assert 0.25 <= time.monotonic() - began < 1
        proxy.inject(Faults(replies_late_ms=250))
        began = time.monotonic()
        caller.say("SET k w")
        until(lambda: direct.ask("GET k") == b"w")
        assert time.monotonic() - began < 0.25
        assert caller.hear() == b"OK"
        assert 0.25 <= time.monotonic() - began < 1


def test_messages_that_are_late_are_late_together(proxy: FaultProxy) -> None:
    proxy.inject(Faults(commands_late_ms=30, replies_late_ms=30))
    with Caller(proxy.url) as caller:
        began = time.monotonic()
        for number in range(100):
            caller.say(f"ECHO {number}")
        assert [caller.hear() for _ in range(100)] == [b"%d" % number for number in range(100)]
        assert 0.06 <= time.monotonic() - began < 1


def test_a_dropped_reply_was_applied_and_takes_the_connection_with_it(
    proxy: FaultProxy, direct: Caller
) -> None:
    proxy.inject(Faults(drop_every=3))
    with Caller(proxy.url) as caller:
        caller.say(*["INCR k"] * 5)
        # What came before it in the same write is heard.
        assert [caller.hear(), caller.hear()] == [1, 2]
        with pytest.raises(ConnectionError):
            caller.hear()
    assert direct.ask("GET k") == b"5"
    assert (proxy.seen.dropped, proxy.seen.reset) == (1, 1)
    with Caller(proxy.url) as another:
        assert another.ask("INCR k") == 6


def test_a_reply_dropped_silently_leaves_a_connection_that_only_listens(
    proxy: FaultProxy, direct: Caller
) -> None:
    proxy.inject(Faults(drop_every=2, drop_silently=True))
    with Caller(proxy.url) as caller:
        caller.say("INCR k", "INCR k", "INCR k")
        assert caller.hear() == 1
        assert caller.hears_nothing()
        proxy.heal()
        caller.say("INCR k")
        assert caller.hears_nothing()
        assert direct.ask("GET k") == b"4"
    assert (proxy.seen.dropped, proxy.seen.swallowed, proxy.seen.reset) == (1, 2, 0)
    until(lambda: callers_of(direct) == 0)


def test_only_replies_to_the_commands_in_question_are_dropped(proxy: FaultProxy) -> None:
    proxy.inject(Faults(drop_every=1, drop_of=lambda command: b"GET" in command))
    with Caller(proxy.url) as caller:
        caller.say("SET k v", "ECHO 1", "GET k")
        assert [caller.hear(), caller.hear()] == [b"OK", b"1"]
        with pytest.raises(ConnectionError):
            caller.hear()


def replies_before_the_end(server: RedisServer, seed: int) -> list[int]:
    """How many replies each of ten connections brought before one was lost."""
    with FaultProxy(server.url, seed=seed) as proxy:
        proxy.inject(Faults(drop_share=0.05))
        heard = [replies_of(proxy) for _ in range(10)]
        assert proxy.seen.dropped == 10
        return heard


def replies_of(proxy: FaultProxy) -> int:
    """How many replies are heard, one after the other, before one is lost."""
    with Caller(proxy.url) as caller:
        for heard in range(1_000):
            try:
                caller.ask("PING")
            except ConnectionError:
                return heard
    return 1_000


def test_replies_are_lost_by_lot_and_the_same_seed_draws_the_same_lots(
    server: RedisServer,
) -> None:
    first = replies_before_the_end(server, seed=1)
    assert replies_before_the_end(server, seed=1) == first
    assert 50 < sum(first) < 800
    assert replies_before_the_end(server, seed=2) != first


def test_what_is_swallowed_never_arrives_and_its_connection_never_heals(
    proxy: FaultProxy, direct: Caller
) -> None:
    with Caller(proxy.url) as caller, Caller(proxy.url) as idle:
        assert [each.ask("INCR k") for each in (caller, idle)] == [1, 2]
        proxy.inject(Faults(swallows=True))
        with Caller(proxy.url) as another:
            for each in (caller, another):
                each.say("INCR k", "INCR k")
                assert each.hears_nothing()
            assert proxy.seen.swallowed == 4
            proxy.heal()
            for each in (caller, another):
                each.say("INCR k")
                assert each.hears_nothing()
        assert direct.ask("GET k") == b"2"
        # On this one nothing was lost.
        assert idle.ask("INCR k") == 3
        with Caller(proxy.url) as later:
            assert later.ask("INCR k") == 4
    until(lambda: callers_of(direct) == 0)
    until(lambda: proxy.seen.live == 0)


def test_replies_under_way_are_swallowed_too(proxy: FaultProxy, direct: Caller) -> None:
    proxy.inject(Faults(replies_late_ms=50))
    with Caller(proxy.url) as caller:
        caller.say("INCR k")
        until(lambda: direct.ask("GET k") == b"1")
        proxy.inject(Faults(swallows=True))
        until(lambda: proxy.seen.swallowed == 1)
        proxy.heal()
        assert caller.hears_nothing()


def test_what_is_stalled_arrives_later_and_in_order(proxy: FaultProxy, direct: Caller) -> None:
    proxy.inject(Faults(stalls=True))
    with Caller(proxy.url) as caller:
        caller.say("RPUSH k 1", "RPUSH k 2")
        caller.say("RPUSH k 3")
        assert caller.hears_nothing()
        assert direct.ask("LLEN k") == 0
        proxy.heal()
        assert [caller.hear() for _ in range(3)] == [1, 2, 3]
    assert direct.ask("LRANGE k 0 -1") == [b"1", b"2", b"3"]


def test_what_was_stalled_is_done_though_its_caller_has_gone(
    proxy: FaultProxy, direct: Caller
) -> None:
    proxy.inject(Faults(stalls=True))
    with Caller(proxy.url) as caller:
        caller.say("INCR k")
        until(lambda: proxy.seen.commands == 1)
    proxy.heal()
    until(lambda: direct.ask("GET k") == b"1")
    until(lambda: proxy.seen.live == 0)


def test_a_reset_cuts_every_connection_and_new_ones_are_made(
    proxy: FaultProxy, direct: Caller
) -> None:
    with Caller(proxy.url) as one, Caller(proxy.url) as other:
        assert one.ask("PING") == other.ask("PING") == b"PONG"
        proxy.reset()
        assert (proxy.seen.reset, proxy.seen.live) == (2, 0)
        until(lambda: callers_of(direct) == 0)
        for each in (one, other):
            with pytest.raises(ConnectionError):
                each.hear()
        with Caller(proxy.url) as another:
            assert another.ask("PING") == b"PONG"


def test_on_tcp_a_reset_is_a_reset(server: RedisServer) -> None:
    with FaultProxy(server.url) as proxy, Caller(proxy.url) as caller:
        assert caller.ask("PING") == b"PONG"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            caller.hear()


def test_a_half_open_connection_has_no_server_and_nobody_says_so(
    proxy: FaultProxy, direct: Caller
) -> None:
    with Caller(proxy.url) as caller:
        assert caller.ask("INCR k") == 1
        proxy.half_open()
        until(lambda: callers_of(direct) == 0)
        caller.say("INCR k")
        assert caller.hears_nothing()
        with Caller(proxy.url) as another:
            assert another.ask("INCR k") == 2
        assert proxy.seen.live >= 1
    until(lambda: proxy.seen.live == 0)


def test_a_door_that_refuses_opens_again_in_the_same_place(proxy: FaultProxy) -> None:
    with Caller(proxy.url) as before:
        assert before.ask("PING") == b"PONG"
        proxy.inject(Faults(refuses=True))
        for _ in range(2):
            with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
                Caller(proxy.url)
        # Only the door is shut.
        assert before.ask("PING") == b"PONG"
        proxy.heal()
        with Caller(proxy.url) as after:
            assert after.ask("PING") == b"PONG"


def test_what_drips_comes_in_pieces_and_whole_in_the_end(proxy: FaultProxy) -> None:
    proxy.inject(Faults(drip_bytes=4, drip_ms=5))
    with Caller(proxy.url) as caller:
        began = time.monotonic()
        caller.say("ECHO 0123456789012345")
        first = caller.socket.recv(65_536)
        assert len(first) < len(b"$16\r\n0123456789012345\r\n")
        caller._reader.feed(first)
        assert caller.hear() == b"0123456789012345"
        # Ten pieces went and six came: between them are so many pauses.
        assert time.monotonic() - began >= (9 + 5) * 0.005


def test_while_the_server_is_away_the_door_is_shut_in_everybodys_face(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server, FaultProxy(server.url) as proxy:
        with Caller(proxy.url) as caller:
            assert caller.ask("PING") == b"PONG"
            server.stop()
            with pytest.raises(ConnectionError):
                caller.ask("PING")
        with Caller(proxy.url) as caller, pytest.raises(ConnectionError):
            caller.ask("PING")
        server.socket.unlink()
        server.start()
        with Caller(proxy.url) as caller:
            assert caller.ask("PING") == b"PONG"


def test_when_it_ends_nothing_of_it_is_left(server: RedisServer, direct: Caller) -> None:
    with FaultProxy(server.url) as proxy, Caller(proxy.url) as caller:
        assert caller.ask("PING") == b"PONG"
        proxy.inject(Faults(swallows=True, stalls=True))
        caller.say("PING")
    assert "fault-proxy" not in {thread.name for thread in threading.enumerate()}
    until(lambda: callers_of(direct) == 0)
    with pytest.raises(ConnectionRefusedError):
        Caller(proxy.url)
