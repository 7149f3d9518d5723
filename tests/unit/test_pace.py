"""Are policies that nobody uses any more gone at once, and do others get their turn meanwhile?"""

import gc
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sidecar.domain.modes import Ceiling
from sidecar.policy.load import SHIPPED_SETS, examine, load, shipped
from sidecar.policy.pace import at_leisure, breathe
from tests.processes import ROOT


@contextmanager
def without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("name", SHIPPED_SETS)
def test_a_set_that_nobody_has_any_more_leaves_nothing_to_be_collected(name: str) -> None:
    load(shipped(name), ceiling=Ceiling.AS_WRITTEN)
    with without_collector():
        policies = load(shipped(name), ceiling=Ceiling.AS_WRITTEN)
        assert policies.plans
        del policies

        assert gc.collect() == 0


def test_a_set_that_is_refused_leaves_nothing_to_be_collected() -> None:
    folder = ROOT / "tests/broken/example"
    examine(folder, ceiling=Ceiling.AS_WRITTEN)
    with without_collector():
        assert examine(folder, ceiling=Ceiling.AS_WRITTEN).policies is None

        assert gc.collect() == 0


def test_who_works_at_leisure_rests_between_bites() -> None:
    def bite() -> None:
        end = time.thread_time() + 0.0015
        while time.thread_time() < end:
            pass

    began = time.perf_counter()
    with at_leisure():
        for _ in range(20):
            bite()
            breathe()

    assert time.perf_counter() - began > 20 * (0.0015 + 0.002)


def test_afterwards_everything_is_as_before() -> None:
    before = sys.getswitchinterval(), gc.get_threshold()

    with at_leisure():
        assert sys.getswitchinterval() < before[0]

    assert (sys.getswitchinterval(), gc.get_threshold()) == before
    began = time.perf_counter()
    for _ in range(1_000):
        breathe()
    assert time.perf_counter() - began < 1


def test_one_at_a_time_works_at_leisure() -> None:
    inside, seen = 0, []

    def work() -> None:
        nonlocal inside
        with at_leisure():
            inside += 1
            seen.append(inside)
            time.sleep(0)
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [1] * 8


def test_a_file_that_is_edited_often_leaves_memory_as_it_was(tmp_path: Path) -> None:
    text = (ROOT / "policies/platform/policy.yaml").read_text()
    file = tmp_path / "policy.yaml"
    gc.collect()

    def frozen_after(times: int) -> int:
        for number in range(times):
            file.write_text(text.replace("10000", str(10_000 + number)))
            with at_leisure():
                load(tmp_path, ceiling=Ceiling.AS_WRITTEN)
        return gc.get_freeze_count()

    frozen_after(3)
    before = frozen_after(1)

    assert frozen_after(20) - before < 200
    gc.unfreeze()
