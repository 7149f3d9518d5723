"""Sixty buckets let hardly less through than an exact log, and never more."""

from pathlib import Path

import pytest

from tests.processes import redis_server
from tests.race.admission import TRACES, measure
from tests.race.course import Course
from tests.race.leased import measure_leased


@pytest.mark.parametrize("trace", list(TRACES))
async def test_hardly_less_is_let_through_than_the_exact_log_would(
    trace: str, tmp_path: Path
) -> None:
    with redis_server(tmp_path) as server:
        course = Course(server.url, tmp_path, operations=0, users=1)
        admitted = await measure(course, trace, seeds=1)
    assert admitted.missing <= 0.02
    assert admitted.over <= 0


async def test_processes_that_answer_in_memory_keep_little_from_each_other(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        course = Course(server.url, tmp_path, operations=0, users=1)
        admitted = await measure_leased(course, "steady", traces=3, longer=1.5)
    assert admitted.in_memory > 500
    assert admitted.missing <= 0.02
    assert admitted.over <= 0
