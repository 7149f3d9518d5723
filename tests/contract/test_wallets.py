"""A balance that is told again and again, and what is spent meanwhile, as every store keeps it."""

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.adapters.cached import CachedWallets
from sidecar.adapters.spending import marked, used_at
from sidecar.domain.limits import Limit, Reading
from sidecar.domain.modes import FailureMode, Mode
from sidecar.domain.request import Subject
from sidecar.domain.subscription import SyncOutcome
from sidecar.domain.usage import OnExpiry
from sidecar.domain.wallet import Wallet, WalletTerms, merge, no_wallet
from sidecar.domain.windows import from_ms
from sidecar.ports import Wallets
from tests.contract.stores import ManualClock, World, beside, sqlite_meter, wallets_of

BOB = Subject("app", "user")
STRANGE = ["a}b", "a:b", "*", "%", "a b", "名前", "a\nb", "x" * 256]
TERMS = WalletTerms()


def since() -> float:
    return time.monotonic()


@dataclass
class Purse:
    """The balance of one user, beside the meter that counts what is spent of it."""

    world: World
    wallets: Wallets

    async def tell(self, balance: int, *, at: datetime | None = None) -> SyncOutcome:
        """A balance as of an instant, of now where nothing is said."""
        told = Wallet(self.world.app, self.world.user, balance, "USD", at or self.world.clock.now)
        outcome, _ = await self.wallets.sync(told, since=since())
        return outcome

    async def limit(self, mode: Mode = Mode.ENFORCE) -> Limit:
        subject = Subject(self.world.app, self.world.user)
        wallet = await self.wallets.find(subject, since=since())
        return TERMS.limit(wallet, mode, FailureMode.OPEN)

    async def spend(self, cost: int) -> None:
        """Reserve and commit."""
        held = await self.world.held(await self.limit(), cost=cost)
        await self.world.commit(held, cost=cost)

    async def reading(self) -> Reading:
        return (await self.world.read(await self.limit()))[0]

    async def available(self) -> int:
        left = (await self.reading()).remaining
        assert left is not None
        return left

    async def fits(self, cost: int) -> bool:
        """Whether so much could be held; it is given back at once."""
        metering = await self.world.reserve(await self.limit(), cost=cost)
        if metering.reservation is None:
            return False
        await self.world.release(metering.reservation.id)
        return True


@pytest.fixture
def purse(world: World) -> Purse:
    return Purse(world, wallets_of(world.meter))


async def test_nobody_told_a_balance_at_first(purse: Purse) -> None:
    assert await purse.wallets.find(BOB, since=since()) == no_wallet(BOB)


async def test_a_balance_that_was_told_is_found_whole(purse: Purse) -> None:
    at = datetime(2026, 5, 5, 11, 59, 59, 123456, tzinfo=UTC)
    told = Wallet("app", "user", 2**53 - 1, "EUR", at, name="w-1", is_pulled=True)
    assert await purse.wallets.sync(told, since=since()) == (SyncOutcome.SYNCED, told)
    assert await purse.wallets.find(BOB, since=since()) == told


@pytest.mark.parametrize("name", STRANGE)
async def test_strange_names_keep_wallets_apart(purse: Purse, name: str) -> None:
    mine = Purse(purse.world.of(name, name), purse.wallets)
    await mine.tell(100)
    await mine.spend(40)
    await purse.tell(7)
    await mine.tell(60)
    await mine.spend(10)
    assert (await mine.available(), await purse.available()) == (50, 7)


async def test_what_was_spent_since_the_balance_was_told_is_held_against_it(purse: Purse) -> None:
    await purse.tell(1_000)
    await purse.spend(300)
    held = await purse.world.held(await purse.limit(), cost=500)
    reading = await purse.reading()
    assert (reading.limit.maximum, reading.used, reading.reserved) == (1_000, 300, 500)
    assert reading.remaining == 200
    assert not await purse.fits(201)
    assert await purse.fits(200)
    await purse.world.release(held)
    assert await purse.fits(700)


