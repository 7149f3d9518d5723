"""`make grants`: random sequences on each store against a plain model."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.contract.stores import fake_redis
from tests.grants.run import STEPS, play_many
from tests.processes import redis_cluster, redis_server

STORES = ("sqlite", "redis", "cluster", "fakeredis")


def main() -> int:
    """Print the table; store and model differ where it does not come to that."""
    parser = argparse.ArgumentParser(prog="make grants", description=__doc__)
    parser.add_argument("--sequences", type=int, default=10_000, help="on each store")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each sequence")
    parser.add_argument("--store", choices=STORES, action="append", help="all but fakeredis")
    parser.add_argument("--seed", type=int, default=20_260_505)
    told = parser.parse_args()
    tallies: dict[str, Counter[str]] = {}
    for store in told.store or STORES[:-1]:
        with ExitStack() as stack:
            address = _opened(store, stack)
            began = time.monotonic()
            tallies[store] = asyncio.run(play_many(address, told.sequences, told.seed, told.steps))
            tallies[store]["seconds"] = round(time.monotonic() - began)
    _print_table(tallies)
    return 0


def _opened(store: str, stack: ExitStack) -> str:
    """Where a store is that was started for this."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="grants-")))
    match store:
        case "sqlite":
            return str(folder / "grants.db")
        case "redis":
            return stack.enter_context(redis_server(folder)).url
        case "cluster":
            return stack.enter_context(redis_cluster(folder)).url
        case _:
            return stack.enter_context(fake_redis())


def _print_table(tallies: dict[str, Counter[str]]) -> None:
    print(f"{'':32}" + "".join(f"{store:>12}" for store in tallies))
    for name in sorted(set().union(*tallies.values())):
        print(f"{name:32}" + "".join(f"{tally[name]:>12,}" for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
