"""The short form of `make reload`: fewer checks a second, and fewer rules."""

from pathlib import Path

import pytest

from tests.reloading.show import show

RATE = 200
"""Checks a second; fewer where the machine could not answer twice as many before."""
RULES = 200


@pytest.mark.parametrize("workers", [1, 2])
async def test_policies_are_replaced_and_a_broken_set_refused_while_no_check_fails(
    workers: int, tmp_path: Path
) -> None:
    shown = await show(tmp_path, rate=RATE, rules=RULES, workers=workers, quiet_s=0.5)

    assert shown.failed == []
    assert len(shown.answers) > shown.rate
    assert shown.torn == []
    assert shown.stale == []
    assert {it.revision for it in shown.answers} == set(shown.revisions.values())
    assert len(set(shown.revisions.values())) == 3
    assert shown.rejected["reason"] == "invalid"
    assert "25.yaml:4:1: error[B1] unknown field 'modee'" in str(shown.rejected["message"])
