"""In which order are files of tests given out? Those that take longest are begun first.

A file stays with one process, so whichever is begun last should be a short one: else all others
wait for it, and they have as much time as they are many.
"""

from typing import Final

import pytest

from tests.processes import ROOT

LONGEST: Final = (
    "tests/chaos/test_chaos.py",
    "tests/contract/test_grants_model.py",
    "tests/deploying/test_image.py",
    "tests/benchmarks/test_bench.py",
    "tests/failover/test_failover.py",
    "tests/race/test_race.py",
    "tests/client/test_streams.py",
    "tests/clients/test_storm.py",
    "tests/benchmarks/test_bench_scale.py",
    "tests/fuzzing/test_fuzzing.py",
    "tests/reloading/test_reloading.py",
    "tests/contract/test_stores_agree.py",
    "tests/contract/test_clock_steps.py",
    "tests/browser/test_docs_page.py",
    "tests/benchmarks/test_bench_meter.py",
    "tests/test_docs.py",
    "tests/clients/test_ending.py",
    "tests/e2e/test_serve.py",
)
"""Of more than ten seconds each, longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first, then those with many tests; within a file nothing changes."""
    order = {ROOT / file: place for place, file in enumerate(LONGEST)}
    assert all(file.exists() for file in order), "a file has another name now"
    count: dict[object, int] = {}
    for item in items:
        count[item.path] = count.get(item.path, 0) + 1
    items.sort(key=lambda item: (order.get(item.path, len(order)), -count[item.path]))