async def test_a_commit_tells_what_is_left(purse: Purse) -> None:
    await purse.tell(1_000)
    await purse.spend(300)
    purse.world.clock.advance(seconds=5)
    await purse.tell(700)
    held = await purse.world.held(await purse.limit(), cost=100)
    (left,) = (await purse.world.commit(held, cost=60)).readings
    assert (left.limit.id, left.limit.maximum, left.used, left.remaining) == (
        "wallet",
        700,
        60,
        640,
    )


async def test_usage_that_nobody_reserved_is_held_against_it(purse: Purse) -> None:
    await purse.tell(1_000)
    late = purse.world.clock.now - timedelta(days=3)
    await purse.world.record(purse.world.event(await purse.limit(), cost=400, at=late))
    assert await purse.available() == 600


async def test_a_balance_that_knows_of_the_spend_does_not_pay_it_twice(purse: Purse) -> None:
    await purse.tell(1_000)
    await purse.spend(300)
    purse.world.clock.advance(seconds=2)
    await purse.tell(700)
    assert await purse.available() == 700


async def test_what_is_spent_while_a_balance_is_on_its_way_is_held_against_it(
    purse: Purse,
) -> None:
    await purse.tell(1_000)
    await purse.spend(300)
    purse.world.clock.advance(seconds=2)
    told = purse.world.clock.now
    purse.world.clock.advance(seconds=2)
    await purse.spend(50)
    await purse.tell(700, at=told)
    assert await purse.available() == 650


async def test_a_run_that_ends_while_a_balance_is_on_its_way_is_held_against_it(
    purse: Purse,
) -> None:
    """It was held before the balance was told, but nobody knew then what it would use."""
    await purse.tell(1_000)
    held = await purse.world.held(await purse.limit(), cost=300)
    purse.world.clock.advance(seconds=2)
    told = purse.world.clock.now
    purse.world.clock.advance(seconds=2)
    await purse.world.commit(held, cost=200)
    await purse.tell(1_000, at=told)
    assert await purse.available() == 800
    purse.world.clock.advance(seconds=2)
    await purse.tell(800)
    assert await purse.available() == 800


async def test_what_is_held_when_a_balance_comes_stays_held_and_counts_once(purse: Purse) -> None:
    await purse.tell(1_000)
    held = await purse.world.held(await purse.limit(), cost=300)
    purse.world.clock.advance(seconds=2)
    await purse.tell(1_000)
    assert await purse.available() == 700
    await purse.world.commit(held, cost=250)
    assert await purse.available() == 750
    purse.world.clock.advance(seconds=2)
    await purse.tell(750)
    assert await purse.available() == 750


async def test_the_same_balance_again_forgets_nothing(purse: Purse) -> None:
    told = purse.world.clock.now
    assert await purse.tell(1_000, at=told) is SyncOutcome.SYNCED
    purse.world.clock.advance(seconds=2)
    await purse.spend(300)
    assert await purse.tell(1_000, at=told) is SyncOutcome.DUPLICATE
    assert await purse.available() == 700


async def test_an_older_balance_is_stale(purse: Purse) -> None:
    now = purse.world.clock.now
    await purse.tell(1_000, at=now)
    assert await purse.tell(9_000, at=now - timedelta(milliseconds=1)) is SyncOutcome.STALE
    assert await purse.available() == 1_000


async def test_balances_in_any_order_come_to_the_latest(purse: Purse) -> None:
    now = purse.world.clock.now
    told = [(now + timedelta(seconds=i), 100 * i) for i in (3, 1, 4, 0, 2)]
    purse.world.clock.advance(seconds=60)
    await asyncio.gather(*(purse.tell(balance, at=at) for at, balance in told))
    assert await purse.available() == 400


async def test_a_balance_told_of_a_time_to_come_knows_of_what_was_spent_until_now(
    purse: Purse,
) -> None:
    await purse.tell(1_000)
    await purse.spend(300)
    await purse.tell(700, at=purse.world.clock.now + timedelta(seconds=30))
    await purse.spend(100)
    assert await purse.available() == 600


