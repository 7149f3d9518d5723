"""The same sequence of calls reads the same on SQLite and on Redis, and no window is exceeded."""

import itertools
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sidecar.domain.limits import Dimension
from sidecar.domain.modes import Mode
from sidecar.domain.request import MAX_INTEGER, Amounts, MeterKind
from sidecar.domain.usage import Hold, name_reservation
from sidecar.domain.windows import Fixed, from_ms
from sidecar.errors import RequestFault
from tests.contract.stores import (
    ManualClock,
    World,
    limit,
    redis_meter,
    reservation_name,
    seconds,
    sqlite_meter,
)

T = TypeVar("T")

LIMITS = (
    limit(500, seconds(60), name="minute"),
    limit(300, seconds(7), name="sevenfold", mode=Mode.ADVISORY),
    limit(900, Fixed.HOUR, name="hour", per=[Dimension.APP]),
    limit(None, Fixed.HOUR, name="hour-shared", per=[Dimension.APP], mode=Mode.OFF),
    limit(6, seconds(3_600), MeterKind.REQUESTS, name="requests"),
    limit(3, Fixed.LIFETIME, MeterKind.CONCURRENCY, name="concurrent"),
    limit(400, Fixed.BILLING_MONTH, MeterKind.OUTPUT_TOKENS, name="output"),
    limit(None, Fixed.LIFETIME, name="ever"),
)
LIMIT_SETS = {
    "all": LIMITS,
    "minute": LIMITS[:1],
    "hours": LIMITS[2:4],
    "others": LIMITS[4:],
    "none": (),
}
NAMES = itertools.count()

units = st.one_of(st.integers(0, 300), st.sampled_from([0, 1, 500, MAX_INTEGER - 1, MAX_INTEGER]))
which = st.integers(0, 7)
ttl_s = st.sampled_from([1, 30, 60, 600, 7_200])
limits = st.sampled_from(list(LIMIT_SETS))


@dataclass(frozen=True)
class Advance:
    ms: int


@dataclass(frozen=True)
class Reserve:
    tokens: int
    ttl_s: int
    request_id: str
    limits: str


@dataclass(frozen=True)
class Commit:
    which: int
    tokens: int
    final: bool


@dataclass(frozen=True)
class End:
    which: int
    how: str


@dataclass(frozen=True)
class Extend:
    which: int
    tokens: int
    ttl_s: int
    limits: str
    again: bool


@dataclass(frozen=True)
class Report:
    tokens: int
    name: int
    late_ms: int
    which: int | None
    limits: str


Step = Advance | Reserve | Commit | End | Extend | Report
GAPS_MS = st.one_of(
    st.integers(0, 20_000), st.sampled_from([59_999, 60_000, 61_000, 3_600_000, 10_800_000])
)
LATE_MS = st.sampled_from([-200_000, 0, 0, 1, 5_000, 59_000, 3_600_000])
STEPS = st.one_of(
    st.builds(Advance, GAPS_MS),
    st.builds(Reserve, units, ttl_s, st.sampled_from(["", "", "a", "b"]), limits),
    st.builds(Reserve, st.integers(0, 200), ttl_s, st.just(""), limits),
    st.builds(Commit, which, units, st.booleans()),
    st.builds(End, which, st.sampled_from(["release", "withdraw", "find"])),
    st.builds(Extend, which, units, ttl_s, limits, st.booleans()),
    st.builds(Report, units, st.integers(0, 9), LATE_MS, st.none() | which, limits),
)


@dataclass
class Twins:
    """Two stores and one clock."""

    sqlite: World
    redis: World

    def anew(self) -> "Twins":
        """The same stores, in an app that nobody has touched."""
        app = f"app-{next(NAMES)}"
        self.sqlite.clock.ms += 1_234
        return Twins(
            *(
                replace(world, app=app, names=itertools.count())
                for world in (self.sqlite, self.redis)
            )
        )


@pytest.fixture
async def twins(redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Twins]:
    clock = ManualClock()
    async with AsyncExitStack() as stack:
        path = tmp_path_factory.mktemp("twins") / "s.db"
        yield Twins(
            World(await stack.enter_async_context(sqlite_meter(path, clock)), clock),
            World(await stack.enter_async_context(redis_meter(redis_url, clock)), clock),
        )


async def outcome(call: Awaitable[T]) -> object:
    """What a call gave, or how it refused."""
    try:
        return await call
    except RequestFault as fault:
        return type(fault), str(fault)


