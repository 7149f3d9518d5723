"""What is asked of the sidecar, and what becomes of its answer?

Each question is a flow: a generator that yields what is to be sent and is given what came back,
or `Lost`. It does no input and output, so the two clients differ in nothing but who waits. All
that is sent may come twice: a check bears a request id, an event its own, and to settle a
reservation again changes nothing. So what got lost is asked once more, where there is time.
"""

import logging
import secrets
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypedDict, TypeVar
from urllib.parse import quote

from sidecar.client.answers import Decision, Entitlement, decided_here
from sidecar.client.faults import InvalidQuestion, Lost, SidecarUnavailable

T = TypeVar("T")

_log = logging.getLogger("sidecar.client")

OnFailure = Literal["open", "closed"]

_PAUSE_S: Final = 1.0
"""So long nobody asks after there was no answer."""
_AWAY: Final = "it gave no answer a moment ago"

_WRONG: Final = frozenset({400, 404, 405, 409, 413, 415, 422})
"""Answers that say that the question was wrong; after any other one there was none."""


class Asked(TypedDict, total=False):
    """What a check may tell beside the user; all of it is optional.

    Attributes:
        app_id: else the one of the client.
        input_tokens: how many the request may use, at most; so `output_tokens`.
        attributes: whatever the rules of the policies read of it.
        request_id: names this request: asked again with it, the sidecar gives its first answer.
    """

    app_id: str
    tenant_id: str
    plugin: str
    feature: str
    action: str
    workflow: str
    agent: str
    model: str
    session_id: str
    input_tokens: int
    output_tokens: int
    attributes: Mapping[str, Any]
    request_id: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One request over HTTP; it may come twice."""

    method: str
    path: str
    body: object = None
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; `body` is None where it was no JSON object.

    Attributes:
        date: when, as the header of that name has it.
    """

    status: int
    body: Mapping[str, Any] | None
    retry_after_s: int | None = None
    date: str = ""


Flow = Generator[Ask, Reply, T]


