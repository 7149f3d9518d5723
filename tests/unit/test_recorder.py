"""The recorder of decisions: nothing is forgotten at its end, and it takes little from others."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import cast

import orjson
from structlog.testing import capture_logs

from sidecar.adapters.clock import SystemClock
from sidecar.adapters.decisions.files import Series, decision_files
from sidecar.adapters.decisions.hidden import Hidden
from sidecar.adapters.decisions.lines import Lines
from sidecar.adapters.decisions.recorder import QUEUE, RECENT, RecordedDecisions
from sidecar.adapters.decisions.writer import Losses
from sidecar.domain.decision import Decision, Effect, Reason, ReasonCode
from sidecar.domain.modes import Mode
from sidecar.domain.request import CheckRequest, Subject
from sidecar.ports import Checked, Rules

REASON = Reason(ReasonCode.RULE_DENIED, "rule", Effect.DENY, Mode.ENFORCE, "No.")


def checked(number: int, effect: Effect = Effect.DENY) -> Checked:
    decision = Decision(
        id=f"dec_{number}",
        at=datetime.now(UTC),
        effect=effect,
        mode=Mode.ENFORCE,
        plan="free",
        subscription_status="none",
        reasons=(REASON,) if effect is Effect.DENY else (),
        readings=(),
        revision="sha256:0",
    )
    return Checked(CheckRequest(Subject("acme", "bob")), None, decision, cast("Rules", None))


def recorder(
    folder: Path, explain: Callable[[Checked], object] | None = None, kind: type[Series] = Series
) -> RecordedDecisions:
    series = kind(folder, SystemClock(), file_bytes=1 << 26, files=4)
    return RecordedDecisions(Lines(Hidden(()), 1.0, explain), series, folder, 1.0)


def ids_in(folder: Path) -> list[str]:
    lines = [line for file in decision_files(folder) for line in file.read_bytes().splitlines()]
    return [orjson.loads(line)["decision_id"] for line in lines]


class SlowSeries(Series):
    """A disk that takes its time, until it is let go on."""

    is_writing = Event()
    may_go_on = Event()

    def append(self, lines: bytes) -> None:
        """Write when it may."""
        self.is_writing.set()
        assert self.may_go_on.wait(20)
        super().append(lines)


async def test_what_is_decided_while_the_last_lines_are_written_is_written_too(
    tmp_path: Path,
) -> None:
    recording = recorder(tmp_path, kind=SlowSeries)
    with ThreadPoolExecutor(1) as thread:
        async with recording.opened():
            recording.record(checked(1))
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(thread, SlowSeries.is_writing.wait, 20)
            recording.record(checked(2))
            SlowSeries.may_go_on.set()

    assert ids_in(tmp_path) == ["dec_1", "dec_2"]


async def test_more_than_the_queue_holds_is_lost_and_counted(tmp_path: Path) -> None:
    recording = recorder(tmp_path)
    for number in range(QUEUE + 7):
        recording.record(checked(number))
    async with recording.opened():
        pass

    assert recording.lost == 7
    assert ids_in(tmp_path) == [f"dec_{number}" for number in range(QUEUE)]


async def test_the_latest_refusals_stay_in_memory_and_no_more(tmp_path: Path) -> None:
    recording = RecordedDecisions(Lines(Hidden(()), 1.0), None, None, 1.0)
    async with recording.opened():
        for number in range(RECENT + 3):
            recording.record(checked(number))
            recording.record(checked(-number, Effect.ALLOW))
        found = [await recording.find(f"dec_{number}") for number in range(RECENT + 3)]

    assert found[:3] == [None, None, None]
    assert all(found[3:])


async def test_a_decision_that_cannot_be_explained_is_recorded_all_the_same(
    tmp_path: Path,
) -> None:
    def explain(_: Checked) -> object:
        raise ZeroDivisionError("of the explanation")

    recording = recorder(tmp_path, explain)
    async with recording.opened():
        recording.record(checked(1))

    (file,) = decision_files(tmp_path)
    assert "of the explanation" in orjson.loads(file.read_bytes())["explanation"]["error"]


async def test_of_a_flood_of_refusals_most_are_recorded_without_an_explanation(
    tmp_path: Path,
) -> None:
    explained = 0

    def explain(_: Checked) -> object:
        nonlocal explained
        explained += 1
        until = time.perf_counter() + 0.002
        while time.perf_counter() < until:
            pass
        return {}

    recording = recorder(tmp_path, explain)
    async with recording.opened():
        for number in range(5_000):
            recording.record(checked(number))

    assert len(ids_in(tmp_path)) == 5_000
    # Half a second of saved time is 250, and what a few seconds more allow.
    assert 10 < explained < 1_000


def test_what_is_lost_again_and_again_is_told_of_once_a_minute() -> None:
    losses = Losses()
    with capture_logs() as logs:
        for _ in range(50):
            losses.add(2, "the disk is behind")
            losses.end()
        losses.sum_up()

    assert [(log["event"], log["lost"]) for log in logs] == [
        ("decisions_not_written", 2),
        ("decisions_written_again", 2),
        ("decisions_lost", 100),
    ]
