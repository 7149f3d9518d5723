"""Who is asked after, and when? Of many users a few at a time, and nobody is forgotten."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sidecar.api.answer import json_response
from sidecar.api.dashboard.asking import Answers
from sidecar.api.dashboard.passing import PassingLimits
from sidecar.api.endpoint import Call

START = datetime(2026, 5, 5, 12, tzinfo=UTC)


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def now(self) -> datetime:
        """The time."""
        return START + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        """Seconds."""
        return self.passed_s


class Api:
    """Answers as the API does, and counts who was asked after."""

    def __init__(self) -> None:
        self.used: dict[str, int] = {}
        self.lately: list[str] = []
        self.asked: Counter[str] = Counter()
        self.answers = Answers({
            "/v1/decisions": self._decisions, "/v1/entitlements": self._entitlements,
        })  # fmt: skip

    async def _decisions(self, call: Call) -> Any:
        return json_response(
            {"decisions": [{"request": {"user_id": user}} for user in self.lately]}
        )

    async def _entitlements(self, call: Call) -> Any:
        user = call.query["user_id"]
        self.asked[user] += 1
        return json_response({"limits": [minute(self.used.get(user, 0))]})


def minute(used: int) -> Mapping[str, object]:
    return {
        "id": "minute", "meter": "tokens", "window": "1m", "per": ["app", "user"], "limit": 100,
        "used": used, "reserved": 0, "granted": 0, "resets_at": "2026-05-05T13:00:00Z",
    }  # fmt: skip


@pytest.fixture
def world() -> tuple[Api, Clock, PassingLimits]:
    api, clock = Api(), Clock()
    return api, clock, PassingLimits(api.answers, clock)


async def test_all_come_to_their_turn_and_whoever_is_near_again_and_again(
    world: tuple[Api, Clock, PassingLimits],
) -> None:
    api, clock, passing = world
    others = [f"u{number}" for number in range(200)]
    api.lately, api.used = ["busy"], {"busy": 90, "u7": 150}
    for _ in range(100):
        found = await passing.of("acme", others)
        clock.passed_s += 3

    assert set(api.asked) == {*others, "busy"}
    assert sum(api.asked.values()) <= 100 * 8
    # Every other time: nobody is asked after again within five seconds.
    assert api.asked["busy"] >= 40
    assert api.asked["u7"] >= 20
    assert [line.user_id for line in found.lines[:2]] == ["u7", "busy"]
    assert (found.over, found.near) == (1, 1)


async def test_many_looks_at_once_ask_no_more(world: tuple[Api, Clock, PassingLimits]) -> None:
    api, _, passing = world
    for _ in range(20):
        await passing.of("acme", [f"u{number}" for number in range(200)])

    assert sum(api.asked.values()) == 8


async def test_what_somebody_had_long_ago_is_not_shown(
    world: tuple[Api, Clock, PassingLimits],
) -> None:
    api, clock, passing = world
    api.lately, api.used = ["ann"], {"ann": 150}
    assert (await passing.of("acme", [])).over == 1
    api.lately = []
    clock.passed_s = 61

    # Whoever was near is asked after again, and is not any more.
    api.used = {}
    assert (await passing.of("acme", [])).over == 0
    assert api.asked["ann"] == 2
