"""How does a decision stand in JSON? Put together of pieces, most of which were written before.

Of a limit all but its numbers is known when the policies are, and a decision that allows says
little else. So nothing is made only to be turned into text.
"""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Final, Generic, TypeVar

import orjson
from pydantic_core import to_json

from sidecar.api.faults import TYPE_PREFIX
from sidecar.api.refusals import retry_after, title
from sidecar.domain.decision import Decision, Remedy, RemedyKind, Reservation
from sidecar.domain.limits import Limit, Reading
from sidecar.domain.shown import reasons_shown
from sidecar.domain.usage import Settlement

T = TypeVar("T")

_KEPT: Final = 4_096


class OfLimits(Generic[T]):
    """What is made of a limit, once for each.

    Limits are told apart by what they are, not by what is in them: comparing would take longer.
    """

    def __init__(self, make: Callable[[Limit], T]) -> None:
        self._make = make
        self._made: dict[int, tuple[Limit, T]] = {}

    def of(self, limit: Limit) -> T:
        """As it was made, or is made now."""
        known = self._made.get(id(limit))
        if known is None:
            if limit.base is not None:
                # A balance is another limit each time.
                return self._make(limit)
            if len(self._made) >= _KEPT:
                self._made.clear()
            # The limit is kept too: no other can have its place in memory meanwhile.
            known = self._made[id(limit)] = limit, self._make(limit)
        return known[1]


def decision_json(decision: Decision) -> bytes:
    """The whole decision; a deny carries the members of a problem beside it."""
    is_denied, reasons = decision.is_denied, decision.reasons
    told = (
        f'{{"decision_id":"{decision.id}","effect":"{decision.effect}",'
        f'"allowed":{_FALSE_TRUE[not is_denied]},"status":{decision.status},'
        f'"mode":"{decision.mode}","plan":{_text(decision.plan)},'
        f'"subscription_status":{_text(decision.subscription_status)},'
        f'"reasons":{_any(reasons_shown(reasons)) if reasons else "[]"},'
        f'"would_deny":{_any(decision.would_deny) if reasons else "[]"},'
        f'"limits":[{_limits(decision.readings)}],'
        f'"reservation":{_reservation(decision.reservation)},'
        f'"remedies":{_any([*map(_remedy, decision.remedies)]) if decision.remedies else "[]"},'
        f'"retryable":{_FALSE_TRUE[is_denied and retry_after(decision) is not None]},'
        f'"policy":{{"revision":"{decision.revision}"}},'
        f'"errors":{_errors(decision) if decision.errors else "[]"},'
        f'"degraded":{_FALSE_TRUE[decision.degraded]}'
    )
    if decision.degraded:
        told += f',"data_age_s":{_any(decision.data_age_s)}'
    if is_denied:
        first = reasons[0]
        told += (
            f',"type":"{TYPE_PREFIX}{first.code}","title":"{title(first, decision.readings)}",'
            f'"detail":{_any(first.message)},'
            f'"instance":"urn:mozaiks:sidecar:decision:{decision.id}"'
        )
    return (told + "}").encode()


def settlement_json(settled: Settlement) -> bytes:
    """A reservation after a commit or a release."""
    tokens = "null" if settled.tokens is None else settled.tokens
    return (
        f'{{"reservation":{{"id":{_any(settled.reservation_id)},"state":"{settled.state}",'
        f'"expires_at":{_instant(settled.expires_at)},"granted":{{"tokens":{tokens}}}}},'
        f'"limits":[{_limits(settled.readings)}],'
        f'"degraded":{_FALSE_TRUE[settled.degraded]}}}'
    ).encode()


_FALSE_TRUE: Final = ("false", "true")


def _any(value: object) -> str:
    return to_json(value).decode()


@lru_cache(_KEPT)
def _text(value: str | None) -> str:
    """What comes again and again: plans and states."""
    return _any(value)


def _instant(at: datetime | None) -> str:
    return _plain(at).decode()


def _plain(value: object) -> bytes:
    """Of numbers, names and instants, as `to_json` writes them, in a part of its time."""
    return orjson.dumps(value, None, orjson.OPT_UTC_Z)


def _reservation(held: Reservation | None) -> str:
    if held is None:
        return "null"
    return (
        f'{{"id":"{held.id}","expires_at":{_instant(held.expires_at)},'
        f'"granted":{{"tokens":{held.tokens}}}}}'
    )


def _limits(readings: Iterable[Reading]) -> str:
    """Limits with what is used and left of them, as `limits_shown` has them."""
    shown = []
    for reading in readings:
        numbers = {
            "granted": reading.granted,
            "used": reading.used,
            "reserved": reading.reserved,
            "requested": reading.requested,
            "remaining": reading.remaining,
            "resets_at": reading.resets_at,
        }
        shown.append(_LIMITS.of(reading.limit) + _plain(numbers)[1:])
    return b",".join(shown).decode()


def _beginning(limit: Limit) -> bytes:
    """All of a limit that is no number."""
    known = {
        "id": limit.id,
        "meter": limit.meter,
        "window": str(limit.window),
        "per": limit.per,
        "limit": limit.maximum,
    }
    return to_json(known)[:-1] + b","


_LIMITS: Final = OfLimits(_beginning)


def _errors(decision: Decision) -> str:
    return _any([{"id": error.id, "message": error.message} for error in decision.errors])


def _remedy(remedy: Remedy) -> dict[str, object]:
    match remedy.kind:
        case RemedyKind.UPGRADE:
            return {"type": remedy.kind, "plan": remedy.plan, "url": remedy.url}
        case RemedyKind.TOP_UP:
            return {"type": remedy.kind, "limit": remedy.limit, "url": remedy.url}
        case RemedyKind.WAIT:
            return {"type": remedy.kind, "until": remedy.until}
