"""Where in Redis is what? `s2` is the version of this layout."""

from functools import lru_cache
from urllib.parse import quote


@lru_cache(16_384)
def app_prefix(app_id: str) -> str:
    """In front of every key of one app; in braces, so that one slot of a cluster holds them."""
    return f"s2:{{{quote(app_id, safe='')}}}"


EVERY_APP = "s2:{*}"
"""In front of what holds for all apps; no app has this prefix, because `*` is escaped."""


def subscription_key(app_id: str, user_id: str) -> str:
    """The state of a user's subscription, for one app or, with an empty id, for all."""
    return f"{app_prefix(app_id) if app_id else EVERY_APP}:sub:{quote(user_id, safe='')}"
