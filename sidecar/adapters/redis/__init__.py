"""Counters and subscriptions on Redis; the one door to the redis library."""
