"""Where in Redis is what? `s3` is the version of this layout."""

from functools import lru_cache
from urllib.parse import quote

from sidecar.adapters.documents import short_digest
from sidecar.domain.counting import Counter
from sidecar.domain.usage import PLACE, app_of

EVERY_APP = "s3:{*}"
"""In front of what holds for all apps; no app has this prefix, because `*` is escaped."""


@lru_cache(16_384)
def app_prefix(app_id: str) -> str:
    """In front of every key of one app; in braces, so that one slot of a cluster holds them."""
    return f"s3:{{{quote(app_id, safe='')}}}"


@lru_cache(16_384)
def quoted(text: str) -> str:
    """Text as it stands in keys and records, without blanks."""
    return text if text.isascii() and text.isalnum() else quote(text, safe="=")


def suffix_of(counter: Counter) -> str:
    """What stands behind the name of a counter in its key: a period's belongs to its start."""
    return f"@{counter.a}" if counter.kind == "p" else ""


def reservation_key(prefix: str, place: str) -> str:
    """Where the record of a reservation stands."""
    return f"{prefix}:r:{place}"


def grants_key(prefix: str, user_id: str) -> str:
    """Where the grants of a user stand."""
    return f"{prefix}:g:{quoted(user_id)}"


@lru_cache(16_384)
def session_name(user_id: str, session_id: str) -> str:
    """What stands for a session in keys and records, empty for none."""
    return short_digest(f"{quoted(user_id)} {session_id}") if session_id else ""


def place_of(reservation_id: str) -> tuple[str | None, str, str]:
    """The app, the place and the nonce that an id of a reservation tells; no app if it is none."""
    head, _, token = reservation_id.partition(".")
    return _app_in(head) if token else None, token[:PLACE], token[PLACE:]


@lru_cache(16_384)
def _app_in(head: str) -> str | None:
    # Apps are few; what tells one reservation from another plays no part.
    return app_of(f"{head}.-")


def usage_key(prefix: str, day: int, user_id: str | None) -> str:
    """What was used on a day since 1970, by one user or, with None, by all together."""
    return f"{prefix}:u:{day}" if user_id is None else f"{prefix}:u:{day}:{quoted(user_id)}"


def subscription_key(app_id: str, user_id: str) -> str:
    """The state of a user's subscription, for one app or, with an empty id, for all."""
    return f"{app_prefix(app_id) if app_id else EVERY_APP}:sub:{quote(user_id, safe='')}"


def wallet_key(app_id: str, user_id: str) -> str:
    """The balance of a user of an app."""
    return f"{app_prefix(app_id)}:wallet:{quote(user_id, safe='')}"


def manifest_key(app_id: str) -> str:
    """What holds for an app beside its users' plans."""
    return f"{app_prefix(app_id)}:manifest"


MANIFESTS = f"{EVERY_APP}:manifests"
"""There as soon as any app has a manifest."""

CHANGES = f"{EVERY_APP}:changes"
"""Another text after each push."""
SCHEDULE = f"{EVERY_APP}:o"
"""Apps with events for the control plane, each by the millisecond in which to look at it."""
KNOWN_APPS = f"{EVERY_APP}:apps"
"""Apps for which anything was counted, by when."""
APPS = (f"{EVERY_APP}:l:apps", f"{EVERY_APP}:l:seen")
"""Apps with events that are kept: by their names, and by when they last had one."""
