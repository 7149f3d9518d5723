"""The same `request_id` again: the first answer, and nothing held twice, on every store."""

import asyncio
from dataclasses import replace

import pytest

from sidecar.domain.modes import Mode
from sidecar.domain.usage import Hold, Metering
from sidecar.errors import RequestIdReused
from tests.contract.stores import World, limit, seconds

MONTHLY = limit(1_000, name="monthly")
BURST = limit(100, seconds(60), name="burst")


def kept(metering: Metering) -> tuple[str, str | None]:
    assert metering.reservation is not None
    return metering.reservation.id, metering.decision_id


async def test_a_repeated_request_gets_its_first_answer_and_holds_nothing_more(
    world: World,
) -> None:
    await world.use(MONTHLY, BURST, tokens=10)
    first = await world.reserve(MONTHLY, BURST, tokens=40, request_id="r-1")
    world.clock.advance(seconds=1)
    await world.use(MONTHLY, BURST, tokens=7)
    assert await world.reserve(MONTHLY, BURST, tokens=40, request_id="r-1") == first
    assert await world.levels(MONTHLY, BURST) == [(17, 40), (17, 40)]


async def test_the_first_answer_bears_the_decision_it_was_made_with(world: World) -> None:
    hold = world.hold(40, request_id="r-1")
    await world.make(hold, MONTHLY)
    again = await world.reserve(MONTHLY, tokens=40, request_id="r-1")
    assert kept(again) == (hold.reservation_id, hold.decision_id)


async def test_the_same_reservation_id_again_is_the_same_operation(world: World) -> None:
    """A caller that lost the reply asks again, without an id of its own."""
    hold = world.hold(40)
    first = await world.make(hold, MONTHLY)
    assert await world.make(hold, MONTHLY) == first
    assert await world.level(MONTHLY) == (0, 40)


async def test_a_repeated_request_gets_its_first_answer_after_the_limit_was_used_up(
    world: World,
) -> None:
    first = await world.reserve(MONTHLY, tokens=40, request_id="r-1")
    await world.use(MONTHLY, tokens=5_000)
    assert await world.reserve(MONTHLY, tokens=40, request_id="r-1") == first


@pytest.mark.parametrize("end", ["commit", "release"])
async def test_a_repeated_request_gets_its_first_answer_after_its_run_has_ended(
    world: World, end: str
) -> None:
    first = await world.reserve(MONTHLY, tokens=40, request_id="r-1")
    name, _ = kept(first)
    await (world.commit(name, 30) if end == "commit" else world.release(name))
    level = await world.level(MONTHLY)
    assert await world.reserve(MONTHLY, tokens=40, request_id="r-1") == first
    assert await world.level(MONTHLY) == level


async def test_another_body_under_the_same_id_is_refused(world: World) -> None:
    await world.reserve(MONTHLY, tokens=40, request_id="r-1")
    with pytest.raises(RequestIdReused, match="'r-1' was used before with another body"):
        await world.reserve(MONTHLY, tokens=41, request_id="r-1")
    with pytest.raises(RequestIdReused):
        await world.of("app", "another").reserve(MONTHLY, tokens=40, request_id="r-1")
    assert await world.level(MONTHLY) == (0, 40)


async def test_attributes_are_part_of_the_body(world: World) -> None:
    hold = world.hold(40, request_id="r-1")
    await world.make(hold, MONTHLY)
    other = world.hold(40, request_id="r-1")
    changed = replace(other.request, attributes={"region": "eu"})
    with pytest.raises(RequestIdReused):
        await world.make(Hold(other.reservation_id, "dec", changed), MONTHLY)


async def test_two_apps_may_use_the_same_id(world: World) -> None:
    first = await world.reserve(MONTHLY, tokens=40, request_id="r-1")
    second = await world.of("other").reserve(MONTHLY, tokens=99, request_id="r-1")
    assert kept(first) != kept(second)


async def test_a_refusal_is_not_remembered(world: World) -> None:
    assert (await world.reserve(BURST, tokens=101, request_id="r-1")).reservation is None
    raised = replace(BURST, maximum=1_000)
    assert (await world.reserve(raised, tokens=101, request_id="r-1")).reservation is not None


async def test_an_id_is_remembered_for_the_hold_and_ten_minutes(world: World) -> None:
    first = await world.reserve(MONTHLY, tokens=40, ttl_s=60, request_id="r-1")
    world.clock.advance(minutes=11, milliseconds=-1)
    assert await world.reserve(MONTHLY, tokens=40, ttl_s=60, request_id="r-1") == first
    assert await world.level(MONTHLY) == (0, 0)
    world.clock.advance(milliseconds=1)
    second = await world.reserve(MONTHLY, tokens=40, ttl_s=60, request_id="r-1")
    assert kept(second) != kept(first)
    assert await world.level(MONTHLY) == (0, 40)


async def test_an_extended_hold_is_remembered_as_long_as_it_lives(world: World) -> None:
    name, _ = kept(await world.reserve(MONTHLY, tokens=40, ttl_s=60, request_id="r-1"))
    await world.extend(name, MONTHLY, tokens=10, ttl_s=3_600)
    world.clock.advance(minutes=59)
    again = await world.reserve(MONTHLY, tokens=40, ttl_s=60, request_id="r-1")
    assert kept(again)[0] == name
    assert await world.level(MONTHLY) == (0, 50)
    world.clock.advance(minutes=11)
    later = await world.reserve(MONTHLY, tokens=40, ttl_s=60, request_id="r-1")
    assert kept(later)[0] != name


async def test_withdrawing_an_old_reservation_leaves_the_new_one_its_id(world: World) -> None:
    old, _ = kept(await world.reserve(MONTHLY, tokens=40, request_id="r-1"))
    world.clock.advance(minutes=11)
    new = await world.reserve(MONTHLY, tokens=40, request_id="r-1")
    await world.withdraw(old)
    assert await world.reserve(MONTHLY, tokens=40, request_id="r-1") == new


async def test_a_repeated_request_under_other_limits_reads_them_as_they_are(world: World) -> None:
    """A policy was loaded in between, or the user changed the plan."""
    first = await world.reserve(BURST, tokens=40, request_id="r-1")
    daily = limit(7, seconds(3_600), name="other", mode=Mode.ADVISORY)
    await world.use(daily, tokens=5)
    again = await world.reserve(daily, tokens=40, request_id="r-1")
    assert kept(again) == kept(first)
    assert [(reading.limit, reading.used, reading.reserved) for reading in again.readings] == [
        (daily, 5, 0)
    ]


async def test_of_many_that_race_with_one_id_all_get_one_reservation(world: World) -> None:
    meterings = await asyncio.gather(
        *(world.reserve(MONTHLY, tokens=40, request_id="r-1") for _ in range(50))
    )
    assert len({kept(metering) for metering in meterings}) == 1
    assert await world.level(MONTHLY) == (0, 40)
