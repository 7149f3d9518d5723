"""What has happened that stands in no table yet?

One row for each group that shared a commit: the rows of the tables as that group left them, so that
a later line takes the place of an earlier one. Who changed them writes them into the tables later,
many groups together; whoever else comes first does it from here. So a commit writes a few pages
side by side, where the tables would have many in all places.
"""

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, Protocol

import orjson

_APPEND: Final = "INSERT INTO journal (lines) VALUES (?)"
_READ: Final = "SELECT lines FROM journal ORDER BY number"
_CLEAR: Final = "DELETE FROM journal"

Line = Sequence[Any]
"""A row, or what is to be changed of it."""


class Part(Protocol):
    """Some tables, and what was changed of them that does not stand there yet."""

    def note(self) -> Sequence[Line]:
        """What was changed since this was asked last."""

    def write(self) -> None:
        """Write all that was changed."""

    def restore(self, lines: Sequence[Line]) -> None:
        """Write what somebody has noted."""

    def forget(self) -> None:
        """Remember nothing, not even what is not written."""


class Journal:
    """The journal in the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def append(self, parts: Sequence[Sequence[Line]]) -> None:
        """Note what a group has changed, in each of the parts that change something."""
        self._connection.execute(_APPEND, (orjson.dumps(parts).decode(),))

    def take(self) -> list[list[Line]]:
        """All that is noted, of each part in its order, which is to be written now."""
        together: list[list[Line]] = []
        for (lines,) in self._connection.execute(_READ).fetchall():
            for position, part in enumerate(orjson.loads(lines)):
                if position == len(together):
                    together.append([])
                together[position] += part
        if together:
            self.clear()
        return together

    def clear(self) -> None:
        """Note that all of it is in the tables."""
        self._connection.execute(_CLEAR)
