"""What was used hour by hour, by whom and with what?"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

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
_SET: Final = ", ".join(f"{unit} = MIN({unit} + ?, {MAX_INTEGER})" for unit in _UNITS)
_MERGE: Final = ", ".join(
    f"{unit} = MIN({unit} + excluded.{unit}, {MAX_INTEGER})" for unit in _UNITS
)
_ADD: Final = (
    f"UPDATE usage SET {_SET} WHERE app = ? AND user = ? AND hour = ? "  # noqa: S608 # the names stand above
    "AND model = ? AND workflow = ? AND agent = ? AND plugin = ?"
)
_TAKE: Final = _ADD.replace(_SET, ", ".join(f"{unit} = MAX({unit} - ?, 0)" for unit in _UNITS))
_INSERT: Final = f"""
INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET {_MERGE}"""  # noqa: S608 # the names stand above
_IS_THERE: Final = (
    "SELECT 1 FROM usage WHERE app = ? AND user = ? AND hour = ? "
    "AND model = ? AND workflow = ? AND agent = ? AND plugin = ?"
)
_REMEMBERED: Final = 4_096
"""Rows that are known to be there."""
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
        self._added: dict[_Key, list[Units]] = {}
        self._known: Remembered[_Key, bool] = Remembered(_REMEMBERED)

    def add(self, hour: int, user: str, dimensions: Dimensions, used: Amounts) -> None:
        """Add use, for the user and for all together."""
        told = used.tokens, used.input_tokens, used.output_tokens, used.requests, used.cost
        # Of what is not told nothing is known.
        units = told if min(told) >= 0 else tuple(max(0, unit) for unit in told)
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
        if added is not None:
            added.append(units)
        elif self._is_known(key):
            self._added[key] = [units]
        elif self._has_room(hour, user):
            self._connection.execute(_INSERT, (*key, *units))
            self._known[key] = True
        else:
            self._connection.execute(_INSERT, (*key[:3], *_OTHER, *units))
        self._turn.has_changed = True

    def _is_known(self, key: _Key) -> bool:
        """Whether there is a row for it."""
        # Those of long ago may have been deleted since.
        is_late = key[2] * HOUR_MS < self._turn.now - KEPT_MS
        if is_late or not self._known.known(key):
            if self._connection.execute(_IS_THERE, key).fetchone() is None:
                return False
            self._known[key] = True
        return True

    def _has_room(self, hour: int, user: str) -> bool:
        day = hour // 24
        (rows,) = self._connection.execute(
            "SELECT COUNT(*) FROM usage WHERE app = ? AND user = ? AND hour BETWEEN ? AND ?",
            (self._turn.app, user, 24 * day, 24 * day + 23),
        ).fetchone()
        return int(rows) < _ROWS[user == _ALL_USERS]

    def write(self) -> None:
        """Write what was added since."""
        if self._added:
            rows = [(*_sum(units), *key) for key, units in self._added.items()]
            self._connection.executemany(_ADD, rows)
            self._added.clear()
            self._known.tidy()

    def forget(self) -> None:
        """Remember nothing, not even what is not written."""
        self._added.clear()
        self._known.clear()

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


def _sum(added: Sequence[Units]) -> Iterable[int]:
    if len(added) == 1:
        return added[0]
    return (min(sum(units), MAX_INTEGER) for units in zip(*added, strict=True))
