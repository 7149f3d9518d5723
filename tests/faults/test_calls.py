"""One call, or one batch of them, and one fault: what does the caller see, and what is counted?"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import pytest

from sidecar.domain.usage import Hold, Metering
from sidecar.errors import MeterUnavailable
from tests.contract.stores import World
from tests.faults.callers import EVER, HOUR, soon
from tests.faults.proxy import FaultProxy
from tests.faults.weather import Faults, lose_one

BATCH: Final = 300
SLACK_S: Final = 0.5
"""A busy machine is no finding."""


def is_script(command: bytes) -> bool:
    return b"EVALSHA" in command


async def make_all(world: World, holds: list[Hold]) -> list[Metering | BaseException]:
    calls = (world.make(hold, EVER, HOUR) for hold in holds)
    return await asyncio.gather(*calls, return_exceptions=True)


def are_their_own(holds: list[Hold], answers: list[Metering | BaseException]) -> bool:
    """Whether everybody has his answer and no other's."""
    return all(
        isinstance(answer, Metering)
        and answer.reservation is not None
        and answer.reservation.id == hold.reservation_id
        and answer.reservation.tokens == hold.request.estimate.tokens
        and answer.decision_id == hold.decision_id
        for hold, answer in zip(holds, answers, strict=True)
    )


async def test_a_reset_in_the_middle_of_a_batch_is_noticed_by_nobody(
    patient: World, proxy: FaultProxy
) -> None:
    proxy.inject(lose_one(b"EVALSHA", nth=200))
    holds = [patient.hold(1 + number) for number in range(BATCH)]
    answers = await make_all(patient, holds)
    # Some had been answered; the others were done too, for all that anybody knows.
    assert (proxy.seen.dropped, proxy.seen.reset) == (1, 1)
    assert are_their_own(holds, answers)
    held = BATCH * (BATCH + 1) // 2
    assert await patient.levels(EVER, HOUR) == [(0, held), (0, held)]


async def test_answers_that_come_when_nobody_waits_any_more_go_to_nobody(
    hasty: World, direct: World, proxy: FaultProxy
) -> None:
    proxy.inject(Faults(replies_late_ms=400))
    late = [hasty.hold(1 + number) for number in range(BATCH)]
    outcomes = await make_all(hasty, late)
    assert {type(outcome) for outcome in outcomes} == {MeterUnavailable}
    proxy.heal()
    # What comes first now is the answer to what was asked before.
    others = [hasty.hold(1_000 + number) for number in range(BATCH)]
    for hold, outcome in zip(others, await make_all(hasty, others), strict=True):
        assert isinstance(outcome, MeterUnavailable) or are_their_own([hold], [outcome])
    await soon(lambda: hasty.read(EVER))
    for again in (late, others):
        assert are_their_own(again, await make_all(direct, again))
    held = sum(hold.request.estimate.tokens for hold in (*late, *others))
    assert await direct.levels(EVER, HOUR) == [(0, held), (0, held)]


async def test_answers_in_pieces_are_put_together(patient: World, proxy: FaultProxy) -> None:
    proxy.inject(Faults(drip_bytes=7, drip_ms=0.1))
    holds = [patient.hold(1 + number) for number in range(10)]
    assert are_their_own(holds, await make_all(patient, holds))


def be_a_hole(proxy: FaultProxy) -> None:
    proxy.inject(Faults(swallows=True))


def stall(proxy: FaultProxy) -> None:
    proxy.inject(Faults(stalls=True))


def fall_silent(proxy: FaultProxy) -> None:
    proxy.inject(Faults(drop_every=1, drop_silently=True))


def shut(proxy: FaultProxy) -> None:
    proxy.inject(Faults(refuses=True))
    proxy.reset()


@pytest.mark.parametrize("break_it", [be_a_hole, stall, fall_silent, shut, FaultProxy.half_open])
async def test_no_call_takes_longer_than_it_may_and_two_seconds_after_the_fault_all_is_well(
    hasty: World, proxy: FaultProxy, break_it: Callable[[FaultProxy], None]
) -> None:
    break_it(proxy)
    ends = time.monotonic() + 0.5
    while time.monotonic() < ends:
        began = time.monotonic()
        calls = (hasty.read(EVER) for _ in range(20))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert time.monotonic() - began < SLACK_S
        assert {type(outcome) for outcome in outcomes} == {MeterUnavailable}
        await asyncio.sleep(0.01)
    proxy.heal()
    assert await soon(lambda: hasty.read(EVER)) < 2
    for _ in range(20):
        await asyncio.gather(*(hasty.read(EVER) for _ in range(20)))


async def test_a_request_that_comes_again_after_its_answer_was_lost_finds_what_it_holds(
    hasty: World, proxy: FaultProxy
) -> None:
    proxy.inject(Faults(drop_every=1, drop_of=is_script, drop_silently=True))
    first = hasty.hold(10, request_id="r-1")
    with pytest.raises(MeterUnavailable):
        await hasty.make(first, EVER)
    proxy.heal()
    proxy.reset()
    again = hasty.hold(10, request_id="r-1")
    await soon(lambda: hasty.read(EVER))
    metering = await hasty.make(again, EVER)
    assert metering.reservation is not None
    assert metering.reservation.id == first.reservation_id
    assert metering.decision_id == first.decision_id
    assert await hasty.level(EVER) == (0, 10)


async def test_events_that_draw_on_a_hold_draw_once_though_the_answer_is_lost(
    patient: World, proxy: FaultProxy
) -> None:
    name = await patient.held(EVER, tokens=100)
    proxy.inject(lose_one(b"777"))
    event = patient.event(EVER, tokens=777, reservation_id=name)
    assert (await patient.record(event)).duplicates == 1
    assert proxy.seen.dropped == 1
    assert await patient.level(EVER) == (777, 0)
    await patient.commit(name, 777)
    assert await patient.level(EVER) == (777, 0)


async def test_a_reservation_that_arrives_after_it_was_withdrawn_is_held_until_it_expires(
    hasty: World, direct: World, proxy: FaultProxy
) -> None:
    """Two ways may turn an order round; what nobody knows of ends by itself."""
    proxy.inject(Faults(stalls=True))
    hold = hasty.hold(10, ttl_s=30)
    with pytest.raises(MeterUnavailable):
        await hasty.make(hold, EVER)
    await direct.withdraw(hold.reservation_id)
    proxy.heal()
    # It has arrived when what was asked behind it is answered.
    await soon(lambda: hasty.read(EVER))
    assert await direct.level(EVER) == (0, 10)
    direct.clock.advance(seconds=30)
    assert await direct.level(EVER) == (0, 0)
