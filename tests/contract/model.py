"""What should limits, holds, grants and time give? In plain dicts, as slow and clear as can be.

It shares nothing with the stores: no sums are kept, nothing is forgotten, every answer is added
up from all that happened. Times are milliseconds since 1970.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from typing import Final

KNOWN_WHOLE_MS: Final = 600_000
"""How long after its hold an ended reservation is still told apart by every meter."""

Amounts = Mapping[str, int]
"""Units by the name of the meter."""


@dataclass(frozen=True)
class Bound:
    """A limit.

    Attributes:
        counter: what it counts in; limits may share one, and so may all users of the app.
        window: `month`, `hour`, `ever`, or the length of a sliding window.
        draws: which grants add to it: those of its meter, or of its own name alone.
    """

    name: str
    counter: str
    meter: str
    maximum: int | None
    window: str | int
    enforced: bool
    draws: frozenset[str]
    shared: bool = False


@dataclass
class Part:
    """Units that a run holds in one counter, in the place in time where it took them."""

    counter: str
    window: str | int
    meter: str
    place: int
    ceiling: float
    draws: frozenset[str]
    held: int = 0
    told: int = 0


@dataclass
class Share:
    """Units that a run holds of a grant; each pays in all of these counters."""

    grant: str
    counters: list[str]
    held: int


@dataclass
class Run:
    """A reservation, or an event, which holds nothing."""

    user: str
    ends: int = 0
    state: str = "held"
    tokens: int = 0
    is_request: bool = False
    parts: list[Part] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)


@dataclass
class Gift:
    """A grant."""

    scope: str
    amount: int
    begins: int
    ends: float
    used: int = 0
    revoked: bool = False


class Model:
    """One app.

    Args:
        charges: whether what expires counts as used.
    """

    def __init__(self, bounds: Sequence[Bound], *, charges: bool) -> None:
        self.bounds = {bound.name: bound for bound in bounds}
        self.charges = charges
        self.now = 0
        self.runs: dict[str, Run] = {}
        self.gifts: dict[tuple[str, str], Gift] = {}
        self.uses: dict[tuple[str, int], int] = defaultdict(int)
        self.events: set[str] = set()
        self.reported: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0])

    # -- reading ----------------------------------------------------------------------------

    def advance(self, now: int) -> None:
        """Let time pass, and end what has lived its time."""
        self.now = now
        for run in self.runs.values():
            if run.state == "held" and run.ends <= now:
                run.state = "expired"
                self._guess(run, 1)

    def reading(self, name: str, user: str) -> tuple[int, int, int, int | None]:
        """(used, reserved, granted, remaining) of a limit."""
        bound = self.bounds[name]
        counter = _counter(bound, user)
        place = _place(bound.window, self.now)
        used = self._used(counter, bound.window, place)
        held = self._held(counter, bound.window, place)
        granted = sum(self._left(user, name) for name in self._drawable(user, bound.draws))
        if bound.maximum is None:
            return used, held, 0, None
        return used, held, granted, max(0, bound.maximum + granted - used - held)

    def balances(self, user: str) -> dict[str, tuple[int, int, int, bool]]:
        """(used, held, left, revoked) of each grant, in the order in which they are drawn."""
        return {
            name: (gift.used, self._gift_held(user, name), self._left(user, name), gift.revoked)
            for name, gift in self._in_order(user)
        }

    def _used(self, counter: str, window: str | int, place: int) -> int:
        if isinstance(window, str):
            return self.uses[counter, place]
        first = (self.now - window) // _width(window)
        places = [place for name, place in self.uses if name == counter and place >= first]
        return sum(self.uses[counter, place] for place in places)

    def _held(self, counter: str, window: str | int, place: int) -> int:
        return sum(
            part.held
            for run in self.runs.values()
            if run.state == "held"
            for part in run.parts
            if part.counter == counter and (part.place == place or not isinstance(window, str))
        )

    # -- grants -----------------------------------------------------------------------------

    def push(self, user: str, name: str, scope: str, amount: int, begins: int, ends: float) -> str:
        """Add a grant, or revoke it with an amount of 0."""
        gift = self.gifts.get((user, name))
        if gift is None:
            self.gifts[user, name] = Gift(scope, amount, begins, ends, revoked=amount == 0)
            return "synced" if amount else "revoked"
        if gift.revoked:
            return "duplicate"
        if amount == 0:
            gift.revoked = True
            return "revoked"
        is_same = (gift.scope, gift.amount, gift.ends) == (scope, amount, ends)
        return "duplicate" if is_same else "GrantConflict"

    def _in_order(self, user: str) -> list[tuple[str, Gift]]:
        mine = [(name, gift) for (owner, name), gift in self.gifts.items() if owner == user]
        return sorted(mine, key=lambda row: (row[1].ends, row[1].begins, row[0]))

    def _gift_held(self, user: str, name: str) -> int:
        return sum(
            share.held
            for run in self.runs.values()
            if run.user == user and run.state == "held"
            for share in run.shares
            if share.grant == name
        )

    def _left(self, user: str, name: str) -> int:
        gift = self.gifts[user, name]
        left = gift.amount - gift.used - self._gift_held(user, name)
        return 0 if gift.revoked else max(0, left)

    def _drawable(self, user: str, scopes: frozenset[str]) -> list[str]:
        return [
            name
            for name, gift in self._in_order(user)
            if gift.scope in scopes
            and gift.begins <= self.now < gift.ends
            and self._left(user, name) > 0
        ]

    def _paid(
        self,
        user: str,
        asked: Mapping[str, int],
        free: Mapping[str, float],
        draws: Mapping[str, frozenset[str]],
    ) -> tuple[list[Share], dict[str, int]]:
        """What grants pay of the units that are asked of counters, and how much in each."""
        over = {counter: max(0.0, units - free[counter]) for counter, units in asked.items()}
        shares, paid = [], dict.fromkeys(asked, 0)
        for name in self._drawable(user, frozenset().union(*draws.values())):
            scope = self.gifts[user, name].scope
            counters = [counter for counter in asked if scope in draws[counter]]
            most = max((over[counter] for counter in counters), default=0)
            units = int(min(self._left(user, name), most))
            if units > 0:
                shares.append(Share(name, counters, units))
                for counter in counters:
                    over[counter] = max(0.0, over[counter] - units)
                    paid[counter] = min(asked[counter], paid[counter] + units)
        return shares, paid

    # -- holding ----------------------------------------------------------------------------

    def reserve(
        self, name: str, user: str, limits: Sequence[str], amounts: Amounts, ttl_ms: int
    ) -> bool:
        """Hold, if there is room."""
        if not self._fits(user, limits, amounts):
            return False
        self.runs[name] = Run(user, self.now + ttl_ms)
        self._take(self.runs[name], limits, amounts)
        return True

    def extend(self, name: str, limits: Sequence[str], amounts: Amounts, ttl_ms: int) -> str:
        """Hold more for a run, if there is room."""
        run = self.runs.get(name)
        if run is None:
            return "UnknownReservation"
        if run.state != "held":
            return "ReservationEnded"
        if not self._fits(run.user, limits, amounts):
            return "refused"
        self._take(run, limits, amounts)
        run.ends = max(run.ends, self.now + ttl_ms)
        return "held"

    def _fits(self, user: str, limits: Sequence[str], amounts: Amounts) -> bool:
        for bound in map(self.bounds.__getitem__, limits):
            remaining = self.reading(bound.name, user)[3]
            need = amounts.get(bound.meter, 0) or 1
            if bound.enforced and remaining is not None and need > remaining:
                return False
        return True

    def _take(self, run: Run, limits: Sequence[str], amounts: Amounts) -> None:
        parts = self._parts(run.user, limits, self.now)
        asked = {part.counter: amounts.get(part.meter, 0) for part in parts}
        free = {part.counter: self._free(part) for part in parts}
        shares, paid = self._paid(run.user, asked, free, {p.counter: p.draws for p in parts})
        for part in parts:
            part.held = asked[part.counter] - paid[part.counter]
        run.parts += parts
        run.shares += shares

    def _parts(self, user: str, limits: Sequence[str], at: int) -> list[Part]:
        """The counters of some limits, each once; grants begin where the first limit refuses."""
        readers: dict[str, list[Bound]] = defaultdict(list)
        for name in limits:
            readers[_counter(self.bounds[name], user)].append(self.bounds[name])
        parts = []
        for counter, bounds in readers.items():
            drawing = [bound for bound in bounds if bound.draws and bound.maximum is not None]
            strict = [bound.maximum or 0 for bound in drawing if bound.enforced]
            lenient = [bound.maximum or 0 for bound in drawing]
            ceiling = min(strict) if strict else max(lenient, default=inf)
            window = bounds[0].window
            draws = frozenset[str]().union(*(bound.draws for bound in drawing))
            place = min(_place(window, at), _place(window, self.now))
            if isinstance(window, str):
                place = _place(window, at)
            parts.append(Part(counter, window, bounds[0].meter, place, ceiling, draws))
        return parts

    def _free(self, part: Part) -> float:
        """What nobody used or holds of an allowance."""
        if not isinstance(part.window, str) and part.place < (self.now - part.window) // _width(
            part.window
        ):
            return inf
        used = self._used(part.counter, part.window, part.place)
        return max(0, part.ceiling - used - self._held(part.counter, part.window, part.place))

    # -- charging ---------------------------------------------------------------------------

    def commit(self, name: str, tokens: int, *, final: bool) -> str:
        """State what a run has used in all; it is one request."""
        run = self.runs.get(name)
        if run is None:
            return "UnknownReservation"
        totals = {"tokens": tokens, "requests": 1}
        if run.state in ("committed", "released"):
            told = _told(run)
            known = tokens <= run.tokens
            if run.ends + KNOWN_WHOLE_MS > self.now:
                known = all(totals.get(p.meter, 0) <= told[p.counter] for p in run.parts)
            return "committed" if run.state == "committed" and known else "ReservationEnded"
        self._correct(run)
        told = _told(run)
        due = {p.counter: max(0, totals.get(p.meter, 0) - told[p.counter]) for p in run.parts}
        self._charge(run, due)
        self._report(self.now, run.user, max(0, tokens - run.tokens), not run.is_request)
        run.tokens, run.is_request = max(run.tokens, tokens), True
        if final:
            self._end(run, "committed")
        return run.state

    def release(self, name: str) -> str:
        """Give back what a run holds."""
        run = self.runs.get(name)
        if run is None:
            return "UnknownReservation"
        if run.state == "committed":
            return "ReservationEnded"
        if run.state == "held":
            self._end(run, "released")
        return run.state

    def withdraw(self, name: str) -> str:
        """Undo a reservation; one that is not known is undone already."""
        run = self.runs.get(name)
        if run is None:
            return "withdrawn"
        is_late = run.ends + KNOWN_WHOLE_MS <= self.now
        if run.state == "committed" or (run.state == "released" and is_late):
            return "ReservationEnded"
        self._correct(run)
        del self.runs[name]
        return "withdrawn"

    def record(
        self, event: str, user: str, limits: Sequence[str], tokens: int, at: int, name: str
    ) -> bool:
        """Count an event, once; with a run that has not ended it is part of it."""
        if event in self.events:
            return False
        self.events.add(event)
        run = self.runs.get(name)
        if run is not None and run.state == "committed":
            return True
        if run is None or run.state == "released":
            run = Run(user, parts=self._parts(user, limits, at))
        self._correct(run)
        amounts = {"tokens": tokens, "requests": int(not run.is_request)}
        self._charge(run, {part.counter: amounts.get(part.meter, 0) for part in run.parts})
        self._report(at, user, tokens, not run.is_request)
        run.tokens, run.is_request = run.tokens + tokens, True
        return True

    def _charge(self, run: Run, due: dict[str, int]) -> None:
        last = {part.counter: part for part in run.parts}
        for part in run.parts:
            units = min(due[part.counter], part.held)
            part.held -= units
            self._use(part, due, units)
        for share in run.shares:
            units = min(share.held, max(due[counter] for counter in share.counters))
            share.held -= units
            self.gifts[run.user, share.grant].used += units
            for counter in share.counters:
                part, paid = last[counter], min(due[counter], units)
                part.told += paid
                due[counter] -= paid
        asked = {counter: units for counter, units in due.items() if units}
        free = {counter: self._free(last[counter]) for counter in asked}
        draws = {
            counter: frozenset[str]().union(*(p.draws for p in run.parts if p.counter == counter))
            for counter in asked
        }
        shares, paid_in = self._paid(run.user, asked, free, draws)
        for share in shares:
            self.gifts[run.user, share.grant].used += share.held
        for counter in asked:
            last[counter].told += paid_in[counter]
            due[counter] -= paid_in[counter]
            self._use(last[counter], due, due[counter])

    def _use(self, part: Part, due: dict[str, int], units: int) -> None:
        self.uses[part.counter, part.place] += units
        part.told += units
        due[part.counter] -= units

    def _end(self, run: Run, state: str) -> None:
        run.state = state
        for part in run.parts:
            part.held = 0
        for share in run.shares:
            share.held = 0

    def _guess(self, run: Run, sign: int) -> None:
        """Count what an expired run holds as used, or take that back."""
        for part in run.parts:
            if self.charges and part.meter != "concurrency":
                self.uses[part.counter, part.place] += sign * part.held
        for share in run.shares:
            if self.charges:
                self.gifts[run.user, share.grant].used += sign * share.held

    def _correct(self, run: Run) -> None:
        if run.state == "expired":
            self._guess(run, -1)
            self._end(run, "expired")

    def _report(self, at: int, user: str, tokens: int, is_request: bool) -> None:
        for whose in ("", user):
            row = self.reported[at // 3_600_000, whose]
            row[0] += tokens
            row[1] += is_request


def _told(run: Run) -> dict[str, int]:
    told: dict[str, int] = defaultdict(int)
    for part in run.parts:
        told[part.counter] += part.told
    return told


def _counter(bound: Bound, user: str) -> str:
    return bound.counter if bound.shared else f"{bound.counter} of {user}"


def _width(window: int) -> int:
    return window // 60


def _place(window: str | int, at: int) -> int:
    """Which period, or which part of a sliding window, an instant lies in."""
    match window:
        case "ever":
            return 0
        case "hour":
            return at // 3_600_000
        case "month":
            instant = datetime.fromtimestamp(at / 1000, UTC)
            return instant.year * 12 + instant.month
        case int():
            return at // _width(window)
    raise AssertionError(window)
