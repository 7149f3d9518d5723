"""`make outbox`: the control plane is away while 10,000 events come and servers are killed."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.outbox.show import Shown, show
from tests.processes import redis_server


def main() -> int:
    """Print what arrived; 0 if all did, in order."""
    parser = argparse.ArgumentParser(prog="make outbox", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    events = parser.parse_args().events
    good = True
    with tempfile.TemporaryDirectory(prefix="outbox-") as name:
        folder = Path(name)
        for part in ("sqlite", "redis", "replicas", "server"):
            (folder / part).mkdir()
        with redis_server(folder / "server") as redis:
            good &= _tell("SQLite", show(folder / "sqlite", "sqlite:///./data/s.db", events))
            good &= _tell("Redis", show(folder / "redis", redis.url, events))
            redis.command("FLUSHALL")
            shown = show(folder / "replicas", redis.url, events, replicas=2, is_away=False)
            good &= _tell("Redis, two replicas, control plane there", shown)
    return 0 if good else 1


def _tell(what: str, shown: Shown) -> bool:
    print(
        f"{what}: {shown.sent:,} events acknowledged, {shown.kills} kill -9, "
        f"{shown.again} posts sent again; {len(shown.missing)} missing, "
        f"{len(shown.out_of_order)} apps out of order, {shown.plane.came_again()} came again"
        + (f"; delivered in {shown.drained_s:.1f} s" if shown.drained_s else ""),
        flush=True,
    )
    return not (shown.missing or shown.out_of_order or shown.early) and shown.kills == 2


if __name__ == "__main__":
    sys.exit(main())
