"""Where in the file does it stand when how much was used of a balance?"""

import sqlite3

from sidecar.adapters.spending import marked, used_at


def mark(connection: sqlite3.Connection, app: str, name: str, now_ms: int, used: int) -> None:
    """Note what a counter holds now."""
    marks = marked(_marks(connection, app, name), now_ms, used)
    connection.execute("INSERT OR REPLACE INTO spending VALUES (?, ?, ?)", (app, name, marks))


def known_at(connection: sqlite3.Connection, app: str, name: str, at_ms: int) -> int:
    """What a counter held at an instant, at least."""
    return used_at(_marks(connection, app, name), at_ms)


def _marks(connection: sqlite3.Connection, app: str, name: str) -> bytes:
    row = connection.execute(
        "SELECT marks FROM spending WHERE app = ? AND name = ?", (app, name)
    ).fetchone()
    return b"" if row is None else bytes(row[0])
