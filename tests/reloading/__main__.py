"""`make reload`: 2,000 checks a second while 2,000 rules are replaced, broken and replaced."""

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.reloading.show import Shown, percentile, show


def main() -> int:
    """Print the table; 0 if nothing failed and every answer is of one whole set."""
    parser = argparse.ArgumentParser(prog="make reload", description=__doc__)
    parser.add_argument("--rate", type=float, default=2_000, help="checks a second")
    parser.add_argument("--rules", type=int, default=2_000)
    parser.add_argument("--workers", type=int, action="append", help="default: 1, then 2")
    asked = parser.parse_args()
    good = True
    for workers in asked.workers or [1, 2]:
        with tempfile.TemporaryDirectory(prefix="reload-") as folder:
            shown = asyncio.run(
                show(Path(folder), rate=asked.rate, rules=asked.rules, workers=workers)
            )
        tell(shown, workers)
        good = good and not (shown.failed or shown.torn or shown.stale)
    return 0 if good else 1


def tell(shown: Shown, workers: int) -> None:
    """Print what came of it."""
    print(
        f"workers {workers}, {shown.rate:,.0f} checks/s: {len(shown.answers):,} answers, "
        f"{len(shown.failed)} failed, {len(shown.torn)} of no whole set, "
        f"{len(shown.stale)} of an older one"
    )
    for why, times in Counter(shown.failed).most_common(5):
        print(f"  failed {times:,} times: {why}")
    print(f"  refused with: {str(shown.rejected['message']).splitlines()[0]}")
    print(f"  {'':18} {'s':>6} {'answers/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}")
    for phase in shown.phases:
        took = [it.took_s for it in shown.of(phase)]
        span_s = phase.end_s - phase.begin_s
        slowest_ms = max(took, default=0) * 1000
        print(
            f"  {phase.name:18} {span_s:6.1f} {len(took) / span_s:10.0f} "
            f"{percentile(took, 0.5):8.1f} {percentile(took, 0.99):8.1f} {slowest_ms:8.1f}"
        )


if __name__ == "__main__":
    sys.exit(main())
