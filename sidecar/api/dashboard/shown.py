"""What a page came to, before it is written as HTML or as a spreadsheet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sidecar.api.dashboard.tables import Table

OFTEN: Final = 3
"""Seconds: a gauge that moves is seen to move."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One page.

    Attributes:
        values: what the template speaks of, beside what all of them do.
        tables: that can be had as spreadsheets.
        every: after so many seconds an open page asks what is new, 0 for never.
    """

    template: str
    title: str
    values: Mapping[str, object]
    tables: tuple[Table, ...] = field(default=())
    status: int = 200
    every: int = 0
