"""The part of a page that tells what was used: figures, charts, and a table for each of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from pydantic_core import to_json

from sidecar.api.dashboard.asked import Asked
from sidecar.api.dashboard.asking import Source, source
from sidecar.api.dashboard.consumption import (
    DIMENSIONS,
    SPANS,
    Consumption,
    Consumptions,
    Span,
)
from sidecar.api.dashboard.parts import Part, Parts
from sidecar.api.dashboard.tables import Cell, Column, Kind, Linked, Table
from sidecar.api.dashboard.words import shown_name
from sidecar.ports import Policies

_MICRO: Final = 1_000_000
_GRANULARITY: Final = {1: "hour", 24: "day"}


@dataclass(frozen=True, slots=True)
class Choice:
    """What somebody wants to see of it.

    Attributes:
        by: the dimension that is told apart.
        wanted: values of dimensions; of all others everything.
    """

    span: Span
    by: str
    wanted: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UsagePart:
    """What the template shows."""

    part: Part[Consumption]
    choice: Choice
    currency: str | None
    charts: tuple[dict[str, str], ...]
    tables: tuple[Table, ...]


def choice_of(asked: Asked) -> Choice:
    """What the address says; what it does not know is as if it were not there."""
    span = SPANS.get(asked.query.get("span", ""), SPANS["24h"])
    by = asked.query.get("by", "")
    wanted = {name: asked.query[name] for name in DIMENSIONS if name in asked.query}
    return Choice(span, by if by in DIMENSIONS else "model", wanted)


class UsageParts:
    """Puts it together."""

    def __init__(self, consumptions: Consumptions, policies: Policies, parts: Parts) -> None:
        self._consumptions = consumptions
        self._policies = policies
        self._parts = parts

    async def of(self, asked: Asked, app_id: str, user_id: str | None) -> UsagePart:
        """Of an app, or of one of its users."""
        choice = choice_of(asked)
        span, wanted = choice.span, choice.wanted
        whose = _Whose(app_id, user_id, f"{span.begins(asked.now):%Y-%m-%dT%H:%M:%SZ}")

        async def make() -> Consumption:
            return await self._consumptions.of(app_id, user_id, span, wanted)

        part = await self._parts.make(
            _source(choice, whose, ()),
            make,
            lasts_s=span.fresh_s,
            key=(span.name, tuple(sorted(wanted.items()))),
        )
        prices = self._policies.snapshot.prices
        currency = None if prices is None else prices.currency
        found = part.value
        if found is None:
            return UsagePart(part, choice, currency, (), ())
        tables = [
            _by(found, name, asked, _source(choice, whose, (name,)), currency)
            for name in DIMENSIONS
        ]
        tables.append(_over_time(found, part.source, currency))
        return UsagePart(
            part, choice, currency, tuple(_charts(found, choice, currency)), tuple(tables)
        )


@dataclass(frozen=True, slots=True)
class _Whose:
    """Of whom, and since when."""

    app_id: str
    user_id: str | None
    since: str


def _source(choice: Choice, whose: _Whose, groups: tuple[str, ...]) -> Source:
    # What is filtered by is told apart too, or the number would not be found there.
    told_apart = [name for name in DIMENSIONS if name in groups or name in choice.wanted]
    return source(
        "/v1/usage",
        app_id=whose.app_id,
        user_id=whose.user_id,
        from_=whose.since,
        granularity=_GRANULARITY[choice.span.step],
        group_by=",".join(told_apart),
    )


def _charts(found: Consumption, choice: Choice, currency: str | None) -> Iterator[dict[str, str]]:
    """What is drawn; the first is told apart by what was chosen."""
    shares = [
        {"name": shown_name(share.name), "values": share.tokens_at}
        for share in found.shares[choice.by]
    ]
    yield _chart("tokens", f"Tokens by {choice.by}", found, choice, shares)
    requests = [{"name": "requests", "values": [bar.requests for bar in found.bars]}]
    yield _chart("requests", "Requests", found, choice, requests)
    if currency is not None:
        costs = [{"name": currency, "values": [bar.cost / _MICRO for bar in found.bars]}]
        yield _chart("cost", f"Estimated cost ({currency})", found, choice, costs)


def _chart(
    name: str, title: str, found: Consumption, choice: Choice, series: list[dict[str, Any]]
) -> dict[str, str]:
    drawn = {
        "step": choice.span.step * 3600,
        "x": [int(start.timestamp()) for start in found.starts],
        "series": series,
    }
    return {"name": name, "title": title, "drawn": to_json(drawn).decode()}


def _by(found: Consumption, name: str, asked: Asked, where: Source, currency: str | None) -> Table:
    total = found.total.tokens or 1
    rows: list[tuple[Cell, ...]] = []
    for share in found.shares[name]:
        text = shown_name(share.name)
        cell: Cell = Linked(text, _filtered(asked, name, share.name)) if share.name else text
        used = share.used
        row: tuple[Cell, ...] = (cell, used.tokens, used.tokens / total, used.requests)
        rows.append(row if currency is None else (*row, used.cost))
    columns: tuple[Column, ...] = (
        Column(name), Column("tokens", Kind.NUMBER), Column("share", Kind.PART),
        Column("requests", Kind.NUMBER),
    )  # fmt: skip
    if currency is not None:
        columns = (*columns, Column(f"cost ({currency})", Kind.COST))
    return Table(f"by-{name}", f"By {name}", columns, rows, "Nothing was used in this time.", where)


def _over_time(found: Consumption, where: Source | None, currency: str | None) -> Table:
    columns = [Column("start", Kind.INSTANT), *(
        Column(name, Kind.NUMBER) for name in ("tokens", "input", "output", "requests")
    )]  # fmt: skip
    if currency is not None:
        columns.append(Column(f"cost ({currency})", Kind.COST))
    rows: list[tuple[Cell, ...]] = []
    for start, bar in zip(found.starts, found.bars, strict=True):
        if bar.tokens or bar.requests:
            row = (start, bar.tokens, bar.input_tokens, bar.output_tokens, bar.requests)
            rows.append(row if currency is None else (*row, bar.cost))
    return Table(
        "usage", "Over time", tuple(columns), rows, "Nothing was used in this time.", where
    )


def _filtered(asked: Asked, name: str, value: str) -> str:
    """The same page with one more filter, or without it if it is there already."""
    query = dict(asked.query)
    if query.get(name) == value:
        del query[name]
    else:
        query[name] = value
    return f"{asked.path}?{urlencode(query)}"
