"""How much of the store, and of everybody's time, does one report of use take?"""

import json
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from sidecar.adapters.clock import SystemClock
from sidecar.api.endpoint import Call
from sidecar.api.faults import InvalidBody
from sidecar.api.reports import Reports
from sidecar.domain.request import Amounts
from sidecar.domain.usage import UsageRow


class Kept:
    """A meter that kept one row of each of some models in every hour."""

    def __init__(self, models: int) -> None:
        self._models = models
        self.visits: list[tuple[int, int]] = []

    async def usage(
        self, app_id: str, user_id: str | None, first_hour: int, last_hour: int, *, since: float
    ) -> tuple[UsageRow, ...]:
        self.visits.append((first_hour, last_hour))
        return tuple(
            UsageRow(hour, user_id or "", f"m{model}", "", "", "", Amounts(1, requests=1))
            for hour in range(first_hour, last_hour + 1)
            for model in range(self._models)
        )


class NoPrices:
    """Policies whose rules know no price."""

    prices = None

    @property
    def snapshot(self) -> "NoPrices":
        return self


async def told(kept: Kept, **asked: str) -> dict[str, Any]:
    reports = Reports(cast("Any", kept), cast("Any", NoPrices()), SystemClock())
    answer = await reports.usage(Call({}, {"app_id": "a"} | asked, b"", {}))
    body: dict[str, Any] = json.loads(bytes(answer.body))
    return body


def hour(at: datetime) -> int:
    return int(at.timestamp()) // 3600


async def test_the_store_is_asked_for_a_day_at_a_time() -> None:
    kept = Kept(models=1)
    body = await told(kept, **{"from": "2026-05-01T22:30:00Z", "to": "2026-05-04T00:30:00Z"})

    days = [hour(datetime(2026, 5, day, tzinfo=UTC)) for day in (1, 2, 3, 4)]
    assert kept.visits == [
        (days[0] + 22, days[0] + 23),
        (days[1], days[1] + 23),
        (days[2], days[2] + 23),
        (days[3], days[3]),
    ]
    assert len(body["series"]) == 2 + 24 + 24 + 1
    assert body["totals"]["requests"] == 51


async def test_a_day_has_all_its_hours() -> None:
    asked = {"from": "2026-05-01", "to": "2026-05-03", "granularity": "day"}
    body = await told(Kept(models=2), **asked)

    rows = [(row["start"], row["total_tokens"]) for row in body["series"]]
    assert rows == [("2026-05-01T00:00:00Z", 48), ("2026-05-02T00:00:00Z", 48)]


@pytest.mark.parametrize("models", [4, 5])
async def test_an_answer_has_an_end(models: int) -> None:
    asked = {"from": "2026-01-01", "to": "2026-04-01", "group_by": "model"}
    if models == 4:
        assert len((await told(Kept(models), **asked))["series"]) == 90 * 24 * 4
    else:
        with pytest.raises(InvalidBody, match="group_by: more than 10,000 rows; ask for days"):
            await told(Kept(models), **asked)
