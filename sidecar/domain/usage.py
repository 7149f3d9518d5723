"""What was really used, and what became of a reservation."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from sidecar.domain.decision import Reservation
from sidecar.domain.limits import Charge, Reading
from sidecar.domain.prices import NO_RATES, Rates
from sidecar.domain.request import Amounts, CheckRequest
from sidecar.domain.value import value


class EventKind(StrEnum):
    """What an event tells of its session: what comes to it, or all of it so far."""

    DELTA = "delta"
    SUMMARY = "summary"


@value
class UsageEvent:
    """One report of use after the fact.

    Attributes:
        id: deduplicated on for eight days; where the sender gave none, a digest of the body.
        at: when it was used, which decides the window it counts in.
        request: whom and what to count it for.
        reservation_id: the hold that it draws down, empty for none.
        kind: of a summary only that counts which its session was not counted before.
        told: what its sender said, for the log of events, with its `kind`; None where nobody
            reported it, so that no log has it.
    """

    id: str
    at: datetime
    request: CheckRequest
    used: Amounts
    reservation_id: str = ""
    kind: EventKind = EventKind.DELTA
    told: Mapping[str, object] | None = field(default=None, compare=False)


@value
class ChargedEvent:
    """A usage event with the counters that it goes into.

    Attributes:
        rates: what the tokens cost that a summary adds.
    """

    event: UsageEvent
    charges: tuple[Charge, ...]
    rates: Rates = NO_RATES


class ReservationState(StrEnum):
    """The life of a reservation; only a held one takes room."""

    HELD = "held"
    COMMITTED = "committed"
    RELEASED = "released"
    EXPIRED = "expired"


@value
class Settlement:
    """A reservation after a commit or a release, with its limits after it.

    Attributes:
        expires_at, tokens: None where the store was away, which knows them.
        degraded: whether it is kept to be done when the store is back; then no limits are told.
    """

    reservation_id: str
    state: ReservationState
    expires_at: datetime | None
    tokens: int | None
    readings: tuple[Reading, ...]
    degraded: bool = False


@value
class Tally:
    """What became of a batch of usage events.

    Attributes:
        degraded: whether they are kept to be counted later; who came twice is found out then.
        tokens: of those that were accepted.
    """

    accepted: int
    duplicates: int
    degraded: bool = False
    tokens: int = field(default=0, compare=False)


@value
class Hold:
    """What a reservation is made of, beside its charges.

    Attributes:
        reservation_id: made of a `reservation_token`, so that a repeated request finds it.
        decision_id: of the decision that it belongs to; a repeated request gets it again.
        rates: what its tokens cost; a commit that does not tell its cost is charged by them.
    """

    reservation_id: str
    decision_id: str
    request: CheckRequest
    rates: Rates = NO_RATES


@value
class Metering:
    """What one visit to the counters gave.

    Attributes:
        readings: one for each charge, in their order, before the request's own units.
        reservation: what is held now, None after a read or a refusal.
        decision_id: of the first answer, where this request was answered before.
        counters_lost: whether the store has lost what it had counted for this app before.
        is_remembered: whether the store was away; then readings are of those limits alone that
            are decided by what is remembered.
        age_s: how old the oldest of what is remembered is, None where nothing is.
    """

    readings: tuple[Reading, ...]
    reservation: Reservation | None = None
    decision_id: str | None = None
    counters_lost: bool = False
    is_remembered: bool = False
    age_s: float | None = None


class OnExpiry(StrEnum):
    """What an expired reservation means for the units that it held.

    RELEASE gives them back; CHARGE counts them as used until a late commit says better.
    """

    RELEASE = "release"
    CHARGE = "charge"


@value
class UsageRow:
    """What was used within one hour by one user with one model, workflow, agent and plugin.

    Attributes:
        hour: hours since 1970.
        user_id: empty where all users of the app are summed up.
        used: tokens, input and output tokens as far as told, requests, cost.
    """

    hour: int
    user_id: str
    model: str
    workflow: str
    agent: str
    plugin: str
    used: Amounts


PLACE = 16
"""Characters of a reservation's token that say where it is kept."""


def reservation_token(request_id: str, nonce: str) -> str:
    """The token of a reservation: where it is kept, then what makes it this one.

    Requests with the same id lead to the same place.

    Args:
        nonce: 24 random characters.
    """
    if not request_id:
        return nonce
    digest = hashlib.blake2b(request_id.encode(), digest_size=12).digest()
    return urlsafe_b64encode(digest).decode() + nonce[:8]


def name_reservation(app_id: str, token: str) -> str:
    """The id of a reservation; it carries its app, because that is where it is kept."""
    return name_in_app("res_", app_id, token)


def app_of(reservation_id: str) -> str | None:
    """The app that a reservation's id carries, None if it is no reservation's id."""
    return app_named_in("res_", reservation_id)


def name_in_app(kind: str, app_id: str, token: str) -> str:
    """An id that carries its app; `kind` is what such ids begin with."""
    return f"{kind}{_encoded(app_id)}.{token}"


@lru_cache(maxsize=4096)
def _encoded(app_id: str) -> str:
    return urlsafe_b64encode(app_id.encode()).decode().rstrip("=")


def app_named_in(kind: str, name: str) -> str | None:
    """The app that an id carries, None if it is no id of that kind."""
    encoded, dot, token = name.removeprefix(kind).partition(".")
    if not (name.startswith(kind) and dot and token):
        return None
    try:
        app_id = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError:
        return None
    # Decoding passes over what is no base64: one thing would have many ids.
    return app_id if app_id and name_in_app(kind, app_id, token) == name else None


def token_of(reservation_id: str) -> str:
    """What a reservation's id carries beside its app."""
    return reservation_id.partition(".")[2]
