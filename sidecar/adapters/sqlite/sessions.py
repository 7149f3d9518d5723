"""What was each session counted as: its deltas, and what summaries told beyond them?

Deltas are events and commits. Both together are, meter by meter, the deltas or the greatest
summary, whatever is more.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from operator import add, sub
from typing import Final

import orjson

from sidecar.adapters.sqlite.accounts import TOLD, Entry
from sidecar.adapters.sqlite.counters import Counters
from sidecar.adapters.sqlite.rollups import Dimensions, Rollups
from sidecar.adapters.sqlite.times import EVENTS_REMEMBERED_MS
from sidecar.adapters.sqlite.turn import Turn
from sidecar.domain.limits import takes_summaries
from sidecar.domain.prices import Rates
from sidecar.domain.request import MAX_INTEGER, UNTOLD, Amounts

_ROWS: Final = 16
"""Rows of the reports that are told apart, so that what is filled can be taken out of them."""
_FIND: Final = """
SELECT counted FROM session WHERE app = ? AND user = ? AND id = ? AND forgotten_at > ?"""

Owner = tuple[str, str]
"""A user and what the caller calls a session; empty for none."""
Units = list[int]
"""Of each meter of `TOLD`."""


@dataclass(slots=True)
class Row:
    """A row of the reports under which summaries told more than the deltas.

    Attributes:
        hour: 0 of rows that are not told apart any more.
        units: what no delta has filled yet.
    """

    hour: int
    dimensions: Dimensions
    units: Units


class Sessions:
    """The sessions of the app whose turn it is."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        turn: Turn,
        counters: Counters,
        rollups: Rollups,
    ) -> None:
        self._connection = connection
        self._turn = turn
        self._counters = counters
        self._rollups = rollups

    def fill(
        self,
        owner: Owner,
        news: Amounts,
        told: Amounts,
        entries: Sequence[Entry],
        due: dict[str, int],
    ) -> Amounts:
        """Count a delta before it is charged: what summaries counted of it is not due any more.

        Args:
            news: what comes to the reports.
            told: whose meters are UNTOLD of which that was not told.

        Returns:
            What of it is to be reported.
        """
        if not owner[1]:
            return news
        reported = [news.of(meter) for meter in TOLD]
        is_told = [told.of(meter) != UNTOLD for meter in TOLD]
        units = [
            more if known else max((due[it.name] for it in entries if it.meter == meter), default=0)
            for meter, more, known in zip(TOLD, reported, is_told, strict=True)
        ]
        if not any(units):
            return news
        deltas, rows = self._find(owner)
        filled = list(map(min, units, _unfilled(rows)))
        if any(filled):
            self._spare(entries, due, dict(zip(TOLD, filled, strict=True)))
            reported = list(map(sub, reported, self._take_out(owner[0], rows, filled, is_told)))
        deltas = [min(total, MAX_INTEGER) for total in map(add, deltas, units)]
        self._store(owner, deltas, [row for row in rows if any(row.units)])
        tokens, received, sent, cost = reported
        return Amounts(tokens, received, sent, news.requests, cost)

    def summarize(
        self, owner: Owner, hour: int, dimensions: Dimensions, total: Amounts, rates: Rates
    ) -> Amounts:
        """Count a summary, in its row of the reports; what it adds to what was counted."""
        deltas, rows = self._find(owner)
        counted = list(map(add, deltas, _unfilled(rows)))
        tokens, received, sent, _ = (
            max(0, total.of(meter) - before) for meter, before in zip(TOLD, counted, strict=True)
        )
        if not tokens + received + sent:
            return Amounts()
        cost = min(rates.cost(tokens, received, sent), max(0, MAX_INTEGER - counted[-1]))
        if not rows or (rows[-1].hour, rows[-1].dimensions) != (hour, dimensions):
            rows.append(Row(hour, dimensions, [0, 0, 0, 0]))
        rows[-1].units = list(map(add, rows[-1].units, (tokens, received, sent, cost)))
        if len(rows) > _ROWS:
            oldest, next_, *rows = rows
            both = list(map(add, oldest.units, next_.units))
            rows.insert(0, Row(0, ("", "", "", ""), both))
        self._store(owner, deltas, rows)
        return Amounts(tokens, received, sent, cost=cost)

    def _spare(self, entries: Sequence[Entry], due: dict[str, int], filled: dict[str, int]) -> None:
        """Hold nothing for units that are used already, and charge nothing."""
        for name, last in {entry.name: entry for entry in entries}.items():
            spared = min(due[name], filled.get(last.meter, 0)) if takes_summaries(name) else 0
            due[name] -= spared
            last.told = min(last.told + spared, MAX_INTEGER)
            for entry in entries:
                held = min(spared, entry.held) if entry.name == name else 0
                if held:
                    cell = self._counters.of(self._turn.app, entry)
                    self._counters.hold(cell, entry.bucket, -held)
                    entry.held -= held
                    spared -= held

    def _take_out(
        self, user: str, rows: Sequence[Row], filled: Units, is_told: Sequence[bool]
    ) -> Units:
        """Take out of the reports what is in others now; what could not be taken out.

        What was not told is in no report.
        """
        stays = [0, 0, 0, 0]
        for row in reversed(rows):
            units = list(map(min, row.units, filled))
            row.units, filled = list(map(sub, row.units, units)), list(map(sub, filled, units))
            back = [part if known else 0 for part, known in zip(units, is_told, strict=True)]
            if row.hour:
                tokens, received, sent, cost = back
                used = Amounts(tokens, received, sent, cost=cost)
                self._rollups.take(row.hour, user, row.dimensions, used)
            else:
                stays = back
        return stays

    def _find(self, owner: Owner) -> tuple[Units, list[Row]]:
        found = self._connection.execute(_FIND, (self._turn.app, *owner, self._turn.now)).fetchone()
        if found is None:
            return [0, 0, 0, 0], []
        deltas, rows = orjson.loads(found[0])
        return deltas, [Row(hour, tuple(named), units) for hour, named, units in rows]

    def _store(self, owner: Owner, deltas: Units, rows: Sequence[Row]) -> None:
        counted = orjson.dumps([deltas, [(row.hour, row.dimensions, row.units) for row in rows]])
        self._connection.execute(
            "INSERT OR REPLACE INTO session VALUES (?, ?, ?, ?, ?)",
            (self._turn.app, *owner, counted.decode(), self._turn.now + EVENTS_REMEMBERED_MS),
        )


def _unfilled(rows: Sequence[Row]) -> Units:
    """What summaries told beyond the deltas."""
    return [sum(units) for units in zip(*(row.units for row in rows), strict=True)] or [0, 0, 0, 0]
