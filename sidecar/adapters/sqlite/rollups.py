"""What was used hour by hour, by whom and with what?"""

import sqlite3
from collections.abc import Sequence
from operator import add
from typing import Final

from sidecar.adapters.sqlite.journal import Line
from sidecar.adapters.sqlite.remembered import Remembered
from sidecar.adapters.sqlite.times import HOUR_MS, KEPT_MS
from sidecar.adapters.sqlite.turn import Turn
from sidecar.domain.request import MAX_INTEGER, Amounts, CheckRequest
from sidecar.domain.usage import UsageRow

_ALL_USERS: Final = ""
_ROWS: Final = {True: 4_096, False: 512}
"""Rows of one day, of all users together and of one; what comes then is not told apart."""
_OTHER: Final = ("*", "*", "*", "*")
_UNITS: Final = ("tokens", "input_tokens", "output_tokens", "requests", "cost")
_SET: Final = ", ".join(f"{unit} = MAX({unit} - ?, 0)" for unit in _UNITS)
_MERGE: Final = ", ".join(
    f"{unit} = MIN({unit} + excluded.{unit}, {MAX_INTEGER})" for unit in _UNITS
)
_TAKE: Final = (
    f"UPDATE usage SET {_SET} WHERE app = ? AND user = ? AND hour = ? "  # noqa: S608 # the names stand above
    "AND model = ? AND workflow = ? AND agent = ? AND plugin = ?"
)
_ADD: Final = f"""
INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET {_MERGE}"""  # noqa: S608 # the names stand above
_IS_THERE: Final = (
    "SELECT 1 FROM usage WHERE app = ? AND user = ? AND hour = ? "
    "AND model = ? AND workflow = ? AND agent = ? AND plugin = ?"
)
_REMEMBERED: Final = 4_096
"""Rows that are known to be there, and days whose rows were counted."""
_ROWS_OF: Final = f"""
SELECT hour, model, workflow, agent, plugin, {", ".join(_UNITS)} FROM usage
WHERE app = ? AND user = ? AND hour BETWEEN ? AND ? AND MAX({", ".join(_UNITS)}) > 0
ORDER BY hour, model, workflow, agent, plugin
"""  # noqa: S608 # the names stand above

Dimensions = tuple[str, str, str, str]
"""Model, workflow, agent and plugin."""
Units = tuple[int, ...]
"""Of each meter of `_UNITS`."""
_Key = tuple[str, str, int, str, str, str, str]
"""App, user, hour and dimensions."""


def dimensions_of(request: CheckRequest) -> Dimensions:
    """What a request's use is told apart by."""
    return request.model, request.workflow, request.agent, request.plugin


class Rollups:
    """The use of the app whose turn it is; what is added is written together."""

    def __init__(self, connection: sqlite3.Connection, turn: Turn) -> None:
        self._connection = connection
        self._turn = turn
        self._added: dict[_Key, list[int]] = {}
        self._fresh: dict[_Key, list[int]] = {}
        self._known: Remembered[_Key, bool] = Remembered(_REMEMBERED)
        self._rows: Remembered[tuple[str, str, int], int] = Remembered(_REMEMBERED)

    def add(self, hour: int, user: str, dimensions: Dimensions, used: Amounts) -> None:
        """Add use, for the user and for all together."""
        told = used.tokens, used.input_tokens, used.output_tokens, used.requests, used.cost
        # Of what is not told nothing is known.
        units = told if min(told) >= 0 else tuple(max(0, unit) for unit in told)
        self.add_units(hour, user, dimensions, units)

    def add_units(self, hour: int, user: str, dimensions: Dimensions, units: Units) -> None:
        """The same of units of each meter."""
        if any(units):
            self._add(hour, _ALL_USERS, dimensions, units)
            self._add(hour, user, dimensions, units)

    def take(self, hour: int, user: str, dimensions: Dimensions, used: Amounts) -> None:
        """Take out use that is in other rows now."""
        self.write()
        units = [getattr(used, unit) for unit in _UNITS]
        for whose in (_ALL_USERS, user):
            for row in (dimensions, _OTHER):
                key = self._turn.app, whose, hour, *row
                if self._connection.execute(_TAKE, (*units, *key)).rowcount:
                    break

    def _add(self, hour: int, user: str, dimensions: Dimensions, units: Units) -> None:
        key = self._turn.app, user, hour, *dimensions
        added = self._added.get(key)
        if added is None:
            key = self._place(key)
            added = self._added.setdefault(key, [0, 0, 0, 0, 0])
        added[:] = map(add, added, units)
        self._fresh[key] = added
        self._turn.has_changed = True

    def _place(self, key: _Key) -> _Key:
        """The row for it; that of all others where there is no room for one more."""
        # Those of long ago may have been deleted since.
        is_late = key[2] * HOUR_MS < self._turn.now - KEPT_MS
        if not is_late and self._known.known(key):
            return key
        is_there = self._connection.execute(_IS_THERE, key).fetchone() is not None
        if not is_there:
            day = key[0], key[1], key[2] // 24
            rows = self._rows.known(day)
            if rows is None:
                rows = self._count(*day)
            if rows >= _ROWS[key[1] == _ALL_USERS]:
                return (*key[:3], *_OTHER)
            self._rows[day] = rows + 1
        self._known[key] = True
        return key

    def _count(self, app: str, user: str, day: int) -> int:
        (rows,) = self._connection.execute(
            "SELECT COUNT(*) FROM usage WHERE app = ? AND user = ? AND hour BETWEEN ? AND ?",
            (app, user, 24 * day, 24 * day + 23),
        ).fetchone()
        return int(rows)

    # -- writing ----------------------------------------------------------------------------

    def note(self) -> list[Line]:
        """What was added to rows of which more was added since this was asked last."""
        lines: list[Line] = [
            (*key, *(units if max(units) <= MAX_INTEGER else map(_bounded, units)))
            for key, units in self._fresh.items()
        ]
        self._fresh.clear()
        return lines

    def write(self) -> None:
        """Write what was added since."""
        if self._added:
            self._fresh = self._added
            self._connection.executemany(_ADD, self.note())
            self._added = {}
            self._known.tidy()
            self._rows.tidy()

    def restore(self, lines: Sequence[Line]) -> None:
        """Write what somebody has noted."""
        self._connection.executemany(_ADD, {tuple(line[:7]): line for line in lines}.values())

    def forget(self) -> None:
        """Remember nothing, not even what is not written."""
        self._added.clear()
        self._fresh.clear()
        self._known.clear()
        self._rows.clear()

    def rows(
        self, app: str, user: str | None, first_hour: int, last_hour: int
    ) -> tuple[UsageRow, ...]:
        """What was used in these hours, by one user or, with None, by all together."""
        self.write()
        key = app, _ALL_USERS if user is None else user
        return tuple(
            UsageRow(hour, user or "", model, workflow, agent, plugin, Amounts(*units))
            for hour, model, workflow, agent, plugin, *units in self._connection.execute(
                _ROWS_OF, (*key, first_hour, last_hour)
            )
        )


def _bounded(unit: int) -> int:
    return min(unit, MAX_INTEGER)
