"""The same sequence of calls reads the same on every store, and no window is exceeded."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sidecar.domain.limits import Dimension
from sidecar.domain.modes import Mode
from sidecar.domain.prices import Rates
from sidecar.domain.request import MAX_INTEGER, UNTOLD, Amounts, MeterKind
from sidecar.domain.statements import Statement
from sidecar.domain.usage import Hold, OnExpiry, name_reservation
from sidecar.domain.windows import Fixed, from_ms
from sidecar.errors import RequestFault
from sidecar.ports import Meter
from tests.contract.stores import (
    ManualClock,
    World,
    beside,
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
    limit(600, Fixed.BILLING_MONTH, name="monthly"),
    limit(1_500, Fixed.BILLING_MONTH, name="monthly-soft", mode=Mode.ADVISORY),
    limit(2_000, Fixed.LIFETIME, MeterKind.COST, name="budget"),
    limit(400, Fixed.HOUR, name="a-session", per=[Dimension.APP, Dimension.SESSION]),
    limit(None, Fixed.LIFETIME, name="a-model", per=[Dimension.APP, Dimension.MODEL]),
)
LIMIT_SETS = {
    "all": LIMITS,
    "minute": LIMITS[:1],
    "hours": LIMITS[2:4],
    "others": LIMITS[4:],
    "allowances": LIMITS[8:10],
    "none": (),
}
SCOPES = ("tokens", "tokens", "output_tokens", "requests", "cost", "=minute", "=monthly")
RATES = Rates(2_000_000, 3_000_000)
NAMES = itertools.count()

units = st.one_of(st.integers(0, 300), st.sampled_from([0, 1, 500, MAX_INTEGER - 1, MAX_INTEGER]))
which = st.integers(0, 7)
ttl_s = st.sampled_from([1, 30, 60, 600, 7_200])
limits = st.sampled_from(list(LIMIT_SETS))
SESSIONS = ("", "one", "two")
session = st.sampled_from(SESSIONS)


@dataclass(frozen=True)
class Advance:
    ms: int


@dataclass(frozen=True)
class Reserve:
    tokens: int
    ttl_s: int
    request_id: str
    limits: str
    session: str = ""


@dataclass(frozen=True)
class Commit:
    which: int
    tokens: int
    final: bool
    is_split_told: bool = True


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
    session: str = ""


@dataclass(frozen=True)
class SumUp:
    session: str
    tokens: int
    output_tokens: int
    name: int
    late_ms: int
    limits: str


@dataclass(frozen=True)
class Push:
    name: str
    amount: int
    scope: str
    begins_ms: int
    ends_ms: int | None


Step = Advance | Reserve | Commit | End | Extend | Report | SumUp | Push
GAPS_MS = st.one_of(
    st.integers(0, 20_000), st.sampled_from([59_999, 60_000, 61_000, 3_600_000, 10_800_000])
)
LATE_MS = st.sampled_from([-200_000, 0, 0, 1, 5_000, 59_000, 3_600_000])
STEPS = st.one_of(
    st.builds(Advance, GAPS_MS),
    st.builds(Reserve, units, ttl_s, st.sampled_from(["", "", "a", "b"]), limits, session),
    st.builds(Reserve, st.integers(0, 200), ttl_s, st.just(""), limits, session),
    st.builds(Commit, which, units, st.booleans(), st.booleans()),
    st.builds(
        Push,
        st.sampled_from(["a", "b", "c", "d"]),
        st.one_of(st.integers(0, 400), st.sampled_from([0, 200, 200, MAX_INTEGER])),
        st.sampled_from(SCOPES),
        st.sampled_from([0, 0, -3_600_000, 30_000]),
        st.sampled_from([None, 60_000, 600_000, 86_400_000]),
    ),
    st.builds(End, which, st.sampled_from(["release", "withdraw", "find"])),
    st.builds(Extend, which, units, ttl_s, limits, st.booleans()),
    st.builds(Report, units, st.integers(0, 9), LATE_MS, st.none() | which, limits, session),
    st.builds(
        SumUp,
        st.sampled_from(SESSIONS[1:]),
        units,
        st.integers(0, 300),
        st.integers(0, 9),
        LATE_MS,
        limits,
    ),
    st.builds(
        SumUp,
        st.sampled_from(SESSIONS[1:]),
        st.integers(300, 900),
        units,
        st.integers(10, 99),
        LATE_MS,
        limits,
    ),
)
# Left alone, a list of any size has five steps or so.
SEQUENCES = st.one_of(st.lists(STEPS, max_size=10), st.lists(STEPS, min_size=20, max_size=40))


@dataclass
class Stores:
    """The same world in every store, under one clock."""

    worlds: dict[str, World]

    @property
    def clock(self) -> ManualClock:
        return self.worlds["sqlite"].clock

    def anew(self, on_expiry: OnExpiry = OnExpiry.RELEASE) -> "Stores":
        """The same stores, in an app that nobody has touched."""
        app = f"app-{next(NAMES)}"
        self.clock.ms += 1_234
        return Stores(
            {
                store: replace(
                    world, meter=beside(world.meter, on_expiry), app=app, names=itertools.count()
                )
                for store, world in self.worlds.items()
            }
        )

    async def each(self, ask: Callable[[World], Awaitable[object]]) -> object:
        """What a call gives in every store: the same in all of them."""
        answers = await asyncio.gather(*(outcome(ask(world)) for world in self.worlds.values()))
        told = dict(zip(self.worlds, answers, strict=True))
        first = told["sqlite"]
        assert told == dict.fromkeys(told, first)
        return first


@pytest.fixture
async def stores(
    redis_url: str,
    fake_redis_url: str,
    cluster_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Stores]:
    clock = ManualClock()
    urls = {"redis": redis_url, "fakeredis": fake_redis_url, "cluster": cluster_url}
    async with AsyncExitStack() as stack:
        path = tmp_path_factory.mktemp("stores") / "s.db"
        meters: dict[str, Meter] = {
            "sqlite": await stack.enter_async_context(sqlite_meter(path, clock))
        }
        for store, url in urls.items():
            meters[store] = await stack.enter_async_context(redis_meter(url, clock))
        yield Stores({store: World(meter, clock) for store, meter in meters.items()})


async def outcome(call: Awaitable[T]) -> object:
    """What a call gave, or how it refused."""
    try:
        return await call
    except RequestFault as fault:
        return type(fault), str(fault)


async def stated(world: World, user: str | None) -> list[Statement]:
    """What the periods came to; since when each store counts is its own."""
    found = (await world.page(user)).statements
    return list(found)


def perform(world: World, step: Step, number: int, made: list[str]) -> Awaitable[Any]:
    """One step in one world; names are those of the step, so both worlds use the same."""

    def name(index: int) -> str:
        return made[-1 - index] if index < len(made) else name_reservation(world.app, "none")

    match step:
        case Reserve():
            amounts = Amounts(step.tokens, 0, step.tokens // 2, 1, step.tokens, 1)
            chat = world.using(session_id=step.session)
            request = chat.request(amounts, step.ttl_s, step.request_id)
            name_ = reservation_name(world.app, number, step.request_id)
            hold = Hold(name_, f"dec_{number}", request, RATES)
            return world.make(hold, *LIMIT_SETS[step.limits])
        case Commit():
            output = step.tokens // 3 if step.is_split_told else UNTOLD
            return world.commit(
                name(step.which),
                step.tokens,
                final=step.final,
                output_tokens=output,
                input_tokens=step.tokens // 2 if step.is_split_told else UNTOLD,
                cost=UNTOLD,
            )
        case Push():
            is_named = step.scope.startswith("=")
            until = step.ends_ms and world.clock.ms + step.ends_ms
            return world.grant(
                step.amount,
                step.name,
                limit=step.scope[1:] if is_named else "",
                meter=MeterKind.TOKENS if is_named else MeterKind(step.scope),
                effective=from_ms(world.clock.ms + step.begins_ms),
                expires=from_ms(until) if until else None,
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
            chat = world.using(session_id=step.session)
            return world.record(
                chat.event(
                    *LIMIT_SETS[step.limits],
                    tokens=step.tokens,
                    output_tokens=step.tokens // 2,
                    name=f"event-{step.name}",
                    at=at,
                    reservation_id=held,
                )
            )
        case SumUp():
            chat = replace(world.using(session_id=step.session), rates=RATES)
            return world.record(
                chat.summary(
                    *LIMIT_SETS[step.limits],
                    tokens=step.tokens,
                    output_tokens=step.output_tokens,
                    name=f"event-{step.name}",
                    at=from_ms(world.clock.ms - step.late_ms),
                )
            )
        case Advance():
            raise AssertionError("time is not one world's")


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=SEQUENCES, on_expiry=st.sampled_from(OnExpiry))
@example(
    # Sums beyond 2^53, where Lua rounds.
    steps=[
        Report(1, 0, -200_000, None, "all"),
        Report(MAX_INTEGER - 1, 1, -200_000, None, "all"),
        Reserve(500, 1, "", "all"),
    ],
    on_expiry=OnExpiry.RELEASE,
)
@example(
    steps=[
        Reserve(0, 60, "", "all"),
        Push("a", MAX_INTEGER, "tokens", 0, None),
        Push("b", 1, "tokens", 0, None),
        Commit(0, 0, final=False),
    ],
    on_expiry=OnExpiry.RELEASE,
)
async def test_any_sequence_of_calls_reads_the_same_on_every_store(
    stores: Stores, steps: list[Step], on_expiry: OnExpiry
) -> None:
    alike = stores.anew(on_expiry)
    begin, app = alike.clock.now, alike.worlds["sqlite"].app
    made: list[str] = []
    for number, step in enumerate(steps):
        if isinstance(step, Advance):
            alike.clock.advance(milliseconds=step.ms)
        else:
            known = list(made)
            await alike.each(lambda world: perform(world, step, number, known))  # noqa: B023 # awaited at once
            if isinstance(step, Reserve):
                made.append(reservation_name(app, number, step.request_id))
        await alike.each(lambda world: world.read(*LIMITS))
        await alike.each(lambda world: world.read(*LIMITS, tokens=250))
        await alike.each(lambda world: world.balances())
    for name in SESSIONS:
        await alike.each(lambda world: world.using(session_id=name).read(*LIMITS))  # noqa: B023 # awaited at once
    for user in (None, "user"):
        await alike.each(lambda world: world.usage(user, begin - timedelta(hours=2)))  # noqa: B023 # awaited at once
        await alike.each(lambda world: stated(world, user))  # noqa: B023 # awaited at once


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
    stores: Stores, arrivals: list[tuple[int, int]]
) -> None:
    alike = stores.anew()
    log: list[tuple[int, int]] = []
    for gap_ms, tokens in arrivals:
        alike.clock.advance(milliseconds=gap_ms)
        now_ms = alike.clock.ms

        async def is_admitted(world: World, tokens: int = tokens) -> bool:
            metering = await world.reserve(ROLLING, tokens=tokens)
            if metering.reservation is not None:
                await world.commit(metering.reservation.id, tokens)
            return metering.reservation is not None

        if await alike.each(is_admitted):
            log.append((now_ms, tokens))
            assert used_within(log, now_ms) <= MAXIMUM
        else:
            # Refused with reason: one bucket more than the true window has no room either.
            recent = sum(units for at_ms, units in log if now_ms - at_ms < WINDOW_MS + BUCKET_MS)
            assert recent + tokens > MAXIMUM


@pytest.mark.parametrize("gap_ms", [250, 1_300])
async def test_hardly_less_is_admitted_than_an_exact_log_would(stores: Stores, gap_ms: int) -> None:
    """A steady load of half as much again as the limit allows, for ten windows."""
    world = stores.anew().worlds["redis"]
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
