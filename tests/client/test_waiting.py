"""What was reported while the sidecar was away counts for when it was used, by its clock."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar.client import Entitlements
from sidecar.client.asking import Reply
from sidecar.client.waiting import Waiting, time_there
from tests.processes import Sidecar, await_that, free_port

THERE = datetime(1999, 12, 31, 23, 59, tzinfo=UTC)
HOUR_S = 3_600.0


def test_an_event_that_has_waited_says_since_when() -> None:
    told = Waiting({"user_id": "ann"}, since_s=100.0).told(100.0 + HOUR_S, THERE)

    assert told == {"user_id": "ann", "event_ts": "1999-12-31T22:59:00+00:00"}


def test_what_the_caller_says_of_the_time_is_left_alone() -> None:
    event = {"user_id": "ann", "event_ts": "2026-05-05T21:30:00Z"}

    assert Waiting(event, since_s=0.0).told(HOUR_S, THERE) == event


@pytest.mark.parametrize("waited_s", [0.0, 1.9, 7 * 86_400.0])
def test_what_comes_at_once_or_later_than_is_taken_counts_when_it_arrives(waited_s: float) -> None:
    assert Waiting({"user_id": "ann"}, since_s=0.0).told(waited_s, THERE) == {"user_id": "ann"}


def test_a_sidecar_that_does_not_tell_the_time_is_told_none() -> None:
    assert Waiting({"user_id": "ann"}, since_s=0.0).told(HOUR_S, None) == {"user_id": "ann"}
    assert time_there(Reply(200, None)) is None
    assert time_there(Reply(200, None, date="yesterday")) is None
    assert time_there(Reply(200, None, date="Fri, 31 Dec 1999 23:59:00 GMT")) == THERE


def test_use_of_an_outage_stands_in_the_hour_in_which_it_was_used(
    policies: Path, tmp_path: Path, user: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, hours = time.monotonic, [0]
    monkeypatch.setattr(
        "sidecar.client.background.time",
        type("Clock", (), {"monotonic": staticmethod(lambda: begun() + hours[0] * HOUR_S)}),
    )
    port = ("--port", str(free_port()))
    server = Sidecar(policies=policies, store="sqlite://", cwd=tmp_path, arguments=port)
    with Entitlements(f"http://127.0.0.1:{port[1]}", app_id="acme") as client:
        client.report({"user_id": user, "total_tokens": 4})
        hours[0] = 30
        client.report({"user_id": user, "total_tokens": 5})
        with server:
            await_that(lambda: client.flush(1.0), "all is sent")
            told = server.client.get("/v1/usage/export", params={"app_id": "acme"}).text
    events = {each["total_tokens"]: each for each in map(json.loads, told.splitlines())}

    now = datetime.now(UTC)
    first, second = (datetime.fromisoformat(events[tokens]["event_ts"]) for tokens in (4, 5))
    assert timedelta(hours=29, minutes=58) < now - first < timedelta(hours=30, minutes=2)
    assert now - second < timedelta(minutes=2)
