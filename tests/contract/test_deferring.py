"""What is said while the store is away counts once, and in the time in which it was used."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest

from sidecar.adapters.cached import CachedManifests
from sidecar.adapters.decisions.told import NoDecisions
from sidecar.adapters.guarded.breaker import Breaker
from sidecar.adapters.guarded.facts import GuardedManifests, GuardedSubscriptions
from sidecar.adapters.guarded.meter import GuardedMeter
from sidecar.adapters.spool.spooled import SpooledEntries
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.manifests import SqliteManifests
from sidecar.adapters.sqlite.subscriptions import SqliteSubscriptions
from sidecar.adapters.sqlite.wallets import SqliteWallets
from sidecar.adapters.standby.remembered import RememberedFacts
from sidecar.deferring import DeferringPDP
from sidecar.domain.decision import Decision
from sidecar.domain.provisional import Provisional, read_provisional
from sidecar.domain.request import UNTOLD, Amounts, CheckRequest, Subject
from sidecar.domain.usage import EventKind, OnExpiry, ReservationState, UsageEvent
from sidecar.errors import ReservationEnded, Unavailable
from sidecar.facts import Facts
from sidecar.policy.reloading.kept import LoadedPolicies
from tests.contract.conftest import Opened
from tests.contract.stores import START, ManualClock
from tests.unit.world import policies

BOB: Final = Subject("acme", "bob")
PATIENCE_S: Final = 10.0
POLICY: Final = """
    mode: enforce
    defaults: {plan: free}
    plans:
      free:
        plugins: ["*"]
        tokens_per_month: 1000
        limits:
          - {id: minute, meter: tokens, max: 500, window: 1m}
          - {id: asked, meter: requests, max: 50, window: month}
