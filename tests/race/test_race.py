"""Eight processes race for the same limits, and the exact log finds nothing wrong."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.processes import redis_cluster, redis_server
from tests.race.course import Course
from tests.race.run import Figures, run_race


@pytest.fixture(params=["redis", "cluster", "sqlite"])
def course(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Course]:
    """A short race over a store of its own.

    Of so few users each asks for more than a lifetime has, however slow the machine is.
    """
    short = Course(
        str(tmp_path / "race.db"), tmp_path, operations=2_000, users=2, windows_ms=(400, 900)
    )
    if request.param == "sqlite":
        yield short
    else:
        serve = redis_cluster if request.param == "cluster" else redis_server
        with serve(tmp_path) as server:
            yield replace(short, store=server.url)


def accept(figures: Figures) -> None:
    """Every promise that holds in any race."""
    assert figures.tally["wrong"] == 0
    assert figures.overrun.charged <= 0
    assert figures.overrun.decided <= 0
    assert figures.overrun.total <= figures.overrun.bound
    assert figures.counters == figures.ledger
    assert figures.differing == 0
    assert figures.adrift == 0
    assert figures.held == 0


def test_no_window_is_exceeded_and_nothing_is_counted_twice_or_lost(course: Course) -> None:
    figures = run_race(course)
    accept(figures)
    assert figures.tally["operations"] >= course.operations
    # It was a race: there was room for some, and none for others.
    assert figures.tally["grants"] > 10
    assert figures.tally["refusals"] > 10
    assert figures.tally["unavailable"] == 0


def test_no_window_is_exceeded_though_processes_answer_in_memory(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        course = Course(
            server.url,
            tmp_path,
            operations=8_000,
            users=1,
            processes=2,
            windows_ms=(12_000, 30_000),
            scale=10,
            leases=True,
        )
        figures = run_race(course)
    accept(figures)
    assert figures.tally["in memory"] > figures.tally["grants"] // 10
    assert figures.tally["refusals"] > 10
    assert figures.tally["unavailable"] == 0


def test_who_uses_more_than_was_held_exceeds_a_window_by_no_more_than_that(
    course: Course,
) -> None:
    figures = run_race(replace(course, processes=2, operations=800, overspending=0.5))
    accept(figures)
    assert figures.overrun.bound > 0
