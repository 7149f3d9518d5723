"""A short form of the fuzz: `make fuzz-cel` runs 20,000 of each."""

from __future__ import annotations

import random

import pytest

from sidecar.cel import CelError, Program
from sidecar.cel import compile as compile_cel
from tests.unit.cel.fuzz import LONGEST_MS, differences, mutations
from tests.unit.cel.generated import ENVIRONMENT, bindings, expression

SEED = 11


def test_google_s_engine_agrees_on_generated_expressions() -> None:
    unexplained = [
        each for each in differences(3_000, SEED) if each is not None and not each.reason
    ]
    assert unexplained == []


def test_a_mutated_text_is_a_program_or_a_problem_and_soon() -> None:
    found = list(mutations(3_000, SEED))
    assert [(source, escaped) for source, _, escaped in found if escaped] == []
    # one slow turn of a shared machine is no finding, so the text is tried again
    slow = [source for source, spent, _ in found if spent > LONGEST_MS]
    assert all(_milliseconds(source) <= LONGEST_MS for source in slow)


def _milliseconds(source: str) -> float:
    import time

    def once() -> float:
        start = time.thread_time()
        compile_cel(source, ENVIRONMENT)
        return (time.thread_time() - start) * 1000

    return min(once() for _ in range(3))


@pytest.mark.parametrize("seed", range(3))
def test_the_trace_ends_with_the_value(seed: int) -> None:
    pick = random.Random(seed)
    for _ in range(150):
        source, bound = expression(pick), bindings(pick)
        program = compile_cel(source, ENVIRONMENT)
        assert isinstance(program, Program), source
        value, steps = program.evaluate(bound), program.trace(bound)
        if isinstance(value, CelError):
            assert isinstance(steps[-1].value, CelError), source
        else:
            assert repr(steps[-1].value) == repr(value) or program.result.kind in {
                "timestamp",
                "duration",
                "dyn",
            }, source
