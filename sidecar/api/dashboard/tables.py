"""A table, for a page and for a spreadsheet alike."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from io import StringIO
from typing import Final

from sidecar.api.dashboard.asking import Source

_MICRO: Final = 1_000_000
_FORMULA: Final = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "＝",
    "＋",
    "－",
    "＠",
)  # spreadsheets take these too


class Kind(StrEnum):
    """How the values of a column are written."""

    TEXT = "text"
    CODE = "code"
    NUMBER = "number"
    COST = "cost"
    PART = "part"
    INSTANT = "instant"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Column:
    """What stands in one column."""

    name: str
    kind: Kind = Kind.TEXT


@dataclass(frozen=True, slots=True)
class Linked:
    """A text that leads to another page."""

    text: str
    address: str


Cell = str | int | float | datetime | Linked | None


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns.

    Attributes:
        name: what it is called in addresses.
        empty: what is said where there is no row.
        about: what to know of it.
    """

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Cell]]
    empty: str
    source: Source | None
    about: str = ""


def csv_of(table: Table) -> bytes:
    """The table as a spreadsheet reads it."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow([column.name for column in table.columns])
    for row in table.rows:
        writer.writerow(_written(row, table.columns))
    return text.getvalue().encode("utf-8-sig")


def _written(row: Sequence[Cell], columns: Iterable[Column]) -> list[str]:
    return [_cell(cell, column) for cell, column in zip(row, columns, strict=True)]


def _cell(cell: Cell, column: Column) -> str:
    match cell:
        case None:
            return ""
        case Linked(text=text):
            return _harmless(text)
        case str():
            return _harmless(cell)
        case datetime():
            return cell.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case float():
            return f"{cell:.4f}"
        case int():
            return f"{cell / _MICRO:.6f}" if column.kind is Kind.COST else str(cell)


def _harmless(text: str) -> str:
    """The text so that no spreadsheet takes it for a formula: names are what callers say."""
    # https://owasp.org/www-community/attacks/CSV_Injection
    return f"'{text}" if text.startswith(_FORMULA) else text
