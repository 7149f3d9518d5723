"""The stores that the contract is held against, a clock that stands still, and a small world."""

import itertools
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from fakeredis import TcpFakeServer

from sidecar.adapters.redis.changes import ANNOUNCE
from sidecar.adapters.redis.connection import RedisConnection
from sidecar.adapters.redis.documents import REPLACE
from sidecar.adapters.redis.event_log import COMING, PAGE
from sidecar.adapters.redis.meter import SCRIPTS, RedisMeter
from sidecar.adapters.redis.notices import NOTICE
from sidecar.adapters.redis.outbox import OUTBOX
from sidecar.adapters.redis.statements import STATED, RedisStatements
from sidecar.adapters.redis.wallets import RedisWallets
from sidecar.adapters.rolled import RolledMeter
from sidecar.adapters.sqlite.database import Database
from sidecar.adapters.sqlite.meter import SqliteMeter
from sidecar.adapters.sqlite.statement_pages import SqliteStatements
from sidecar.adapters.sqlite.wallets import SqliteWallets
from sidecar.domain.grants import Grant, GrantBalance, GrantOutcome
from sidecar.domain.limits import Charge, Dimension, Limit, Reading, takes_summaries
from sidecar.domain.modes import Mode
from sidecar.domain.prices import NO_RATES, Rates
from sidecar.domain.request import Amounts, CheckRequest, MeterKind, Subject
from sidecar.domain.statements import Statement, StatementKey, StatementPage
from sidecar.domain.usage import (
    ChargedEvent,
    EventKind,
    Hold,
    Metering,
    OnExpiry,
    Settlement,
    Tally,
    UsageEvent,
    UsageRow,
    name_reservation,
    reservation_token,
)
from sidecar.domain.windows import BillingCycle, Fixed, Sliding, Window, from_ms, to_ms
from sidecar.ports import Meter, Statements, Wallets
from tests.contract.lua_struct import give_struct

START: Final = datetime(2026, 5, 5, 12, 0, tzinfo=UTC)
HOUR_MS: Final = 3_600_000
PATIENCE_S: Final = 20.0
"""How long a store may take in a test: a busy machine is no finding."""


class ManualClock:
    """The time as the meters see it; it moves when told."""

    def __init__(self, at: datetime = START) -> None:
        self.ms = to_ms(at)

    def now_ms(self) -> int:
        return self.ms

    @property
    def now(self) -> datetime:
        return from_ms(self.ms)

    def advance(self, **span: float) -> None:
        """`advance(seconds=30)`."""
        self.ms += int(timedelta(**span) / timedelta(milliseconds=1))

    def set(self, at: datetime) -> None:
        self.ms = to_ms(at)


