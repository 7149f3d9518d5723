"""What a run has used is charged, and nothing else is."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from sidecar.client import AsyncEntitlements, Entitlements, PaymentRequired
from tests.client.conftest import used
from tests.processes import Sidecar, await_that


class Broken(Exception):
    """What a run fails with."""


@pytest.fixture
def client(sidecar: Sidecar) -> Iterator[Entitlements]:
    with Entitlements(sidecar.url, key="runtime-key", app_id="acme") as made:
        yield made


@pytest.fixture
async def entitlements(sidecar: Sidecar) -> AsyncIterator[AsyncEntitlements]:
    async with AsyncEntitlements(sidecar.url, key="runtime-key", app_id="acme") as made:
        yield made


def test_the_estimate_is_held_inside_and_what_was_used_is_charged(
    client: Entitlements, sidecar: Sidecar, user: str
) -> None:
    with client.reserve(user, input_tokens=200, output_tokens=300) as held:
        assert used(sidecar, user) == (0, 500)
        held.add(input_tokens=150)
        held.add(output_tokens=90)

    assert used(sidecar, user) == (240, 0)


def test_a_run_that_tells_nothing_has_used_what_was_held(
    client: Entitlements, sidecar: Sidecar, user: str
) -> None:
    with client.reserve(user, input_tokens=200, output_tokens=300):
        pass

    assert used(sidecar, user) == (500, 0)


def test_a_run_that_fails_at_once_gives_all_back(
    client: Entitlements, sidecar: Sidecar, user: str
) -> None:
    with pytest.raises(Broken), client.reserve(user, input_tokens=200):
        raise Broken

    assert used(sidecar, user) == (0, 0)


def test_a_run_that_fails_later_has_used_what_it_has_used(
    client: Entitlements, sidecar: Sidecar, user: str
) -> None:
    def run() -> None:
        with client.reserve(user, input_tokens=200) as held:
            held.add(input_tokens=120)
            raise Broken

    with pytest.raises(Broken):
        run()

    assert used(sidecar, user) == (120, 0)


def test_a_refusal_is_raised_before_anything_runs(
    client: Entitlements, sidecar: Sidecar, user: str
) -> None:
    with (
        pytest.raises(PaymentRequired, match="upgrade to pro"),
        client.reserve(user, input_tokens=1_001),
    ):
        raise AssertionError("it ran")

    assert used(sidecar, user) == (0, 0)


def test_more_can_be_held_in_the_middle_until_there_is_no_room(
    client: Entitlements, sidecar: Sidecar, user: str
) -> None:
    with client.reserve(user, output_tokens=600) as held:
        held.more(output_tokens=300)
        assert used(sidecar, user) == (0, 900)
        with pytest.raises(PaymentRequired):
            held.more(output_tokens=300)
        assert used(sidecar, user) == (0, 900)
        held.add(output_tokens=850)

    assert used(sidecar, user) == (850, 0)


def test_less_than_nothing_cannot_be_used(client: Entitlements, user: str) -> None:
    with client.reserve(user) as held, pytest.raises(ValueError, match="less than nothing"):
        held.add(output_tokens=-1)


def test_nothing_is_known_of_a_run_before_it_is_entered(client: Entitlements, user: str) -> None:
    with pytest.raises(RuntimeError, match="enter it first"):
        _ = client.reserve(user).decision


async def test_a_run_on_an_event_loop_is_charged_alike(
    entitlements: AsyncEntitlements, sidecar: Sidecar, user: str
) -> None:
    async with entitlements.reserve(user, output_tokens=500) as held:
        await held.more(output_tokens=100)
        assert used(sidecar, user) == (0, 600)
        held.add(output_tokens=70, model="gpt-4o")

    assert used(sidecar, user) == (70, 0)
    assert held.used == {"input_tokens": 0, "output_tokens": 70}


async def test_a_cancelled_run_has_used_what_it_has_used(
    entitlements: AsyncEntitlements, sidecar: Sidecar, user: str
) -> None:
    begun = asyncio.Event()

    async def run() -> None:
        async with entitlements.reserve(user, output_tokens=500) as held:
            held.add(output_tokens=30)
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert used(sidecar, user) == (30, 0)


async def test_a_run_that_is_cancelled_twice_is_settled_in_the_background(
    entitlements: AsyncEntitlements, sidecar: Sidecar, user: str
) -> None:
    begun = asyncio.Event()

    async def run() -> None:
        async with entitlements.reserve(user, output_tokens=500) as held:
            held.add(output_tokens=30)
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await begun.wait()
    task.cancel()
    # It is on its way out now, and waits for the answer to its commit.
    asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task

    assert await entitlements.flush()
    assert used(sidecar, user) == (30, 0)


async def test_what_is_in_use_is_held_beyond_its_time(
    entitlements: AsyncEntitlements, sidecar: Sidecar, user: str
) -> None:
    loop = asyncio.get_running_loop()
    async with entitlements.reserve(user, output_tokens=500, ttl_s=1) as held:
        expires_at = held.decision.expires_at
        assert expires_at is not None
        ends = loop.time() + 2.2
        while loop.time() < ends:
            assert await asyncio.to_thread(used, sidecar, user) == (0, 500)
        held.add(output_tokens=10)

    assert used(sidecar, user) == (10, 0)


def test_what_nobody_uses_any_more_is_held_no_longer(sidecar: Sidecar, user: str) -> None:
    client = Entitlements(sidecar.url, key="runtime-key", app_id="acme")
    context = client.reserve(user, output_tokens=500, ttl_s=1)
    context.__enter__()

    client.close()

    await_that(lambda: used(sidecar, user) == (0, 0), "the reservation has expired")
