"""One random sequence of calls, on a store and on the model, compared after each."""

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from typing import Final

from sidecar.domain.limits import Dimension, Limit
from sidecar.domain.modes import Mode
from sidecar.domain.request import Amounts, MeterKind
from sidecar.domain.usage import Hold
from sidecar.domain.windows import Fixed, from_ms
from sidecar.errors import RequestFault
from tests.contract.model import Bound, Model
from tests.contract.stores import HOUR_MS, World, limit, reservation_name, seconds

USERS: Final = ("ann", "bob")
LIMITS: Final = {
    each.id: each
    for each in (
        limit(60, Fixed.BILLING_MONTH, name="month"),
        limit(50, Fixed.BILLING_MONTH, name="soft", mode=Mode.ADVISORY),
        limit(150, Fixed.LIFETIME, name="ever"),
        limit(5, Fixed.BILLING_MONTH, MeterKind.REQUESTS, name="requests"),
        limit(4, Fixed.LIFETIME, MeterKind.CONCURRENCY, name="running"),
        limit(100, seconds(60), name="minute"),
        limit(250, Fixed.HOUR, name="hour", per=[Dimension.APP]),
    )
}
SETS: Final = (
    tuple(LIMITS),
    tuple(LIMITS),
    ("month", "ever"),
    ("month", "ever", "soft"),
    ("month", "requests", "running"),
    ("minute", "hour", "soft"),
    ("ever",),
    (),
)
GRANTS: Final = tuple(f"g{number}" for number in range(12))
SCOPES: Final = ("tokens", "tokens", "requests", "=month", "=ever", "=minute", "=hour")


def bound_of(each: Limit) -> Bound:
    """A limit as the model knows it."""
    match each.window:
        case Fixed.BILLING_MONTH:
            window: str | int = "month"
        case Fixed.LIFETIME:
            window = "ever"
        case Fixed.HOUR:
            window = "hour"
        case _:
            window = 60_000
    draws = {f"={each.id}"}
    if window in ("month", "ever"):
        draws.add(each.meter.value)
    if each.meter is MeterKind.CONCURRENCY:
        draws.clear()
    shared = Dimension.USER not in each.per
    is_enforced = each.mode is Mode.ENFORCE
    return Bound(
        each.id, f"{each.meter} {window}", each.meter.value, each.maximum, window, is_enforced,
        frozenset(draws), shared,
    )  # fmt: skip


@dataclass
class Spent:
    """What a run was told to have used, as the caller knows it.

    Attributes:
        open: what it holds beside that, which its expiry may charge.
    """

    user: str
    open: int
    told: int = 0

    def tell(self, total: int) -> None:
        """Take in a total."""
        self.open = max(0, self.open - max(0, total - self.told))
        self.told = max(self.told, total)