class At:
    """The clock of a world, as the ports have it."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now

    def monotonic(self) -> float:
        return time.monotonic()


def limit(
    maximum: int | None = 1_000,
    window: Window = Fixed.MONTH,
    meter: MeterKind = MeterKind.TOKENS,
    *,
    name: str = "the-limit",
    per: Sequence[Dimension] = (Dimension.APP, Dimension.USER),
    mode: Mode = Mode.ENFORCE,
    conditional: bool = False,
) -> Limit:
    """A limit; `seconds(60)` makes a sliding window."""
    return Limit(name, meter, maximum, window, tuple(per), mode, conditional=conditional)


def seconds(length: int) -> Sliding:
    return Sliding(length * 1_000)


def reservation_name(app: str, number: int, request_id: str = "") -> str:
    """The id of a reservation, another one for each number.

    Turned round, so that the beginning of the token differs too: that is its place in Redis.
    """
    return name_reservation(app, reservation_token(request_id, f"{number:024d}"[::-1]))


@dataclass
class World:
    """A meter, its clock, and what is asked of it with as few words as possible."""

    meter: Meter
    clock: ManualClock = field(default_factory=ManualClock)
    app: str = "app"
    user: str = "user"
    cycle: BillingCycle = field(default_factory=BillingCycle)
    rates: Rates = NO_RATES
    dimensions: Mapping[str, Any] = field(default_factory=dict)
    held_since: datetime | None = None
    names: Iterator[int] = field(default_factory=itertools.count)

    def of(self, app: str, user: str = "user") -> "World":
        """The same store, for somebody else."""
        return replace(self, app=app, user=user)

    def using(self, **dimensions: str) -> "World":
        """The same user, with a `model`, `workflow`, `agent` or `plugin`."""
        return replace(self, dimensions={**self.dimensions, **dimensions})

    def request(self, used: Amounts, ttl_s: int = 60, request_id: str = "") -> CheckRequest:
        request = CheckRequest(
            Subject(self.app, self.user),
            estimate=used,
            ttl_s=ttl_s,
            request_id=request_id,
            reserve=True,
        )
        return replace(request, **self.dimensions) if self.dimensions else request

    def charges(self, request: CheckRequest, limits: Sequence[Limit]) -> tuple[Charge, ...]:
        return tuple(
            Charge(
                each,
                each.counter(request),
                request.estimate.of(each.meter),
                self.cycle,
                held_since=self.held_since,
            )
            for each in limits
        )

    def hold(self, tokens: int = 0, *, ttl_s: int = 60, request_id: str = "", **more: int) -> Hold:
        """What a reservation is made of: by default of one request and one of concurrency."""
        amounts = replace(Amounts(tokens, requests=1, concurrency=1), **more)
        number = next(self.names)
        # The first characters of a token say where it is kept.
        name = reservation_name(self.app, number, request_id)
        request = self.request(amounts, ttl_s, request_id)
        return Hold(name, f"dec_{number}", request, self.rates)

    async def make(self, hold: Hold, *limits: Limit) -> Metering:
        charges = self.charges(hold.request, limits)
        return await self.meter.reserve(hold, charges, since=time.monotonic())

    async def reserve(
        self,
        *limits: Limit,
        tokens: int = 0,
        ttl_s: int = 60,
        request_id: str = "",
        **more: int,
    ) -> Metering:
        hold = self.hold(tokens, ttl_s=ttl_s, request_id=request_id, **more)
        return await self.make(hold, *limits)

    async def held(
        self, *limits: Limit, tokens: int = 0, ttl_s: int = 60, request_id: str = "", **more: int
    ) -> str:
        """The id of a reservation for which there was room."""
        metering = await self.reserve(
            *limits, tokens=tokens, ttl_s=ttl_s, request_id=request_id, **more
        )
        assert metering.reservation is not None
        return metering.reservation.id

    async def extend(
        self,
        reservation_id: str,
        *limits: Limit,
        tokens: int = 0,
        ttl_s: int = 60,
        decision_id: str | None = None,
    ) -> Metering:
        decision = decision_id or f"dec_{next(self.names)}"
        hold = Hold(reservation_id, decision, self.request(Amounts(tokens), ttl_s), self.rates)
        charges = self.charges(hold.request, limits)
        return await self.meter.extend(hold, charges, since=time.monotonic())

    async def read(self, *limits: Limit, tokens: int = 0) -> tuple[Reading, ...]:
        charges = self.charges(self.request(Amounts(tokens)), limits)
        subject = Subject(self.app, self.user)
        return (await self.meter.read(subject, charges, since=time.monotonic())).readings

    async def levels(self, *limits: Limit) -> list[tuple[int, int]]:
        """(used, reserved) of each limit."""
        return [(reading.used, reading.reserved) for reading in await self.read(*limits)]

    async def level(self, of: Limit) -> tuple[int, int]:
        """(used, reserved)."""
        return (await self.levels(of))[0]

    async def commit(
        self,
        reservation_id: str,
        tokens: int = 0,
        *,
        final: bool = True,
        model: str = "",
        **more: int,
    ) -> Settlement:
        used = replace(Amounts(tokens), **more)
        return await self.meter.commit(
            reservation_id, used, final=final, model=model, since=time.monotonic()
        )

    async def release(self, reservation_id: str) -> Settlement:
        return await self.meter.release(reservation_id, since=time.monotonic())

    async def withdraw(self, reservation_id: str) -> None:
        await self.meter.withdraw(reservation_id, since=time.monotonic())

    async def held_request(self, reservation_id: str) -> CheckRequest:
        return await self.meter.held_request(reservation_id, since=time.monotonic())

    def event(
        self,
        *limits: Limit,
        tokens: int = 0,
        name: str = "",
        at: datetime | None = None,
        reservation_id: str = "",
        **more: int,
    ) -> ChargedEvent:
        """A report of use; it is one request where nothing else is said."""
        used = replace(Amounts(tokens, requests=1), **more)
        request = replace(self.request(used), reserve=False)
        name = name or f"event-{next(self.names)}"
        event = UsageEvent(name, at or self.clock.now, request, used, reservation_id)
        return ChargedEvent(event, self.charges(request, limits))

    def summary(
        self,
        *limits: Limit,
        tokens: int = 0,
        name: str = "",
        at: datetime | None = None,
        **more: int,
    ) -> ChargedEvent:
        """All that the session of `using` came to so far."""
        used = replace(Amounts(tokens), **more)
        request = replace(self.request(used), model="", agent="", plugin="", reserve=False)
        name = name or f"event-{next(self.names)}"
        event = UsageEvent(name, at or self.clock.now, request, used, kind=EventKind.SUMMARY)
        charges = [it for it in self.charges(request, limits) if takes_summaries(it.counter)]
        return ChargedEvent(event, tuple(charges), self.rates)

    async def record(self, *events: ChargedEvent) -> Tally:
        return await self.meter.record(self.app, events, since=time.monotonic())

    async def use(self, *limits: Limit, tokens: int, at: datetime | None = None) -> None:
        """Count use that nobody reserved."""
        await self.record(self.event(*limits, tokens=tokens, at=at))

    async def grant(
        self,
        amount: int,
        name: str = "",
        *,
        limit: str = "",
        meter: MeterKind = MeterKind.TOKENS,
        effective: datetime | None = None,
        expires: datetime | None = None,
        reason: str = "",
    ) -> GrantOutcome:
        """Push a grant of the meter, or of one limit alone; from now on and for ever."""
        pushed = Grant(
            id=name or f"grant-{next(self.names)}",
            app_id=self.app,
            user_id=self.user,
            limit=limit,
            meter=None if limit else meter,
            amount=amount,
            effective_at=effective or self.clock.now,
            expires_at=expires,
            reason=reason,
        )
        outcome, _ = await self.meter.grant(pushed, since=time.monotonic())
        return outcome

    async def revoke(self, name: str) -> GrantOutcome:
        return await self.grant(0, name)

    async def balances(self) -> dict[str, GrantBalance]:
        """The grants of this user by their ids, in the order in which they are drawn."""
        subject = Subject(self.app, self.user)
        found = await self.meter.grants(subject, since=time.monotonic())
        return {balance.grant.id: balance for balance in found}

    async def balance(self, name: str) -> tuple[int, int, int]:
        """(used, held, left) of one grant."""
        balance = (await self.balances())[name]
        return balance.used, balance.held, balance.left

    async def granted(self, of: Limit) -> int:
        """What grants add to a limit now."""
        return (await self.read(of))[0].granted

    async def usage(
        self, user: str | None = None, first: datetime | None = None, last: datetime | None = None
    ) -> list[UsageRow]:
        """What was used in the hours of these instants; of all users where none is named."""
        begin, end = (to_ms(at or self.clock.now) // HOUR_MS for at in (first, last))
        since = time.monotonic()
        return list(await self.meter.usage(self.app, user, begin, end, since=since))

    async def page(
        self, user: str | None, after: StatementKey | None = None, count: int = 1_000
    ) -> StatementPage:
        """Statements of one user, or of all."""
        since = time.monotonic()
        return await statements_of(self.meter).page(self.app, user, after, count, since=since)

    async def statements(self) -> tuple[Statement, ...]:
        """What this user's counters came to."""
        return (await self.page(self.user)).statements

    async def statement(self) -> Statement:
        """The only one there is."""
        (found,) = await self.statements()
        return found


