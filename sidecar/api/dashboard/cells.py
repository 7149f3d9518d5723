"""How does a cell of a table look? Written here, because a page has hundreds of them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from markupsafe import Markup, escape

from sidecar.api.dashboard.tables import Cell, Column, Kind, Linked, Table
from sidecar.api.dashboard.words import clock_time, cost_in_line, number, percent

_NOTHING: Final = Markup('<span class="none">–</span>')
_NEAR: Final = 0.8


def rows(table: Table, now: datetime) -> Markup:
    """The rows of a table, or what is said where there is none."""
    if not table.rows:
        width = len(table.columns)
        return Markup('<tr><td class="empty" colspan="{}">{}</td></tr>').format(width, table.empty)
    return Markup("\n".join(_row(row, table.columns, now) for row in table.rows))  # noqa: S704 # escaped below


def _row(row: Sequence[Cell], columns: tuple[Column, ...], now: datetime) -> str:
    told = []
    for place, (value, column) in enumerate(zip(row, columns, strict=True)):
        why = " why" if column.name == "why" else ""
        text = cell(value, column, now)
        if place:
            told.append(f'<td class="k-{column.kind}{why}">{text}</td>')
        else:
            told.append(f'<th scope="row" class="k-{column.kind}">{text}</th>')
    return f"<tr>{''.join(told)}</tr>"


def cell(value: Cell, column: Column, now: datetime) -> str:
    """One cell as HTML, all that is in it escaped."""
    match value:
        case None | "":
            return _NOTHING
        case Linked(text=text, address=address):
            return f'<a href="{escape(address)}">{escape(text)}</a>'
        case datetime():
            return when(value, now)
        case float():
            return _part(value, is_bound=column.name == "of it")
        case int():
            return cost_in_line(value) if column.kind is Kind.COST else number(value)
    match column.kind:
        case Kind.STATE:
            return state(value)
        case Kind.CODE:
            return f"<code>{escape(value)}</code>"
        case _:
            return escape(value)


def when(at: datetime | None, now: datetime) -> Markup:
    """A time; the whole of it is told to whoever points at it."""
    if at is None:
        return Markup("–")
    whole = at.astimezone(UTC)
    text = whole.isoformat(" ", "seconds")[:19]
    shown = f'<time datetime="{text}Z" title="{text} UTC">{clock_time(whole, now)}</time>'
    return Markup(shown)  # noqa: S704 # digits


def state(text: str) -> Markup:
    """A word with a mark of its colour."""
    if not text:
        return Markup("–")
    said = escape(text)
    return Markup(f'<span class="state {said.replace(" ", "-")}">{said}</span>')  # noqa: S704 # escaped


def _part(part: float, *, is_bound: bool) -> str:
    """A part of a whole as a bar and as a number; of a bound, how near it is."""
    kind = " over" if is_bound and part >= 1 else " near" if is_bound and part >= _NEAR else ""
    return (
        '<span class="part"><svg viewBox="0 0 100 8" preserveAspectRatio="none" '
        'aria-hidden="true"><rect class="track" width="100" height="8"/>'
        f'<rect class="fill{kind}" width="{min(100, part * 100):.2f}" height="8"/></svg> '
        f"{escape(percent(part))}</span>"
    )
