"""What was asked once is done once, whatever came between the asking and the asking again."""

import asyncio

from tests.contract.stores import World
from tests.faults.callers import EVER
from tests.faults.proxy import FaultProxy
from tests.faults.weather import lose_one


async def test_extensions_that_were_under_way_together_hold_once_though_both_answers_are_lost(
    patient: World, proxy: FaultProxy
) -> None:
    name = await patient.held(EVER, tokens=10)
    proxy.inject(lose_one(b"dec_one"))
    one, other = await asyncio.gather(
        patient.extend(name, EVER, tokens=100, decision_id="dec_one"),
        patient.extend(name, EVER, tokens=1_000, decision_id="dec_other"),
    )
    assert (proxy.seen.dropped, proxy.seen.reset) == (1, 1)
    assert one.decision_id == "dec_one"
    assert other.decision_id == "dec_other"
    assert await patient.level(EVER) == (0, 1_110)


async def test_an_extension_that_comes_again_after_another_one_holds_nothing_more(
    direct: World,
) -> None:
    name = await direct.held(EVER, tokens=10)
    for decision, tokens in (("dec_one", 100), ("dec_other", 1_000), ("dec_one", 100)):
        await direct.extend(name, EVER, tokens=tokens, decision_id=decision)
    assert await direct.level(EVER) == (0, 1_110)


async def test_a_withdrawal_whose_answer_is_lost_has_withdrawn(
    patient: World, proxy: FaultProxy
) -> None:
    name = await patient.held(EVER, tokens=10)
    proxy.inject(lose_one(b"withdraw"))
    await patient.withdraw(name)
    assert proxy.seen.dropped == 1
    assert await patient.level(EVER) == (0, 0)