"""


class World:
    """A decision point whose store goes away and comes back when it is told to."""

    def __init__(
        self, pdp: DeferringPDP, breaker: Breaker, facts: Breaker, spool: SpooledEntries
    ) -> None:
        self.pdp = pdp
        self.spool = spool
        self._breaker = breaker
        self._facts = facts

    def leave(self) -> None:
        self._breaker.is_open = self._facts.is_open = True

    def leave_facts(self) -> None:
        """Let the counters be there, and nobody tell of users."""
        self._facts.is_open = True

    def come_back(self) -> None:
        self._breaker.is_open = self._facts.is_open = False

    async def settled(self) -> None:
        """Return when all that was kept is counted."""
        deadline = time.monotonic() + PATIENCE_S
        while self.spool.report.bytes:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.005)

    async def check(self, tokens: int = 100, **more: object) -> Decision:
        estimate = Amounts(tokens, tokens, 0, requests=1, concurrency=1)
        request = CheckRequest(BOB, estimate=estimate, reserve=True, **more)  # type: ignore[arg-type] # of its fields
        return await self.pdp.check(request)

    async def hold(self, tokens: int = 100) -> str:
        reservation = (await self.check(tokens)).reservation
        assert reservation is not None
        return reservation.id

    async def levels(self) -> dict[str, tuple[int, int]]:
        readings = (await self.pdp.overview(BOB)).readings
        return {reading.limit.id: (reading.used, reading.reserved) for reading in readings}


@pytest.fixture
async def world(
    tmp_path: Path,
    clock: ManualClock,
    opened: Opened,
) -> AsyncIterator[World]:
    folder = tmp_path / "policies"
    folder.mkdir()
    async with _world(folder, clock, opened, POLICY) as world:
        yield world


@pytest.fixture
async def local(tmp_path: Path, clock: ManualClock, opened: Opened) -> AsyncIterator[World]:
    """The same where all is decided by what is remembered."""
    folder = tmp_path / "policies"
    folder.mkdir()
    policy = POLICY.replace("plan: free}", "plan: free, failure_mode: local}")
    async with _world(folder, clock, opened, policy) as world:
        yield world


@asynccontextmanager
async def _world(
    folder: Path, clock: ManualClock, opened: Opened, policy: str
) -> AsyncIterator[World]:
    facts = Database(None)
    facts.open()

    async def probe() -> None:
        raise Unavailable("never asked")

    async def may_count() -> None:
        await meter.ping(since=time.monotonic())

    breaker, of_facts = Breaker(probe), Breaker(probe)
    times = SimpleNamespace(now=lambda: clock.now, monotonic=time.monotonic)
    async with opened(OnExpiry.RELEASE) as inner:
        meter = GuardedMeter(inner, breaker)
        pdp = DeferringPDP(
            LoadedPolicies(policies(folder, policy)),
            Facts(
                GuardedSubscriptions(SqliteSubscriptions(facts), of_facts),
                CachedManifests(GuardedManifests(SqliteManifests(facts), breaker)),
                SqliteWallets(facts),
                RememberedFacts(),
            ),
            meter,
            NoDecisions(),
            times,
        )
        spool = SpooledEntries(
            folder / "spool", pdp.count_deferred, may_count, times, most_bytes=1 << 20
        )
        pdp.spool = spool
        async with spool.opened():
            yield World(pdp, breaker, of_facts, spool)
    facts.close()


USED: Final = Amounts(tokens=60, input_tokens=40, output_tokens=20)


def used(world: dict[str, tuple[int, int]]) -> tuple[int, int, int]:
    """Tokens of the month and of the minute, and requests, that are used."""
    return (world["free-tokens-per-month"][0], world["minute"][0], world["asked"][0])


async def test_a_reservation_of_the_time_without_a_store_is_charged_when_it_is_back(
    world: World,
) -> None:
    world.leave()
    decision = await world.check()
    assert (decision.is_denied, decision.degraded) == (False, True)
    assert decision.reservation is not None
    name = decision.reservation.id
    assert decision.reservation.tokens == 100
    world.come_back()
    settled = await world.pdp.commit(name, USED, final=True)

    assert (settled.state, settled.degraded) == (ReservationState.COMMITTED, False)
    assert used(await world.levels()) == (60, 60, 1)
    await world.pdp.commit(name, USED, final=True)
    assert used(await world.levels()) == (60, 60, 1)
    # What it used was said: more of it is not taken.
    await world.pdp.commit(name, Amounts(tokens=90), final=True)
    assert used(await world.levels()) == (60, 60, 1)


async def test_who_was_let_through_though_nothing_was_known_of_him_is_charged(
    world: World,
) -> None:
    world.leave_facts()
    decision = await world.check()
    assert (decision.degraded, decision.subscription_status) == (True, "unknown")
    assert decision.reservation is not None
    world.come_back()
    await world.pdp.commit(decision.reservation.id, USED, final=True)

    assert used(await world.levels()) == (60, 60, 1)


async def test_a_commit_of_the_time_without_a_store_is_kept_and_charged_once(world: World) -> None:
    before = await world.hold()
    world.leave()
    meanwhile = await world.hold()
    for name in (before, meanwhile, before, meanwhile):
        settled = await world.pdp.commit(name, USED, final=True)
        assert (settled.reservation_id, settled.degraded) == (name, True)
    world.come_back()
    await world.settled()

    assert used(await world.levels()) == (120, 120, 2)
    assert world.spool.report.replayed == 4


async def test_use_counts_in_the_minute_in_which_it_was_let_through(
    world: World,
    clock: ManualClock,
) -> None:
    world.leave()
    name = await world.hold()
    await world.pdp.commit(name, USED, final=True)
    clock.advance(minutes=10)
    world.come_back()
    await world.settled()
    levels = await world.levels()

    # Who waited out the fault is not kept waiting for what it held up.
    assert (levels["free-tokens-per-month"][0], levels["minute"][0]) == (60, 0)


async def test_events_of_the_time_without_a_store_count_once_with_those_before_and_after(
    world: World,
) -> None:
    def event(number: int, at: datetime = START) -> UsageEvent:
        amounts = Amounts(tokens=10, requests=1)
        return UsageEvent(f"e-{number}", at, CheckRequest(BOB, estimate=amounts), amounts)

    tally = await world.pdp.record([event(1), event(2)])
    assert (tally.accepted, tally.degraded) == (2, False)
    world.leave()
    tally = await world.pdp.record([event(2), event(3)])
    assert (tally.accepted, tally.degraded) == (2, True)
    await world.pdp.record([event(3)])
    world.come_back()
    await world.settled()
    tally = await world.pdp.record([event(1), event(3), event(4)])

    assert (tally.accepted, tally.duplicates) == (1, 2)
    assert used(await world.levels()) == (40, 40, 4)


async def test_events_draw_down_a_reservation_of_the_time_without_a_store(world: World) -> None:
    world.leave()
    name = await world.hold()
    amounts = Amounts(tokens=25, requests=1)
    request = CheckRequest(BOB, estimate=amounts)
    await world.pdp.record([UsageEvent("delta-1", START, request, amounts, name)])
    world.come_back()
    await world.settled()
    await world.pdp.record([UsageEvent("delta-2", START, request, amounts, name)])
    assert used(await world.levels()) == (50, 50, 1)
    await world.pdp.commit(name, USED, final=True)
    assert used(await world.levels()) == (60, 60, 1)
    late = UsageEvent("delta-3", START, request, amounts, name)
    await world.pdp.record([late])

    assert used(await world.levels()) == (60, 60, 1)


async def test_what_comes_late_of_a_reservation_that_was_charged_is_no_more_use(
    world: World,
) -> None:
    world.leave()
    name = await world.hold()
    await world.pdp.commit(name, USED, final=True)
    world.come_back()
    await world.settled()
    amounts = Amounts(tokens=25, requests=1)
    late = UsageEvent("late", START, CheckRequest(BOB, estimate=amounts), amounts, name)
    await world.pdp.record([late])

    assert used(await world.levels()) == (60, 60, 1)


async def test_it_is_charged_step_by_step_and_extended_like_any_other(world: World) -> None:
    world.leave()
    name = await world.hold()
    await world.pdp.commit(name, Amounts(tokens=20), final=False)
    world.come_back()
    await world.settled()
    assert used(await world.levels()) == (20, 20, 1)
    extended = await world.pdp.extend(name, 60, Amounts(tokens=30))
    assert not extended.is_denied
    assert (await world.levels())["minute"] == (20, 30)
    await world.pdp.commit(name, USED, final=True)

    assert await world.levels() == {
        "free-tokens-per-month": (60, 0), "minute": (60, 0), "asked": (1, 0)
    }  # fmt: skip


async def test_a_release_of_the_time_without_a_store_gives_back_and_ends(world: World) -> None:
    before = await world.hold()
    world.leave()
    meanwhile = await world.hold()
    for name in (before, meanwhile):
        settled = await world.pdp.release(name)
        assert (settled.state, settled.degraded) == (ReservationState.RELEASED, True)
    world.come_back()
    await world.settled()

    assert set((await world.levels()).values()) == {(0, 0)}
    for name in (before, meanwhile):
        with pytest.raises(ReservationEnded):
            await world.pdp.commit(name, USED, final=True)


async def test_without_a_spool_what_cannot_be_counted_is_refused(world: World) -> None:
    name = await world.hold()
    world.pdp.spool = None
    world.leave()
    with pytest.raises(Unavailable):
        await world.pdp.commit(name, USED, final=True)
    with pytest.raises(Unavailable):
        await world.pdp.release(name)


async def test_a_full_limit_does_not_keep_what_was_let_through_from_being_charged(
    world: World,
) -> None:
    world.leave()
    names = [await world.hold(400) for _ in range(3)]
    world.come_back()
    for name in names[:2]:
        await world.pdp.commit(name, Amounts(tokens=400), final=True)
    await world.pdp.commit(names[2], Amounts(tokens=300), final=False)
    await world.pdp.commit(names[2], Amounts(tokens=400), final=True)

    assert used(await world.levels()) == (1200, 1200, 3)


async def test_what_a_hold_used_of_which_only_the_sum_is_told_is_split_as_it_was_estimated(
    world: World,
) -> None:
    world.leave()
    name = await world.hold()
    world.come_back()
    told = Amounts(tokens=60, input_tokens=UNTOLD, output_tokens=UNTOLD)
    await world.pdp.commit(name, told, final=True)

    assert used(await world.levels()) == (60, 60, 1)


# -- decided by what is remembered -----------------------------------------------------------


async def test_the_last_reading_and_what_was_let_through_since_decide(
    local: World, clock: ManualClock
) -> None:
    await local.hold(200)
    clock.advance(seconds=5)
    local.leave()
    second = await local.check(200)
    third = await local.check(200)

    assert [reading.used + reading.reserved for reading in second.readings] == [200, 1, 200]
    assert (second.is_denied, second.degraded, second.data_age_s) == (False, True, 5.0)
    assert (third.is_denied, third.status, third.reservation) == (True, 402, None)
    assert [reason.id for reason in third.reasons] == ["minute"]


async def test_what_a_run_used_less_is_free_for_the_next(local: World) -> None:
    local.leave()
    first = await local.hold(400)
    assert (await local.check(200)).is_denied
    await local.pdp.commit(first, Amounts(tokens=100, input_tokens=100), final=True)
    assert not (await local.check(200)).is_denied
    await local.pdp.release(await local.hold(100))
    assert not (await local.check(100)).is_denied
    assert (await local.check(200)).is_denied


async def test_what_is_reported_meanwhile_counts(local: World) -> None:
    local.leave()
    amounts = Amounts(tokens=450, requests=1)
    request = CheckRequest(BOB, estimate=amounts)
    await local.pdp.record([UsageEvent("e", START, request, amounts)])
    assert (await local.check(100)).is_denied


async def test_a_summary_of_what_was_reported_meanwhile_is_no_more_use(local: World) -> None:
    def told(name: str, tokens: int, kind: EventKind) -> UsageEvent:
        amounts = Amounts(tokens=tokens, requests=1 if kind is EventKind.DELTA else 0)
        request = CheckRequest(BOB, session_id="chat", estimate=amounts)
        return UsageEvent(name, START, request, amounts, kind=kind)

    await local.pdp.record([told("before", 200, EventKind.DELTA)])
    await local.check(0)
    local.leave()
    await local.pdp.record([told("delta", 100, EventKind.DELTA)])
    await local.pdp.record([told("first", 300, EventKind.SUMMARY)])
    await local.pdp.record([told("second", 320, EventKind.SUMMARY)])
    assert not (await local.check(200)).is_denied
    local.come_back()
    await local.settled()

    assert used(await local.levels()) == (320, 320, 2)


async def test_who_was_never_seen_begins_with_nothing_and_is_bounded_all_the_same(
    local: World,
) -> None:
    local.leave()
    first = await local.check(500)

    assert (first.is_denied, first.plan, first.data_age_s) == (False, "free", None)
    assert (await local.check(1)).is_denied


async def test_a_window_that_is_over_is_over_without_a_store_too(
    local: World, clock: ManualClock
) -> None:
    await local.hold(500)
    local.leave()
    assert (await local.check(1)).is_denied
    clock.advance(seconds=62)
    # The month remembers what the minute has left behind.
    after = await local.check(300)

    assert not after.is_denied
    assert [reading.used + reading.reserved for reading in after.readings] == [500, 1, 0]


async def test_what_was_decided_by_memory_is_reconciled_when_the_store_is_back(
    local: World,
) -> None:
    local.leave()
    names = [await local.hold(100) for _ in range(3)]
    await local.pdp.commit(names[0], USED, final=True)
    local.come_back()
    await local.settled()
    await local.pdp.commit(names[1], USED, final=True)
    decision = await local.check(100)

    assert (decision.degraded, decision.data_age_s) == (False, None)
    assert [reading.used for reading in decision.readings] == [120, 2, 120]


@pytest.mark.parametrize(
    "request_of",
    [
        lambda: CheckRequest(BOB),
        lambda: CheckRequest(
            Subject("a" * 256, "ü" * 64, "𝕏" * 64), plugin="p" * 256, model="𝕄" * 64,
            session_id="s" * 256, workflow="w", agent="a", attributes={"secret": "x"}, ttl_s=3600,
        ),
    ],
)  # fmt: skip
def test_an_id_says_what_a_reservation_was_for_and_no_attributes(
    request_of: Callable[[], CheckRequest],
) -> None:
    request = request_of()
    hold_id = "res_YWNtZQ." + "x" * 24
    name = Provisional(hold_id, START, request).id
    read = read_provisional(name)

    assert read is not None
    assert (read.hold_id, read.at, read.request.attributes) == (hold_id, START, {})
    assert read.request.subject == Subject("acme", *_names(request.subject))
    assert (read.request.model, read.request.ttl_s) == (request.model, request.ttl_s)
    assert len(name) < 4_608


def _names(subject: Subject) -> tuple[str, str]:
    return subject.user_id, subject.tenant_id


@pytest.mark.parametrize(
    "name",
    ["", "res_YWNtZQ.abc", "res_YWNtZQ.abc.", "res_YWNtZQ.abc.e30", "a.b.c", "res_YWNtZQ.a.W10",
     "res_YWNtZQ.a.WzEsMiwzLDQsNSwiYSIsMV0"],
)  # fmt: skip
def test_what_is_no_such_id_says_nothing(name: str) -> None:
    assert read_provisional(name) is None
