"""On a Cluster each command finds the node that serves its key, also while slots move."""

import asyncio
import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from sidecar.adapters.documents import short_digest
from sidecar.adapters.redis.cluster import slot_of
from sidecar.adapters.redis.connection import RedisConnection, StoreUnavailable
from sidecar.adapters.redis.meter import SCRIPTS, RedisMeter
from sidecar.domain.windows import Fixed
from tests.contract.stores import ManualClock, World, limit
from tests.integration.redis_calls import (
    ADD,
    HASTY_S,
    PATIENT_S,
    add,
    asked,
    connected,
    soon,
)
from tests.processes import RedisCluster, RedisNode, await_that, redis_cluster

NAMES = [f"n{{{number}}}" for number in range(40)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Three masters, put right again by every test that puts them wrong."""
    with redis_cluster(tmp_path_factory.mktemp("redis")) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def _empty(cluster: RedisCluster) -> None:
    for node in cluster.nodes:
        node.ask("FLUSHALL")


class Move:
    """A slot on its way from its node to another."""

    def __init__(self, cluster: RedisCluster, slot: int) -> None:
        self.slot = slot
        self.source = cluster.owner_of(slot)
        self.target = next(node for node in cluster.masters if node is not self.source)
        self._ids = {node: cluster.id_of(node) for node in cluster.masters}

    def begin(self) -> None:
        """From now on keys that the source does not have are asked for at the target."""
        # Who takes a slot without knowing the others' last epochs takes it in vain.
        await_that(self._all_know_the_same, "all know of the last move")
        self.target.ask("CLUSTER", "SETSLOT", self.slot, "IMPORTING", self._ids[self.source])
        self.source.ask("CLUSTER", "SETSLOT", self.slot, "MIGRATING", self._ids[self.target])

    def take(self, *keys: str) -> None:
        """Let keys go over."""
        _carry(self.source, self.target, keys)

    @property
    def keys(self) -> list[str]:
        """What of it is still at the source."""
        return self._keys_at(self.source)

    def end(self) -> None:
        """Give the slot and its keys to the target."""
        _carry(self.source, self.target, self.keys)
        for node in (self.target, self.source):
            self._give(node, self.target)
        await_that(lambda: self._all_know(self.target), "all know who has the slot")

    def undo(self) -> None:
        """Put the slot and its keys where they were."""
        if self._all_know(self.target):
            self.source, self.target = self.target, self.source
            self.begin()
            self.end()
            return
        self._give(self.source, self.source)
        _carry(self.target, self.source, self._keys_at(self.target))
        self._give(self.target, self.source)

    def _keys_at(self, node: RedisNode) -> list[str]:
        keys: list[str] = node.ask("CLUSTER", "GETKEYSINSLOT", self.slot, 1_000)
        return keys

    def _give(self, node: RedisNode, owner: RedisNode) -> None:
        node.ask("CLUSTER", "SETSLOT", self.slot, "NODE", self._ids[owner])

    def _all_know(self, owner: RedisNode) -> bool:
        return all(_owner_port(node, self.slot) == owner.port for node in self._ids)

    def _all_know_the_same(self) -> bool:
        first, *others = ({row[0]: row[6] for row in _rows(node)} for node in self._ids)
        return all(each == first for each in others)


def _rows(node: RedisNode) -> list[list[str]]:
    return [line.split(" ") for line in str(node.ask("CLUSTER", "NODES")).splitlines()]


def _carry(source: RedisNode, target: RedisNode, keys: Sequence[str]) -> None:
    if keys:
        source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5_000, "KEYS", *keys)


def _owner_port(node: RedisNode, slot: int) -> int | None:
    for begin, end, (_, port, *_), *_ in node.ask("CLUSTER", "SLOTS"):
        if begin <= slot <= end:
            return int(port)
    return None


@contextmanager
def moving(cluster: RedisCluster, key: str) -> Iterator[Move]:
    """The slot of a key on its way; in the end it is where it was."""
    move = Move(cluster, slot_of(key))
    move.begin()
    try:
        yield move
    finally:
        move.undo()


def errors_of(node: RedisNode, word: str) -> int:
    """How often a node has answered so."""
    lines = str(node.ask("INFO", "errorstats")).splitlines()
    told = [line for line in lines if line.startswith(f"errorstat_{word}:")]
    return int(told[0].rpartition("=")[2]) if told else 0


async def that(holds: Callable[[], bool]) -> None:
    """Return when it holds, and let others go on meanwhile."""
    await asyncio.to_thread(await_that, holds, "what the test waits for")


# -- who serves what -------------------------------------------------------------------------


def test_slots_are_those_that_redis_computes(cluster: RedisCluster) -> None:
    dice = random.Random(1)
    keys = ["", "{}", "{}{a}", "{", "}", "{a", "a}b{c}", "s3:{app}:x", "{a}{b}", "ä{ö}ü"]
    keys += ["".join(dice.choices("ab{}:ä", k=dice.randint(1, 12))) for _ in range(300)]
    for key in keys:
        assert slot_of(key) == cluster.nodes[0].ask("CLUSTER", "KEYSLOT", key), key


async def test_every_script_runs_where_its_key_lies(cluster: RedisCluster) -> None:
    moved = sum(errors_of(node, "MOVED") for node in cluster.nodes)
    async with connected(cluster.url) as connection:
        await asyncio.gather(*(add(connection, name, by=7) for name in NAMES))
    for node in cluster.masters:
        assert node.ask("DBSIZE") > 0
    for name in NAMES:
        assert cluster.owner_of(slot_of(name)).ask("GET", name) == "7"
    # The map was right from the beginning.
    assert sum(errors_of(node, "MOVED") for node in cluster.nodes) == moved


async def test_one_node_that_answers_is_enough_to_find_all(cluster: RedisCluster) -> None:
    alive = cluster.masters[2].name
    async with connected(f"redis+cluster://127.0.0.1:1,127.0.0.1:2,{alive}") as connection:
        for name in NAMES:
            await add(connection, name)


async def test_without_any_node_every_call_fails_in_time() -> None:
    async with connected("redis+cluster://127.0.0.1:1,127.0.0.1:2", HASTY_S) as connection:
        began = time.monotonic()
        with capture_logs() as logs:
            for attempt in (add, asked):
                with pytest.raises(StoreUnavailable, match="Error 111 connecting"):
                    await attempt(connection, "PING")
        assert time.monotonic() - began < 1
        assert [log["event"] for log in logs] == ["redis_lost"]


async def test_a_server_that_is_no_cluster_is_told(cluster: RedisCluster) -> None:
    async with connected(f"redis://{cluster.nodes[0].name}") as connection:
        calls = (add(connection, name) for name in NAMES)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        refused = [str(each) for each in outcomes if isinstance(each, StoreUnavailable)]
        assert refused
        assert all(each.startswith("add.lua: MOVED ") for each in refused)


async def test_nodes_that_do_not_know_where_they_are_reached_are_where_they_were_asked(
    cluster: RedisCluster,
) -> None:
    def call_them(kind: str) -> None:
        for node in cluster.nodes:
            node.ask("CONFIG", "SET", "cluster-preferred-endpoint-type", kind)

    call_them("unknown-endpoint")
    try:
        async with connected(cluster.url) as connection:
            for name in NAMES:
                await add(connection, name)
            with moving(cluster, NAMES[0]) as move:
                move.end()
                assert await add(connection, NAMES[0]) == [2]
    finally:
        call_them("ip")


# -- slots move ------------------------------------------------------------------------------


async def test_a_slot_that_has_moved_is_followed_and_remembered(cluster: RedisCluster) -> None:
    key = NAMES[0]
    async with connected(cluster.url) as connection:
        await add(connection, key)
        with moving(cluster, key) as move:
            move.end()
            before = errors_of(move.source, "MOVED")
            assert await add(connection, key) == [2]
            assert await add(connection, key) == [3]
            assert errors_of(move.source, "MOVED") == before + 1
        assert await add(connection, key) == [4]


async def test_a_command_finds_its_key_on_either_side_of_a_move(cluster: RedisCluster) -> None:
    old, new = "old{move}", "new{move}"
    async with connected(cluster.url) as connection:
        await asked(connection, "SET", old, 1)
        with moving(cluster, old) as move:
            assert await asked(connection, "INCR", old) == 2
            assert await asked(connection, "INCR", new) == 1
            assert move.source.ask("EXISTS", old) == 1
            assert move.target.ask("CLUSTER", "COUNTKEYSINSLOT", move.slot) == 1
            move.take(old)
            assert await asked(connection, "INCR", old) == 3
            assert errors_of(move.source, "ASK") >= 2
            # The slot is still the source's: nobody took an exception for a rule.
            moved = errors_of(move.target, "MOVED")
            assert await asked(connection, "INCR", new) == 2
            assert errors_of(move.target, "MOVED") == moved


@pytest.mark.parametrize(("taken", "word"), [("one{move}", "TRYAGAIN"), ("both", "ASK")])
async def test_a_script_waits_until_all_keys_of_its_slot_have_arrived(
    cluster: RedisCluster, taken: str, word: str
) -> None:
    one, other = "one{move}", "other{move}"
    async with connected(cluster.url) as connection, connected(cluster.url, HASTY_S) as hasty:
        await add(connection, one, other)
        await soon(lambda: add(hasty, one, other, by=0))
        with moving(cluster, one) as move:
            move.take(*((one, other) if taken == "both" else (taken,)))
            with pytest.raises(StoreUnavailable, match=word):
                await add(hasty, one, other)
            before = errors_of(move.source, word)
            waiting = asyncio.create_task(add(connection, one, other))
            await that(lambda: errors_of(move.source, word) > before)
            await asyncio.to_thread(move.end)
            assert await waiting == [2, 2]


async def test_calls_under_way_while_slots_move_are_all_done_and_cross_no_replies(
    cluster: RedisCluster,
) -> None:
    """`add` says again what it was told, and would notice another's reply."""
    keys = [f"{number}{{move}}" for number in range(20)]
    calls = 0
    is_over = False

    async def call(key: str) -> None:
        nonlocal calls
        while not is_over:
            await add(connection, key)
            calls += 1
            gone = asyncio.create_task(asked(connection, "INCR", "gone{move}"))
            await asyncio.sleep(0)
            gone.cancel()

    async with connected(cluster.url) as connection:
        callers = [asyncio.create_task(call(key)) for key in keys]
        await go_on(lambda: calls)
        for _ in range(4):
            await there(Move(cluster, slot_of(keys[0])))
            await go_on(lambda: calls)
        is_over = True
        await asyncio.gather(*callers)
        numbers = await asyncio.gather(*(asked(connection, "GET", key) for key in keys))
        assert sum(int(str(number)) for number in numbers) == calls


async def test_no_unit_is_lost_or_counted_twice_while_the_slot_of_an_app_moves(
    cluster: RedisCluster,
) -> None:
    ever = limit(10**9, Fixed.LIFETIME, name="ever")
    connection = RedisConnection(cluster.url, timeout_s=PATIENT_S, scripts=SCRIPTS)
    world = World(RedisMeter(connection))
    users = [world.of("app", f"user-{number}") for number in range(20)]
    runs = dict.fromkeys((user.user for user in users), 0)
    is_over = False

    async def call(user: World) -> None:
        while not is_over:
            await user.release(await user.held(ever, tokens=5))
            name = await user.held(ever, tokens=3)
            await user.extend(name, ever, tokens=1)
            await user.use(ever, tokens=1, at=datetime.now(UTC))
            await user.commit(name, 2)
            runs[user.user] += 1

    try:
        callers = [asyncio.create_task(call(user)) for user in users]
        await go_on(lambda: sum(runs.values()))
        for _ in range(4):
            await there(Move(cluster, slot_of("{app}")))
            await go_on(lambda: sum(runs.values()))
        is_over = True
        await asyncio.gather(*callers)
        levels = {user.user: await user.level(ever) for user in users}
        assert levels == {user: (3 * count, 0) for user, count in runs.items()}
    finally:
        await connection.close()


@pytest.mark.parametrize("gone", [":x", ":t:", ":u:", ":c:", ":e:", ":g:"])
async def test_a_script_that_finds_a_key_gone_has_changed_nothing(
    cluster: RedisCluster, gone: str
) -> None:
    """Which keys a script writes it finds out by itself; some may be at the other node already."""
    ever = limit(100, Fixed.LIFETIME, name="ever")
    clock = ManualClock()
    connection = RedisConnection(cluster.url, timeout_s=PATIENT_S, scripts=SCRIPTS)
    world = World(RedisMeter(connection, clock.now_ms), clock)
    alike = [f"event-{i}" for i in range(600) if short_digest(f"event-{i}").startswith("A")]
    try:
        await world.grant(1_000, "top-up")
        for name in alike[:5]:
            await world.record(world.event(ever, tokens=1, name=name))
            clock.advance(days=2)
        # From here on there is a key of each kind, whatever is written.
        clock.advance(days=-2)
        for _ in range(10):
            await world.commit(await world.held(ever, tokens=1), 1)
        used, over, back, more = [await world.held(ever, tokens=20) for _ in range(4)]
        last = await world.held(ever, tokens=20)
        with moving(cluster, "{app}") as move:
            move.take(*(key for key in move.keys if gone in key.removeprefix("s3:{app}")))
            before = errors_of(move.source, "ERR") + errors_of(move.source, "TRYAGAIN")
            calls = [
                asyncio.create_task(call)
                for call in (
                    world.commit(used, 10),
                    world.commit(over, 30, final=False),
                    world.release(back),
                    world.extend(more, ever, tokens=5, ttl_s=600),
                    world.record(world.event(ever, tokens=7, name=alike[5])),
                    world.record(world.event(ever, tokens=2, reservation_id=last)),
                )
            ]
            await that(lambda: errors_of(move.source, "ERR") >= before + 12)
            await asyncio.to_thread(move.end)
            await asyncio.gather(*calls)
        clock.advance(seconds=61)
        level, balance = await world.level(ever), await world.balance("top-up")
        assert (level[0] + balance[0], level[1] + balance[1]) == (15 + 10 + 30 + 7 + 2, 25)
        (row,) = await world.usage()
        assert row.used.tokens == 1 + 10 + 10 + 30 + 7 + 2
    finally:
        await connection.close()


async def go_on(calls: Callable[[], int]) -> None:
    """Return when a hundred more were answered."""
    goal = calls() + 100
    await that(lambda: calls() >= goal)


async def there(move: Move) -> None:
    """Move a slot, key by key, while others run into it."""
    await asyncio.to_thread(move.begin)
    for key in random.Random(1).sample(keys := move.keys, len(keys)):
        await asyncio.to_thread(move.take, key)
    await asyncio.to_thread(move.end)


# -- nodes go --------------------------------------------------------------------------------


async def test_a_lost_node_takes_its_own_slots_with_it_and_no_others(
    cluster: RedisCluster,
) -> None:
    lost = cluster.masters[1]
    of_lost = [name for name in NAMES if cluster.owner_of(slot_of(name)) is lost]
    others = [name for name in NAMES if name not in of_lost]
    async with connected(cluster.url, HASTY_S) as connection:
        await soon(lambda: connection.ready(since=time.monotonic()))
        with capture_logs() as logs:
            lost.kill()
            try:
                for name in of_lost[:4]:
                    began = time.monotonic()
                    with pytest.raises(StoreUnavailable):
                        await add(connection, name)
                    assert time.monotonic() - began < 1
                for name in others:
                    await add(connection, name)
                with pytest.raises(StoreUnavailable):
                    await connection.ready(since=time.monotonic())
            finally:
                lost.start()
            await soon(lambda: connection.ready(since=time.monotonic()))
            for name in of_lost:
                await add(connection, name)
        of_the_node = [log["event"] for log in logs if log.get("server") == lost.name]
        assert of_the_node == ["redis_lost", "redis_back"]


async def test_a_slot_that_nobody_serves_is_told_and_nothing_hangs(cluster: RedisCluster) -> None:
    key = NAMES[0]
    slot = slot_of(key)
    owner = cluster.owner_of(slot)
    async with connected(cluster.url, HASTY_S) as connection:
        await soon(lambda: add(connection, key))
        for node in cluster.nodes:
            node.ask("CLUSTER", "DELSLOTS", slot)
        try:
            with pytest.raises(StoreUnavailable, match=r"CLUSTERDOWN|serves slot"):
                await add(connection, key)
            async with connected(cluster.url) as another:
                with pytest.raises(
                    StoreUnavailable, match="1 slots of the Cluster are served by no"
                ):
                    await another.ready(since=time.monotonic())
        finally:
            owner.ask("CLUSTER", "ADDSLOTS", slot)
        await that(lambda: cluster.owner_of(slot) is owner)
        await soon(lambda: add(connection, key))


async def test_waiting_for_replicas_that_are_not_there_fails_in_time(cluster: RedisCluster) -> None:
    async with connected(f"{cluster.url}?wait_replicas=1", 2) as connection:
        began = time.monotonic()
        with pytest.raises(StoreUnavailable, match="0 of 1 replicas have what was written"):
            await add(connection, NAMES[0])
        assert time.monotonic() - began < 2


# -- what concerns every node ----------------------------------------------------------------


async def test_a_flushed_script_cache_is_healed_on_each_node(cluster: RedisCluster) -> None:
    async with connected(cluster.url) as connection:
        for _ in range(3):
            await asked(connection, "SCRIPT", "FLUSH")
            await asyncio.gather(*(add(connection, name) for name in NAMES))
        for node in cluster.masters:
            assert node.ask("SCRIPT", "EXISTS", ADD.digest) == [1]


async def test_a_script_is_loaded_at_the_node_that_takes_a_slot_over(cluster: RedisCluster) -> None:
    key = NAMES[0]
    async with connected(cluster.url) as connection:
        await add(connection, key)
        with moving(cluster, key) as move:
            move.target.ask("SCRIPT", "FLUSH")
            move.end()
            assert await add(connection, key) == [2]


async def test_a_command_without_a_key_goes_to_every_master(cluster: RedisCluster) -> None:
    async with connected(cluster.url) as connection:
        await asyncio.gather(*(add(connection, name) for name in NAMES))
        keys = await asked(connection, "KEYS", "*")
        assert isinstance(keys, list)
        assert sorted(keys) == sorted(NAMES)
        assert await asked(connection, "PING") == "PONG"
        assert await asked(connection, "FLUSHALL") == "OK"
        assert [node.ask("DBSIZE") for node in cluster.masters] == [0, 0, 0]


async def test_one_node_that_may_evict_is_enough_to_say_so(cluster: RedisCluster) -> None:
    odd = cluster.masters[1]
    async with connected(cluster.url) as connection:
        assert not await connection.evicts(since=time.monotonic())
        odd.ask("CONFIG", "SET", "maxmemory", "1gb", "maxmemory-policy", "allkeys-lru")
        try:
            assert await connection.evicts(since=time.monotonic())
        finally:
            odd.ask("CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction")


async def test_one_node_that_takes_no_writes_is_enough_not_to_be_ready(
    cluster: RedisCluster,
) -> None:
    odd = cluster.masters[2]
    async with connected(cluster.url, HASTY_S) as connection:
        await soon(lambda: connection.ready(since=time.monotonic()))
        odd.ask("CONFIG", "SET", "maxmemory", "1")
        try:
            with pytest.raises(StoreUnavailable, match="SET: OOM"):
                await connection.ready(since=time.monotonic())
        finally:
            odd.ask("CONFIG", "SET", "maxmemory", "0")
        await connection.ready(since=time.monotonic())


async def test_all_nodes_want_the_password_of_the_address(cluster: RedisCluster) -> None:
    for node in cluster.nodes:
        node.ask("CONFIG", "SET", "requirepass", "open-sesame")
    names = cluster.url.removeprefix("redis+cluster://")
    try:
        async with connected(f"redis+cluster://:open-sesame@{names}") as connection:
            for name in NAMES:
                await add(connection, name)
        async with connected(f"redis+cluster://:open-barley@{names}", 0.5) as connection:
            with pytest.raises(StoreUnavailable, match="invalid username-password") as refusal:
                await add(connection, NAMES[0])
            assert "open-" not in str(refusal.value)
    finally:
        async with connected(f"redis+cluster://:open-sesame@{names}") as connection:
            await asked(connection, "CONFIG", "SET", "requirepass", "")


async def test_calls_leave_no_circles_behind(cluster: RedisCluster) -> None:
    """The collector would stop all checks to find them."""
    async with connected(cluster.url) as connection:
        await asyncio.gather(*(add(connection, name) for name in NAMES))
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                await asyncio.gather(*(add(connection, name) for name in NAMES))
            assert gc.collect() < 20
        finally:
            gc.enable()


async def test_a_closed_connection_can_be_used_and_closed_again(cluster: RedisCluster) -> None:
    async with connected(cluster.url) as connection:
        await add(connection, NAMES[0])
        await connection.close()
        assert await add(connection, NAMES[0]) == [2]
        await connection.close()