@pytest.mark.parametrize("balance", [0, -1, -(2**53) + 1])
async def test_nothing_runs_on_a_balance_of_nothing(purse: Purse, balance: int) -> None:
    await purse.tell(balance)
    assert await purse.available() == 0
    assert not await purse.fits(0)


async def test_nothing_is_held_where_nobody_told_a_balance(purse: Purse) -> None:
    assert not await purse.fits(0)


async def test_a_request_of_unknown_cost_needs_a_unit_to_be_left(purse: Purse) -> None:
    await purse.tell(1)
    assert await purse.fits(0)


async def test_an_overdraft_is_paid_by_the_next_balance(purse: Purse) -> None:
    await purse.tell(100)
    held = await purse.world.held(await purse.limit(), cost=0)
    await purse.world.commit(held, cost=250)
    assert await purse.available() == 0
    assert (await purse.reading()).used == 250
    purse.world.clock.advance(seconds=2)
    await purse.tell(-150)
    assert await purse.available() == 0
    purse.world.clock.advance(seconds=2)
    await purse.tell(50)
    assert await purse.available() == 50


async def test_many_at_once_never_hold_more_than_there_is(purse: Purse) -> None:
    await purse.tell(1_000)
    limit = await purse.limit()
    metering = await asyncio.gather(*(purse.world.reserve(limit, cost=30) for _ in range(60)))
    assert sum(each.reservation is not None for each in metering) == 33
    assert await purse.available() == 10


