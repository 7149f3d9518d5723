"""`make dashboard`: 100,000 events of 5,000 users; exit 1 where a page takes five times as long."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.dashboard.large import measure
from tests.processes import redis_server

MOST = 5.0


def main() -> int:
    """Measure both stores."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    worst = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in ("sqlite", "redis"):
            place = folder / kind
            place.mkdir()
            if kind == "sqlite":
                found = measure(place, "sqlite:///./s.db", given.events, given.users, given.rounds)
            else:
                with redis_server(place) as redis:
                    found = measure(place, redis.url, given.events, given.users, given.rounds)
            print(f"{kind}: {given.events:,} events of {given.users:,} users")
            for pair in found.pairs:
                print(f"  {pair}", flush=True)
            worst = max(worst, found.worst)
    return 0 if worst < MOST else 1


if __name__ == "__main__":
    sys.exit(main())
