"""`make chaos`: everything around a server breaks while callers go on; with figures."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.chaos.breaking import BACK_S, MOST_S, Broken, break_all
from tests.chaos.filling import Filled, fill_disk
from tests.chaos.killing import Killed, kill_often

_MODES: Final = ("open", "closed", "local")
_STORES: Final = ("sqlite", "redis")


def main() -> int:
    """Print the figures; 0 if every promise was kept."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--lasts-s", type=float, default=3.0, help="of each fault")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--full-s", type=float, default=5.0, help="of the disk")
    parser.add_argument("--seed", type=int, default=20_260_505)
    told = parser.parse_args()
    kept = []
    with tempfile.TemporaryDirectory(prefix="sidecar-chaos-") as folder:
        room = Path(folder)
        for mode in _MODES:
            broken = asyncio.run(break_all(room / mode, mode, told.lasts_s))
            kept.append(_show_broken(broken))
        for store in _STORES:
            killed = asyncio.run(kill_often(room / f"k-{store}", store, told.kills, told.seed))
            kept.append(_show_killed(store, killed))
        kept.append(_show_filled(asyncio.run(fill_disk(room / "full", told.full_s))))
    print("every promise was kept" if all(kept) else "NOT every promise was kept")
    return 0 if all(kept) else 1


def _show_broken(broken: Broken) -> bool:
    print(f"failure_mode: {broken.mode}")
    is_kept = broken.counted == broken.used
    for seen in broken.seen:
        print(
            f"  {seen.fault:15} {seen.answers:6,} answers, {seen.degraded:6,} degraded, "
            f"{len(seen.wrong)} of another mode; median {seen.median_s * 1000:5.1f} ms, longest "
            f"{seen.longest[0] * 1000:5.1f} ms beside noise, {seen.late} above "
            f"{MOST_S * 1000:.0f} ms; normal again after {seen.back_s:.2f} s"
        )
        is_kept &= not (seen.wrong or seen.late or seen.back_s > BACK_S) and seen.degraded > 0
    print(f"  used {broken.used}, counted {broken.counted}")
    return is_kept


def _show_killed(store: str, killed: Killed) -> bool:
    print(
        f"{killed.kills} kill -9 on {store}: {killed.answers:,} answers, {killed.unanswered:,} "
        f"without one; used {killed.used}, counted {killed.counted}; spool: {killed.spooled:,} "
        f"entries read back, {killed.damaged} damaged, {killed.leftover} files left; decisions: "
        f"{killed.decisions:,} lines, {killed.torn} torn"
    )
    is_whole = killed.torn <= killed.kills and not (killed.damaged or killed.leftover)
    return is_whole and killed.counted == killed.used


def _show_filled(filled: Filled) -> bool:
    print(
        f"disk full ({filled.kind}): {filled.refused:,} refused with 503, {len(filled.unclear)} "
        f"otherwise; taken again after {filled.back_s:.2f} s; used {filled.used}, counted "
        f"{filled.counted}"
    )
    return filled.refused > 0 and not filled.unclear and filled.counted == filled.used


if __name__ == "__main__":
    sys.exit(main())
