"""What does nobody need any more? So that the file does not grow for ever."""

import sqlite3
from typing import Final

from sidecar.adapters.sqlite.times import DAY_MS, HOUR_MS, REPORTED_MS, STATED_MS

_TABLES: Final = (
    ("counter", "app, name, bucket", "ends_at <= ?1 AND held = 0"),
    ("request", "app, digest", "forgotten_at <= ?1"),
    ("event", "app, digest", "forgotten_at <= ?1"),
    ("session", "app, user, id", "forgotten_at <= ?1"),
    ("reservation", "number", "forgotten_at <= ?1 AND state <> 'held'"),
    ("grant", "app, user, id", f"expires_at <= ?1 - {REPORTED_MS + DAY_MS} AND held = 0"),
    (
        "usage",
        "app, user, hour, model, workflow, agent, plugin",
        f"hour < (?1 - {REPORTED_MS + DAY_MS}) / {HOUR_MS}",
    ),
    ("statement", "app, owner, counter, start", f"ends_at <= ?1 - {STATED_MS}"),
    (
        "amended",
        "app, counter, start, hour",
        f"hour < (?1 - {STATED_MS + 30 * DAY_MS}) / {HOUR_MS}",
    ),
)


def forget(connection: sqlite3.Connection, now_ms: int, rows: int) -> None:
    """Delete some of what is over, at most so many rows of each table."""
    for table, key, is_over in _TABLES:
        connection.execute(
            f"DELETE FROM {table} WHERE ({key}) IN "  # noqa: S608 # the names stand above
            f"(SELECT {key} FROM {table} WHERE {is_over} LIMIT ?2)",
            (now_ms, rows),
        )
