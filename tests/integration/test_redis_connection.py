"""What happens when Redis forgets, stalls, dies, returns, or does not know us."""

import asyncio
import gc
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop
from structlog.testing import capture_logs

from sidecar.adapters.redis.connection import RedisConnection, StoreUnavailable
from sidecar.adapters.redis.documents import REPLACE
from sidecar.adapters.redis.meter import READ, SCRIPTS, RedisMeter
from sidecar.adapters.redis.subscriptions import RedisSubscriptions
from sidecar.domain.request import Amounts, Subject
from sidecar.domain.subscription import Status, Subscription, SyncOutcome
from sidecar.domain.usage import Tally
from sidecar.errors import MeterUnavailable
from tests.contract.stores import ManualClock, World, limit
from tests.processes import RedisServer, redis_server

PATIENT_S = 10.0
HASTY_S = 0.05
MONTHLY = limit(10**9, name="monthly")


def since() -> float:
    return time.monotonic()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    """A server of this test's own, to be maltreated."""
    with redis_server(tmp_path) as server:
        yield server


@asynccontextmanager
async def connected(url: str, timeout_s: float = PATIENT_S) -> AsyncIterator[RedisConnection]:
    connection = RedisConnection(url, timeout_s=timeout_s, scripts=(*SCRIPTS, REPLACE))
    try:
        yield connection
    finally:
        await connection.close()


async def soon(attempt: Callable[[], Awaitable[object]]) -> None:
    """Try until it succeeds, because the other process needs a moment."""
    deadline = time.monotonic() + PATIENT_S
    while True:
        try:
            await attempt()
            return
        except (StoreUnavailable, MeterUnavailable):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.01)