@asynccontextmanager
async def sqlite_meter(
    path: Path | None, clock: ManualClock, on_expiry: OnExpiry = OnExpiry.RELEASE
) -> AsyncIterator[SqliteMeter]:
    database = Database(path, timeout_s=PATIENCE_S)
    database.open()
    try:
        yield SqliteMeter(database, now_ms=clock.now_ms, on_expiry=on_expiry)
    finally:
        database.close()


@asynccontextmanager
async def redis_connection(
    url: str, timeout_s: float = PATIENCE_S
) -> AsyncIterator[RedisConnection]:
    """A connection of ours to an empty server."""
    connection = RedisConnection(
        url,
        timeout_s=timeout_s,
        scripts=(*SCRIPTS, REPLACE, ANNOUNCE, NOTICE, STATED, COMING, PAGE, OUTBOX),
    )
    try:
        await connection.command("FLUSHALL", since=time.monotonic())
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def redis_meter(
    url: str, clock: ManualClock, on_expiry: OnExpiry = OnExpiry.RELEASE
) -> AsyncIterator[RedisMeter]:
    async with redis_connection(url) as connection:
        yield RedisMeter(connection, now_ms=clock.now_ms, on_expiry=on_expiry)


@contextmanager
def fake_redis() -> Iterator[str]:
    """The address of fakeredis behind a real socket, so that our own connection speaks to it."""
    server = TcpFakeServer(("127.0.0.1", 0), server_version=(7, 0))
    server.daemon_threads = True
    give_struct(server.fake_server)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"redis://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE_S)