class Play:
    """One sequence.

    Args:
        seed: of all dice; the same one plays the same sequence.
        world: of an app that nobody has touched.
        charges: whether its meter charges what expires.
    """

    def __init__(self, seed: str, world: World, *, charges: bool) -> None:
        self.tally: Counter[str] = Counter()
        self._dice = random.Random(seed)
        self._charges = charges
        self._worlds = {user: world.of(world.app, user) for user in USERS}
        self._model = Model([bound_of(each) for each in LIMITS.values()], charges=charges)
        # Where every request is under all limits and no grant is for one of them alone, each
        # unit can be followed to who paid for it.
        self._is_plain = self._dice.random() < 0.4
        self._made: dict[str, str] = {}
        self._spent: dict[str, Spent] = {}
        self._apart: Counter[str] = Counter()
        self._story: list[str] = [f"seed {seed!r}, charges: {charges}, plain: {self._is_plain}"]

    async def step(self) -> None:
        """One call, and a look at all that can be read."""
        dice = self._dice
        act = dice.choices(
            (self._push, self._reserve, self._extend, self._commit, self._end, self._report),
            (20, 30, 12, 22, 7, 9),
        )[0]
        self._model.advance(self._now)
        await act(dice.choice(USERS))
        await self.compare()

    async def finish(self) -> None:
        """After all holds have ended: nothing is held, and no unit lost or paid twice."""
        self._model.advance(self._now)
        self._story.append("the end")
        await self.compare()
        for user, world in self._worlds.items():
            balances = await world.balances()
            levels = dict(zip(LIMITS, await world.levels(*LIMITS.values()), strict=True))
            left_over = [held for _, held in levels.values()] + [b.held for b in balances.values()]
            assert not any(left_over), self._told("something is held for ever")
            paid = sum(b.used for b in balances.values() if b.grant.meter is MeterKind.TOKENS)
            self.tally["units paid by grants"] += sum(b.used for b in balances.values())
            self.tally["units paid by allowances"] += levels["ever"][0]
            if self._is_plain:
                spent = self._apart[user]
                spent += sum(self._cost(run) for run in self._spent.values() if run.user == user)
                allowance, _ = levels["ever"]
                assert allowance + paid == spent, self._told(
                    f"{user} used {spent}, the allowance paid {allowance}, grants paid {paid}"
                )
                self.tally["units followed to who paid"] += spent
        await self._compare_reports()

    def _cost(self, run: Spent) -> int:
        """What a run has cost in the end; expiry may charge what nobody settled."""
        return run.told + run.open * self._charges

    async def compare(self) -> None:
        """Hold every reading and every balance against the model."""
        for user, world in self._worlds.items():
            for reading in await world.read(*LIMITS.values()):
                seen = reading.used, reading.reserved, reading.granted, reading.remaining
                expected = self._model.reading(reading.limit.id, user)
                assert seen == expected, self._told(
                    f"{reading.limit.id} of {user} reads {seen}, not {expected} "
                    "(used, reserved, granted, remaining)"
                )
            balances = {
                name: (balance.used, balance.held, balance.left, balance.revoked)
                for name, balance in (await world.balances()).items()
            }
            expected_balances = self._model.balances(user)
            assert list(balances.items()) == list(expected_balances.items()), self._told(
                f"grants of {user} are {balances}, not {expected_balances}"
            )
            for used, held, left, revoked in balances.values():
                assert min(used, held, left) >= 0
                self.tally["balances"] += 1 - revoked

    async def _compare_reports(self) -> None:
        hours = [hour for hour, _ in self._model.reported]
        first, last = (from_ms(HOUR_MS * edge(hours, default=0)) for edge in (min, max))
        for whose in ("", *USERS):
            rows = await self._worlds["ann"].usage(whose or None, first, last)
            seen = {row.hour: [row.used.tokens, row.used.requests] for row in rows}
            expected = {
                hour: row
                for (hour, user), row in self._model.reported.items()
                if user == whose and any(row)
            }
            assert seen == expected, self._told(f"reports of {whose!r}: {seen}, not {expected}")

    # -- what may happen --------------------------------------------------------------------

    async def _push(self, user: str) -> None:
        dice, name = self._dice, self._dice.choice(GRANTS)
        amount = dice.choice((0, 1, 40, 40, 90, 90, 200, 200, 400, 400))
        scope = dice.choice(SCOPES[:3] if self._is_plain else SCOPES)
        begins = self._now + dice.choice((0, 0, -HOUR_MS, 30_000))
        ends = dice.choice((None, None, 0, 60_000, HOUR_MS, 24 * HOUR_MS, 72 * HOUR_MS))
        until = None if ends is None else self._now + ends
        world = self._worlds[user]
        await self._both(
            "grant",
            f"{user} gets {amount} {scope} as {name} from {begins} to {until}",
            world.grant(
                amount, name,
                limit=scope[1:] if scope.startswith("=") else "",
                meter=MeterKind.TOKENS if scope.startswith("=") else MeterKind(scope),
                effective=from_ms(begins),
                expires=None if until is None else from_ms(until),
            ),
            lambda: self._model.push(
                user, name, scope, amount, begins, inf if until is None else until
            ),
        )  # fmt: skip

    async def _reserve(self, user: str) -> None:
        world, tokens, limits = self._worlds[user], self._size(), self._limits()
        ttl_s = self._dice.choice((1, 60, 3_600, 3_600))
        request = world.request(Amounts(tokens, requests=1, concurrency=1), ttl_s)
        number = len(self._story)
        name = reservation_name(world.app, number)
        hold = Hold(name, f"dec_{number}", request)
        amounts = {"tokens": tokens, "requests": 1, "concurrency": 1}

        async def make() -> bool:
            metering = await world.make(hold, *(LIMITS[each] for each in limits))
            return metering.reservation is not None

        is_held = await self._both(
            "reserve",
            f"{name} of {user}, {tokens} under {limits} for {ttl_s} s",
            make(),
            lambda: self._model.reserve(name, user, limits, amounts, ttl_s * 1_000),
        )
        if is_held == "True" or self._dice.random() < 0.2:
            self._made[name] = user
        if is_held == "True":
            self._spent[name] = Spent(user, tokens)
            self.tally["holds that grants pay for"] += bool(self._model.runs[name].shares)

    async def _extend(self, _: str) -> None:
        name, user = self._run()
        world, tokens, limits = self._worlds[user], self._size(), self._limits()
        ttl_s = self._dice.choice((1, 60, 3_600))

        async def extend() -> str:
            under = (LIMITS[each] for each in limits)
            metering = await world.extend(name, *under, tokens=tokens, ttl_s=ttl_s)
            return "held" if metering.reservation is not None else "refused"

        done = await self._both(
            "extend",
            f"{name} by {tokens} under {limits} for {ttl_s} s",
            extend(),
            lambda: self._model.extend(name, limits, {"tokens": tokens}, ttl_s * 1_000),
        )
        if done == "held":
            self._spent[name].open += tokens

    async def _commit(self, _: str) -> None:
        name, user = self._run()
        tokens, final = self._size(), self._dice.random() < 0.6

        async def commit() -> str:
            return (await self._worlds[user].commit(name, tokens, final=final)).state.value

        before = self._model.runs.get(name)
        was = before.state if before else ""
        done = await self._both(
            "commit",
            f"{name} used {tokens}{', finally' * final}",
            commit(),
            lambda: self._model.commit(name, tokens, final=final),
        )
        if done in ("held", "expired") or (done == "committed" and was != "committed"):
            run = self._spent[name]
            run.tell(tokens)
            run.open *= done == "held"

    async def _end(self, _: str) -> None:
        name, user = self._run()
        how = self._dice.choice(("release", "release", "withdraw"))
        world = self._worlds[user]

        async def end() -> str:
            if how == "release":
                return (await world.release(name)).state.value
            await world.withdraw(name)
            return "withdrawn"

        end_in_model = self._model.release if how == "release" else self._model.withdraw
        done = await self._both(how, name, end(), lambda: end_in_model(name))
        if done == "withdrawn" and name in self._spent:
            self._apart[user] += self._spent.pop(name).told
        elif done == "released":
            self._spent[name].open = 0

    async def _report(self, user: str) -> None:
        dice, tokens, limits = self._dice, self._size(), self._limits()
        name, owner = self._run() if dice.random() < 0.5 else ("", user)
        world, number = self._worlds[owner], dice.randrange(40)
        at = self._now - dice.choice((0, 0, 1, 5_000, 59_000, HOUR_MS, 6 * 24 * HOUR_MS, -300_000))
        event = world.event(
            *(LIMITS[each] for each in limits),
            tokens=tokens, name=f"event-{number}", at=from_ms(at), reservation_id=name,
        )  # fmt: skip

        async def record() -> bool:
            return (await world.record(event)).accepted == 1

        run = self._model.runs.get(name)
        was = run.state if run else ""
        done = await self._both(
            "event",
            f"{number} of {owner}, {tokens} under {limits} at {at} for {name or 'no run'}",
            record(),
            lambda: self._model.record(f"event-{number}", owner, limits, tokens, at, name),
        )
        if done == "True" and was in ("held", "expired"):
            spent = self._spent[name]
            spent.tell(spent.told + tokens)
            spent.open *= was == "held"
        elif done == "True" and was != "committed":
            self._apart[owner] += tokens

    # -- dice -------------------------------------------------------------------------------

    @property
    def _now(self) -> int:
        return self._worlds["ann"].clock.ms

    def _size(self) -> int:
        return self._dice.choice((0, 1, 10, 20, 20, 40, 40, 90))

    def _limits(self) -> tuple[str, ...]:
        return SETS[0] if self._is_plain else self._dice.choice(SETS)

    def _run(self) -> tuple[str, str]:
        """A reservation that was asked for, rather a late one, and whose it is."""
        if not self._made:
            return reservation_name(self._worlds["ann"].app, 10**9), "ann"
        names = list(self._made)[-5:]
        name = self._dice.choice(names)
        return name, self._made[name]

    async def _both(
        self, kind: str, what: str, ask: Awaitable[object], expect: Callable[[], object]
    ) -> str:
        """The outcome of a call, which must be the model's."""
        self._story.append(f"{from_ms(self._now).isoformat()} {kind}: {what}")
        try:
            answer = str(await ask)
        except RequestFault as fault:
            answer = type(fault).__name__
        expected = str(expect())
        self._story[-1] += f": {answer}"
        assert answer == expected, self._told(f"{answer}, not {expected}")
        self.tally[f"{kind}: {answer}"] += 1
        return answer

    def _told(self, what: str) -> str:
        return "\n  ".join((what, *self._story))
