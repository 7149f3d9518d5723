"""What is asked of the meter: three limits of each of a thousand users."""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Final

from sidecar.adapters.redis.connection import Argument, RedisConnection, Reply, Script
from sidecar.adapters.redis.meter import SCRIPTS
from sidecar.domain.limits import Charge, Dimension, Limit
from sidecar.domain.modes import Mode
from sidecar.domain.request import Amounts, CheckRequest, MeterKind, Subject
from sidecar.domain.usage import (
    ChargedEvent,
    Hold,
    UsageEvent,
    name_reservation,
    reservation_token,
)
from sidecar.domain.windows import BillingCycle, Fixed, Sliding, Window

APP: Final = "acme"
USERS: Final = 1_000
PATIENCE_S: Final = 20.0
"""How long Redis may take here: what is late is to be seen in the figures, not as an error."""


def limit(name: str, meter: MeterKind, window: Window) -> Limit:
    """A limit of each user that never refuses."""
    return Limit(name, meter, 10**12, window, (Dimension.APP, Dimension.USER), Mode.ENFORCE)


MONTH: Final = limit("tokens-per-month", MeterKind.TOKENS, Fixed.BILLING_MONTH)
MINUTE: Final = limit("tokens-per-minute", MeterKind.TOKENS, Sliding(60_000))
HOUR: Final = limit("requests-per-hour", MeterKind.REQUESTS, Sliding(3_600_000))
THREE: Final = (MONTH, MINUTE, HOUR)


def user_of(number: int, users: int = USERS) -> str:
    """The user whose turn it is."""
    return f"user-{number % users:05d}"


@dataclass(frozen=True, slots=True)
class Asked:
    """One reservation to be made."""

    hold: Hold
    charges: tuple[Charge, ...]


def asked(number: int, *, users: int = USERS, limits: Sequence[Limit] = THREE) -> Asked:
    """A request for 1,200 tokens as a runtime sends it, with an id of its own."""
    digest = urlsafe_b64encode(blake2b(b"%d" % number, digest_size=18).digest()).decode()
    request = CheckRequest(
        Subject(APP, user_of(number, users)),
        plugin="basic_search",
        workflow="answer-ticket",
        agent="planner",
        model="gpt-4o",
        estimate=Amounts(1_200, 900, 300, requests=1, concurrency=1),
        reserve=True,
        request_id=f"req_{digest}",
    )
    name = name_reservation(APP, reservation_token(request.request_id, digest))
    return Asked(Hold(name, f"dec_{digest}", request), charges_of(request, limits))


def charges_of(request: CheckRequest, limits: Sequence[Limit]) -> tuple[Charge, ...]:
    """What a request asks of limits."""
    cycle = BillingCycle()
    return tuple(
        Charge(each, each.counter(request), request.estimate.of(each.meter), cycle)
        for each in limits
    )


def event(
    number: int,
    at: datetime,
    *,
    user: int = 0,
    tokens: int = 1_200,
    limits: Sequence[Limit] = (),
    session: str = "",
) -> ChargedEvent:
    """A report of use, counted under these limits."""
    used = Amounts(tokens, tokens * 3 // 4, tokens - tokens * 3 // 4, requests=1)
    request = CheckRequest(
        Subject(APP, user_of(user, users=100_000)),
        plugin="basic_search",
        workflow="answer-ticket",
        agent="planner",
        model="gpt-4o",
        session_id=session,
        estimate=used,
    )
    return ChargedEvent(
        UsageEvent(f"event-{number}", at, request, used), charges_of(request, limits)
    )


def connection_to(url: str, *further: Script) -> RedisConnection:
    """A connection of ours that has the meter's scripts, and further ones."""
    return RedisConnection(url, timeout_s=PATIENCE_S, scripts=(*SCRIPTS, *further))


@dataclass(frozen=True, slots=True)
class Sent:
    """One script with what it was given, and what it said."""

    script: Script
    keys: tuple[str, ...]
    arguments: tuple[Argument, ...]
    reply: Reply


class Recorder(RedisConnection):
    """A connection that notes what the meter runs."""

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout_s=PATIENCE_S, scripts=SCRIPTS)
        self.sent: list[Sent] = []

    async def run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument], *, since: float
    ) -> Reply:
        """The reply of a script."""
        reply = await super().run(script, keys, arguments, since=since)
        self.sent.append(Sent(script, tuple(keys), tuple(arguments), reply))
        return reply
