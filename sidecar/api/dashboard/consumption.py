"""What was used in a time, and by what? Folded from the hourly sums, never from events.

However much was used, a day has at most some thousand of these sums; and of what makes them up,
a page tells the greatest apart.
"""

import asyncio
from bisect import bisect_left
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import nsmallest
from operator import attrgetter
from typing import Final

from sidecar.domain.request import Amounts
from sidecar.domain.usage import UsageRow
from sidecar.ports import Clock, Meter

DIMENSIONS: Final = ("model", "workflow", "agent", "plugin")
TOLD_APART: Final = 7
"""Values of one dimension; a chart has as many colours, and one for the rest."""
_CHOICES: Final = 200
_MOST_ROWS: Final = 40_000
"""Sums that one page reads: then the oldest days are left out, and it says so."""
_LATE_S: Final = 30.0
"""How long nobody hears of what came late."""
_MOST_KEPT: Final = 16
_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOURS_A_DAY: Final = 24
_HOUR_OF: Final = attrgetter("hour")


@dataclass(frozen=True, slots=True)
class Span:
    """A time up to now.

    Attributes:
        hours: whole ones, the present one included.
        step: hours of one bar.
        fresh_s: how old what is shown of it may be.
    """

    name: str
    words: str
    hours: int
    step: int
    fresh_s: float

    def hours_until(self, now: datetime) -> tuple[int, int]:
        """The hours since 1970 in which it begins and before which it ends."""
        end = (now - _EPOCH) // _HOUR + 1
        first = end - self.hours
        if self.step == _HOURS_A_DAY:
            # Whole days, the present one included.
            first = (first + _HOURS_A_DAY) // _HOURS_A_DAY * _HOURS_A_DAY
        return first, end

    def begins(self, now: datetime) -> datetime:
        """When it begins."""
        return _instant(self.hours_until(now)[0])


SPANS: Final[Mapping[str, Span]] = {
    "24h": Span("24h", "24 hours", 24, 1, 2.0),
    "7d": Span("7d", "7 days", 7 * 24, 1, 15.0),
    "30d": Span("30d", "30 days", 30 * 24, 24, 60.0),
    "90d": Span("90d", "90 days", 90 * 24, 24, 120.0),
}


@dataclass(slots=True)
class Sum:
    """What several rows come to."""

    tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    cost: int = 0

    def add(self, used: Amounts) -> None:
        """Add a row."""
        self.tokens += used.tokens
        self.input_tokens += used.input_tokens
        self.output_tokens += used.output_tokens
        self.requests += used.requests
        self.cost += used.cost

    def join(self, other: "Sum") -> None:
        """Add another sum."""
        self.tokens += other.tokens
        self.input_tokens += other.input_tokens
        self.output_tokens += other.output_tokens
        self.requests += other.requests
        self.cost += other.cost


@dataclass(frozen=True, slots=True)
class Share:
    """One value of a dimension, such as a model.

    Attributes:
        name: empty for what named none, None for all that are not told apart.
        tokens_at: tokens of each bar.
    """

    name: str | None
    used: Sum
    tokens_at: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Consumption:
    """What was used.

    Attributes:
        starts: of each bar.
        since: from when on all is read, where the oldest days were left out.
        bars: what each bar comes to.
        shares: of each dimension, the greatest first.
        choices: the names that a filter can choose from.
    """

    starts: tuple[datetime, ...]
    since: datetime | None
    total: Sum
    bars: tuple[Sum, ...]
    shares: Mapping[str, tuple[Share, ...]]
    choices: Mapping[str, tuple[str, ...]]


@dataclass(slots=True)
class _Kind:
    """What one model, workflow, agent and plugin came to together.

    Attributes:
        tokens_at: tokens of the bars in which there are some, of many kinds one or two.
    """

    used: Sum = field(default_factory=Sum)
    tokens_at: dict[int, int] = field(default_factory=dict)

    def join(self, other: "_Kind") -> None:
        """Add another kind."""
        self.used.join(other.used)
        for place, tokens in other.tokens_at.items():
            self.tokens_at[place] = self.tokens_at.get(place, 0) + tokens


