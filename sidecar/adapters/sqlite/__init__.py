"""Counters and subscriptions in one SQLite file; the one door to sqlite3."""
