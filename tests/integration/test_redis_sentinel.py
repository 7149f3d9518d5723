"""Behind sentinels the master is found, wherever it is now."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from sidecar.adapters.redis.connection import StoreUnavailable
from tests.integration.redis_calls import ADD, HASTY_S, add, asked, connected, soon
from tests.processes import (
    SERVICE,
    RedisNode,
    RedisSentinel,
    await_that,
    free_port,
    free_ports,
    redis_sentinel,
)


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisSentinel]:
    """A master with a replica; which is which may change from test to test."""
    with redis_sentinel(tmp_path_factory.mktemp("redis")) as group:
        yield group


@contextmanager
def servers(folder: Path, count: int) -> Iterator[list[RedisNode]]:
    """Servers that know nothing of each other."""
    nodes = [RedisNode(folder / f"{port}", port, 'save ""') for port in free_ports(count)]
    try:
        for node in nodes:
            node.start()
        yield nodes
    finally:
        for node in nodes:
            node.kill()


class Oracle:
    """A sentinel that names whom it is told to.

    Attributes:
        named: the port of the master by the name of its service.
    """

    def __init__(self, named: Mapping[str, int]) -> None:
        self.named = dict(named)
        self.questions = 0

    @property
    def name(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._port}"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Oracle"]:
        """Answer until the end."""
        tasks: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await self._answer(reader, writer)
            except (OSError, asyncio.CancelledError):
                pass
            finally:
                writer.transport.abort()
                tasks.discard(task)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self._port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int((await reader.readline())[1:])
                words.append((await reader.readexactly(size + 2))[:-2].decode())
            if words[0] != "SENTINEL":
                writer.write(b"+OK\r\n")
                continue
            self.questions += 1
            port = self.named.get(words[2])
            answer = f"*2\r\n$9\r\n127.0.0.1\r\n${len(str(port))}\r\n{port}\r\n"
            writer.write(answer.encode() if port else b"*-1\r\n")


def through(*sentinels: str) -> str:
    """The address of whoever these take for the master."""
    return f"redis+sentinel://{','.join(sentinels)}/{SERVICE}"


# -- who is the master -----------------------------------------------------------------------


async def test_the_master_is_found_and_knows_the_scripts(group: RedisSentinel) -> None:
    async with connected(group.url) as connection:
        await connection.ready(since=time.monotonic())
        assert await asked(connection, "SCRIPT", "EXISTS", ADD.digest) == [1]
        assert not await connection.evicts(since=time.monotonic())
        await asked(connection, "SET", "number", "4")
        assert await add(connection, "number") == [5]
        assert group.master.ask("GET", "number") == "5"


async def test_one_sentinel_that_answers_is_enough(group: RedisSentinel) -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(swallow, "127.0.0.1", 0)
    hole = f"127.0.0.1:{silent.sockets[0].getsockname()[1]}"
    began = time.monotonic()
    async with connected(through("127.0.0.1:1", hole, group.sentinels[0].name)) as connection:
        assert await asked(connection, "PING") == "PONG"
    assert time.monotonic() - began < 1
    silent.close()


async def test_a_service_that_no_sentinel_knows_is_told(group: RedisSentinel) -> None:
    url = group.url.replace(f"/{SERVICE}", "/another")
    async with connected(url, HASTY_S) as connection:
        with pytest.raises(StoreUnavailable, match="a sentinel knows no another"):
            await add(connection, "n")


async def test_without_any_sentinel_every_call_fails_in_time() -> None:
    async with connected(through("127.0.0.1:1", "127.0.0.1:2"), HASTY_S) as connection:
        began = time.monotonic()
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="Error 111 connecting"):
                await add(connection, "n")
        assert time.monotonic() - began < 1


async def test_a_sentinel_that_names_what_is_no_master_is_not_believed(tmp_path: Path) -> None:
    with servers(tmp_path, 2) as (master, replica):
        replica.ask("REPLICAOF", "127.0.0.1", master.port)
        async with (
            Oracle({SERVICE: replica.port}).listening() as wrong,
            Oracle({SERVICE: master.port}).listening() as right,
            connected(through(wrong.name, right.name)) as connection,
            connected(through(wrong.name), HASTY_S) as misled,
        ):
            assert await add(connection, "n") == [1]
            with pytest.raises(StoreUnavailable, match="name a server that is no master"):
                await add(misled, "n")
            assert wrong.questions > 0


async def test_sentinels_and_servers_may_want_different_passwords(tmp_path: Path) -> None:
    with servers(tmp_path, 1) as (server,):
        watches = f"sentinel monitor {SERVICE} 127.0.0.1 {server.port} 1"
        guard = RedisNode(
            tmp_path / "sentinel", free_port(), watches, "requirepass open-barley",
            f"sentinel auth-pass {SERVICE} open-sesame", mode=("--sentinel",),
        )  # fmt: skip
        server.ask("CONFIG", "SET", "requirepass", "open-sesame")
        try:
            guard.start()
            right = f"redis+sentinel://:open-sesame@{guard.name}/{SERVICE}"
            async with connected(f"{right}?sentinel_password=open-barley") as connection:
                assert await add(connection, "n") == [1]
            for wrong in (right, f"{right}?sentinel_password=open-oats"):
                async with connected(wrong, 0.5) as connection:
                    with pytest.raises(StoreUnavailable, match=r"(?i)authentic|password") as told:
                        await add(connection, "n")
                    assert "open-" not in str(told.value)
        finally:
            guard.kill()


# -- it changes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "demotion"),
    [
        ("READONLY", ("REPLICAOF", "127.0.0.1", "1")),
        ("MASTERDOWN", ("REPLICAOF", "127.0.0.1", "1")),
        ("NOREPLICAS", ("CONFIG", "SET", "min-replicas-to-write", "1")),
    ],
)
async def test_whoever_is_no_master_any_more_is_left_within_the_call(
    tmp_path: Path, word: str, demotion: tuple[str, ...]
) -> None:
    with servers(tmp_path, 2) as (old, new):
        stale = "no" if word == "MASTERDOWN" else "yes"
        old.ask("CONFIG", "SET", "replica-serve-stale-data", stale)
        new.ask("SET", "n", "10")
        async with (
            Oracle({SERVICE: old.port}).listening() as oracle,
            connected(through(oracle.name)) as connection,
        ):
            assert await add(connection, "n") == [1]
            old.ask(*demotion)
            oracle.named[SERVICE] = new.port
            assert await asyncio.gather(*(add(connection, "n", by=0) for _ in range(20))) == (
                [[10]] * 20
            )
            assert f"errorstat_{word}" in str(old.ask("INFO", "errorstats"))


async def test_a_master_that_is_gone_is_waited_for_and_said_once(tmp_path: Path) -> None:
    with servers(tmp_path, 1) as (server,):
        async with (
            Oracle({SERVICE: server.port}).listening() as oracle,
            connected(through(oracle.name)) as connection,
            connected(through(oracle.name), HASTY_S) as hasty,
        ):
            await add(connection, "n")
            await soon(lambda: add(hasty, "n"))
            with capture_logs() as logs:
                server.kill()
                for _ in range(4):
                    with pytest.raises(StoreUnavailable):
                        await add(hasty, "n")
                waiting = asyncio.create_task(add(connection, "n"))
                server.start()
                assert await waiting == [1]
                await soon(lambda: add(hasty, "n"))
            assert [log["event"] for log in logs] == ["redis_lost", "redis_back"]


async def test_a_master_replaced_by_order_is_left_before_the_sentinels_demote_it(
    group: RedisSentinel,
) -> None:
    """It would take writes for some ten seconds more, and then forget them."""
    old = group.master
    calls = 0
    is_over = False

    async def call(number: int) -> None:
        nonlocal calls
        while not is_over:
            await add(connection, f"n{number}")
            calls += 1
            gone = asyncio.create_task(add(connection, "gone"))
            await asyncio.sleep(0)
            gone.cancel()

    async with connected(group.url) as connection:
        callers = [asyncio.create_task(call(number)) for number in range(10)]
        group.sentinels[0].ask("SENTINEL", "FAILOVER", SERVICE)
        await asyncio.to_thread(await_that, lambda: group.master is not old, "another master")
        began = time.monotonic()
        while not group.master.ask("EXISTS", "marked"):
            await asked(connection, "SET", "marked", "x")
        assert time.monotonic() - began < 5
        assert old.ask("ROLE")[0] == "master"
        so_far = calls
        await asyncio.to_thread(await_that, lambda: calls > so_far + 100, "calls go on")
        is_over = True
        await asyncio.gather(*callers)
    # What the sentinels do in the end.
    old.ask("REPLICAOF", "127.0.0.1", group.master.port)
    await asyncio.to_thread(await_that, lambda: group.master.has_in_step(1), "the old one follows")


# -- replicas are waited for -----------------------------------------------------------------


async def test_what_is_answered_is_at_the_replica_where_that_is_wanted(
    group: RedisSentinel,
) -> None:
    replica = next(server for server in group.servers if server is not group.master)
    async with connected(f"{group.url}?wait_replicas=1") as connection:
        for number in range(1, 50):
            await add(connection, "waited")
            assert replica.ask("GET", "waited") == str(number)


async def test_a_replica_that_stands_still_fails_calls_in_time(group: RedisSentinel) -> None:
    replica = next(server for server in group.servers if server is not group.master)
    async with connected(f"{group.url}?wait_replicas=1", 0.2) as connection:
        await soon(lambda: add(connection, "n"))
        replica.halt()
        try:
            began = time.monotonic()
            outcomes = await asyncio.gather(
                *(add(connection, f"halted-{number}") for number in range(30)),
                return_exceptions=True,
            )
            assert time.monotonic() - began < 1
            assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
            assert "0 of 1 replicas have what was written" in {str(each) for each in outcomes}
        finally:
            replica.go_on()
        await soon(lambda: add(connection, "n"))


async def test_a_refusal_is_told_though_replicas_are_waited_for(group: RedisSentinel) -> None:
    async with connected(f"{group.url}?wait_replicas=1") as connection:
        await asked(connection, "SET", "text", "x")
        first, refused, last = await asyncio.gather(
            add(connection, "one"),
            add(connection, "text"),
            add(connection, "two"),
            return_exceptions=True,
        )
        assert (first, last) == ([1], [1])
        assert "value is not an integer" in str(refused)


async def test_callers_who_go_away_cross_no_replies_though_replicas_are_waited_for(
    group: RedisSentinel,
) -> None:
    async with connected(f"{group.url}?wait_replicas=1") as connection:
        await add(connection, "n")
        tasks = [asyncio.create_task(add(connection, f"c{number % 7}")) for number in range(500)]
        for _ in range(2):
            await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, list) for outcome in outcomes[1::2])


@pytest.mark.parametrize("option", ["", "?wait_replicas=1"])
async def test_calls_leave_no_circles_behind(group: RedisSentinel, option: str) -> None:
    """The collector would stop all checks to find them."""
    async with connected(group.url + option) as connection:
        await add(connection, "n")
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                await asyncio.gather(*(add(connection, f"n{number}") for number in range(40)))
            assert gc.collect() < 20
        finally:
            gc.enable()


async def test_closing_while_the_sentinels_are_asked_leaves_nothing_behind() -> None:
    is_gone = asyncio.Event()

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        is_gone.set()
        writer.close()

    silent = await asyncio.start_server(swallow, "127.0.0.1", 0)
    async with connected(through(f"127.0.0.1:{silent.sockets[0].getsockname()[1]}"), HASTY_S) as it:
        with pytest.raises(StoreUnavailable, match="could not be reached in time"):
            await add(it, "n")
    await asyncio.wait_for(is_gone.wait(), 5)
    silent.close()
