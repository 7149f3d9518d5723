"""What waits to be told to the outside, as every store keeps it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from sidecar.adapters.redis.notices import RedisNotices
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.notices import SqliteNotices
from sidecar.domain.notices import Message
from sidecar.ports import Notices
from tests.contract.stores import PATIENCE_S, START, redis_connection

HOUR = timedelta(hours=1)


def since() -> float:
    return time.monotonic()


@pytest.fixture(params=["sqlite", "redis", "fake_redis", "cluster"])
async def notices(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Notices]:
    """Notices over each store, empty."""
    async with AsyncExitStack() as stack:
        if request.param == "sqlite":
            database = Database(tmp_path / "s.db", timeout_s=PATIENCE_S)
            database.open()
            stack.callback(database.close)
            yield SqliteNotices(database)
        else:
            url = request.getfixturevalue(f"{request.param}_url")
            yield RedisNotices(await stack.enter_async_context(redis_connection(url)))


async def add(
    notices: Notices, name: str, occasion: str, seconds: float = 0, span: timedelta = HOUR
) -> bool:
    at = START + timedelta(seconds=seconds)
    message = Message(name, f'{{"of":"{name} é"}}')
    return await notices.add(message, occasion, at, at + span, since=since())


async def take(notices: Notices, seconds: float, most: int = 10) -> list[Message]:
    now = START + timedelta(seconds=seconds)
    return list(await notices.take(now, now + timedelta(seconds=60), most, since=since()))


async def test_an_occasion_is_told_once_however_many_tell_it(notices: Notices) -> None:
    added = await asyncio.gather(*(add(notices, f"m{number}", "same") for number in range(20)))

    assert sum(added) == 1
    assert len(await take(notices, 1)) == 1


async def test_the_same_call_again_finds_its_own_message(notices: Notices) -> None:
    assert await add(notices, "m", "occasion")
    assert await add(notices, "m", "occasion")

    assert await take(notices, 0) == [Message("m", '{"of":"m é"}')]


async def test_what_one_has_taken_nobody_else_gets_before_its_time(notices: Notices) -> None:
    for number in range(5):
        await add(notices, f"m{number}", f"o{number}")

    first = await take(notices, 1, most=3)
    second = await take(notices, 1)
    assert {message.id for message in (*first, *second)} == {f"m{number}" for number in range(5)}
    assert await take(notices, 60) == []
    assert len(await take(notices, 61)) == 5


async def test_a_message_is_not_due_before_its_time(notices: Notices) -> None:
    await add(notices, "m", "o", seconds=10)

    assert await take(notices, 9.999) == []
    assert len(await take(notices, 10)) == 1


async def test_what_was_taken_for_good_is_forgotten(notices: Notices) -> None:
    await add(notices, "m", "o")
    [message] = await take(notices, 0)
    await notices.settle(message.id, None, since=since())
    await notices.settle(message.id, None, since=since())

    assert await take(notices, 9_999) == []


async def test_what_is_tried_again_says_how_often_it_was(notices: Notices) -> None:
    await add(notices, "m", "o")
    for tries in range(3):
        [message] = await take(notices, tries * 100)
        assert message.tries == tries
        again = START + timedelta(seconds=(tries + 1) * 100)
        await notices.settle("m", again, since=since())

    assert await take(notices, 299) == []


async def test_nobody_can_bring_back_what_is_gone(notices: Notices) -> None:
    await notices.settle("unknown", START, since=since())

    assert await take(notices, 9_999) == []


async def test_after_its_time_an_occasion_is_another_one(notices: Notices) -> None:
    assert await add(notices, "m1", "o", span=timedelta(milliseconds=30))
    assert await add(notices, "m2", "longer")
    deadline = time.monotonic() + PATIENCE_S
    # Redis goes by its own clock.
    while not await add(notices, "m3", "o", seconds=1) and time.monotonic() < deadline:
        pass

    assert not await add(notices, "m4", "longer", seconds=3_599)
    assert [message.id for message in await take(notices, 1)] == ["m1", "m2", "m3"]
