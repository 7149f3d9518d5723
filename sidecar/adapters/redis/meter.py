"""The meter on Redis: each verb is one script, so each is all or nothing."""

import time
from collections.abc import Awaitable, Callable, Sequence

from sidecar.adapters.counting import Content, Layout, instant_or_none, lay_out, readings_of
from sidecar.adapters.documents import (
    digest,
    fingerprint,
    read_limits,
    read_request,
    write_limits,
    write_request,
)
from sidecar.adapters.redis.connection import Argument, RedisConnection, Reply, Script
from sidecar.adapters.redis.keys import app_prefix
from sidecar.domain.decision import Reservation
from sidecar.domain.limits import Charge, Reading
from sidecar.domain.request import Amounts, CheckRequest
from sidecar.domain.usage import (
    ChargedEvent,
    Hold,
    Metering,
    ReservationState,
    Settlement,
    Tally,
    app_of,
)
from sidecar.domain.windows import from_ms, to_ms
from sidecar.errors import (
    MeterUnavailable,
    RequestIdReused,
    ReservationEnded,
    Unavailable,
    UnknownReservation,
)

READ = Script("counters.lua", "read.lua")
RESERVE = Script("counters.lua", "reserve.lua")
SETTLE = Script("counters.lua", "settle.lua")
RECORD = Script("counters.lua", "record.lua")
SCRIPTS = (READ, RESERVE, SETTLE, RECORD)

_MAX_TRIES = 8


