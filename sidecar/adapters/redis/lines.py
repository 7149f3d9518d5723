"""How is it written what a script is told, and what does that mean which it returns?

The scripts say at their tops what they read and return: lines of text, and numbers.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import unquote

import orjson

from sidecar.adapters.documents import read_limits, short_digest
from sidecar.adapters.redis.channel import bytes_of
from sidecar.adapters.redis.keys import quoted, session_name
from sidecar.domain.counting import (
    Content,
    Counter,
    Layout,
    instant_or_none,
    lay_out,
    readings_of,
)
from sidecar.domain.grants import Grant, GrantBalance
from sidecar.domain.limits import Charge, Limit, Reading
from sidecar.domain.request import MAX_INTEGER, Amounts, CheckRequest, MeterKind
from sidecar.domain.usage import (
    PLACE,
    ChargedEvent,
    EventKind,
    ReservationState,
    Settlement,
    UsageRow,
    app_of,
    token_of,
)
from sidecar.domain.windows import from_ms, to_ms

_STATES: Final = {state.value: state for state in ReservationState}


class Told(NamedTuple):
    """What a script returns: lines and, as doubles, numbers; most have none to tell."""

    lines: list[str]
    numbers: bytes


def read_told(reply: object) -> Told:
    """The reply of a script."""
    if isinstance(reply, list):
        lines, numbers = reply
        return Told(lines.split("\n"), bytes_of(numbers))
    assert isinstance(reply, str)  # there is nothing else that a script returns
    return Told(reply.split("\n"), b"")


def dimensions(request: CheckRequest) -> str:
    """What a request is reported under, beside its user."""
    return _dimensions(request.model, request.workflow, request.agent, request.plugin)


@lru_cache(4_096)
def _dimensions(*values: str) -> str:
    return "\t".join(map(quoted, values))


def write_events(events: Iterable[ChargedEvent], app_id: str) -> str:
    """Events of one app, as record.lua reads them."""
    return orjson.dumps([_event(charged, app_id) for charged in events]).decode()


def read_readings(charges: Sequence[Charge], layout: Layout, told: bytes) -> tuple[Reading, ...]:
    """What readings.lua tells, one for each charge."""
    numbers = _unpacked(told)
    further = numbers[3 * len(layout.counters) :] or [0] * 2 * len(charges)
    contents = []
    for i, counter in enumerate(layout.counters):
        used, held, first = numbers[3 * i : 3 * i + 3]
        if counter.kind == "p":
            resets_ms = counter.b
        else:
            resets_ms = (first + 1) * counter.a + counter.b if used else 0
        contents.append(Content(used, held, resets_ms))
    # A period fits what it does not now when it begins anew.
    fits = [
        counter.b if counter.kind == "p" else at_ms
        for at_ms, counter in zip(
            further[::2], (layout.counters[index] for index in layout.indexes), strict=True
        )
    ]
    return readings_of(charges, layout, contents, fits, further[1::2])


def read_settlement(reservation_id: str, told: Told, now: Callable[[], datetime]) -> Settlement:
    """What settle.lua has done, with the limits after it.

    Args:
        now: by the store's clock, which grants can be drawn by.
    """
    lines, readings = told.lines, list[Reading]()
    if lines[5]:
        numbers = _unpacked(told.numbers)
        granted = _left_by(lines[7:], now) if lines[7] else None
        for limit, i in read_limits(lines[5]):
            used, held, resets_ms = numbers[3 * i : 3 * i + 3]
            left = granted(limit) if granted else 0
            resets_at = instant_or_none(resets_ms)
            readings.append(Reading(limit, limit.counted(used), held, 0, resets_at, True, left))
    expires_at = from_ms(int(lines[3]))
    state, tokens = _STATES[lines[2]], int(lines[4])
    return Settlement(reservation_id, state, expires_at, tokens, tuple(readings))


def _left_by(lines: Iterable[str], now: Callable[[], datetime]) -> Callable[[Limit], int]:
    """How much grants pay for a limit."""
    at = now()
    purse = [balance for balance in read_balances("", "", lines) if balance.pays(at)]

    def left(limit: Limit) -> int:
        found = (balance.left for balance in purse if balance.grant.scope in limit.scopes)
        return min(sum(found), MAX_INTEGER)

    return left


def read_balances(app_id: str, user_id: str, lines: Iterable[str]) -> Iterator[GrantBalance]:
    """The grants of a user, a line each."""
    return (read_balance(app_id, user_id, line) for line in lines if line)


def read_balance(app_id: str, user_id: str, line: str) -> GrantBalance:
    """One grant, as purses.lua keeps it."""
    id_, scope, amount, used, held, effective, expires, revoked, _, reason = line.rstrip(
        "\n"
    ).split(" ")
    scope = unquote(scope)
    is_named = scope.startswith("=")
    grant = Grant(
        id=unquote(id_),
        app_id=app_id,
        user_id=user_id,
        limit=scope[1:] if is_named else "",
        meter=None if is_named else MeterKind(scope),
        amount=int(amount),
        effective_at=from_ms(int(effective)),
        expires_at=instant_or_none(int(expires)),
        reason=unquote(reason),
    )
    return GrantBalance(grant, int(used), int(held), revoked == "1")


def read_usage(
    user_id: str, told: Sequence[str], first_hour: int, last_hour: int
) -> Iterator[UsageRow]:
    """The rows of some hours, of a day of the reports as reports.lua keeps it.

    Args:
        told: fields, each with its value behind it.
    """
    # A day has each name many times, and hours that nobody asked for.
    names: dict[str, tuple[str, ...]] = {}
    for field, value in zip(told[::2], told[1::2], strict=True):
        of_hour, _, named = field.partition("\t")
        hour = int(of_hour)
        if not first_hour <= hour <= last_hour:
            continue
        tokens, received, sent, requests, cost = map(int, value.split(" "))
        # Of some all was told again by others.
        if tokens or received or sent or requests or cost:
            found = names.get(named)
            if found is None:
                found = names[named] = tuple(map(unquote, named.split("\t")))
            model, workflow, agent, plugin = found
            used = Amounts(tokens, received, sent, requests, cost)
            yield UsageRow(hour, user_id, model, workflow, agent, plugin, used)


def entry_of(counter: Counter) -> list[object]:
    """A counter as records.lua reads it."""
    entry = [
        counter.name, counter.kind, counter.a, counter.b, counter.meter, _bound(counter.bound),
        [quoted(scope) for scope in counter.scopes], counter.amount,
    ]  # fmt: skip
    return [*entry, *_stated(counter)]


def _stated(counter: Counter) -> list[object]:
    return [quoted(counter.limit), _bound(counter.included)] if counter.limit else []


def _bound(units: int | None) -> int:
    return -1 if units is None else units


def _unpacked(numbers: bytes) -> list[int]:
    return list(map(int, struct.unpack(f"<{len(numbers) // 8}d", numbers)))


def _event(charged: ChargedEvent, app_id: str) -> list[object]:
    event, at_ms = charged.event, to_ms(charged.event.at)
    used, hold = event.used, event.reservation_id
    token = token_of(hold) if app_of(hold) == app_id else ""
    counters = [
        [*entry_of(counter)[:8], counter.bucket(at_ms), *_stated(counter)]
        for counter in lay_out(charged.charges, at_ms).counters
    ]
    user_id, rates = event.request.subject.user_id, charged.rates
    return [
        short_digest(event.id), token[:PLACE], token[PLACE:],
        at_ms // 3_600_000, quoted(user_id), dimensions(event.request),
        used.tokens, used.input_tokens, used.output_tokens, used.requests, used.cost, counters,
        session_name(user_id, event.request.session_id),
        (rates.input, rates.output) if event.kind is EventKind.SUMMARY else (),
    ]  # fmt: skip