@asynccontextmanager
async def listening(
    path: Path,
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """The address of a server that does what it is told to with each connection."""
    writers: list[asyncio.StreamWriter] = []
    tasks: list[asyncio.Task[None]] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        task = asyncio.current_task()
        assert task is not None
        tasks.append(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            writer.transport.abort()

    listener = await asyncio.start_unix_server(accept, path)
    try:
        yield f"unix://{path}"
    finally:
        listener.close()
        for writer in writers:
            writer.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# -- it forgets ------------------------------------------------------------------------------


async def test_a_flushed_script_cache_is_healed_without_a_failure(server: RedisServer) -> None:
    async with connected(server.url) as connection:
        world = World(RedisMeter(connection))
        for _ in range(3):
            await world.held(MONTHLY, tokens=10)
            await connection.command("SCRIPT", "FLUSH", since=since())
            await asyncio.gather(*(world.held(MONTHLY, tokens=1) for _ in range(20)))
        assert await world.level(MONTHLY) == (0, 90)


async def test_scripts_are_loaded_before_the_first_call(server: RedisServer) -> None:
    async with connected(server.url) as connection:
        known = await connection.command("SCRIPT", "EXISTS", READ.digest, since=since())
        assert known == [1]


# -- it dies and returns ---------------------------------------------------------------------


async def test_a_killed_server_fails_calls_and_a_restarted_one_serves_them(
    server: RedisServer,
) -> None:
    async with connected(server.url) as connection:
        meter = RedisMeter(connection)
        world = World(meter)
        await world.held(MONTHLY, tokens=10)
        for _ in range(3):
            server.stop()
            with pytest.raises(StoreUnavailable):
                await connection.command("GET", "x", since=since())
            with pytest.raises(MeterUnavailable):
                await world.read(MONTHLY)
            with pytest.raises(MeterUnavailable):
                await meter.ping(since=since())
            server.socket.unlink(missing_ok=True)
            server.start()
            await soon(lambda: world.read(MONTHLY))
            await world.held(MONTHLY, tokens=10)
        assert await world.level(MONTHLY) == (0, 10)


async def test_calls_in_flight_when_the_server_dies_are_told_so(server: RedisServer) -> None:
    async with connected(server.url) as connection:
        await connection.command("PING", since=since())
        blocked = [
            asyncio.create_task(connection.ask(("BLPOP", "nothing", 0), since=since()))
            for _ in range(5)
        ]
        await soon(lambda: _is_blocked(server))
        server.stop()
        outcomes = await asyncio.gather(*blocked, return_exceptions=True)
        assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)


async def _is_blocked(server: RedisServer) -> None:
    async with connected(server.url) as observer:
        info = str(await observer.command("INFO", "clients", since=since()))
        if "blocked_clients:1" not in info:
            raise StoreUnavailable("not yet")


async def test_a_dead_port_fails_fast() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    async with connected(f"redis://127.0.0.1:{port}") as connection:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await connection.command("PING", since=since())
        assert time.monotonic() - began < 1


async def test_a_missing_socket_fails_fast(tmp_path: Path) -> None:
    async with connected(f"unix://{tmp_path}/none.sock") as connection:
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await connection.command("PING", since=since())


# -- it is silent ----------------------------------------------------------------------------


async def _swallow(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    while await reader.read(65_536):
        pass


async def test_a_server_that_never_answers_fails_every_call_in_time(tmp_path: Path) -> None:
    async with (
        listening(tmp_path / "hole.sock", _swallow) as url,
        connected(url, HASTY_S) as connection,
    ):
        began = time.monotonic()
        calls = (connection.command("PING", since=began) for _ in range(200))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        took = time.monotonic() - began
        assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
        assert HASTY_S <= took < 1


async def test_a_server_that_answers_at_last_is_found_again(
    tmp_path: Path, server: RedisServer
) -> None:
    """The first connection is swallowed while it is being made; it may not be waited for."""
    path = tmp_path / "front.sock"
    async with connected(f"unix://{path}", HASTY_S) as connection:
        async with listening(path, _swallow):
            with pytest.raises(StoreUnavailable, match="could not be reached in time"):
                await connection.command("PING", since=since())
        path.unlink(missing_ok=True)
        async with listening(path, _forward_to(server)):
            await soon(lambda: connection.command("PING", since=since()))


async def test_a_connection_that_falls_silent_is_left_and_made_anew(
    tmp_path: Path, server: RedisServer
) -> None:
    silent = asyncio.Event()
    first: list[asyncio.StreamWriter] = []

    async def go_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first.append(writer)
        to_server, from_server = await _dial(server)

        async def answer() -> None:
            while data := await from_server.read(65_536):
                writer.write(data)

        # A script may be longer than what is read at once, and is answered when all of it is there.
        answering = asyncio.create_task(answer())
        try:
            while data := await reader.read(65_536):
                if silent.is_set() and writer is first[0]:
                    continue
                to_server.write(data)
        finally:
            answering.cancel()
            to_server.transport.abort()

    async with (
        listening(tmp_path / "front.sock", go_silent) as url,
        connected(url, HASTY_S) as connection,
    ):
        await soon(lambda: connection.command("PING", since=since()))
        silent.set()
        with pytest.raises(StoreUnavailable, match="did not answer within 50 ms"):
            await connection.command("PING", since=since())
        began = time.monotonic()
        await soon(lambda: connection.command("PING", since=since()))
        assert time.monotonic() - began < 5


async def test_giving_overdue_holds_back_takes_no_more_than_a_requests_time(
    server: RedisServer,
) -> None:
    """What one request could not end is left to the next ones."""
    async with connected(server.url) as connection:
        clock = ManualClock()
        world = World(RedisMeter(connection, now_ms=clock.now_ms), clock)
        await asyncio.gather(*(world.held(MONTHLY, tokens=1) for _ in range(600)))
        clock.advance(seconds=60)
        charges = world.charges(world.request(Amounts(1)), [MONTHLY])
        with pytest.raises(MeterUnavailable):
            await world.meter.read(Subject("app", "user"), charges, since=since() - PATIENT_S)
        left = await connection.command("ZCARD", "s3:{app}:x", since=since())
        assert left == 600 - 128
        assert await world.level(MONTHLY) == (0, 0)


async def test_a_caller_whose_time_is_over_is_told_at_once(server: RedisServer) -> None:
    async with connected(server.url, HASTY_S) as connection:
        await soon(lambda: connection.command("PING", since=since()))
        began = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await connection.ask(("BLPOP", "nothing", 0), since=began - 60)
        assert time.monotonic() - began < 1


# -- it drops the reply ----------------------------------------------------------------------


async def _dial(server: RedisServer) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    from_server, to_server = await asyncio.open_unix_connection(server.socket)
    return to_server, from_server


def _forward_to(
    server: RedisServer, drops: Callable[[bytes], bool] = lambda command: False
) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """Pass everything on, but drop the connection in the place of some replies."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_server, from_server = await _dial(server)
        try:
            while data := await reader.read(1_048_576):
                to_server.write(data)
                reply = await from_server.read(1_048_576)
                if drops(data):
                    break
                writer.write(reply)
        finally:
            to_server.transport.abort()
            writer.transport.abort()

    return forward


def _once(word: str) -> Callable[[bytes], bool]:
    """Whether it is the first call of a script with this word in it."""
    words = [word.encode()]

    def drops(command: bytes) -> bool:
        if words and words[0] in command and b"EVALSHA" in command:
            words.clear()
            return True
        return False

    return drops


async def test_a_reservation_whose_reply_was_lost_is_held_once(
    tmp_path: Path, server: RedisServer
) -> None:
    front = _forward_to(server, _once("dec_0"))
    async with listening(tmp_path / "p.sock", front) as url, connected(url) as connection:
        world = World(RedisMeter(connection))
        name = await world.held(MONTHLY, tokens=10)
        assert await world.level(MONTHLY) == (0, 10)
        await world.commit(name, 7)
        assert await world.level(MONTHLY) == (7, 0)


async def test_a_commit_whose_reply_was_lost_charges_once(
    tmp_path: Path, server: RedisServer
) -> None:
    front = _forward_to(server, _once("finish"))
    async with listening(tmp_path / "p.sock", front) as url, connected(url) as connection:
        world = World(RedisMeter(connection))
        settled = await world.commit(await world.held(MONTHLY, tokens=10), 7)
        assert [reading.used for reading in settled.readings] == [7]
        assert await world.level(MONTHLY) == (7, 0)


async def test_an_extension_whose_reply_was_lost_holds_once(
    tmp_path: Path, server: RedisServer
) -> None:
    front = _forward_to(server, _once("dec_x"))
    async with listening(tmp_path / "p.sock", front) as url, connected(url) as connection:
        world = World(RedisMeter(connection))
        name = await world.held(MONTHLY, tokens=10)
        metering = await world.extend(name, MONTHLY, tokens=5, decision_id="dec_x")
        assert metering.readings[0].reserved == 10
        assert await world.level(MONTHLY) == (0, 15)


async def test_events_whose_reply_was_lost_count_once(tmp_path: Path, server: RedisServer) -> None:
    events = 5
    front = _forward_to(server, _once(str(777_777)))
    async with listening(tmp_path / "p.sock", front) as url, connected(url) as connection:
        world = World(RedisMeter(connection))
        now = datetime.now(UTC)
        reported = [world.event(MONTHLY, tokens=777_777, at=now) for _ in range(events)]
        tally = await world.record(*reported)
        assert tally == Tally(0, events)
        assert await world.level(MONTHLY) == (events * 777_777, 0)


async def test_a_release_and_a_withdrawal_whose_reply_was_lost_give_back_once(
    tmp_path: Path, server: RedisServer
) -> None:
    front = _forward_to(server, _once("release"))
    async with listening(tmp_path / "p.sock", front) as url, connected(url) as connection:
        world = World(RedisMeter(connection))
        keeps = await world.held(MONTHLY, tokens=3)
        await world.release(await world.held(MONTHLY, tokens=10))
        assert await world.level(MONTHLY) == (0, 3)
        await world.release(keeps)


async def test_a_push_whose_reply_was_lost_enters_the_history_once(
    tmp_path: Path, server: RedisServer
) -> None:
    front = _forward_to(server, _once("EVALSHA"))
    async with listening(tmp_path / "p.sock", front) as url, connected(url) as connection:
        subscriptions = RedisSubscriptions(connection)
        pushed = Subscription("bob", "app", "pro", Status.ACTIVE)
        outcome, stored = await subscriptions.sync(pushed, since=since())
        assert outcome is SyncOutcome.SYNCED
        assert len(stored.history) == 1


async def test_a_reply_lost_every_time_is_an_error(tmp_path: Path, server: RedisServer) -> None:
    front = _forward_to(server, lambda command: b"PING" in command)
    async with listening(tmp_path / "p.sock", front) as url, connected(url) as connection:
        with pytest.raises(StoreUnavailable, match="connection to Redis was lost"):
            await connection.command("PING", since=since())


async def test_what_is_no_reply_at_all_drops_the_connection(tmp_path: Path) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if b"GET" in data:
                writer.write(b"HTTP/1.1 400\r\n")
            elif b"EXISTS" in data:
                writer.write(b"*0\r\n")
            else:
                writer.write(b"+OK\r\n" * (data.count(b"\r\n*") + 1))

    async with listening(tmp_path / "p.sock", babble) as url, connected(url) as connection:
        with pytest.raises(StoreUnavailable, match="connection to Redis was lost"):
            await connection.command("GET", "x", since=since())


@pytest.mark.parametrize("scheme", ["redis+cluster://{}", "redis+sentinel://{}/m", "redis://{}"])
async def test_who_speaks_another_language_is_told_in_time(scheme: str) -> None:
    async def say_yes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(b"+OK\r\n" * (data.count(b"\r\n*") + 1))
        writer.close()

    server = await asyncio.start_server(say_yes, "127.0.0.1", 0)
    name = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with connected(scheme.format(name), 0.3) as connection:
        with pytest.raises(StoreUnavailable, match="does not speak as Redis does"):
            await connection.command("GET", "x", since=since())
    server.close()


# -- many at once ----------------------------------------------------------------------------


async def _echo_through_cancellations(url: str) -> None:
    async with connected(url) as connection:

        async def echo(number: int) -> None:
            assert await connection.command("ECHO", str(number), since=since()) == str(number)

        await echo(0)
        for _ in range(3):
            tasks = [asyncio.create_task(echo(number)) for number in range(2_000)]
            for _ in range(2):
                # Some have been written by now, some have not, a few are answered.
                await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
            assert not any(isinstance(outcome, Exception) for outcome in outcomes)
            cancelled = [isinstance(outcome, asyncio.CancelledError) for outcome in outcomes]
            assert sum(cancelled) > 900
            assert outcomes[1::2] == [None] * 1_000


async def test_two_thousand_callers_of_which_half_go_away_never_cross_replies(
    server: RedisServer,
) -> None:
    await _echo_through_cancellations(server.url)


@pytest.mark.parametrize("unsendable", ["\ud800", 1.5j, None])
async def test_what_cannot_be_sent_takes_nobodys_reply(
    server: RedisServer, unsendable: object
) -> None:
    async with connected(server.url) as connection:
        await connection.command("PING", since=since())
        calls = [
            connection.command("ECHO", word, since=since())  # type: ignore[arg-type] # on purpose
            for word in ("a", unsendable, "b")
        ]
        first, fault, last = await asyncio.gather(*calls, return_exceptions=True)
        assert isinstance(fault, (UnicodeEncodeError, TypeError))
        assert (first, last) == ("a", "b")


async def _count_under_load(url: str) -> tuple[int, int]:
    async with connected(url) as connection:
        world = World(RedisMeter(connection))
        names = await asyncio.gather(*(world.held(MONTHLY, tokens=3) for _ in range(300)))
        await asyncio.gather(*(world.commit(name, 2) for name in names))
        return await world.level(MONTHLY)


def test_all_of_it_works_under_uvloop_too(server: RedisServer) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_echo_through_cancellations(server.url))
        assert runner.run(_count_under_load(server.url)) == (600, 0)


async def test_the_servers_own_clock_decides_periods_and_buckets(server: RedisServer) -> None:
    assert await _count_under_load(server.url) == (600, 0)


async def test_a_sidecar_whose_clock_is_far_off_counts_in_the_servers_period(
    server: RedisServer,
) -> None:
    async with connected(server.url) as connection:
        right, wrong = RedisMeter(connection), RedisMeter(connection)
        wrong._local_ms = lambda: 1_000_000_000_000  # type: ignore[method-assign] # September 2001
        one, other = World(right), World(wrong)
        await other.held(MONTHLY, tokens=10)
        assert await one.level(MONTHLY) == (0, 10)


async def test_more_than_can_wait_is_refused_not_kept(server: RedisServer) -> None:
    async with connected(server.url) as connection:
        await connection.command("PING", since=since())
        calls = (connection.command("PING", since=since()) for _ in range(25_000))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, StoreUnavailable)]
        assert 0 < len(refused) <= 5_000
        assert {str(outcome) for outcome in refused} == {"too many commands wait for Redis"}
        assert await connection.command("PING", since=since()) == "PONG"


async def test_calls_leave_no_circles_behind(server: RedisServer) -> None:
    """The collector would stop all checks to find them."""
    async with connected(server.url) as connection:
        await connection.command("PING", since=since())
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                calls = (connection.command("ECHO", "x", since=since()) for _ in range(50))
                await asyncio.gather(*calls)
            assert gc.collect() < 20
        finally:
            gc.enable()


async def test_an_outage_is_said_once_and_so_is_its_end(server: RedisServer) -> None:
    async with connected(server.url, HASTY_S) as connection:
        await soon(lambda: connection.command("PING", since=since()))
        with capture_logs() as logs:
            server.stop()
            for _ in range(5):
                with pytest.raises(StoreUnavailable):
                    await connection.command("PING", since=since())
            server.socket.unlink(missing_ok=True)
            server.start()
            await soon(lambda: connection.command("PING", since=since()))
            await connection.command("PING", since=since())
        assert [(log["event"], log["server"]) for log in logs] == [
            ("redis_lost", server.url),
            ("redis_back", server.url),
        ]


# -- it does not know us, or will not ----------------------------------------------------------


async def test_a_wrong_password_is_told_without_the_password(server: RedisServer) -> None:
    async with connected(server.url) as connection:
        await connection.command("CONFIG", "SET", "requirepass", "open-sesame", since=since())
    async with connected(f"unix://:open-barley@{server.socket}") as connection:
        with pytest.raises(StoreUnavailable, match="invalid username-password pair") as refusal:
            await connection.command("PING", since=since())
        assert "open-" not in str(refusal.value)
    async with connected(server.url) as connection:
        with pytest.raises(StoreUnavailable, match=r"(?i)authentication required"):
            await connection.command("PING", since=since())
    async with connected(f"unix://:open-sesame@{server.socket}") as connection:
        assert await connection.command("PING", since=since()) == "PONG"


async def test_an_error_reply_names_the_command_and_harms_nobody_else(
    server: RedisServer,
) -> None:
    async with connected(server.url) as connection:
        await connection.command("SET", "text", "x", since=since())
        with pytest.raises(StoreUnavailable, match=r"^INCR: ERR value is not an integer"):
            await connection.command("INCR", "text", since=since())
        assert await connection.command("GET", "text", since=since()) == "x"


async def test_a_server_out_of_memory_fails_writes_and_recovers(server: RedisServer) -> None:
    async with connected(server.url) as connection:
        world = World(RedisMeter(connection))
        await world.held(MONTHLY, tokens=10)
        await connection.command("CONFIG", "SET", "maxmemory", "1", since=since())
        with pytest.raises(MeterUnavailable, match="OOM"):
            await world.held(MONTHLY, tokens=10)
        await connection.command("CONFIG", "SET", "maxmemory", "0", since=since())
        assert await world.level(MONTHLY) == (0, 10)


async def test_a_demoted_server_is_left_for_whoever_has_its_name_now(
    server: RedisServer,
) -> None:
    async with connected(server.url) as connection, connected(server.url) as operator:
        world = World(RedisMeter(connection))
        await world.held(MONTHLY, tokens=10)
        before = await connection.command("CLIENT", "ID", since=since())
        await operator.command("REPLICAOF", "127.0.0.1", 1, since=since())
        with pytest.raises(MeterUnavailable, match="READONLY"):
            await world.held(MONTHLY, tokens=10)
        await operator.command("REPLICAOF", "NO", "ONE", since=since())
        assert await connection.command("CLIENT", "ID", since=since()) != before
        assert await world.level(MONTHLY) == (0, 10)


async def test_a_closed_connection_can_be_closed_again(server: RedisServer) -> None:
    connection = RedisConnection(server.url, timeout_s=PATIENT_S, scripts=SCRIPTS)
    await connection.close()
    await connection.command("PING", since=since())
    await connection.close()
    await connection.close()


async def test_closing_while_it_connects_leaves_nothing_behind(tmp_path: Path) -> None:
    is_gone = asyncio.Event()

    async def watch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _swallow(reader, writer)
        is_gone.set()

    async with listening(tmp_path / "hole.sock", watch) as url:
        connection = RedisConnection(url, timeout_s=HASTY_S, scripts=SCRIPTS)
        with pytest.raises(StoreUnavailable):
            await connection.command("PING", since=since())
        await connection.close()
        await asyncio.wait_for(is_gone.wait(), PATIENT_S)
