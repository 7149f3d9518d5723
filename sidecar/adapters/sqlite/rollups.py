"""What was used hour by hour, by whom and with what?"""

import sqlite3
from typing import Final

from sidecar.domain.request import MAX_INTEGER, Amounts, CheckRequest
from sidecar.domain.usage import UsageRow

_ALL_USERS: Final = ""
_ROWS: Final = {True: 4_096, False: 512}
"""Rows of one day, of all users together and of one; what comes then is not told apart."""
_OTHER: Final = ("*", "*", "*", "*")
_UNITS: Final = ("tokens", "input_tokens", "output_tokens", "requests", "cost")
_SET: Final = ", ".join(f"{unit} = MIN({unit} + ?, {MAX_INTEGER})" for unit in _UNITS)
_ADD: Final = (
    f"UPDATE usage SET {_SET} WHERE app = ? AND user = ? AND hour = ? "  # noqa: S608 # the names stand above
    "AND model = ? AND workflow = ? AND agent = ? AND plugin = ?"
)
_TAKE: Final = _ADD.replace(_SET, ", ".join(f"{unit} = MAX({unit} - ?, 0)" for unit in _UNITS))
_INSERT: Final = (
    "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0) ON CONFLICT DO NOTHING"
)
_ROWS_OF: Final = f"""
SELECT hour, model, workflow, agent, plugin, {", ".join(_UNITS)} FROM usage
WHERE app = ? AND user = ? AND hour BETWEEN ? AND ? AND MAX({", ".join(_UNITS)}) > 0
ORDER BY hour, model, workflow, agent, plugin
"""  # noqa: S608 # the names stand above

Dimensions = tuple[str, str, str, str]
"""Model, workflow, agent and plugin."""


def dimensions_of(request: CheckRequest) -> Dimensions:
    """What a request's use is told apart by."""
    return request.model, request.workflow, request.agent, request.plugin


class Rollups:
    """The use of one app."""

    def __init__(self, connection: sqlite3.Connection, app: str) -> None:
        self._connection = connection
        self._app = app

    def add(self, hour: int, user: str, dimensions: Dimensions, used: Amounts) -> None:
        """Add use, for the user and for all together."""
        units = tuple(max(0, getattr(used, unit)) for unit in _UNITS)
        if any(units):
            self._add(hour, _ALL_USERS, dimensions, units)
            self._add(hour, user, dimensions, units)

    def take(self, hour: int, user: str, dimensions: Dimensions, used: Amounts) -> None:
        """Take out use that is in other rows now."""
        units = [getattr(used, unit) for unit in _UNITS]
        for whose in (_ALL_USERS, user):
            for row in (dimensions, _OTHER):
                key = self._app, whose, hour, *row
                if self._connection.execute(_TAKE, (*units, *key)).rowcount:
                    break

    def _add(self, hour: int, user: str, dimensions: Dimensions, units: tuple[int, ...]) -> None:
        key = self._app, user, hour
        if self._connection.execute(_ADD, (*units, *key, *dimensions)).rowcount:
            return
        row = dimensions if self._has_room(hour, user) else _OTHER
        self._connection.execute(_INSERT, (*key, *row))
        self._connection.execute(_ADD, (*units, *key, *row))

    def _has_room(self, hour: int, user: str) -> bool:
        day = hour // 24
        (rows,) = self._connection.execute(
            "SELECT COUNT(*) FROM usage WHERE app = ? AND user = ? AND hour BETWEEN ? AND ?",
            (self._app, user, 24 * day, 24 * day + 23),
        ).fetchone()
        return int(rows) < _ROWS[user == _ALL_USERS]

    def rows(self, user: str | None, first_hour: int, last_hour: int) -> tuple[UsageRow, ...]:
        """What was used in these hours, by one user or, with None, by all together."""
        key = self._app, _ALL_USERS if user is None else user
        return tuple(
            UsageRow(hour, user or "", model, workflow, agent, plugin, Amounts(*units))
            for hour, model, workflow, agent, plugin, *units in self._connection.execute(
                _ROWS_OF, (*key, first_hour, last_hour)
            )
        )
