"""The sidecar goes away in the middle: nothing hangs, nothing breaks, nothing is lost."""

import asyncio
import logging
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.client import AsyncEntitlements, Entitlements, PaymentRequired, SidecarUnavailable
from sidecar.client.asking import OnFailure
from tests.processes import Sidecar, await_that

ESTIMATE = 100


@pytest.fixture
def sidecar(policies: Path, tmp_path: Path) -> Iterator[Sidecar]:
    """One that may be killed, and comes back on the same port with what it had counted."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with Sidecar(
        policies=policies,
        store="sqlite:///./counters.db",
        cwd=tmp_path,
        arguments=("--port", str(port)),
    ) as running:
        yield running


def used(sidecar: Sidecar, user: str) -> int:
    query = {"app_id": "acme", "user_id": user}
    told = sidecar.client.get("/v1/entitlements", params=query).json()
    tokens: int = told["limits"][0]["used"]
    return tokens


def client_of(sidecar: Sidecar, on_failure: OnFailure = "open") -> Entitlements:
    return Entitlements(sidecar.url, app_id="acme", on_failure=on_failure)


def test_open_continues_and_what_was_used_arrives_later(sidecar: Sidecar, user: str) -> None:
    with client_of(sidecar) as client:
        with client.reserve(user, output_tokens=ESTIMATE) as before:
            before.add(output_tokens=10)
            sidecar.kill()
        with client.reserve(user, output_tokens=ESTIMATE) as meanwhile:
            meanwhile.add(output_tokens=20)
        assert not before.decision.is_local
        assert meanwhile.decision.is_local
        assert meanwhile.decision.degraded

        sidecar.start()
        await_that(lambda: client.flush(1.0), "all is sent")

        assert used(sidecar, user) == 30
        await_that(lambda: not client.check(user).is_local, "it is asked again")
        with client.reserve(user, output_tokens=ESTIMATE) as after:
            after.add(output_tokens=3)
        assert not after.decision.is_local
        assert used(sidecar, user) == 33


def test_what_was_used_counts_though_the_store_has_lost_the_reservation(
    sidecar: Sidecar, user: str, tmp_path: Path
) -> None:
    with client_of(sidecar) as client:
        with client.reserve(user, output_tokens=ESTIMATE) as lost:
            lost.add(output_tokens=40)
            sidecar.kill()
            for file in tmp_path.glob("counters.db*"):
                file.unlink()
            sidecar.start()
        assert client.flush()

        assert used(sidecar, user) == 40


def test_closed_refuses_until_it_is_back(sidecar: Sidecar, user: str) -> None:
    with client_of(sidecar, "closed") as client:
        sidecar.kill()
        with (
            pytest.raises(PaymentRequired, match="did not answer") as refused,
            client.reserve(user, output_tokens=ESTIMATE),
        ):
            raise AssertionError("it ran")
        assert refused.value.decision.status == 503
        assert refused.value.decision.retry_after_s == 1

        sidecar.start()
        await_that(lambda: client.check(user).allowed, "it is asked again")


def test_a_plugin_is_not_taken_away_because_nobody_can_be_asked(
    sidecar: Sidecar, user: str
) -> None:
    with client_of(sidecar, "closed") as client:
        sidecar.kill()

        assert client.is_plugin_accessible(user, "basic_search")
        with pytest.raises(SidecarUnavailable):
            client.get_user_subscription(user)


def test_that_it_is_away_and_back_is_said_once_each(
    sidecar: Sidecar, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sidecar.client")
    with client_of(sidecar) as client:
        sidecar.kill()
        for _ in range(5):
            client.check(user)
        sidecar.start()
        await_that(lambda: not client.check(user).is_local, "it answers again")

    said = [each.getMessage() for each in caplog.records if each.name == "sidecar.client"]
    assert len(said) == 2
    assert said[0].startswith("the sidecar gives no answer, failing open: Connect")
    assert said[1] == "the sidecar answers again"


async def test_one_that_says_nothing_holds_up_the_first_and_then_nobody() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        async with AsyncEntitlements(url, app_id="acme", timeout_s=0.1) as client:
            begun = time.monotonic()
            answers = await asyncio.gather(*(client.check("ann") for _ in range(500)))
            lasted = time.monotonic() - begun

    assert all(each.is_local and each.allowed for each in answers)
    # One after the other they would take fifty seconds.
    assert lasted < 5


def test_what_there_is_no_room_for_is_dropped_counted_and_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = Entitlements(url, timeout_s=0.05, most_reports=3)
        taken = [client.report({"event_id": str(number)}) for number in range(5)]
        client.close(within_s=0.0)

    assert taken == [True, True, True, False, False]
    assert client.dropped == 2
    assert "1 reports of usage were dropped" in caplog.text
    assert "3 reports of usage were not delivered in time" in caplog.text
