"""Usage is reported in the background, in batches, each event once."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar.client import Entitlements
from tests.client.conftest import used
from tests.processes import ROOT, Sidecar, clean_environment


def event(user: str, number: int, tokens: int = 1) -> dict[str, Any]:
    return {
        "event_id": f"{user}-{number}", "app_id": "acme", "user_id": user, "prompt_tokens": tokens,
    }  # fmt: skip


def test_events_are_sent_in_batches_and_counted_once(sidecar: Sidecar, user: str) -> None:
    with Entitlements(sidecar.url, key="runtime-key", app_id="acme") as client:
        for number in [*range(700), *range(100)]:
            assert client.report(event(user, number))
        assert client.flush()

        assert used(sidecar, user) == (700, 0)


def test_closing_sends_what_is_left(sidecar: Sidecar, user: str) -> None:
    client = Entitlements(sidecar.url, key="runtime-key", batch_s=60)
    client.report(event(user, 1, tokens=7))

    client.close()

    assert used(sidecar, user) == (7, 0)


def test_an_event_without_app_and_id_is_of_the_clients_app_and_no_other_one(
    sidecar: Sidecar, user: str
) -> None:
    told = {"user_id": user, "total_tokens": 4}
    with Entitlements(sidecar.url, key="runtime-key", app_id="acme") as client:
        assert client.report(told)
        assert client.report(told)
        assert client.flush()

    assert used(sidecar, user) == (8, 0)


def test_an_event_that_is_wrong_is_said_and_stops_no_other(
    sidecar: Sidecar, user: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Entitlements(sidecar.url, key="runtime-key") as client:
        client.report({"event_id": "no-user", "app_id": "acme"})
        client.report(event(user, 1, tokens=5))
        assert client.flush()

    assert used(sidecar, user) == (5, 0)
    assert "events were rejected" in caplog.text
    assert "user_id" in caplog.text


def test_a_process_that_ends_sends_what_it_has(sidecar: Sidecar, user: str, tmp_path: Path) -> None:
    script = (
        "from sidecar.client import Entitlements\n"
        f"client = Entitlements({sidecar.url!r}, key='runtime-key', batch_s=60)\n"
        f"client.report({event(user, 1, tokens=9)!r})\n"
    )

    subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=clean_environment(), check=True, timeout=60
    )

    assert used(sidecar, user) == (9, 0)
