"""The short form of `make fuzz-policies`."""

from pathlib import Path

from tests.fuzzing.directories import judge_mangled


def test_whatever_stands_in_a_directory_is_put_in_force_or_refused(tmp_path: Path) -> None:
    tally = judge_mangled(tmp_path, 250, seed=3)

    assert tally.failures == {}
    assert tally.operations["accepted"] > 5
    assert tally.operations["refused, invalid"] > 50
