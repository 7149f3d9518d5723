"""`GET /v1/usage/periods`: what an invoice is made from, period by period."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic_core import from_json, to_json
from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.endpoint import Call
from sidecar.api.faults import FieldFault, InvalidBody
from sidecar.api.queries import PERIODS_QUERY, PeriodsQuery
from sidecar.domain.statements import Amended, Statement, StatementKey
from sidecar.domain.windows import from_ms
from sidecar.ports import Clock, Statements

_LATEST_MS = 2**53


class Periods:
    """Shows the statements of an app, or of one of its users.

    Args:
        settle: how long after its end late reports still count in a period.
    """

    def __init__(self, statements: Statements, clock: Clock, settle: timedelta) -> None:
        self._statements = statements
        self._clock = clock
        self._settle = settle

    async def show(self, call: Call) -> Response:
        """One page of them, in the order of users, counters and starts."""
        asked = call.asked(PERIODS_QUERY)
        after = None if asked.cursor is None else read_cursor(asked.cursor)
        page = await self._statements.page(
            asked.app_id, asked.user_id, after, asked.limit, since=self._clock.monotonic()
        )
        now = self._clock.now()
        shown = [
            _line(each, self._settle, now, page.counted_from_ms or 0)
            for each in page.statements
            if _is_asked_for(each, asked, self._settle, now)
        ]
        return json_response(
            {
                "app_id": asked.app_id,
                "user_id": asked.user_id,
                "periods": shown,
                "next_cursor": page.last and write_cursor(page.last),
            }
        )


def write_cursor(key: StatementKey) -> str:
    """Where the next page begins, as text that callers hand back."""
    return urlsafe_b64encode(to_json(key)).decode().rstrip("=")


def read_cursor(cursor: str) -> StatementKey:
    """The key of `write_cursor`.

    Raises:
        InvalidBody: it is none.
    """
    try:
        match from_json(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))):
            case [str() as owner, str() as counter, int() as start] if 0 <= start <= _LATEST_MS:
                return StatementKey(owner, counter, start)
    except ValueError:
        pass
    raise InvalidBody([FieldFault("cursor", "not the next_cursor of an earlier answer")])


def _is_asked_for(
    statement: Statement, asked: PeriodsQuery, settle: timedelta, now: datetime
) -> bool:
    start, end = from_ms(statement.key.start_ms), from_ms(statement.end_ms)
    return (
        (asked.from_ is None or asked.from_ < end)
        and (asked.to is None or start < asked.to)
        and asked.state in (None, statement.state(settle, now))
    )


def _line(
    statement: Statement, settle: timedelta, now: datetime, counted_from_ms: int
) -> dict[str, object]:
    adjustments = statement.adjustments(settle)
    used = statement.used - sum(each.used for each in adjustments)
    dimensions = statement.dimensions
    return {
        "user_id": dimensions.get("user"),
        "limit": statement.limit,
        "meter": statement.meter,
        "window": statement.window,
        "dimensions": {name: dimensions[name] for name in dimensions if name != "user"},
        "start": from_ms(statement.key.start_ms),
        "end": from_ms(statement.end_ms),
        "closes_at": statement.closes_at(settle),
        "state": statement.state(settle, now),
        "included": statement.included,
        "used": used,
        "granted": statement.granted - sum(each.granted for each in adjustments),
        "overage": statement.overage(used),
        "adjustments": list(_adjusted(statement, used, adjustments)),
        "warnings": [
            {"code": code, "message": message}
            for code, message in _warnings(statement, counted_from_ms)
        ],
    }


def _adjusted(
    statement: Statement, used: int, adjustments: tuple[Amended, ...]
) -> Iterator[dict[str, object]]:
    """Each adjustment with how much of it lies above the allowance."""
    for each in adjustments:
        before, used = used, used + each.used
        yield {
            "at": from_ms(each.hour * 3_600_000),
            "used": each.used,
            "granted": each.granted,
            "overage": statement.overage(used) - statement.overage(before),
        }


def _warnings(statement: Statement, counted_from_ms: int) -> Iterator[tuple[str, str]]:
    """What whoever makes an invoice from it should know."""
    if statement.is_cut:
        yield "ended_early", "The billing day changed, and another period began at its end."
    if statement.overlaps:
        message = "A report came that is older than the billing day; other periods lie across it."
        yield "overlaps", message
    if statement.is_lost:
        message = "The store lost the counter in this period: limits did not count what was before."
        yield "counter_lost", message
    if counted_from_ms > statement.key.start_ms:
        since = f"{from_ms(counted_from_ms):%Y-%m-%dT%H:%M:%SZ}"
        message = f"The store has counted this app since {since}; nothing before is known."
        yield "counted_later", message
