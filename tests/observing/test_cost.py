"""What an allow pays for being counted, and what a scrape takes."""

import gc
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, perf_counter

from sidecar.adapters.metrics import catalogue
from sidecar.adapters.metrics.answered import CountedRequests
from sidecar.adapters.metrics.cells import SharedCells
from sidecar.adapters.metrics.decisions import CountedDecisions
from sidecar.adapters.metrics.exposition import exposed
from sidecar.adapters.metrics.instruments import Instruments
from sidecar.adapters.metrics.store import CountedStore
from sidecar.domain.decision import Decision, Effect
from sidecar.domain.modes import Mode

ALLOWED = Decision(
    id="dec_x", at=datetime(2026, 5, 5, tzinfo=UTC), effect=Effect.ALLOW, mode=Mode.ENFORCE,
    plan="free", subscription_status="active", reasons=(), readings=(), revision="sha256:0",
)  # fmt: skip


def shortest_s(work: Callable[[], object], times: int, repeats: int) -> float:
    """One turn in the best of several runs: a busy machine only makes the others longer."""
    found = []
    gc.disable()
    try:
        for _ in range(repeats):
            began = perf_counter()
            for _ in range(times):
                work()
            found.append((perf_counter() - began) / times)
    finally:
        gc.enable()
    return min(found)


def test_an_allow_pays_a_few_microseconds_for_all_that_is_counted_of_it(tmp_path: Path) -> None:
    with closing(SharedCells(tmp_path)) as cells:
        instruments = Instruments(cells)
        decisions = CountedDecisions(instruments, frozenset({"free", "pro"}))
        requests, store = CountedRequests(instruments), CountedStore(instruments)
        held = instruments.counter(catalogue.RESERVATIONS, "held")

        def count() -> None:
            began = monotonic()
            store.asked("reserve.lua", began)
            decisions.decided(ALLOWED, monotonic() - began)
            held.add()
            requests.answered("POST", "/v1/check", 200, 0.001)

        count()
        took_us = shortest_s(count, 2_000, 20) * 1e6

    print(f"{took_us:.2f} µs")
    assert took_us < 10


def test_a_scrape_of_eight_workers_with_a_thousand_series_each_holds_nobody_up_for_long(
    tmp_path: Path,
) -> None:
    with ExitStack() as stack:
        workers = [stack.enter_context(closing(SharedCells(tmp_path))) for _ in range(8)]
        for cells in workers:
            instruments = Instruments(cells)
            for number in range(1_000):
                instruments.counter(catalogue.OVER, f"limit-{number}").add()
        text = exposed(workers[0].rows())
        took_ms = shortest_s(lambda: exposed(workers[0].rows()), 1, 10) * 1e3

    print(f"{took_ms:.1f} ms")
    assert 'entitlement_limit_over_total{limit="limit-7"} 8\n' in text
    assert took_ms < 500