class _Folded:
    """Rows that are summed up: first of each kind, of which there are far fewer than rows."""

    def __init__(self, hours: tuple[int, int], step: int, wanted: Mapping[str, str]) -> None:
        self._first, end = hours
        self._step = step
        self._wanted = [wanted.get(name) for name in DIMENSIONS]
        self.kinds: dict[tuple[str, str, str, str], _Kind | None] = {}
        self.bars = [Sum() for _ in range(-(-(end - self._first) // step))]

    def add(self, rows: Iterable[UsageRow]) -> None:
        """Add the rows that are asked for."""
        kinds, bars, first, step = self.kinds, self.bars, self._first, self._step
        for row in rows:
            names = (row.model, row.workflow, row.agent, row.plugin)
            kind = kinds[names] if names in kinds else self._kind(names)
            if kind is not None:
                place, used = (row.hour - first) // step, row.used
                kind.used.add(used)
                tokens_at = kind.tokens_at
                tokens_at[place] = tokens_at.get(place, 0) + used.tokens
                bars[place].add(used)

    def _kind(self, names: tuple[str, str, str, str]) -> _Kind | None:
        """A new one, None where it is filtered out."""
        is_wanted = all(
            wanted in (None, name) for wanted, name in zip(self._wanted, names, strict=True)
        )
        kind = self.kinds[names] = _Kind() if is_wanted else None
        return kind


class _Whole:
    """What was summed up apart, seen as one."""

    def __init__(self, *parts: _Folded) -> None:
        self._parts = parts

    def bars(self) -> tuple[Sum, ...]:
        """What each bar comes to."""
        return tuple(map(_together, zip(*(part.bars for part in self._parts), strict=True)))

    def choices(self, dimension: int) -> tuple[str, ...]:
        """The values of a dimension, those that are filtered out too."""
        found = {names[dimension] for part in self._parts for names in part.kinds}
        return tuple(sorted(found)[:_CHOICES])

    def shares(self, dimension: int) -> tuple[Share, ...]:
        """The greatest values of a dimension, then all others together."""
        tokens: dict[str, int] = defaultdict(int)
        for name, kind in self._named(dimension):
            tokens[name] += kind.used.tokens
        # Bars are summed up for those alone that are told: names may be many thousands.
        greatest = nsmallest(TOLD_APART, tokens, key=lambda name: (-tokens[name], name))
        told, rest = {name: _Kind() for name in greatest}, _Kind()
        for name, kind in self._named(dimension):
            told.get(name, rest).join(kind)
        shares = [self._share(name, kind) for name, kind in told.items()]
        if len(tokens) > len(told):
            shares.append(self._share(None, rest))
        return tuple(shares)

    def _named(self, dimension: int) -> Iterator[tuple[str, _Kind]]:
        for part in self._parts:
            for names, kind in part.kinds.items():
                if kind is not None:
                    yield names[dimension], kind

    def _share(self, name: str | None, kind: _Kind) -> Share:
        places = range(len(self._parts[0].bars))
        return Share(name, kind.used, tuple(kind.tokens_at.get(place, 0) for place in places))


def _together(sums: Iterable[Sum]) -> Sum:
    whole = Sum()
    for each in sums:
        whole.join(each)
    return whole


@dataclass(slots=True)
class _Finished:
    """The hours of a span that are over, with when they were read."""

    folded: _Folded
    hours: tuple[int, int]
    at_s: float
    since: int | None


class Consumptions:
    """Sums up what the meter kept of each hour.

    Hours that are over hardly change, only by events that come late: they are read again after a
    while, and the present one each time.
    """

    def __init__(self, meter: Meter, clock: Clock) -> None:
        self._meter = meter
        self._clock = clock
        self._finished: OrderedDict[object, _Finished] = OrderedDict()

    async def of(
        self, app_id: str, user_id: str | None, span: Span, wanted: Mapping[str, str]
    ) -> Consumption:
        """What an app, or one of its users, used up to now.

        Args:
            wanted: values of dimensions; of all others everything.

        Raises:
            Unavailable: the store did not answer in time.
        """
        first, end = hours = span.hours_until(self._clock.now())
        key = app_id, user_id, span.name, tuple(sorted(wanted.items()))
        kept, present = self._finished.get(key), _Folded(hours, span.step, wanted)
        if kept is None or kept.hours != hours or self._clock.monotonic() >= kept.at_s + _LATE_S:
            folded = _Folded(hours, span.step, wanted)
            since = await self._fold(folded, present, app_id, user_id, first, end)
            kept = _Finished(folded, hours, self._clock.monotonic(), since)
            self._finished[key] = kept
            self._finished.move_to_end(key)
            if len(self._finished) > _MOST_KEPT:
                self._finished.popitem(last=False)
        else:
            present.add(await self._rows(app_id, user_id, end - 1, end - 1))
        whole = _Whole(kept.folded, present)
        bars, shares = whole.bars(), {}
        for place, name in enumerate(DIMENSIONS):
            shares[name] = whole.shares(place)
            # Checks that wait are answered in between.
            await asyncio.sleep(0)
        return Consumption(
            starts=tuple(_instant(first + span.step * place) for place in range(len(bars))),
            since=None if kept.since is None else _instant(kept.since),
            total=_together(bars),
            bars=bars,
            shares=shares,
            choices={name: whole.choices(place) for place, name in enumerate(DIMENSIONS)},
        )

    async def _fold(
        self,
        folded: _Folded,
        present: _Folded,
        app_id: str,
        user_id: str | None,
        first: int,
        end: int,
    ) -> int | None:
        """Read hours, the newest first: what is left out, if anything is, is the oldest."""
        begin, read = end, 0
        while begin > first:
            last, begin = begin - 1, max(first, (begin - 1) // _HOURS_A_DAY * _HOURS_A_DAY)
            rows = await self._rows(app_id, user_id, begin, last)
            if last == end - 1:
                # The last of them still runs, and stands at the end.
                over = bisect_left(rows, last, key=_HOUR_OF)
                present.add(rows[over:])
                rows = rows[:over]
            folded.add(rows)
            read += len(rows)
            if read > _MOST_ROWS and begin > first:
                return begin
        return None

    async def _rows(
        self, app_id: str, user_id: str | None, first: int, last: int
    ) -> Sequence[UsageRow]:
        since = self._clock.monotonic()
        return await self._meter.usage(app_id, user_id, first, last, since=since)


def _instant(hour: int) -> datetime:
    return _EPOCH + hour * _HOUR