def perform(world: World, step: Step, number: int, made: list[str]) -> Awaitable[Any]:
    """One step in one world; names are those of the step, so both worlds use the same."""

    def name(index: int) -> str:
        return made[-1 - index] if index < len(made) else name_reservation(world.app, "none")

    match step:
        case Reserve():
            amounts = Amounts(step.tokens, 0, step.tokens // 2, 1, 0, 1)
            request = world.request(amounts, step.ttl_s, step.request_id)
            name_ = reservation_name(world.app, number, step.request_id)
            hold = Hold(name_, f"dec_{number}", request)
            return world.make(hold, *LIMIT_SETS[step.limits])
        case Commit():
            return world.commit(
                name(step.which), step.tokens, final=step.final, output_tokens=step.tokens // 3
            )
        case End("release"):
            return world.release(name(step.which))
        case End("withdraw"):
            return world.withdraw(name(step.which))
        case End():
            return world.held_request(name(step.which))
        case Extend():
            decision = "dec_x" if step.again else f"dec_{number}"
            return world.extend(
                name(step.which),
                *LIMIT_SETS[step.limits],
                tokens=step.tokens,
                ttl_s=step.ttl_s,
                decision_id=decision,
            )
        case Report():
            held = "" if step.which is None else name(step.which)
            at = from_ms(world.clock.ms - step.late_ms)
            return world.record(
                world.event(
                    *LIMIT_SETS[step.limits],
                    tokens=step.tokens,
                    output_tokens=step.tokens // 2,
                    name=f"event-{step.name}",
                    at=at,
                    reservation_id=held,
                )
            )
        case Advance():
            raise AssertionError("time is not one world's")


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=st.lists(STEPS, max_size=40))
@example(
    # Sums beyond 2^53, where Lua rounds.
    steps=[
        Report(1, 0, -200_000, None, "all"),
        Report(MAX_INTEGER - 1, 1, -200_000, None, "all"),
        Reserve(500, 1, "", "all"),
    ]
)
async def test_any_sequence_of_calls_reads_the_same_on_both_stores(
    twins: Twins, steps: list[Step]
) -> None:
    pair = twins.anew()
    made: list[str] = []
    for number, step in enumerate(steps):
        if isinstance(step, Advance):
            pair.sqlite.clock.advance(milliseconds=step.ms)
        else:
            known = list(made)
            one = await outcome(perform(pair.sqlite, step, number, known))
            other = await outcome(perform(pair.redis, step, number, known))
            assert one == other
            if isinstance(step, Reserve):
                made.append(reservation_name(pair.sqlite.app, number, step.request_id))
        assert await pair.sqlite.read(*LIMITS) == await pair.redis.read(*LIMITS)
        asked = await pair.sqlite.read(*LIMITS, tokens=250)
        assert asked == await pair.redis.read(*LIMITS, tokens=250)


# -- sliding windows against an exact log -----------------------------------------------------

WINDOW_MS = 60_000
BUCKET_MS = 1_000
MAXIMUM = 1_000
ROLLING = limit(MAXIMUM, seconds(60))
arrivals = st.lists(st.tuples(st.integers(0, 9_000), st.integers(1, 400)), min_size=1, max_size=60)


def used_within(log: list[tuple[int, int]], until_ms: int) -> int:
    return sum(tokens for at_ms, tokens in log if until_ms - WINDOW_MS < at_ms <= until_ms)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(arrivals=arrivals)
async def test_no_true_window_ever_holds_more_than_the_limit(
    twins: Twins, arrivals: list[tuple[int, int]]
) -> None:
    pair = twins.anew()
    log: list[tuple[int, int]] = []
    for gap_ms, tokens in arrivals:
        pair.sqlite.clock.advance(milliseconds=gap_ms)
        now_ms = pair.sqlite.clock.ms
        admitted = []
        for world in (pair.sqlite, pair.redis):
            metering = await world.reserve(ROLLING, tokens=tokens)
            if metering.reservation is not None:
                await world.commit(metering.reservation.id, tokens)
            admitted.append(metering.reservation is not None)
        assert admitted[0] == admitted[1]
        if admitted[0]:
            log.append((now_ms, tokens))
            assert used_within(log, now_ms) <= MAXIMUM
        else:
            # Refused with reason: one bucket more than the true window has no room either.
            recent = sum(units for at_ms, units in log if now_ms - at_ms < WINDOW_MS + BUCKET_MS)
            assert recent + tokens > MAXIMUM


@pytest.mark.parametrize("gap_ms", [250, 1_300])
async def test_hardly_less_is_admitted_than_an_exact_log_would(twins: Twins, gap_ms: int) -> None:
    """A steady load of half as much again as the limit allows, for ten windows."""
    world = twins.anew().redis
    tokens = MAXIMUM * 3 * gap_ms // (2 * WINDOW_MS)
    log: list[tuple[int, int]] = []
    admitted = 0
    for _ in range(10 * WINDOW_MS // gap_ms):
        world.clock.advance(milliseconds=gap_ms)
        if used_within(log, world.clock.ms) + tokens <= MAXIMUM:
            log.append((world.clock.ms, tokens))
        metering = await world.reserve(ROLLING, tokens=tokens)
        if metering.reservation is not None:
            admitted += tokens
            await world.commit(metering.reservation.id, tokens)
    assert admitted >= 0.97 * sum(units for _, units in log)
