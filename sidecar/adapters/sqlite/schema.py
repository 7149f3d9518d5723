"""Which tables are in the file, and how does a file of an older version get them?"""

import sqlite3
from collections.abc import Sequence
from typing import Final

from sidecar.adapters.documents import fingerprint, read_request, write_request
from sidecar.adapters.sqlite.times import DAY_MS, KEPT_MS, NEVER
from sidecar.domain.request import MAX_INTEGER

APPLICATION_ID: Final = 0x51DECA12
"""Stands in the head of our files, so that nobody else's is taken for one of them."""
SCHEMA_VERSION: Final = 4
OLDEST_VERSION: Final = 1
"""The first that can be brought to the present one."""

# Rows of reservations are long and their ids random: in a table with a rowid they are appended
# side by side, and only the short entries of the index lie scattered.
_RESERVATION: Final = """
CREATE TABLE reservation (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, app TEXT NOT NULL, state TEXT NOT NULL,
    expires_at INTEGER NOT NULL, tokens INTEGER NOT NULL, fingerprint TEXT NOT NULL,
    decision TEXT NOT NULL, extension TEXT NOT NULL, request TEXT NOT NULL, limits TEXT NOT NULL,
    readings TEXT NOT NULL, account TEXT NOT NULL, forgotten_at INTEGER NOT NULL
);
CREATE INDEX reservation_expires ON reservation (expires_at, app) WHERE state = 'held';
CREATE INDEX reservation_forgotten ON reservation (forgotten_at)
"""
_GRANT_AND_USAGE: Final = """
CREATE TABLE grant (
    app TEXT NOT NULL, user TEXT NOT NULL, id TEXT NOT NULL, scope TEXT NOT NULL,
    amount INTEGER NOT NULL, used INTEGER NOT NULL, held INTEGER NOT NULL,
    effective_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, revoked INTEGER NOT NULL,
    changed_at INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (app, user, id)
) WITHOUT ROWID;
CREATE INDEX grant_expires ON grant (expires_at);
CREATE TABLE usage (
    app TEXT NOT NULL, user TEXT NOT NULL, hour INTEGER NOT NULL, model TEXT NOT NULL,
    workflow TEXT NOT NULL, agent TEXT NOT NULL, plugin TEXT NOT NULL,
    tokens INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
    requests INTEGER NOT NULL, cost INTEGER NOT NULL,
    PRIMARY KEY (app, user, hour, model, workflow, agent, plugin)
) WITHOUT ROWID;
CREATE INDEX usage_hour ON usage (hour)
"""
_NOTICES: Final = """
CREATE TABLE notice (
    id TEXT PRIMARY KEY, body TEXT NOT NULL, tries INTEGER NOT NULL, due_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX notice_due ON notice (due_at);
CREATE TABLE occasion (
    digest BLOB PRIMARY KEY, message TEXT NOT NULL, until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX occasion_until ON occasion (until)
"""
_MANIFESTS: Final = """
CREATE TABLE manifest (app TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID
"""
_CHANGES: Final = """
CREATE TABLE change (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL)
"""
# A file that was there before has counted all along.
_STATEMENTS: Final = """
CREATE TABLE statement (
    app TEXT NOT NULL, owner TEXT NOT NULL, counter TEXT NOT NULL, start INTEGER NOT NULL,
    ends_at INTEGER NOT NULL, seen INTEGER NOT NULL, name TEXT NOT NULL, included INTEGER,
    used INTEGER NOT NULL, granted INTEGER NOT NULL, flags TEXT NOT NULL,
    PRIMARY KEY (app, owner, counter, start)
) WITHOUT ROWID;
CREATE INDEX statement_ends ON statement (ends_at);
CREATE TABLE amended (
    app TEXT NOT NULL, counter TEXT NOT NULL, start INTEGER NOT NULL, hour INTEGER NOT NULL,
    used INTEGER NOT NULL, granted INTEGER NOT NULL,
    PRIMARY KEY (app, counter, start, hour)
) WITHOUT ROWID;
CREATE INDEX amended_hour ON amended (hour);
CREATE TABLE counted (app TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counted SELECT DISTINCT app, 0 FROM counter
"""
_EVENT_LOG: Final = """
CREATE TABLE event_log (
    place INTEGER PRIMARY KEY AUTOINCREMENT, app TEXT NOT NULL, received_at INTEGER NOT NULL,
    state INTEGER NOT NULL, body TEXT NOT NULL, status INTEGER NOT NULL DEFAULT 0,
    refused_at INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX event_log_app ON event_log (app, place);
CREATE INDEX event_log_received ON event_log (state, received_at);
CREATE TABLE outbox (
    app TEXT PRIMARY KEY, waiting INTEGER NOT NULL, refused INTEGER NOT NULL,
    first INTEGER NOT NULL, tries INTEGER NOT NULL DEFAULT 0, due_at INTEGER NOT NULL DEFAULT 0,
    fault TEXT NOT NULL DEFAULT '', holder TEXT NOT NULL DEFAULT '',
    until INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID
"""
_SESSIONS: Final = """
CREATE TABLE session (
    app TEXT NOT NULL, user TEXT NOT NULL, id TEXT NOT NULL, counted TEXT NOT NULL,
    forgotten_at INTEGER NOT NULL, PRIMARY KEY (app, user, id)
) WITHOUT ROWID;
CREATE INDEX session_forgotten ON session (forgotten_at)
"""
_WALLETS: Final = """
CREATE TABLE wallet (
    app TEXT NOT NULL, user TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (app, user)
) WITHOUT ROWID;
CREATE TABLE spending (
    app TEXT NOT NULL, name TEXT NOT NULL, marks BLOB NOT NULL, PRIMARY KEY (app, name)
) WITHOUT ROWID
"""
_JOURNAL: Final = """
CREATE TABLE journal (number INTEGER PRIMARY KEY, lines TEXT NOT NULL)
"""
_SCHEMA: Final = f"""
CREATE TABLE counter (
    app TEXT NOT NULL, name TEXT NOT NULL, bucket INTEGER NOT NULL,
    used INTEGER NOT NULL, ends_at INTEGER NOT NULL, held INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (app, name, bucket)
) WITHOUT ROWID;
CREATE INDEX counter_ends ON counter (ends_at);
{_RESERVATION};
CREATE TABLE request (
    app TEXT NOT NULL, digest TEXT NOT NULL, reservation TEXT NOT NULL,
    forgotten_at INTEGER NOT NULL, PRIMARY KEY (app, digest)
) WITHOUT ROWID;
CREATE INDEX request_forgotten ON request (forgotten_at);
CREATE TABLE event (
    app TEXT NOT NULL, digest TEXT NOT NULL, forgotten_at INTEGER NOT NULL,
    PRIMARY KEY (app, digest)
) WITHOUT ROWID;
CREATE INDEX event_forgotten ON event (forgotten_at);
CREATE TABLE subscription (
    app TEXT NOT NULL, user TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (app, user)
) WITHOUT ROWID;
{_GRANT_AND_USAGE};
{_NOTICES};
{_MANIFESTS};
{_CHANGES};
{_STATEMENTS};
{_EVENT_LOG};
{_SESSIONS};
{_WALLETS};
{_JOURNAL}
"""

