"""What was used in a time, and by what? Folded from the hourly sums, never from events.

However much was used, a day has at most some thousand of these sums; and of what makes them up,
a page tells the greatest apart.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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
_HOUR: Final = timedelta(hours=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HOURS_A_DAY: Final = 24


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
class _Folded:
    first: int
    step: int
    bars: list[Sum]
    total: Sum = field(default_factory=Sum)
    by: dict[str, dict[str, Sum]] = field(
        default_factory=lambda: {name: defaultdict(Sum) for name in DIMENSIONS}
    )
    tokens_at: dict[str, dict[str, dict[int, int]]] = field(
        default_factory=lambda: {name: defaultdict(lambda: defaultdict(int)) for name in DIMENSIONS}
    )
    names: dict[str, set[str]] = field(
        default_factory=lambda: {name: set[str]() for name in DIMENSIONS}
    )

    def add(self, rows: Iterable[UsageRow], wanted: Mapping[str, str]) -> None:
        """Add the rows that are asked for."""
        for row in rows:
            values = (row.model, row.workflow, row.agent, row.plugin)
            named = tuple(zip(DIMENSIONS, values, strict=True))
            for name, value in named:
                self.names[name].add(value)
            if any(value != wanted.get(name, value) for name, value in named):
                continue
            place = (row.hour - self.first) // self.step
            self.total.add(row.used)
            self.bars[place].add(row.used)
            for name, value in named:
                self.by[name][value].add(row.used)
                self.tokens_at[name][value][place] += row.used.tokens

    def shares(self, name: str) -> tuple[Share, ...]:
        """The greatest values of a dimension, then all others together."""
        found = sorted(self.by[name].items(), key=lambda each: (-each[1].tokens, each[0]))
        at = self.tokens_at[name]
        told = [Share(value, used, self._each(at[value])) for value, used in found[:TOLD_APART]]
        if len(found) > TOLD_APART:
            rest, rest_at = Sum(), defaultdict[int, int](int)
            for value, used in found[TOLD_APART:]:
                rest.join(used)
                for place, tokens in at[value].items():
                    rest_at[place] += tokens
            told.append(Share(None, rest, self._each(rest_at)))
        return tuple(told)

    def _each(self, at: Mapping[int, int]) -> tuple[int, ...]:
        return tuple(at.get(place, 0) for place in range(len(self.bars)))


async def consumption(
    meter: Meter,
    clock: Clock,
    app_id: str,
    user_id: str | None,
    span: Span,
    wanted: Mapping[str, str],
) -> Consumption:
    """What an app, or one of its users, used up to now.

    Args:
        wanted: values of dimensions; of all others everything.

    Raises:
        Unavailable: the store did not answer in time.
    """
    first, end = span.hours_until(clock.now())
    folded = _Folded(first, span.step, [Sum() for _ in range(-(-(end - first) // span.step))])
    begin, read, since = end, 0, None
    # The newest first: what is left out, if anything is, is the oldest.
    while begin > first:
        last, begin = begin - 1, max(first, (begin - 1) // _HOURS_A_DAY * _HOURS_A_DAY)
        rows = await meter.usage(app_id, user_id, begin, last, since=clock.monotonic())
        folded.add(rows, wanted)
        read += len(rows)
        if read > _MOST_ROWS and begin > first:
            since = _instant(begin)
            break
    return Consumption(
        starts=tuple(_instant(first + span.step * place) for place in range(len(folded.bars))),
        since=since,
        total=folded.total,
        bars=tuple(folded.bars),
        shares={name: folded.shares(name) for name in DIMENSIONS},
        choices={name: tuple(sorted(folded.names[name])[:_CHOICES]) for name in DIMENSIONS},
    )


def _instant(hour: int) -> datetime:
    return _EPOCH + hour * _HOUR
