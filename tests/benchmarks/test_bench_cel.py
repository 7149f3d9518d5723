"""A short form of the benchmark: all engines answer alike, and the table is printed."""

from __future__ import annotations

import pytest

from tests.benchmarks import bench_cel


def test_all_engines_answer_alike_and_every_row_is_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # How fast each is on a busy machine is for a person to read, not for a test.
    bench_cel.main(["--quick"])

    shown = capsys.readouterr().out
    for row in (*bench_cel.ROWS, "rules of platform", "rules, one context"):
        assert row in shown
