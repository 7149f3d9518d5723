"""However the connection that tells of pushes fails, they are seen within a second."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from structlog.testing import capture_logs

from sidecar.adapters.redis.keys import CHANGES, subscription_key
from sidecar.errors import SubscriptionsUnavailable
from tests.contract.replicas import SEEN_S, Replica, on_redis, replicas, until
from tests.contract.stores import PATIENCE_S
from tests.contract.test_subscriptions import pushed, since
from tests.faults.conftest import HASTY_S
from tests.faults.proxy import FaultProxy
from tests.faults.server import url_of
from tests.faults.test_serving import ask, serving
from tests.faults.weather import Faults
from tests.processes import RedisNode, Sidecar, await_that

TOPIC: Final = "s3:changes:0"
AT_ONCE_S: Final = 0.15
"""Sooner than anybody looks whom nobody has told, on a busy machine too."""
BESIDE_S: Final = 0.1
"""What may take as long as this on a busy machine has not waited for a server that is away."""


def is_message(command: bytes) -> bool:
    """Whether something is said that nobody had asked for."""
    return command == b""


MUTE: Final = Faults(drop_every=1, drop_of=is_message, drop_silently=True)
"""Connections stay, commands are answered, but nobody is told of a push."""


class Pair:
    """One that pushes, and another that is told of it through a proxy."""

    def __init__(self, one: Replica, other: Replica, node: RedisNode) -> None:
        self.one = one
        self.other = other
        self._node = node
        self._pushes = 0
        self._late = 0

    async def seen_after(self, within_s: float = SEEN_S) -> float:
        """After how many seconds the other sees a push to the one; it never waits for it."""
        self._pushes += 1
        plan = f"plan-{self._pushes}"
        await self.other.plan()
        await self.one.subscriptions.sync(pushed(plan, day=self._pushes), since=since())

        async def is_seen() -> bool:
            began = time.monotonic()
            found = await self.other.plan()
            # A machine may be busy once; whoever waits does so after each push.
            self._late += time.monotonic() - began >= BESIDE_S
            assert self._late <= 1
            return found == plan

        return await until(is_seen, within_s)

    async def is_told(self) -> None:
        """Return when a push is seen before anybody could have looked for it."""
        deadline = time.monotonic() + PATIENCE_S
        # One may come just before a look.
        while [await self.seen_after() < AT_ONCE_S for _ in range(4)] != [True] * 4:
            assert time.monotonic() < deadline

    @property
    def listeners(self) -> int:
        """How many the server would tell."""
        return int(self._node.ask("PUBSUB", "NUMSUB", TOPIC)[1])

    async def have_listeners(self, count: int) -> None:
        """Return when there are so many."""

        async def are_there() -> bool:
            return self.listeners == count

        await until(are_there)

    def cut(self) -> None:
        """End every connection that somebody listens on."""
        self._node.ask("CLIENT", "KILL", "TYPE", "pubsub")


@pytest.fixture
async def pair(node: RedisNode, proxy: FaultProxy) -> AsyncIterator[Pair]:
    async with (
        replicas(lambda: on_redis(url_of(node)), 1) as (one,),
        replicas(lambda: on_redis(proxy.url), 1) as (other,),
    ):
        pair = Pair(one, other, node)
        await pair.have_listeners(2)
        yield pair


async def test_whoever_listens_is_told_at_once(pair: Pair) -> None:
    await pair.is_told()


async def test_a_cut_connection_is_made_again(pair: Pair) -> None:
    for _ in range(3):
        pair.cut()
        await pair.seen_after()
        await pair.have_listeners(2)
        await pair.is_told()


async def test_while_nobody_can_listen_pushes_are_looked_for(pair: Pair, proxy: FaultProxy) -> None:
    proxy.inject(Faults(refuses=True))
    with capture_logs() as logs:
        pair.cut()
        await pair.have_listeners(1)
        for _ in range(6):
            await pair.seen_after()
    # Both were cut off, and one of them could listen again.
    told = Counter(log["event"] for log in logs)
    assert told == {"changes_not_heard": 2, "changes_heard_again": 1}
    proxy.heal()
    with capture_logs() as logs:
        await pair.have_listeners(2)
        await pair.is_told()
    assert [log["event"] for log in logs] == ["changes_heard_again"]


async def test_a_connection_that_tells_nothing_any_more_is_given_up(
    pair: Pair, proxy: FaultProxy
) -> None:
    proxy.inject(MUTE)
    for _ in range(4):
        await pair.seen_after()
    assert proxy.seen.dropped >= 1
    proxy.heal()
    await pair.is_told()


async def test_one_lost_message_is_noticed_by_the_next(pair: Pair, proxy: FaultProxy) -> None:
    await pair.is_told()
    await pair.other.plan("ann")
    proxy.inject(replace(MUTE, drop_silently=False))
    await pair.one.subscriptions.sync(pushed("pro", user="ann"), since=since())
    proxy.heal()

    async def is_seen() -> bool:
        return await pair.other.plan("ann") == "pro"

    await until(is_seen, SEEN_S)
    await pair.is_told()


async def test_when_redis_is_away_nothing_old_is_believed(
    node: RedisNode, proxy: FaultProxy
) -> None:
    async with (
        replicas(lambda: on_redis(url_of(node)), 1) as (one,),
        replicas(lambda: on_redis(proxy.url, HASTY_S), 1) as (other,),
    ):
        await one.subscriptions.sync(pushed("first"), since=since())

        async def sees(plan: str) -> bool:
            try:
                return await other.plan() == plan
            except SubscriptionsUnavailable:
                return plan == ""

        await until(lambda: sees("first"))
        proxy.inject(Faults(swallows=True))
        await one.subscriptions.sync(pushed("last", day=9), since=since())
        await until(lambda: sees(""), SEEN_S)
        proxy.heal()
        await until(lambda: sees("last"))


async def test_a_server_that_has_lost_all_is_noticed(pair: Pair, node: RedisNode) -> None:
    await pair.seen_after()
    node.ask("FLUSHALL")

    async def is_gone() -> bool:
        return await pair.other.plan() == ""

    await until(is_gone, SEEN_S)
    await pair.is_told()


async def test_a_push_that_a_failover_has_lost_is_not_believed(pair: Pair, node: RedisNode) -> None:
    """The new master never had it; what it is told next looks just like what was lost."""
    key = subscription_key("app", "bob")
    await pair.seen_after()
    version, document = node.ask("GET", CHANGES), node.ask("GET", key)
    await pair.seen_after()
    node.ask("SET", key, document)
    node.ask("SET", CHANGES, version)

    async def is_gone() -> bool:
        return await pair.other.plan() == "plan-1"

    await until(is_gone, SEEN_S)
    await pair.seen_after()


async def test_whatever_else_is_published_does_no_harm(pair: Pair, node: RedisNode) -> None:
    for junk in ("", "x", "a b c d e", "%", " ".join("abcdefgh"), "\x00", "名前 名前 名前 名前"):
        node.ask("PUBLISH", TOPIC, junk)
    await pair.seen_after()
    await pair.is_told()


@pytest.mark.parametrize("channels", ["resetchannels", "resetchannels &s3:*"])
async def test_who_may_not_publish_or_listen_is_told_by_the_version(
    node: RedisNode, channels: str
) -> None:
    node.ask("ACL", "SETUSER", "lean", "on", ">word", "~*", "+@all", *channels.split())
    url = f"redis://lean:word@{node.name}"
    with capture_logs() as logs:
        async with replicas(lambda: on_redis(url)) as (one, other):
            pair = Pair(one, other, node)
            for _ in range(4):
                await pair.seen_after()
            if "&" in channels:
                await pair.is_told()
    told = {log["event"] for log in logs}
    assert told == (set() if "&" in channels else {"changes_not_heard"})


async def test_another_database_of_the_same_server_is_no_business_of_ours(
    pair: Pair, node: RedisNode
) -> None:
    await pair.seen_after()
    async with replicas(lambda: on_redis(f"{url_of(node)}/1"), 1) as (elsewhere,):
        await pair.other.plan()
        before = pair.other.counted.asked
        for number in range(20):
            await elsewhere.subscriptions.sync(pushed(f"plan-{number}", day=number), since=since())
        assert await elsewhere.plan() == "plan-19"
        await asyncio.sleep(0.3)
        assert await pair.other.plan() == "plan-1"
    assert pair.other.counted.asked == before


async def test_nothing_goes_on_after_the_end(node: RedisNode) -> None:
    @asynccontextmanager
    async def counted() -> AsyncIterator[None]:
        before = len(asyncio.all_tasks())
        yield
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == before

    async with counted(), replicas(lambda: on_redis(url_of(node))) as (one, _):
        await one.plan()
    assert int(node.ask("PUBSUB", "NUMSUB", TOPIC)[1]) == 0


def is_sure(sidecar: Sidecar) -> bool:
    parts = sidecar.client.get("/v1/status").json()["parts"]
    return bool(parts["changes"]["facts"]["sure"])


def test_a_check_waits_for_nobody_who_tells_of_pushes(
    tmp_path: Path, node: RedisNode, proxy: FaultProxy
) -> None:
    # The store has time, so that only who waits for what is away takes long.
    with serving(proxy, tmp_path, timeout_ms=5_000) as sidecar:
        assert ask(sidecar)[0].json()["degraded"] is False
        for fault in (Faults(refuses=True), MUTE):
            proxy.inject(fault)
            # Connections that are there stay, but for the one that tells.
            node.ask("CLIENT", "KILL", "TYPE", "pubsub")
            took = []
            for _ in range(40):
                answer, seconds = ask(sidecar)
                assert answer.json()["degraded"] is False
                took.append(seconds)
            assert sorted(took)[20] < BESIDE_S
            await_that(lambda: is_sure(sidecar), "it is looked for instead")
            proxy.heal()
