"""Subscriptions that nobody pushed: asked of the billing side, and remembered."""
