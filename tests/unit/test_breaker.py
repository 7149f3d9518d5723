"""When is a store left alone, and when is it asked again?"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import pytest

from sidecar.adapters.guarded.breaker import Breaker, BreakerState, StoreSuspended
from sidecar.errors import Unavailable, UnknownReservation

PATIENCE_S = 5.0


class FaultyStore:
    """Answers, or fails, as it is told; counts who asks."""

    def __init__(self) -> None:
        self.is_gone = True
        self.asked = 0
        self.probed = 0

    async def answer(self) -> str:
        self.asked += 1
        if self.is_gone:
            raise Unavailable("gone")
        return "here"

    async def probe(self) -> None:
        self.probed += 1
        if self.is_gone:
            raise Unavailable("gone")


@pytest.fixture
def store() -> FaultyStore:
    return FaultyStore()


@pytest.fixture
async def breaker(store: FaultyStore) -> AsyncIterator[Breaker]:
    breaker = Breaker(store.probe, in_a_row=3, spacing_s=0.01)
    yield breaker
    await breaker.close()


async def becomes(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


async def fail(breaker: Breaker, store: FaultyStore, times: int) -> None:
    for _ in range(times):
        with pytest.raises(Unavailable):
            await breaker.ask(store.answer)


async def test_several_failures_in_a_row_spare_whoever_comes_next(
    breaker: Breaker, store: FaultyStore
) -> None:
    await fail(breaker, store, 3)
    with pytest.raises(StoreSuspended):
        await breaker.ask(store.answer)

    assert store.asked == 3
    assert breaker.report.state in (BreakerState.OPEN, BreakerState.HALF_OPEN)
    assert (breaker.report.opened, breaker.report.spared) == (1, 1)


async def test_a_success_in_between_begins_the_row_anew(
    breaker: Breaker, store: FaultyStore
) -> None:
    for _ in range(5):
        store.is_gone = True
        await fail(breaker, store, 2)
        store.is_gone = False
        assert await breaker.ask(store.answer) == "here"

    assert breaker.report.state is BreakerState.CLOSED


async def test_half_of_all_failing_opens_it_without_any_row(
    breaker: Breaker, store: FaultyStore
) -> None:
    asked = 0
    while not breaker.is_open:
        asked += 3
        assert asked < 600
        store.is_gone = False
        await breaker.ask(store.answer)
        store.is_gone = True
        await fail(breaker, store, 2)

    assert asked > 30


async def test_a_refusal_is_an_answer(breaker: Breaker) -> None:
    async def refuse() -> None:
        raise UnknownReservation("res_x")

    for _ in range(10):
        with pytest.raises(UnknownReservation):
            await breaker.ask(refuse)

    assert not breaker.is_open


async def test_it_is_asked_again_when_it_answers_though_nobody_came_meanwhile(
    breaker: Breaker, store: FaultyStore
) -> None:
    await fail(breaker, store, 3)
    await becomes(lambda: store.probed > 3)
    store.is_gone = False
    await becomes(lambda: not breaker.is_open)

    assert await breaker.ask(store.answer) == "here"
    assert breaker.report.state is BreakerState.CLOSED


async def test_one_probe_is_under_way_at_a_time(store: FaultyStore) -> None:
    under_way, most = 0, 0

    async def slow_probe() -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.005)
        under_way -= 1
        await store.probe()

    breaker = Breaker(slow_probe, in_a_row=1, spacing_s=0.001)
    await asyncio.gather(*(fail(breaker, store, 1) for _ in range(20)))
    await becomes(lambda: store.probed > 3)
    await becomes(lambda: breaker.report.state is BreakerState.HALF_OPEN)
    await breaker.close()

    assert most == 1


async def test_a_defect_in_the_probe_does_not_leave_the_store_alone_for_ever(
    store: FaultyStore,
) -> None:
    faults = [RuntimeError("a defect"), None]

    async def probe() -> None:
        fault = faults.pop(0)
        if fault is not None:
            raise fault

    breaker = Breaker(probe, in_a_row=1, spacing_s=0.001)
    await fail(breaker, store, 1)
    await becomes(lambda: not breaker.is_open)
    await breaker.close()

    assert faults == []