class RedisMeter:
    """Counts in Redis, by the server's clock.

    Args:
        connection: where the scripts run.
        now_ms: a clock instead of the server's, for tests.
    """

    def __init__(
        self, connection: RedisConnection, now_ms: Callable[[], int] | None = None
    ) -> None:
        self._connection = connection
        self._now_ms = now_ms
        self._ahead_ms = 0

    async def read(
        self, app_id: str, charges: Sequence[Charge], *, since: float
    ) -> tuple[Reading, ...]:
        """What the counters of these charges hold."""

        async def attempt(layout: Layout) -> list[str]:
            arguments: list[Argument] = [self._now(), len(layout.counters)]
            for counter in layout.counters:
                arguments += (counter.name, counter.kind, counter.a, counter.b)
            arguments += _limits(charges, layout)
            return await self._run(READ, app_id, arguments, since)

        layout, reply = await self._in_period(charges, attempt)
        return _readings(charges, layout, reply[2:])

    async def reserve(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        """Hold every charge, or none if an enforced limit has no room."""
        return await self._reserve(hold, charges, since, "reserve")

    async def recall(
        self, hold: Hold, charges: Sequence[Charge], *, since: float
    ) -> Metering | None:
        """The first answer to a request whose id came before, None if none is remembered."""
        try:
            return await self._reserve(hold, charges, since, "recall")
        except UnknownReservation:
            return None

    async def extend(self, hold: Hold, charges: Sequence[Charge], *, since: float) -> Metering:
        """Hold further units, or none, and let the reservation live its `ttl_s` from now."""
        return await self._reserve(hold, charges, since, "extend")

    async def held_request(self, reservation_id: str, *, since: float) -> CheckRequest:
        """The request that a live reservation was made for."""
        reply = await self._settle(reservation_id, "find", Amounts(), since)
        return read_request(reply[5])

    async def commit(
        self, reservation_id: str, used: Amounts, *, final: bool, since: float
    ) -> Settlement:
        """Charge what the run has used so far, in the windows in which it was held."""
        action = "finish" if final else "commit"
        return _settlement(reservation_id, await self._settle(reservation_id, action, used, since))

    async def release(self, reservation_id: str, *, since: float) -> Settlement:
        """Give back all that is held."""
        return _settlement(
            reservation_id, await self._settle(reservation_id, "release", Amounts(), since)
        )

    async def withdraw(self, reservation_id: str, *, since: float) -> None:
        """Give back all that is held, and forget the reservation and its request's id."""
        await self._settle(reservation_id, "withdraw", Amounts(), since)

    async def record(self, app_id: str, events: Sequence[ChargedEvent], *, since: float) -> Tally:
        """Count events that were not counted before, each in the window of its own time."""
        arguments: list[Argument] = [self._now(), len(events)]
        for charged in events:
            arguments += _event(charged)
        reply = await self._run(RECORD, app_id, arguments, since)
        return Tally(int(reply[1]), int(reply[2]))

    async def ping(self, *, since: float) -> None:
        """Return if Redis answers and takes writes."""
        try:
            await self._connection.command("SET", "s1:ping", "", "PX", 60_000, since=since)
        except Unavailable as error:
            raise MeterUnavailable(str(error)) from error

    async def _reserve(
        self, hold: Hold, charges: Sequence[Charge], since: float, action: str
    ) -> Metering:
        request = hold.request
        document = write_request(request)
        tokens = request.estimate.tokens

        async def attempt(layout: Layout) -> list[str]:
            arguments: list[Argument] = [
                self._now(),
                hold.reservation_id,
                request.ttl_s * 1000,
                digest(request.request_id) if request.request_id else "",
                fingerprint(document),
                hold.decision_id,
                document,
                write_limits(charges, layout.indexes),
                action,
                tokens,
                len(layout.counters),
            ]
            for counter in layout.counters:
                arguments += (
                    counter.name, counter.kind, counter.a, counter.b,
                    counter.meter.value, counter.amount,
                )  # fmt: skip
            arguments += _limits(charges, layout, enforced=True)
            return await self._run(RESERVE, request.subject.app_id, arguments, since)

        layout, reply = await self._in_period(charges, attempt)
        match reply[0]:
            case "reused":
                raise RequestIdReused(request.request_id)
            case "unknown":
                raise UnknownReservation(hold.reservation_id)
            case "ended":
                raise ReservationEnded(hold.reservation_id, reply[1])
        if len(reply) - 6 == 3 * len(layout.counters) + len(charges):
            readings = _readings(charges, layout, reply[6:])
        else:
            # The first answer was given under other limits.
            readings = await self.read(request.subject.app_id, charges, since=since)
        if reply[0] == "refused":
            return Metering(readings)
        reservation = Reservation(reply[5], from_ms(int(reply[2])), int(reply[4]))
        return Metering(readings, reservation, decision_id=reply[3])

    async def _settle(
        self, reservation_id: str, action: str, used: Amounts, since: float
    ) -> list[str]:
        app_id = app_of(reservation_id)
        if app_id is None:
            raise UnknownReservation(reservation_id)
        arguments: list[Argument] = [
            self._now(), reservation_id, action,
            used.tokens, used.input_tokens, used.output_tokens, used.cost,
        ]  # fmt: skip
        reply = await self._run(SETTLE, app_id, arguments, since)
        match reply[0]:
            case "unknown":
                raise UnknownReservation(reservation_id)
            case "ended":
                raise ReservationEnded(reservation_id, reply[1])
        return reply

    async def _in_period(
        self, charges: Sequence[Charge], attempt: Callable[[Layout], Awaitable[list[str]]]
    ) -> tuple[Layout, list[str]]:
        """Run a script until its periods are those of the server's own time.

        Periods are computed here and the script refuses them if its clock has left them.
        """
        for _ in range(_MAX_TRIES):
            layout = lay_out(charges, self._local_ms() + self._ahead_ms)
            reply = await attempt(layout)
            if reply[0] != "period":
                return layout, reply
            self._ahead_ms = int(reply[1]) - self._local_ms()
        raise MeterUnavailable("the store's clock does not stand still in any period")

    async def _run(
        self, script: Script, app_id: str, arguments: Sequence[Argument], since: float
    ) -> list[str]:
        while True:
            try:
                reply: Reply = await self._connection.run(
                    script, (app_prefix(app_id),), arguments, since=since
                )
            except Unavailable as error:
                raise MeterUnavailable(str(error)) from error
            assert isinstance(reply, list)  # every script returns one
            if reply[0] != "again":
                return reply
            if self._connection.is_over(since):
                # What was ended stays ended: whoever comes next has less to end.
                raise MeterUnavailable("more reservations are overdue than can be ended in time")

    def _local_ms(self) -> int:
        return time.time_ns() // 1_000_000 if self._now_ms is None else self._now_ms()

    def _now(self) -> Argument:
        return "" if self._now_ms is None else self._now_ms()


def _limits(charges: Sequence[Charge], layout: Layout, *, enforced: bool = False) -> list[Argument]:
    arguments: list[Argument] = [len(charges)]
    for charge, index in zip(charges, layout.indexes, strict=True):
        maximum = charge.limit.maximum
        arguments += (index + 1, -1 if maximum is None else maximum, charge.need)
        if enforced:
            arguments.append("1" if charge.limit.is_enforced else "")
    return arguments


def _event(charged: ChargedEvent) -> list[Argument]:
    event, at_ms = charged.event, to_ms(charged.event.at)
    layout = lay_out(charged.charges, at_ms)
    used = event.used
    arguments: list[Argument] = [
        digest(event.id), event.reservation_id,
        used.tokens, used.input_tokens, used.output_tokens, used.requests, used.cost,
        len(layout.counters),
    ]  # fmt: skip
    for counter in layout.counters:
        arguments += (
            counter.name,
            counter.kind,
            counter.a,
            counter.b,
            counter.bucket(at_ms),
            counter.amount,
        )
    return arguments


def _readings(
    charges: Sequence[Charge], layout: Layout, numbers: Sequence[str]
) -> tuple[Reading, ...]:
    count = len(layout.counters)
    contents = [
        Content(int(numbers[3 * i]), int(numbers[3 * i + 1]), int(numbers[3 * i + 2]))
        for i in range(count)
    ]
    fits = [int(number) for number in numbers[3 * count :]]
    return readings_of(charges, layout, contents, fits)


def _settlement(reservation_id: str, reply: Sequence[str]) -> Settlement:
    numbers = [int(number) for number in reply[6:]]
    readings = tuple(
        Reading(limit, numbers[3 * i], numbers[3 * i + 1], 0, instant_or_none(numbers[3 * i + 2]))
        for limit, i in read_limits(reply[4])
    )
    return Settlement(
        reservation_id,
        ReservationState(reply[1]),
        from_ms(int(reply[2])),
        int(reply[3]),
        readings,
    )
