"""What did a user use, as a page shows it: by day, by workflow and by model?"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

_NAMES_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Day:
    """Tokens of a day, and how high their bar is of 100."""

    day: date
    tokens: int
    height: float


@dataclass(frozen=True, slots=True)
class Part:
    """What one name stands for; None for all that are not shown by theirs."""

    name: str | None
    tokens: int
    cost: int
    part: float


@dataclass(frozen=True, slots=True)
class Consumed:
    """A report as it is shown.

    Attributes:
        most: tokens of the day with the most.
    """

    totals: Mapping[str, Any]
    most: int
    days: tuple[Day, ...]
    workflows: tuple[Part, ...]
    models: tuple[Part, ...]


def consumed(report: Mapping[str, Any]) -> Consumed:
    """What a report comes to that has days, workflows and models."""
    series, totals = report["series"], report["totals"]
    tokens: dict[date, int] = defaultdict(int)
    for row in series:
        tokens[row["start"].date()] += row["total_tokens"]
    most = max(tokens.values(), default=0)
    days = tuple(
        Day(day, tokens[day], round(100 * tokens[day] / most, 2) if tokens[day] else 1)
        for day in _days(report["from"], report["to"])
    )
    whole = totals["total_tokens"]
    return Consumed(
        totals, most, days, _parts(series, "workflow", whole), _parts(series, "model", whole)
    )


def _days(begin: datetime, end: datetime) -> Iterable[date]:
    day, last = begin.date(), (end - timedelta(microseconds=1)).date()
    while day <= last:
        yield day
        day += timedelta(days=1)


def _parts(series: Iterable[Mapping[str, Any]], name: str, whole: int) -> tuple[Part, ...]:
    """Those with the most tokens, and all the others in one."""
    tokens: dict[str, int] = defaultdict(int)
    costs: dict[str, int] = defaultdict(int)
    for row in series:
        tokens[row[name]] += row["total_tokens"]
        costs[row[name]] += row["estimated_cost"] or 0
    ordered = sorted(tokens, key=lambda each: (-tokens[each], each))
    shown, others = ordered[:_NAMES_SHOWN], ordered[_NAMES_SHOWN:]
    parts = [Part(each, tokens[each], costs[each], tokens[each] / (whole or 1)) for each in shown]
    if others:
        rest = sum(tokens[each] for each in others)
        cost = sum(costs[each] for each in others)
        parts.append(Part(None, rest, cost, rest / (whole or 1)))
    return tuple(parts)