# What was held stood in a table of entries; now it stands in the counters, and what each
# reservation holds in its account. Of a commit that is told nothing more is known than that it
# was final: whatever repeats it is taken for the same.
_FROM_1: Final = f"""
ALTER TABLE counter ADD COLUMN held INTEGER NOT NULL DEFAULT 0;
INSERT INTO counter (app, name, bucket, used, held, ends_at)
    SELECT app, name, bucket, 0, SUM(held), MAX(CASE
        WHEN kind = 's' THEN (bucket + 2) * a + b
        WHEN b = 0 THEN {NEVER}
        ELSE b + {KEPT_MS + DAY_MS} END)
    FROM entry WHERE held > 0 GROUP BY app, name, bucket
    ON CONFLICT DO UPDATE SET held = excluded.held, ends_at = MAX(ends_at, excluded.ends_at);
DROP INDEX reservation_expires;
DROP INDEX reservation_forgotten;
ALTER TABLE reservation RENAME TO reservation_1;
{_RESERVATION};
INSERT INTO reservation (id, app, state, expires_at, tokens, fingerprint, decision, extension,
        request, limits, readings, account, forgotten_at)
    SELECT id, app, state, expires_at, tokens, fingerprint, decision, extension,
        request, limits, readings, json_array(
            0, 0, 0, 0,
            json_array(CASE state WHEN 'committed' THEN {MAX_INTEGER} ELSE 0 END, 0, 0, 0),
            (SELECT json_group_array(json_array(
                name, kind, a, b, meter, NULL, json_array(), bucket, held, drawn))
                FROM (SELECT * FROM entry WHERE reservation = id ORDER BY position)),
            json_array()),
        forgotten_at
    FROM reservation_1 ORDER BY expires_at, id;
DROP TABLE reservation_1;
DROP TABLE entry;
{_GRANT_AND_USAGE}
"""  # noqa: S608 # numbers and tables that stand above


def create(connection: sqlite3.Connection) -> None:
    """Make all tables; inside a transaction."""
    _run(connection, _SCHEMA)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring the tables of an older version to the present one; inside a transaction."""
    if version < 2:
        _run(connection, _FROM_1)
        _take_fingerprints(connection)
    if version < 3:
        for script in (
            _NOTICES, _MANIFESTS, _CHANGES, _STATEMENTS, _EVENT_LOG, _SESSIONS, _WALLETS,
        ):  # fmt: skip
            _run(connection, script)
    _run(connection, _JOURNAL)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _take_fingerprints(connection: sqlite3.Connection) -> None:
    """A request is written down otherwise now, and may still come again."""
    rows = connection.execute(
        "SELECT number, reservation.request FROM request "
        "JOIN reservation ON reservation.id = request.reservation"
    ).fetchall()
    connection.executemany(
        "UPDATE reservation SET fingerprint = ? WHERE number = ?",
        [(fingerprint(write_request(read_request(text))), number) for number, text in rows],
    )


def _run(connection: sqlite3.Connection, script: str) -> None:
    # Not `executescript`: that would end the transaction.
    statements: Sequence[str] = script.split(";")
    for statement in statements:
        connection.execute(statement)