class Questions:
    """What can be asked, for one app and with one way to fail."""

    def __init__(self, app_id: str | None, on_failure: OnFailure) -> None:
        if on_failure not in ("open", "closed"):
            raise ValueError(f"on_failure is 'open' or 'closed', not {on_failure!r}")
        self._app_id = app_id
        self._on_failure = on_failure
        self._is_away = False
        self._asks_again_at = 0.0

    def check(self, user_id: str, asked: Asked, *, ttl_s: int | None = None) -> Flow[Decision]:
        """May this run? With a time to live its estimate is held for so long.

        Raises:
            InvalidQuestion: the sidecar does not understand it.
        """
        return (yield from self._decide("/v1/check", self.check_body(user_id, asked, ttl_s)))

    def check_body(self, user_id: str, asked: Asked, ttl_s: int | None) -> dict[str, Any]:
        """The question as the sidecar reads it."""
        told: dict[str, Any] = {
            name: value
            for name, value in asked.items()
            if name not in ("input_tokens", "output_tokens") and value is not None
        }
        told |= {"user_id": user_id, "app_id": self.app_of(asked)}
        estimate = {
            name: asked[name] for name in ("input_tokens", "output_tokens") if name in asked
        }
        if estimate:
            told["estimate"] = estimate
        if ttl_s is not None:
            told |= {"reserve": True, "ttl_s": ttl_s}
            told.setdefault("request_id", secrets.token_hex(16))
        return told

    def extend(self, reservation_id: str, ttl_s: int, more: Mapping[str, int]) -> Flow[Decision]:
        """Hold more, and for so long from now on.

        Raises:
            InvalidQuestion: there is no such reservation.
        """
        body = {"ttl_s": ttl_s, "request_id": secrets.token_hex(16), "estimate": dict(more)}
        return (yield from self._decide(_path(reservation_id, "extend"), body))

    def entitlements(self, user_id: str, app_id: str | None) -> Flow[Entitlement]:
        """What a user has.

        Raises:
            SidecarUnavailable: nobody knows.
            InvalidQuestion: the sidecar does not understand it.
        """
        query = {"app_id": app_id or self.app_of({}), "user_id": user_id}
        reply = yield from answered(Ask("GET", "/v1/entitlements", query=query))
        assert reply.body is not None  # `answered` sees to it
        return Entitlement.read(reply.body)

    def event(self, event: Mapping[str, Any]) -> Mapping[str, Any]:
        """A usage event as it is sent: of an app, if one is known, and with an id."""
        known = {} if self._app_id is None else {"app_id": self._app_id}
        return {**known, "event_id": secrets.token_hex(16), **event}

    def settle(self, ask: Ask) -> Flow[None]:
        """Commit or release, if somebody listens.

        Raises:
            SidecarUnavailable: nobody does.
            InvalidQuestion: there is no such reservation, or it is over.
        """
        if self.is_hopeless():
            raise SidecarUnavailable(_AWAY)
        yield from answered(ask)

    def app_of(self, asked: Asked) -> str:
        """The app that is meant.

        Raises:
            ValueError: none is.
        """
        app_id = asked.get("app_id") or self._app_id
        if not app_id:
            raise ValueError("say which app: app_id, here or where the client is made")
        return app_id

    def is_hopeless(self) -> bool:
        """Whether the sidecar gave no answer a moment ago, so that nobody need wait for one."""
        return self._is_away and time.monotonic() < self._asks_again_at

    def _decide(self, path: str, body: Mapping[str, Any]) -> Flow[Decision]:
        if self.is_hopeless():
            return self._decided_here(_AWAY)
        try:
            # The one that finds out keeps others from waiting with it.
            self._asks_again_at = time.monotonic() + _PAUSE_S
            reply = yield from _once_more(Ask("POST", path, body))
            if reply.body is None or "decision_id" not in reply.body:
                _demand(reply)
                raise SidecarUnavailable("its answer is no decision")
            decision = Decision.read(reply.body, reply.retry_after_s)
        except (SidecarUnavailable, KeyError, TypeError, ValueError) as error:
            self._note(str(error))
            return self._decided_here(str(error))
        self._note(None)
        return decision

    def _decided_here(self, cause: str) -> Decision:
        return decided_here(allows=self._on_failure == "open", cause=cause)

    def _note(self, cause: str | None) -> None:
        """Say once that the sidecar is away, and once that it is back."""
        if cause is not None and not self._is_away:
            _log.warning("the sidecar gives no answer, failing %s: %s", self._on_failure, cause)
        elif cause is None and self._is_away:
            _log.info("the sidecar answers again")
        self._is_away = cause is not None
        self._asks_again_at = time.monotonic() + _PAUSE_S


def commit(reservation_id: str, used: Mapping[str, Any]) -> Ask:
    """Charge what was used."""
    return Ask("POST", _path(reservation_id, "commit"), used)


def release(reservation_id: str) -> Ask:
    """Give all back."""
    return Ask("POST", _path(reservation_id, "release"), {})


def prolong(reservation_id: str, ttl_s: int) -> Ask:
    """Hold for longer from now on."""
    # It holds nothing more, so it needs no id of its own to come twice.
    return Ask("POST", _path(reservation_id, "extend"), {"ttl_s": ttl_s})


def usage(events: Sequence[Mapping[str, Any]]) -> Ask:
    """Count what was used."""
    return Ask("POST", "/v1/usage", {"events": events})


def clock() -> Ask:
    """Be told the time, by the `Date` of the answer."""
    return Ask("GET", "/healthz")


def answered(ask: Ask) -> Flow[Reply]:
    """A reply that is no failure.

    Raises:
        SidecarUnavailable: there is none.
        InvalidQuestion: the sidecar does not understand the question.
    """
    reply = yield from _once_more(ask)
    _demand(reply)
    return reply


def _once_more(ask: Ask) -> Flow[Reply]:
    try:
        return (yield ask)
    except Lost:
        try:
            return (yield ask)
        except Lost as error:
            raise SidecarUnavailable(str(error)) from error


def _demand(reply: Reply) -> None:
    detail = str((reply.body or {}).get("detail") or "no JSON object came back")
    if reply.status in _WRONG:
        faults = (reply.body or {}).get("errors")
        raise InvalidQuestion(reply.status, f"{detail} {faults}" if faults else detail)
    if reply.status >= 300 or reply.body is None:
        raise SidecarUnavailable(f"{reply.status}: {detail}")


def _path(reservation_id: str, verb: str) -> str:
    return f"/v1/reservations/{quote(reservation_id, safe='')}/{verb}"