async def test_balances_that_come_while_many_reserve_let_nobody_over(purse: Purse) -> None:
    """Whoever keeps the balance pays what was committed; the sidecar may know of it later."""
    world, kept = purse.world, 1_000
    await purse.tell(kept)
    committed = 0
    for _ in range(5):
        limit = await purse.limit()
        metering = await asyncio.gather(*(world.reserve(limit, cost=30) for _ in range(20)))
        held = [each.reservation.id for each in metering if each.reservation]
        half, rest = held[: len(held) // 2], held[len(held) // 2 :]
        told, then = world.clock.now, kept - committed
        world.clock.advance(seconds=1)
        settled = [world.commit(name, cost=30) for name in half]
        await asyncio.gather(*settled, purse.tell(then, at=told), *map(world.release, rest))
        committed += 30 * len(half)
        assert await purse.available() == kept - committed
        world.clock.advance(seconds=1)
    assert committed <= kept


async def test_a_replica_with_an_old_balance_holds_no_more_than_there_was(purse: Purse) -> None:
    """It has the old count as well: the two go together."""
    await purse.tell(1_000)
    old = await purse.limit()
    await purse.spend(900)
    purse.world.clock.advance(seconds=2)
    await purse.tell(100)
    metering = await purse.world.reserve(old, cost=101)
    assert metering.reservation is None
    assert (await purse.world.reserve(old, cost=100)).reservation is not None
    assert not await purse.fits(1)


async def test_an_old_balance_is_forgotten_by_whoever_takes_the_new_one(purse: Purse) -> None:
    cached = Purse(purse.world, CachedWallets(purse.wallets, lifetime_s=60))
    await cached.tell(10)
    assert await cached.available() == 10
    purse.world.clock.advance(seconds=1)
    await cached.tell(20)
    assert await cached.available() == 20


async def test_a_plan_that_only_warns_counts_past_the_balance(purse: Purse) -> None:
    await purse.tell(100)
    limit = await purse.limit(Mode.ADVISORY)
    held = await purse.world.held(limit, cost=150)
    assert (await purse.world.commit(held, cost=150)).readings[0].used == 150


async def test_what_expires_comes_back(purse: Purse) -> None:
    await purse.tell(100)
    await purse.world.held(await purse.limit(), cost=80, ttl_s=60)
    assert await purse.available() == 20
    purse.world.clock.advance(seconds=61)
    assert await purse.available() == 100


async def test_an_estimate_that_an_expiry_charged_is_owed_until_the_next_balance(
    charging: World,
) -> None:
    """Whoever keeps the balance never hears of the estimate, only of what was really used."""
    purse = Purse(charging, wallets_of(charging.meter))
    await purse.tell(1_000)
    held = await charging.held(await purse.limit(), cost=100, ttl_s=60)
    charging.clock.advance(seconds=61)
    assert await purse.available() == 900
    charging.clock.advance(seconds=2)
    await purse.tell(1_000)
    await charging.commit(held, cost=40)
    assert await purse.available() == 960
    charging.clock.advance(seconds=2)
    await purse.tell(960)
    assert await purse.available() == 960


async def test_two_meters_over_one_store_share_the_balance(purse: Purse) -> None:
    other = replace(purse.world, meter=beside(purse.world.meter, OnExpiry.RELEASE))
    await purse.tell(100)
    await other.held(await purse.limit(), cost=70)
    assert await purse.available() == 30


async def test_every_store_remembers_the_same_of_what_was_used_when(purse: Purse) -> None:
    """As plain marks do, of which there are fewer the longer ago it is."""
    random, clock = Random(7), purse.world.clock
    began, used, marks = clock.ms, 0, b""
    for _ in range(150):
        clock.advance(milliseconds=random.choice((0, 200, 900, 1_500, 40_000)))
        units = random.choice((0, 1, 30))
        await purse.world.record(purse.world.event(await purse.limit(), cost=units))
        used += units
        marks = marked(marks, clock.ms, used) if units else marks
    for _ in range(12):
        at = random.randint(began, clock.ms)
        told = Wallet(purse.world.app, purse.world.user, 1, "USD", from_ms(at))
        _, wallet = await purse.wallets.sync(told, since=since())
        if wallet.as_of == told.as_of:
            assert wallet.base == used_at(marks, at)
    _, wallet = await purse.wallets.sync(replace(told, as_of=clock.now), since=since())
    assert wallet.base == used


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["spend", "wait", "tell"]), st.integers(0, 40)), max_size=60
    )
)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
async def test_what_a_late_balance_does_not_know_of_is_always_held_against_it(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Beside a ledger that knows exactly; what is longer ago may be held against it once more."""
    folder: Path = tmp_path_factory.mktemp("late")
    clock = ManualClock()
    async with sqlite_meter(folder / "s.db", clock) as meter:
        purse = Purse(World(meter, clock), wallets_of(meter))
        spent = [(clock.now, 0)]
        await purse.tell(100_000)
        for step, number in steps:
            clock.advance(seconds=1.1)
            match step:
                case "spend":
                    await purse.spend(number)
                    spent.append((clock.now, spent[-1][1] + number))
                case "wait":
                    clock.advance(seconds=number)
                case "tell":
                    at = clock.now - timedelta(seconds=number)
                    knows = max((total for when, total in spent if when <= at), default=0)
                    outcome = await purse.tell(100_000 - knows, at=at)
                    assert outcome is not SyncOutcome.SYNCED or (
                        await purse.available() == 100_000 - spent[-1][1]
                    )
        assert await purse.available() <= 100_000 - spent[-1][1]


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 9)), max_size=400), st.integers(0))
def test_marks_never_say_that_more_was_used_than_was(
    steps: list[tuple[int, int]], wanted: int
) -> None:
    marks, now, used, exact = b"", 1_000_000, 0, [(0, 0)]
    for span, units in steps:
        now, used = now + span, used + units
        marks = marked(marks, now, used)
        exact.append((now, used))
    at = 1_000_000 + wanted % (now - 999_999)
    known = used_at(marks, at)
    assert known <= max(total for when, total in exact if when <= at)
    assert used_at(marks, now) == used
    assert len(marks) <= 64 * 16


def test_a_balance_that_was_asked_for_does_not_replace_one_that_was_pushed() -> None:
    at = datetime(2026, 5, 5, tzinfo=UTC)
    pushed = Wallet("app", "user", 5, "USD", at)
    asked = replace(pushed, balance=6, as_of=at + timedelta(days=1), is_pulled=True)
    assert merge(pushed, asked) == (SyncOutcome.STALE, pushed)
    assert merge(asked, replace(pushed, as_of=asked.as_of))[0] is SyncOutcome.SYNCED
