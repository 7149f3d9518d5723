"""`GET /v1/usage`: what was used, hour by hour or day by day, and by what."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from starlette.responses import Response

from sidecar.api.answer import json_response
from sidecar.api.endpoint import Call
from sidecar.api.faults import FieldFault, InvalidBody, misfit
from sidecar.api.queries import USAGE_QUERY, OwnUsageQuery
from sidecar.domain.request import Amounts
from sidecar.domain.usage import UsageRow
from sidecar.ports import Clock, Meter, Policies, Prices

_HOURS_A_DAY = 24
_MOST_ROWS = 10_000
"""Rows of one answer: enough for 90 days by the hour and four models."""

_Key = tuple[int, tuple[str, ...]]


class Reports:
    """Sums up what the meter kept of each hour."""

    def __init__(self, meter: Meter, policies: Policies, clock: Clock) -> None:
        self._meter = meter
        self._policies = policies
        self._clock = clock

    async def usage(self, call: Call) -> Response:
        """Of an app or of one of its users."""
        asked = call.asked(USAGE_QUERY)
        return json_response(await self.report(asked.app_id, asked.user_id, asked))

    async def report(
        self, app_id: str, user_id: str | None, asked: OwnUsageQuery
    ) -> dict[str, object]:
        """What is shown of it.

        Args:
            user_id: None for all users together.

        Raises:
            InvalidBody: it is asked for no time, or for too much.
        """
        try:
            first, end = asked.hours(self._clock.now())
        except ValueError as error:
            raise misfit(error) from None
        series: dict[_Key, Amounts] = defaultdict(Amounts)
        for begin, last in _days(first, end):
            # A day at a time: no store and no other caller waits for all of them.
            rows = await self._meter.usage(
                app_id, user_id, begin, last, since=self._clock.monotonic()
            )
            for row in rows:
                key = _key(asked, row)
                series[key] = _sum(series[key], row.used)
            if len(series) > _MOST_ROWS:
                message = f"more than {_MOST_ROWS:,} rows; ask for days, a shorter time or less"
                raise InvalidBody([FieldFault("group_by", message)])
        whose: dict[str, object] = {"app_id": app_id, "user_id": user_id}
        return whose | _body(asked, first, end, series, self._policies.snapshot.prices)


def _days(first: int, end: int) -> Iterator[tuple[int, int]]:
    """The first and last hour of each day (UTC) of a time."""
    while first < end:
        midnight = (first // _HOURS_A_DAY + 1) * _HOURS_A_DAY
        yield first, min(midnight, end) - 1
        first = midnight


def _key(asked: OwnUsageQuery, row: UsageRow) -> _Key:
    start = row.hour
    if asked.granularity == "day":
        start -= start % _HOURS_A_DAY
    return start, tuple(getattr(row, name) for name in asked.group_by)


def _sum(one: Amounts, other: Amounts) -> Amounts:
    return Amounts(
        tokens=one.tokens + other.tokens,
        input_tokens=one.input_tokens + other.input_tokens,
        output_tokens=one.output_tokens + other.output_tokens,
        requests=one.requests + other.requests,
        cost=one.cost + other.cost,
    )


def _body(
    asked: OwnUsageQuery,
    first: int,
    end: int,
    series: Mapping[_Key, Amounts],
    prices: Prices | None,
) -> dict[str, object]:
    total = Amounts()
    for used in series.values():
        total = _sum(total, used)
    return {
        "from": _instant(first),
        "to": _instant(end),
        "granularity": asked.granularity,
        "group_by": asked.group_by,
        **({} if prices is None else {"currency": prices.currency}),
        "series": [
            {
                "start": _instant(start),
                **dict(zip(asked.group_by, names, strict=True)),
                **_used(used, prices),
            }
            for (start, names), used in sorted(series.items())
        ],
        "totals": _used(total, prices),
    }


def _used(used: Amounts, prices: Prices | None) -> dict[str, object]:
    return {
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "total_tokens": used.tokens,
        "requests": used.requests,
        "estimated_cost": None if prices is None else used.cost,
    }


def _instant(hour: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
