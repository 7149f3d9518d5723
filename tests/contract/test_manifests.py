"""What the platform said of each app, as every store remembers it."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from sidecar.adapters.cached import CachedManifests
from sidecar.adapters.carried import CarriedManifests
from sidecar.adapters.redis.manifests import RedisManifests
from sidecar.adapters.seeded import SeededManifests
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.manifests import SqliteManifests
from sidecar.domain.manifest import Budget, Enforcement, Manifest, Override, merge
from sidecar.domain.modes import Refusal
from sidecar.domain.request import MeterKind
from sidecar.domain.subscription import SyncOutcome
from sidecar.domain.windows import Fixed, Sliding
from sidecar.errors import Unavailable
from sidecar.ports import Manifests, ManifestSync
from tests.contract.stores import PATIENCE_S, At, World, redis_connection

MONDAY = datetime(2026, 5, 4, tzinfo=UTC)
MONTHLY = Budget("manifest-tokens", MeterKind.TOKENS, 1_000, Fixed.MONTH, used=400)
WHOLE = Manifest(
    app_id="app",
    version="1.0",
    plan="pro",
    plan_name="Pro",
    tier="starter",
    billing_period="monthly",
    expires_at=MONDAY + timedelta(days=3),
    tenant_id="tenant",
    budgets=(
        replace(MONTHLY, enforcement=Enforcement.SOFT, burst=Fraction(1, 10), rollover=True),
        Budget("m", MeterKind.COST, None, Fixed.LIFETIME, model="名前/x"),
        Budget("p", MeterKind.REQUESTS, 5, Sliding(60_000), plugin="a b",
               refusal=Refusal.TOO_MANY_REQUESTS),
    ),
    overrides={"m": Override(7, MONDAY), "p": Override(None)},
    features={"streaming": True, "code": False},
    allowed=("a", "b"),
    blocked=("c_*",),
    synced_at=MONDAY,
    since=MONDAY - timedelta(days=9),
    seeded={"tokens:month": 1_000},
)  # fmt: skip
STRANGE = ["a}b", "a:b", "*", "%", "a b", "名前", "a\nb", "x" * 256]


def since() -> float:
    return time.monotonic()


@pytest.fixture(params=["sqlite", "redis", "cluster", "cached redis", "cached sqlite"])
async def manifests(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Manifests]:
    """Manifests over each store, empty."""
    async with AsyncExitStack() as stack:
        store: Manifests
        if request.param.endswith("sqlite"):
            database = Database(tmp_path / "s.db", timeout_s=PATIENCE_S)
            database.open()
            stack.callback(database.close)
            store = SqliteManifests(database)
        else:
            kind = "cluster_url" if request.param == "cluster" else "redis_url"
            url = request.getfixturevalue(kind)
            store = RedisManifests(await stack.enter_async_context(redis_connection(url)))
        yield CachedManifests(store) if request.param.startswith("cached") else store


async def test_an_app_of_which_nothing_was_said_has_none(manifests: Manifests) -> None:
    assert await manifests.find("app", since=since()) is None
    await manifests.sync(WHOLE, since=since())
    assert await manifests.find("other", since=since()) is None


async def test_what_was_pushed_is_found_whole(manifests: Manifests) -> None:
    synced = await manifests.sync(WHOLE, since=since())

    assert synced == ManifestSync(SyncOutcome.SYNCED, None, WHOLE)
    assert await manifests.find("app", since=since()) == WHOLE


async def test_one_apps_manifest_is_nobody_elses(manifests: Manifests) -> None:
    for app in STRANGE:
        await manifests.sync(Manifest(app, "1", tier=f"of {app}"), since=since())
    for app in STRANGE:
        found = await manifests.find(app, since=since())
        assert found is not None
        assert found.tier == f"of {app}"


async def test_a_push_replaces_all_but_what_was_seeded_and_since_when_there_is_one(
    manifests: Manifests,
) -> None:
    await manifests.sync(WHOLE, since=since())
    bare = Manifest("app", "1.0.0", since=MONDAY, seeded={"tokens:day": 5})
    synced = await manifests.sync(bare, since=since())

    seeds = {"tokens:month": 1_000, "tokens:day": 5}
    expected = replace(bare, since=WHOLE.since, seeded=seeds)
    assert synced == ManifestSync(SyncOutcome.SYNCED, WHOLE, expected)
    assert await manifests.find("app", since=since()) == expected


async def test_an_older_version_changes_nothing(manifests: Manifests) -> None:
    newer = replace(WHOLE, version="1.10")
    await manifests.sync(newer, since=since())
    synced = await manifests.sync(replace(WHOLE, version="1.9.9", tier="old"), since=since())

    assert synced == ManifestSync(SyncOutcome.STALE, newer, newer)
    assert await manifests.find("app", since=since()) == newer


async def test_of_pushes_at_the_same_time_the_newest_stays(manifests: Manifests) -> None:
    pushes = [replace(WHOLE, version=f"1.{number}") for number in range(12)]
    await asyncio.gather(*(manifests.sync(push, since=since()) for push in pushes))
    found = await manifests.find("app", since=since())

    assert found is not None
    assert found.version == "1.11"


async def test_a_push_is_seen_at_once_by_whoever_looked_before(manifests: Manifests) -> None:
    for number in range(5):
        await manifests.find("app", since=since())
        await manifests.find("other", since=since())
        await manifests.sync(Manifest("app", f"{number}"), since=since())
        found = await manifests.find("app", since=since())
        assert found is not None
        assert found.version == f"{number}"


# -- the cache -------------------------------------------------------------------------------


@dataclass
class Shelf:
    """A store in memory that notes what it is asked, and breaks when it is told to."""

    states: dict[str, Manifest] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    breaks: bool = False

    async def any(self, *, since: float) -> bool:
        self.asked.append("any?")
        await asyncio.sleep(0)
        if self.breaks:
            raise Unavailable("the shelf has fallen")
        return bool(self.states)

    async def find(self, app_id: str, *, since: float) -> Manifest | None:
        self.asked.append(app_id)
        return self.states.get(app_id)

    async def sync(self, pushed: Manifest, *, since: float) -> ManifestSync:
        previous = self.states.get(pushed.app_id)
        outcome, self.states[pushed.app_id] = merge(previous, pushed)
        return ManifestSync(outcome, previous, pushed)


@dataclass
class Seconds:
    """A monotonic clock that moves when told."""

    at: float = 1_000.0

    def __call__(self) -> float:
        return self.at


async def test_where_there_are_none_no_app_is_asked_for() -> None:
    shelf, clock = Shelf(), Seconds()
    cached = CachedManifests(shelf, monotonic=clock)
    for number in range(100):
        assert await cached.find(f"app-{number}", since=since()) is None
    assert shelf.asked == ["any?"]
    clock.at += 0.5
    await cached.find("app-1", since=since())
    assert shelf.asked == ["any?", "any?"]


async def test_the_first_push_of_another_process_is_seen_in_time() -> None:
    shelf, clock = Shelf(), Seconds()
    cached = CachedManifests(shelf, monotonic=clock)
    await cached.find("app", since=since())
    shelf.states["app"] = WHOLE
    clock.at += 0.499
    assert await cached.find("app", since=since()) is None
    clock.at += 0.001
    assert await cached.find("app", since=since()) == WHOLE
    assert await cached.find("other", since=since()) is None
    clock.at += 0.5
    await cached.find("other", since=since())
    assert shelf.asked == ["any?", "any?", "app", "other", "other"]


async def test_many_who_ask_at_once_ask_once_and_a_failure_is_not_remembered() -> None:
    shelf = Shelf(breaks=True)
    cached = CachedManifests(shelf)

    async def ask() -> Manifest | None:
        return await cached.find("app", since=since())

    failures = await asyncio.gather(*(ask() for _ in range(50)), return_exceptions=True)
    assert all(isinstance(failure, Unavailable) for failure in failures)
    assert shelf.asked == ["any?"]
    shelf.breaks = False
    assert await cached.find("app", since=since()) is None


async def test_a_question_that_a_push_has_overtaken_is_not_believed() -> None:
    shelf = Shelf()
    cached = CachedManifests(shelf)
    early = asyncio.ensure_future(cached.find("app", since=since()))
    await asyncio.sleep(0)
    await cached.sync(WHOLE, since=since())
    await early
    assert await cached.find("app", since=since()) == WHOLE


# -- what was used elsewhere -----------------------------------------------------------------


def seeded(world: World, shelf: Shelf) -> SeededManifests:
    return SeededManifests(shelf, world.meter, At(world.clock))


async def used(world: World) -> int:
    level, _ = await world.level(MONTHLY.limit())
    return level


async def test_a_new_period_begins_with_what_is_said_of_it(world: World) -> None:
    manifests = seeded(world, Shelf())
    pushed = Manifest("app", "1", budgets=(MONTHLY,))
    await manifests.sync(pushed, since=since())
    assert await used(world) == 400
    world.clock.set(datetime(2026, 6, 2, tzinfo=UTC))
    assert await used(world) == 0
    for amount in (30, 900):
        further = replace(pushed, budgets=(replace(MONTHLY, used=amount),))
        await manifests.sync(further, since=since())
    assert await used(world) == 30


async def test_a_push_that_was_cut_off_before_it_was_stored_counts_once(world: World) -> None:
    pushed = Manifest("app", "1", budgets=(MONTHLY,))
    await seeded(world, Shelf()).sync(pushed, since=since())
    await seeded(world, Shelf()).sync(pushed, since=since())
    assert await used(world) == 400


async def test_the_same_push_at_the_same_time_counts_once(world: World) -> None:
    manifests = seeded(world, Shelf())
    pushed = Manifest("app", "1", budgets=(MONTHLY,))
    await asyncio.gather(*(manifests.sync(pushed, since=since()) for _ in range(10)))
    assert await used(world) == 400


async def test_a_stale_push_counts_nothing(world: World) -> None:
    shelf = Shelf({"app": Manifest("app", "2")})
    pushed = Manifest("app", "1", budgets=(MONTHLY,))
    synced = await seeded(world, shelf).sync(pushed, since=since())
    assert (synced.outcome, await used(world)) == (SyncOutcome.STALE, 0)


# -- what is left over -----------------------------------------------------------------------


ROLLING = replace(MONTHLY, used=0, rollover=True)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)


async def allowed(world: World, shelf: Shelf) -> int | None:
    """The units of this period, for somebody who has asked for nothing before."""
    manifests = CarriedManifests(shelf, world.meter, At(world.clock))
    found = await manifests.find("app", since=since())
    assert found is not None
    assert await manifests.find("app", since=since()) is found
    return found.budgets[0].limit().maximum


async def test_what_is_left_of_a_month_may_be_used_in_the_next_and_not_later(
    world: World,
) -> None:
    shelf = Shelf({"app": Manifest("app", "1", budgets=(ROLLING,), since=MARCH)})
    await world.use(ROLLING.limit(), tokens=300)
    world.clock.set(datetime(2026, 6, 1, 0, 0, 1, tzinfo=UTC))
    assert await allowed(world, shelf) == 1_700
    await world.use(ROLLING.limit(), tokens=1_600)
    world.clock.set(datetime(2026, 6, 29, tzinfo=UTC))
    assert await allowed(world, shelf) == 1_700
    world.clock.set(datetime(2026, 7, 2, tzinfo=UTC))
    assert await allowed(world, shelf) == 1_000
    world.clock.set(datetime(2026, 8, 3, tzinfo=UTC))
    assert await allowed(world, shelf) == 2_000


async def test_nothing_is_left_of_a_month_in_which_there_was_no_manifest(world: World) -> None:
    began = world.clock.now
    shelf = Shelf({"app": Manifest("app", "1", budgets=(ROLLING,), since=began)})
    assert await allowed(world, shelf) == 1_000
    world.clock.set(datetime(2026, 6, 1, tzinfo=UTC))
    assert await allowed(world, shelf) == 2_000


async def test_what_nobody_asked_for_in_time_is_not_guessed(world: World) -> None:
    """By then the counter of the last period may be gone."""
    shelf = Shelf({"app": Manifest("app", "1", budgets=(ROLLING,), since=MARCH)})
    world.clock.set(datetime(2026, 6, 8, tzinfo=UTC))
    assert await allowed(world, shelf) == 1_000


async def test_all_who_ask_at_the_beginning_of_a_period_find_the_same(world: World) -> None:
    budgets = (ROLLING, replace(ROLLING, id="manifest-model-x", model="x", maximum=50))
    shelf = Shelf({"app": Manifest("app", "1", budgets=budgets, since=MARCH)})
    await world.use(ROLLING.limit(), tokens=999)
    world.clock.set(datetime(2026, 6, 1, tzinfo=UTC))
    carried = [CarriedManifests(shelf, world.meter, At(world.clock)) for _ in range(5)]
    found = await asyncio.gather(*(each.find("app", since=since()) for each in carried))

    assert [[b.carried for b in it.budgets] for it in found if it] == [[1, 50]] * 5
    assert await used(world) == 0
