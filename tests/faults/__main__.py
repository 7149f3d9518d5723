"""`make faults`: the long forms of the proofs under faults, with their figures."""

import argparse
import asyncio
import logging
import sys
import tempfile
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Final

import structlog

from tests.faults.cancellations import Cancellations, cancel_callers
from tests.faults.expiry import Expiry, expire
from tests.faults.lost_replies import LostReplies, lose_replies
from tests.faults.reservations import Settled, settle
from tests.faults.restarts import Interruptions, forget_scripts, restart
from tests.faults.storm import Storm, storm
from tests.faults.weather import Faults

Figures = LostReplies | Interruptions | Cancellations | Settled | Expiry | Storm

RECOVERY_S: Final = 2.0


def main() -> int:
    """Print the figures; 0 if every promise was kept."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--operations", type=int, default=100_000, help="while replies are lost")
    parser.add_argument("--cancelled", type=int, default=10_000)
    parser.add_argument("--reservations", type=int, default=100_000)
    parser.add_argument("--overdue", type=int, default=4_000)
    parser.add_argument("--storm-s", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=20_260_505)
    told = parser.parse_args()
    # That Redis is lost and found again is what all of this is about.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    operations, seed = told.operations, told.seed
    one_percent = Faults(drop_share=0.01)
    silently = Faults(drop_every=1_000, drop_silently=True)
    few = operations // 5
    proofs: dict[str, Callable[[Path], Figures]] = {
        "1 % of replies lost, their connections reset": lambda folder: asyncio.run(
            lose_replies(folder, operations, one_percent, seed=seed)
        ),
        "0.1 % of replies lost, and silence after them": lambda folder: asyncio.run(
            lose_replies(folder, few, silently, timeout_s=0.25, seed=seed)
        ),
        "scripts forgotten under load": lambda folder: asyncio.run(
            forget_scripts(folder, few, times=100)
        ),
        "killed and started again under load": lambda folder: asyncio.run(
            restart(folder, few, times=20)
        ),
        "callers that go away": lambda folder: asyncio.run(
            cancel_callers(folder, told.cancelled, seed=seed)
        ),
        "reservations with every end, 0.5 % of replies lost": lambda folder: asyncio.run(
            settle(folder, told.reservations, Faults(drop_share=0.005), seed=seed)
        ),
        "overdue at once, one caller": lambda folder: asyncio.run(expire(folder, told.overdue)),
        "overdue at once, eight callers": lambda folder: asyncio.run(
            expire(folder, told.overdue, together=8)
        ),
        "every fault, in no order": lambda folder: asyncio.run(
            storm(folder, told.storm_s, seed=seed)
        ),
    }
    broken = [name for name, proof in proofs.items() if not _is_kept(_told(name, proof))]
    print("broken: " + "; ".join(broken) if broken else "every promise was kept")
    return 1 if broken else 0


def _told(name: str, proof: Callable[[Path], Figures]) -> Figures:
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        figures = proof(Path(folder))
    print(name)
    for field in fields(figures):
        print(f"    {field.name.replace('_', ' '):24}{_shown(getattr(figures, field.name))}")
    sys.stdout.flush()
    return figures


def _shown(value: object) -> object:
    match value:
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.1f}"
        case _:
            return value


def _is_kept(figures: Figures) -> bool:
    match figures:
        case LostReplies():
            return not figures.differences
        case Interruptions():
            failed = figures.late if figures.is_gone else figures.unanswered
            recovers = figures.longest_s <= RECOVERY_S and not failed
            return recovers and not figures.differences
        case Cancellations():
            leaks = figures.crossed or figures.reconnections or figures.left_open or figures.held
            return not leaks and figures.used == figures.told
        case Settled():
            return figures.held == (0, 0) and not (figures.differences or figures.wrong)
        case Expiry():
            return figures.unanswered <= figures.together
        case Storm():
            recovers = figures.recovery_s <= RECOVERY_S and not figures.left_open
            return recovers and not figures.differences


if __name__ == "__main__":
    sys.exit(main())
