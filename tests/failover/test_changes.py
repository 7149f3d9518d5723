"""A server dies that tells replicas of pushes: another one tells them, and nothing is missed."""

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import hiredis

from sidecar.adapters.redis.cluster import slot_of
from sidecar.adapters.redis.keys import CHANGES
from sidecar.errors import SubscriptionsUnavailable
from tests.contract.replicas import SEEN_S, Replica, on_redis, replicas, until
from tests.contract.test_subscriptions import pushed, since
from tests.processes import RedisNode, redis_cluster, redis_sentinel

TOPIC: Final = "s3:changes:0"
FAILOVER_S: Final = 20.0


def listeners(nodes: list[RedisNode]) -> int:
    """How many replicas are told by these servers, as far as they live."""
    count = 0
    for node in nodes:
        with suppress(OSError, hiredis.ReplyError):
            count += int(node.ask("PUBSUB", "NUMSUB", TOPIC)[1])
    return count


async def have_listeners(nodes: list[RedisNode], count: int) -> None:
    """Return when so many are told."""

    async def are_told() -> bool:
        return await asyncio.to_thread(listeners, nodes) == count

    await until(are_told, FAILOVER_S)


async def push(one: Replica, plan: str, day: int) -> None:
    """Push until it is taken, as the billing side does."""

    async def is_taken() -> bool:
        try:
            await one.subscriptions.sync(pushed(plan, day=day), since=since())
        except SubscriptionsUnavailable:
            return False
        return True

    await until(is_taken, FAILOVER_S)


async def sees(other: Replica, plan: str) -> bool:
    try:
        return await other.plan() == plan
    except SubscriptionsUnavailable:
        return False


async def all_see_pushes(one: Replica, other: Replica, first: int) -> None:
    for number in range(first, first + 5):
        await other.plan()
        await push(one, f"plan-{number}", number)
        await until(partial(sees, other, f"plan-{number}"), SEEN_S)


async def test_a_new_master_tells_of_what_is_pushed_to_it(tmp_path: Path) -> None:
    with redis_sentinel(tmp_path) as group:
        async with replicas(lambda: on_redis(group.url, 0.2)) as (one, other):
            await have_listeners(group.servers, 2)
            await all_see_pushes(one, other, 0)
            old = group.master
            old.kill()
            # It comes before the failover is over.
            await push(one, "meanwhile", 10)
            await until(partial(sees, other, "meanwhile"), SEEN_S)
            await have_listeners(group.servers, 2)
            await all_see_pushes(one, other, 20)


async def test_another_node_tells_of_what_is_pushed_to_the_cluster(tmp_path: Path) -> None:
    with redis_cluster(tmp_path, replicas=1) as cluster:
        async with replicas(lambda: on_redis(cluster.url, 0.2), 4) as (one, *others):
            await have_listeners(cluster.nodes, 4)
            for number, other in enumerate(others):
                await all_see_pushes(one, other, 10 * number)
            # The one that has the version, and that tells some of them.
            owner = cluster.owner_of(slot_of(CHANGES))
            owner.kill()
            await push(one, "meanwhile", 50)
            for other in others:
                await until(partial(sees, other, "meanwhile"), SEEN_S)
            await have_listeners(cluster.nodes, 4)
            for number, other in enumerate(others):
                await all_see_pushes(one, other, 60 + 10 * number)