def beside(meter: Meter, on_expiry: OnExpiry) -> Meter:
    """Another meter over the same store and clock, as a replica with other settings has it."""
    match meter:
        case SqliteMeter():
            return SqliteMeter(meter._database, meter._now_ms, on_expiry)
        case RedisMeter():
            return RedisMeter(meter._connection, meter._now_ms, on_expiry)
        case _:
            raise AssertionError(f"no way to stand beside {meter}")


def statements_of(meter: Meter) -> Statements:
    """What the counters of a meter came to."""
    match meter:
        case SqliteMeter():
            return SqliteStatements(meter._database, meter._now_ms)
        case RedisMeter():
            return RedisStatements(meter._connection, meter._now_ms)
        case RolledMeter():
            return meter._statements
        case _:
            raise AssertionError(f"no statements of {meter}")


def wallets_of(meter: Meter) -> Wallets:
    """The balances in the store that a meter counts in."""
    match meter:
        case SqliteMeter():
            return SqliteWallets(meter._database)
        case RedisMeter():
            return RedisWallets(meter._connection)
        case _:
            raise AssertionError(f"no way to stand beside {meter}")


async def contents(meter: Meter) -> object:
    """Every byte that the store holds."""
    match meter:
        case SqliteMeter():
            database = meter._database
            return await database.run(
                lambda connection: list(connection.iterdump()), since=time.monotonic()
            )
        case RedisMeter():
            ask, since = meter._connection.command, time.monotonic()
            keys = await ask("KEYS", "*", since=since)
            assert isinstance(keys, list)
            found: dict[str, object] = {}
            for key in map(str, keys):
                match await ask("TYPE", key, since=since):
                    case "hash":
                        flat = await ask("HGETALL", key, since=since)
                        assert isinstance(flat, list)
                        found[key] = dict(zip(flat[::2], flat[1::2], strict=True))
                    case "zset":
                        found[key] = await ask("ZRANGE", key, 0, -1, "WITHSCORES", since=since)
                    case _:
                        found[key] = await ask("GET", key, since=since)
            return found
        case _:
            raise AssertionError(f"no way to look into {meter}")
