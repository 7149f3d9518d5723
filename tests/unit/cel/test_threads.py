"""One program, eight threads: a program holds nothing that a thread could spoil for another."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from tests.unit.cel.world import bindings, program

THREADS, ROUNDS = 8, 100_000


def test_eight_threads_evaluating_one_program_get_their_own_answers() -> None:
    one = program(
        "request.counts.exists(n, n + request.estimated_tokens > 1000) "
        "&& request.estimated_tokens * 2 > 10 "
        '|| limits["x" + request.model].used > 1'
    )

    def wrong(thread: int) -> int:
        # every fourth context fails in the plain form, so both forms run at once
        known = []
        for at in range(64):
            tokens = thread * 8 + at * 2
            model = "none" if at % 4 == 0 else "x"
            bound = bindings(estimated_tokens=tokens, model=model, counts=[at, 900])
            bound["limits"] = {"xx": {"used": 0}}
            true = any(n + tokens > 1000 for n in (at, 900)) and tokens * 2 > 10
            known.append((bound, True if true else (None if model == "none" else False)))
        evaluate, failures = one.evaluate, 0
        for at in range(ROUNDS):
            bound, expected = known[at % 64]
            given = evaluate(bound)
            failures += (given is not expected) if expected is not None else isinstance(given, bool)
        return failures

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            assert sum(pool.map(wrong, range(THREADS))) == 0
    finally:
        sys.setswitchinterval(before)
