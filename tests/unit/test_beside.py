"""Work beside the answers: no defect ends it silently."""

import asyncio
from time import monotonic

import pytest

from sidecar import beside as room
from sidecar.beside import beside, ends_of_work
from sidecar.logs import configure_logging


class Faulty:
    """Work that a defect ends so many times."""

    def __init__(self, faults: int) -> None:
        self.begun: list[float] = []
        self.goes_on = asyncio.Event()
        self._faults = faults

    async def work(self) -> None:
        self.begun.append(monotonic())
        if len(self.begun) <= self._faults:
            raise KeyError("a defect")
        self.goes_on.set()
        await asyncio.Event().wait()


async def test_work_that_a_defect_ends_is_logged_counted_and_begun_again_ever_later(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    configure_logging("json")
    monkeypatch.setattr(room, "_FIRST_WAIT_S", 0.01)
    faulty = Faulty(faults=4)
    before = ends_of_work().get("Faulty.work", 0)

    async with beside(faulty.work):
        await asyncio.wait_for(faulty.goes_on.wait(), 5)

    assert ends_of_work()["Faulty.work"] - before == 4
    pauses = [later - sooner for sooner, later in zip(faulty.begun, faulty.begun[1:], strict=False)]
    assert all(
        pause >= least for pause, least in zip(pauses, (0.01, 0.02, 0.04, 0.08), strict=True)
    )
    errors = capfd.readouterr().err
    assert errors.count('"task_ended"') == 4
    assert "KeyError: 'a defect'" in errors


async def test_work_that_is_done_is_not_begun_again() -> None:
    done: list[bool] = []

    async def work() -> None:
        done.append(True)

    async with beside(work, "done"):
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert done == [True]
    assert "done" not in ends_of_work()


async def test_work_ends_with_what_it_stands_beside() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with beside(work):
        await asyncio.sleep(0)
    assert ended.is_set()
